"""Writes the SQL that reads files of one form and gives canonical, typed columns."""

from __future__ import annotations

import glob
from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path

from keytrip.records.sql import quote_name, quote_text
from keytrip.records.vocabulary import Field, usage
from keytrip.sources.base import Source
from keytrip.sources.convert import Prepared
from keytrip.sources.csv_rows import quick_header
from keytrip.sources.lines import LINE
from keytrip.sources.secrets import SECRET, SHORTEST

# Always read: who, when, and what duplicates are dropped by.
ALWAYS = ("timestamp", "key_id", "request_id")
FLAGS = "kt_flags"
FILE = "kt_file"
REASON = "kt_reason"
BAD, COLON, SECRETS, UNPRICED, IDENTIFIED, MISSED = 1, 2, 4, 8, 16, 32
# DuckDB's least: each thread takes a buffer of twice as much, so more is asked for only where a line needs it.
_OBJECT_BYTES = 2**24
_FAULTS = {"int": "is no whole number of 64 bits", "double": "is no finite number"}
_SMALLEST = "(-9223372036854775808)"
# DuckDB's number of a file within the list of one read.
_INDEX = "file_index"


def relation(files: Sequence[Prepared], source: Source) -> str:
    """Return a FROM item that has each of the source's members as a column; several files only if quick JSON."""
    if files[0].form in {"ndjson", "array"}:
        raw = _json(files, source)
    else:
        raw = _csv(files[0], source) if files[0].form == "csv" else _parquet(files[0], source)
    lets = ", ".join(f"{sql} as {quote_name(name)}" for name, sql in source.lets.items())
    # DuckDB's * leaves out the columns that it adds itself
    index = f"{_INDEX}, " if len(files) > 1 else ""
    return f"(select *, {index}{lets} from {raw})" if lets else raw


def _literal(path: Path) -> str:
    """DuckDB reads * ? [ in a path as a pattern."""
    return quote_text(glob.escape(str(path)))


def _object_bytes(files: Sequence[Prepared]) -> int:
    return max(_OBJECT_BYTES, *(p.longest for p in files))


def _json(files: Sequence[Prepared], source: Source) -> str:
    paths = ", ".join(_literal(p.path) for p in files)
    types = dict.fromkeys(source.members, "VARCHAR") | {LINE: "BIGINT"} if files[0].numbered else source.members
    columns = ", ".join(f"{quote_name(name)}: {quote_text(kind)}" for name, kind in types.items())
    form = "newline_delimited" if files[0].form == "ndjson" else "array"
    return (
        f"read_json([{paths}], format = '{form}', compression = 'none', "
        f"maximum_object_size = {_object_bytes(files)}, columns = {{{columns}}})"
    )


def _csv(prepared: Prepared, source: Source) -> str:
    header = quick_header(prepared.path) or []
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in header)
    known = ", ".join(
        f"nullif({quote_name(m)}, '') as {quote_name(m)}" if m in header else f"null::varchar as {quote_name(m)}"
        for m in source.members
    )
    return (
        f"(select {known} from read_csv({_literal(prepared.path)}, header = true, auto_detect = false, delim = ',', "
        f"quote = '\"', escape = '\"', strict_mode = true, null_padding = false, compression = 'none', "
        f"max_line_size = {_object_bytes([prepared])}, buffer_size = {2 * _object_bytes([prepared])}, "
        f"columns = {{{columns}}}))"
    )


def _parquet(prepared: Prepared, source: Source) -> str:
    import duckdb

    path = _literal(prepared.path)
    con = duckdb.connect()
    described = con.execute(f"describe select * from read_parquet({path})").fetchall()
    con.close()
    types = {row[0]: row[1] for row in described}
    known = ", ".join(f"{_as_text(m, types)} as {quote_name(m)}" for m in source.members)
    if "file_row_number" in types:  # a column of the user's: DuckDB would refuse to add its own
        return f"(select {known}, row_number() over () as {LINE} from read_parquet({path}))"
    return f"(select {known}, file_row_number + 1 as {LINE} from read_parquet({path}, file_row_number = true))"


def _as_text(member: str, types: dict[str, str]) -> str:
    name = quote_name(member)
    if member not in types:
        return "null::varchar"
    kind = types[member]
    if kind.startswith("TIMESTAMP"):
        utc = f"({name} at time zone 'UTC')" if "TZ" in kind or "ZONE" in kind else name
        # nanoseconds are written out, since a cast to microseconds would round them
        exact = utc if kind.endswith("_NS") else f"{utc}::timestamp"
        return f"strftime({exact}, '%Y-%m-%dT%H:%M:%S.{'%n' if kind.endswith('_NS') else '%f'}Z')"
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("[]"):
        return f"to_json({name})::varchar"
    return f"{name}::varchar"


def _typed(text: str, field: Field) -> str:
    cast = {"timestamp": "kt_time", "int": "kt_int", "double": "kt_double"}.get(field.type)
    value = f"{cast}({text})" if cast else text
    return f"coalesce({value}, {field.default})" if field.default is not None else value


def column_sql(name: str, source: Source, *, typed: bool = False) -> str:
    """Return the typed SQL of one canonical column of `source` (null where the source cannot know it).

    Args:
        name: The canonical field.
        source: How it maps.
        typed: Whether number members are numbers already, not text.
    """
    field = usage().fields[name]
    if name == "source" and "source" not in source.fields:
        return quote_text(source.name)
    if name == "source":
        return f"coalesce({source.fields['source']}, {quote_text(source.name)})"
    text = source.fields.get(name, "null::varchar")
    if typed and field.numeric and _is_number(text, source):
        return text if field.default is None else f"coalesce({text}, {field.default})"
    return _typed(text, field)


