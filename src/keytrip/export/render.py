"""Items from templates: a template is YAML, and each `{{ ... }}` in it stands for one whole value.

The YAML parser never sees the values. An expression writes a mark that nobody can guess; when the YAML is read, values
take the places of their marks. So no text can end its string, add a member or become a number, whatever is in it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from traceback import extract_tb
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, pass_context
from jinja2.runtime import Context, Undefined

from keytrip.errors import ContentError, Place
from keytrip.export.manifest import template_file, template_folders
from keytrip.rules.load import LOADER

_VALUES = "__keytrip_values__"
_TYPES = (str, int, float, bool, type(None))


class Marks:
    """The values of one rendering, by the marks that stand for them."""

    def __init__(self) -> None:
        self.beginning = f"kt{secrets.token_hex(16)}n"
        self.values: list[Any] = []

    def mark(self, value: Any) -> str:
        """Return what stands for a value in YAML: a quoted text, or a mapping or list of such."""
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{self._one(key)}: {self.mark(inner)}" for key, inner in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(self.mark, value)) + "]"
        return self._one(value)

    def _one(self, value: Any) -> str:
        if not isinstance(value, _TYPES):
            raise TypeError(f"a {type(value).__name__} is no value of JSON")
        self.values.append(value)
        return f'"{self.beginning}{len(self.values) - 1}e"'

    def value(self, loaded: Any) -> Any:
        """Return what was loaded with the values in their places.

        Raises:
            ValueError: A mark is a part of a text.
        """
        if isinstance(loaded, dict):
            return {self.value(key): self.value(inner) for key, inner in loaded.items()}
        if isinstance(loaded, list):
            return [self.value(inner) for inner in loaded]
        if not isinstance(loaded, str) or self.beginning not in loaded:
            return loaded
        before, _, number = loaded.partition(self.beginning)
        if before or not number[:-1].isdigit() or number[-1] != "e":
            raise ValueError("an expression stands within a text")
        return self.values[int(number[:-1])]


@pass_context
def _finalize(context: Context, value: Any) -> Any:
    if isinstance(value, Undefined):
        return str(value)  # raises, with the name
    marks: Marks = context[_VALUES]
    return marks.mark(value)


def item_environment(folder: Path) -> Environment:
    """Return the environment of a destination's item templates."""
    return Environment(
        loader=FileSystemLoader(template_folders(folder)),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - values are not written at all
        finalize=_finalize,
    )


def render_text(folder: Path, template: str, context: Mapping[str, Any]) -> str:
    """Return the text that a template of a folder makes; values stand in it as they are.

    Raises:
        ContentError: The template is none, or names what is not there; with its file.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - plain text, of our own values
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(template).render(context)
    except TemplateError as error:
        place = _at(str(folder / template), error)
        raise ContentError(f"{error.message}", place=place, hint="mend the template") from error


def render_item(environment: Environment, template: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that a template makes of a context.

    Raises:
        ContentError: The template is none, names what is not there, or makes no mapping; with its file.
    """
    import yaml

    marks = Marks()
    place = _place(environment, template)
    try:
        text = environment.get_template(template).render({**context, _VALUES: marks})
        loaded = yaml.load(text, Loader=LOADER)  # noqa: S506 - the safe loader, in C where it is built
        body = marks.value(loaded)
    except TemplateError as error:
        raise ContentError(f"{error.message}", place=_at(place.path, error), hint="mend the template") from error
    except yaml.YAMLError as error:
        raise ContentError(f"makes no YAML: {_problem(error)}", place=place, hint=_HINT) from error
    except (TypeError, ValueError) as error:
        raise ContentError(str(error), place=place, hint=_HINT) from error
    if not isinstance(body, dict) or not all(isinstance(key, str) for key in body):
        raise ContentError("makes no mapping of names to values", place=place, hint=_HINT)
    return body


_HINT = "each {{ ... }} is a whole value: `name: {{ 'keytrip - ' ~ rule.name }}`"


def holds(environment: Environment, expression: str, context: Mapping[str, Any], place: Place) -> bool:
    """Return whether a manifest's expression is true.

    Raises:
        ContentError: It is none.
    """
    return bool(_evaluated(environment, expression, context, place))


def _evaluated(environment: Environment, expression: str, context: Mapping[str, Any], place: Place) -> Any:
    try:
        found = environment.compile_expression(expression, undefined_to_none=False)(**context)
        return (
            str(found) if isinstance(found, Undefined) else found
        )  # a text of what is not there raises, with its name
    except TemplateError as error:
        raise ContentError(f"{expression!r}: {error.message}", place=place, hint=_NAME_HINT) from error
    except TypeError as error:
        raise ContentError(f"{expression!r}: {error}", place=place, hint=_NAME_HINT) from error


def render_name(environment: Environment, expression: str, context: Mapping[str, Any], place: Place) -> str:
    """Return the text that an expression of a manifest makes.

    Raises:
        ContentError: It is none, or makes no text.
    """
    found = _evaluated(environment, expression, context, place)
    if not isinstance(found, str) or not found:
        raise ContentError(f"name: {expression!r} makes no text", place=place, hint=_NAME_HINT)
    return found


_NAME_HINT = "an expression such as \"'keytrip - ' ~ rule.name\""


def _at(path: str | None, error: TemplateError) -> Place:
    """Return the line of a template that an error is about: of its syntax, or the last one that was carried out."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == path]
    return Place(path, getattr(error, "lineno", None) or (lines[-1] if lines else None))


def _place(environment: Environment, template: str) -> Place:
    loader = environment.loader
    folder = Path(loader.searchpath[0]) if isinstance(loader, FileSystemLoader) else Path()
    return Place(str(template_file(folder, template)))


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]
