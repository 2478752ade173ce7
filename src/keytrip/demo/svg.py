"""Builds inline SVG as a tree, so that text is escaped and the drawing well-formed whatever the logs hold."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from markupsafe import Markup

Element = ET.Element


def plain(text: str) -> str:
    """Return text with all that cannot be seen (control characters, marks that turn its direction) written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def drawing(style: str, height: float, title: str, description: str) -> Element:
    """Return an empty drawing of full width and `height` pixels that says what it shows to those who do not see it."""
    svg = Element("svg", {"class": style, "width": "100%", "height": f"{height:g}", "role": "img"})
    ET.SubElement(svg, "title").text = plain(title)
    ET.SubElement(svg, "desc").text = plain(description)
    return svg


def ornament(style: str, height: float) -> Element:
    """Return an empty drawing that only repeats what stands beside it, so nobody has it read out."""
    return Element("svg", {"class": style, "width": "100%", "height": f"{height:g}", "aria-hidden": "true"})


def add(parent: Element, tag: str, style: str, **where: str | float) -> Element:
    """Add an element; `_` in the name of an attribute stands for `-`."""
    attributes = {name.replace("_", "-"): v if isinstance(v, str) else f"{v:g}" for name, v in where.items()}
    return ET.SubElement(parent, tag, {"class": style, **attributes})


def add_text(parent: Element, text: str, style: str, **where: str | float) -> None:
    """Add a line of text."""
    add(parent, "text", style, **where).text = plain(text)


def add_tip(parent: Element, text: str) -> None:
    """Add what a pointer on the element brings up."""
    ET.SubElement(parent, "title").text = plain(text)


def per(value: float) -> str:
    """Return a share of the drawing's width, in per cent."""
    return f"{value:.4g}%"


def markup(svg: Element) -> Markup:
    """Return the drawing as text that a template takes as it is."""
    return Markup(ET.tostring(svg, encoding="unicode", short_empty_elements=False))  # noqa: S704  # the tree has escaped every text
