"""What every compiled text says at its top: which rule it is, what it needs, and where it deviates from SEMANTICS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# what quotes, calls a macro, opens a subsearch, names a token or ends a command somewhere
_HARMLESS = str.maketrans({"`": "'", '"': "'", "[": "(", "]": ")", "$": " ", "|": "/"})


@dataclass(frozen=True)
class Header:
    """The facts of one compiled rule.

    Attributes:
        rule: The rule's name.
        title: Its title.
        level: Its level.
        needs: What has to be there: indices, lookups.
        deviations: The deviations that SEMANTICS names and this text has.
        version: The day of the rule's last change, as it says itself; empty where it says none.
    """

    rule: str
    title: str
    level: str
    needs: Sequence[str] = ()
    deviations: Sequence[str] = ()
    version: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """The header, safe to stand in any target's comment."""
        version = f", version of {self.version}" if self.version else ""
        return (
            comment_text(f"{self.rule}: {self.title} ({self.level}){version}"),
            comment_text(f"needs: {', '.join(self.needs) or 'nothing beside the events'}"),
            comment_text(f"deviations: {'; '.join(self.deviations) or 'none'}"),
        )


def comment_text(text: str) -> str:
    """Return `text` on one line, without what could end a comment or be expanded in one."""
    plain = " ".join(text.split())
    plain = "".join(c if c.isprintable() else " " for c in plain).translate(_HARMLESS)
    return plain.replace("*/", "* /").replace("/*", "/ *")


def header_of(rule: Any, needs: Sequence[str], deviations: Sequence[str] = ()) -> Header:
    """Return the header of a plan or of a plain pySigma rule."""
    level = getattr(rule.level, "name", rule.level) or "medium"
    name = getattr(rule, "rule", None) or rule.name or rule.id
    version = getattr(rule, "version", None) or getattr(rule, "modified", None) or getattr(rule, "date", None)
    return Header(str(name), rule.title or "", str(level).lower(), needs, deviations, str(version or ""))
