"""Faults of an app that AppInspect and slim do not see (docs/exporters_splunk.md): each would fail in Splunk alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from keytrip.errors import ContentError
from keytrip.export.splunk_app.conf import read_conf

_JSON = re.compile(r"accelerated_fields\..+|.*\.(annotations|_risk|drilldown_searches)")
_LOOKUP = re.compile(r"\|\s*(?:input)?lookup\s+(\w+)")
_COMMENT = re.compile(r"```.*?```", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CRON = re.compile(r"[\d*/,-]+(?: [\d*/,-]+){4}")


def app_problems(files: Mapping[str, str], names: frozenset[str]) -> Iterator[str]:
    """Yield what is wrong with an app.

    Args:
        files: Its conf files: path -> text.
        names: The paths of all its files.
    """
    confs = {}
    for path, text in files.items():
        try:
            confs[path] = read_conf(text)
        except ContentError as error:
            yield f"{path}: {error}"
    for path, stanzas in confs.items():
        for stanza, settings in stanzas.items():
            yield from (f"{path}: [{stanza}] {problem}" for problem in _json_problems(settings))
    lookups = confs.get("default/transforms.conf", {})
    macros = {name.partition("(")[0] for name in confs.get("default/macros.conf", {})}
    yield from _lookup_problems(lookups, names)
    for stanza, settings in confs.get("default/savedsearches.conf", {}).items():
        yield from (f"[{stanza}] {p}" for p in _search_problems(settings, macros, set(lookups)))


def _json_problems(settings: Mapping[str, str]) -> Iterator[str]:
    for key, value in settings.items():
        if _JSON.fullmatch(key):
            try:
                json.loads(value)
            except ValueError:
                yield f"{key} is no JSON, which Splunk ignores"


def _lookup_problems(lookups: Mapping[str, Mapping[str, str]], names: frozenset[str]) -> Iterator[str]:
    for name, settings in lookups.items():
        file = settings.get("filename", "")
        if f"lookups/{file}" not in names:
            yield f"lookup {name}: there is no file lookups/{file}"


def _search_problems(settings: Mapping[str, str], macros: set[str], lookups: set[str]) -> Iterator[str]:
    text = _COMMENT.sub(" ", settings.get("search", ""))
    bare = _QUOTED.sub('""', text)
    if not bare.strip():
        yield "has no search"
    if bare.count('"') % 2 or bare.count("`") % 2 or bare.count("[") != bare.count("]"):
        yield "has quotes, backquotes or brackets that do not pair up"
    # every second backquote opens a macro
    named = {part.partition("(")[0] for part in bare.split("`")[1::2]}
    yield from (f"names the macro {name}, which is not there" for name in sorted(named - macros))
    asked = set(_LOOKUP.findall(bare))
    yield from (f"asks the lookup {name}, which is not there" for name in sorted(asked - lookups))
    if not _CRON.fullmatch(settings.get("cron_schedule", "")):
        yield "has no cron_schedule of five fields"
    if "dispatch.earliest_time" not in settings or "dispatch.latest_time" not in settings:
        yield "has no time range"
