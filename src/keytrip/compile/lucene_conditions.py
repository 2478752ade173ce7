r"""Leaves as Lucene query strings. A regular expression ends at the first `/` that no backslash precedes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keytrip.compile.dialects import to_lucene
from keytrip.compile.elastic import has_case, lucene_wildcards, short_enough
from keytrip.compile.leaves import Absent, Compares, Equals, Leaf, Like, Matches, Never, Present, SameAs, Within
from keytrip.compile.values import decimal_text
from keytrip.errors import ContentError

if TYPE_CHECKING:
    from keytrip.compile.elastic import ElasticBackend

NEVER = "(*:* AND NOT *:*)"
_NUMBERS = {"=": '"{}"', "<": "[* TO {}}}", "<=": "[* TO {}]", ">": "{{{} TO *]", ">=": "[{} TO *]"}
_NAME_SPECIALS = re.compile(r"([^\w.@])")


def quote_name(name: str) -> str:
    """Return a field's name as a query string reads it."""
    return _NAME_SPECIALS.sub(r"\\\1", name)


def quote_lucene(text: str) -> str:
    """Return a quoted text, which a keyword field compares as a whole."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def slashed(pattern: str) -> str:
    """Return a regular expression between slashes; `()` keeps its last backslash from the closing one."""
    body = re.sub(r"(?<!\\)((?:\\\\)*)/", r"\1\\/", pattern)
    return f"/{body}()/" if body.endswith("\\") else f"/{body}/"


def lucene_condition(leaf: Leaf, backend: ElasticBackend) -> str:
    """Return the query string of a leaf.

    Raises:
        ContentError: A query string cannot say it.
    """
    match leaf:
        case Never():
            return NEVER
        case Present(of) | Absent(of):
            return _presence(quote_name(backend.stored(of)), present=isinstance(leaf, Present))
        case Compares(of, operator, number):
            return f"{quote_name(backend.stored(of))}:{_NUMBERS[operator].format(decimal_text(number))}"
        case Within():
            return _within(leaf, backend)
        case SameAs():
            raise ContentError(f"{leaf.of.name}: {backend.language} cannot compare fields", hint=backend.can)
    return _text_test(leaf, quote_name(backend.text_field(leaf.of)))


def _text_test(leaf: Equals | Like | Matches, name: str) -> str:
    match leaf:
        case Equals(_, "", _):
            return f"(_exists_:{name} AND NOT {name}:/.+/)"
        case Equals(_, text, cased) if cased or not has_case(text):
            return f"{name}:{quote_lucene(text)}"
        case Equals(_, text, _):
            return f"{name}:{slashed(lucene_wildcards((text,), cased=False))}"
        case Like(_, parts, cased):
            return f"{name}:{slashed(lucene_wildcards(parts, cased=cased))}"
        case Matches(_, regex):
            return f"{name}:{slashed(short_enough(to_lucene(regex)))}"


def _presence(name: str, *, present: bool) -> str:
    return f"_exists_:{name}" if present else f"(*:* AND NOT _exists_:{name})"


def _within(leaf: Within, backend: ElasticBackend) -> str:
    address, text = backend.within(leaf)
    test = f'{address}:"{leaf.network}"'
    return test if text is None else f"({test} AND {text}:/.*:.*/)"
