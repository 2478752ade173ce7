"""Splunk's conf files: written so that no value can end itself or begin a stanza, and read back.

A backslash at a line's end joins the next line to the value. So every newline of a value gets one before it, and a line
of a value that ends in a backslash gets a space behind it, which Splunk does not mind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keytrip.errors import ContentError, Place
from keytrip.export.splunk.kinds import lines_of

Stanzas = Mapping[str, Mapping[str, str]]
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
# A name of all others but those with a bracket or a control character, which end the line or the head.
_STANZA = re.compile(r"[^\[\]\x00-\x1f\x7f]+")
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def write_conf(stanzas: Stanzas) -> str:
    """Return the text of a conf file; lines of values lose spaces at their ends.

    Raises:
        ContentError: A name or value is one that no conf file holds.
    """
    return "\n".join(_stanza(name, settings) for name, settings in stanzas.items())


def _stanza(name: str, settings: Mapping[str, str]) -> str:
    if not _STANZA.fullmatch(name) or name != name.strip():
        raise ContentError(
            f"{name!r} is no stanza of a conf file", hint="rename it: no brackets, no control characters"
        )
    lines = [f"{_checked(key, name)} = {_value(value, name, key)}" for key, value in settings.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _checked(key: str, stanza: str) -> str:
    if not _NAME.fullmatch(key):
        raise ContentError(
            f"{key!r} is no setting of a conf file", place=Place(rule=stanza), hint="letters, digits, . _ -"
        )
    return key


def _value(value: str, stanza: str, key: str) -> str:
    found = _UNSEEN.search(value)
    if found:
        problem = f"holds U+{ord(found[0]):04X}, which no conf file holds"
        raise ContentError(problem, place=Place(rule=stanza, field=key), hint="take that character out")
    return " \\\n".join(f"{line} " if line.endswith("\\") else line for line in lines_of(value))


def read_conf(text: str) -> dict[str, dict[str, str]]:
    """Return the stanzas of a conf file as Splunk reads it: joined lines, comments left out, the last setting wins.

    Raises:
        ContentError: A line is none of a conf file.
    """
    found: dict[str, dict[str, str]] = {}
    settings = found.setdefault("default", {})
    lines = iter(text.split("\n"))
    for line in lines:
        whole = line
        while whole.endswith("\\"):
            whole = whole[:-1].rstrip(" ") + "\n" + next(lines, "")
        bare = whole.strip()
        if not bare or bare.startswith("#"):
            continue
        if bare.startswith("[") and bare.endswith("]") and "\n" not in bare:
            settings = found.setdefault(bare[1:-1], {})
            continue
        key, equals, value = whole.partition("=")
        if not equals or not _NAME.fullmatch(key.strip()):
            raise ContentError(f"{bare[:60]!r} is no line of a conf file", hint="KEY = VALUE")
        settings[key.strip()] = value.strip()
    if not found["default"]:
        del found["default"]
    return found