def _bad(name: str, source: Source) -> str | None:
    field = usage().fields[name]
    if not field.numeric or name not in source.fields:
        return None
    return f"{'kt_bad_int' if field.type == 'int' else 'kt_bad_number'}({source.fields[name]})"


def reason_sql(source: Source) -> str:
    """Return SQL text that says why a row is no record, or null."""
    checks = [(name, _bad(name, source)) for name in usage().fields]
    cases = [
        f"when {bad} then {quote_text(f'{name} {_FAULTS[usage().fields[name].type]}')}" for name, bad in checks if bad
    ]
    nothing = f"{column_sql('timestamp', source)} is null and {source.fields['key_id']} is null"
    return f"case {' '.join(cases)} when {nothing} then 'has neither a time nor a key' end"


def _flags(source: Source, columns: Collection[str], omitted: Collection[str], *, typed: bool) -> str:
    key = source.fields["key_id"]
    # DuckDB evaluates a CASE's later branches only where the earlier ones did not hold, an OR's all the same
    bads = _typed_bads(source) if typed else [b for name in usage().fields if (b := _bad(name, source))]
    undated = f"case when {column_sql('timestamp', source)} is null then {BAD} else 0 end"
    faults = "".join(f"when {bad} then {BAD} " for bad in bads)
    parts = [f"case {faults}when {key} is null then {undated} else 0 end"]
    # only what is long enough meets the pattern; a masked key has dots
    parts.append(
        f"case when strlen({key}) >= {SHORTEST} and not contains({key}, '..') then "
        f"case when regexp_matches({key}, {quote_text(SECRET)}) then {SECRETS} else 0 end else 0 end"
    )
    if "source_ip" in columns and "source_ip" in source.fields:
        parts.append(f"case when contains({source.fields['source_ip']}, ':') then {COLON} else 0 end")
    if source.priced and {"cost_usd", "list_price"} & set(columns):
        parts.append(f"{UNPRICED}")
    if "request_id" in source.fields:
        parts.append(f"case when {source.fields['request_id']} is not null then {IDENTIFIED} else 0 end")
    if missed := [f"{source.fields[name]} is not null" for name in sorted(omitted) if name in source.fields]:
        parts.append(f"case when {' or '.join(missed)} then {MISSED} else 0 end")
    return f"cast({' + '.join(parts)} as utinyint)"


def _typed_bads(source: Source) -> list[str]:
    """Typed columns stop the read when they are no numbers, so here they need only be read, and be finite."""
    doubles = [quote_name(name) for name, kind in source.members.items() if kind == "DOUBLE"]
    integers = [quote_name(name) for name, kind in source.members.items() if kind == "BIGINT"]
    nested = [name for name in usage().fields if _bad(name, source) and not _is_number(source.fields[name], source)]
    bads = [b for name in nested if (b := _bad(name, source))]
    if doubles:
        bads.append(f"not isfinite({' + '.join(f'coalesce({name}, 0)' for name in doubles)})")
    if integers:
        # no count is the smallest integer: naming every member makes DuckDB read, and so check, each of them
        bads.append(f"coalesce({', '.join(integers)}, 0) = {_SMALLEST}")
    return bads


def typed_form(prepared: Prepared) -> bool:
    """Whether a file is read quickly: its members typed, without line numbers, several in one SELECT."""
    return prepared.form in {"ndjson", "array"} and not prepared.numbered


def _is_number(sql: str, source: Source) -> bool:
    """Whether a field is a member that a quick read takes as a number."""
    return source.members.get(sql.strip('"'), "VARCHAR") != "VARCHAR"


def select_sql(
    files: Sequence[tuple[int, Prepared]], source: Source, columns: Collection[str], omitted: Collection[str] = ()
) -> str:
    """Return the SELECT that reads files into canonical columns, the file's number, and the flag column.

    Args:
        files: (number, file); several only if all are quick NDJSON.
        source: How to map them.
        columns: Canonical fields wanted; those of ALWAYS come besides.
        omitted: Of these, what is left out; a flag says where a record has it all the same.
    """
    first = files[0][1]
    wanted = [name for name in usage().fields if name in {*columns, *ALWAYS} - {*omitted}]
    typed = typed_form(first)
    parts = [f"{column_sql(name, source, typed=typed)} as {quote_name(name)}" for name in wanted]
    parts.append(f"cast({_number([n for n, _ in files])} as usmallint) as {FILE}")
    parts.append(f"{_flags(source, columns, omitted, typed=typed)} as {FLAGS}")
    if first.numbered:
        parts += [LINE, f"{reason_sql(source)} as {REASON}"]
    return f"select {', '.join(parts)} from {relation([p for _, p in files], source)}"


def _number(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    together = numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{_INDEX} + {numbers[0]}" if together else f"({list(numbers)})[cast({_INDEX} as bigint) + 1]"


def batches(files: Sequence[Prepared]) -> list[list[tuple[int, Prepared]]]:
    """Return numbered files in groups that one SELECT can read."""
    quick = sorted(((n, p) for n, p in enumerate(files) if typed_form(p)), key=_form)
    alone = [[(n, p)] for n, p in enumerate(files) if not typed_form(p)]
    return [list(group) for _, group in groupby(quick, key=_form)] + alone


def _form(numbered: tuple[int, Prepared]) -> str:
    return numbered[1].form
