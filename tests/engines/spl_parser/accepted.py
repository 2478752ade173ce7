"""Good SPL that the parser rejects, each with a form of the same shape that it takes.

An entry rewrites one command before it is parsed, so that the rest of the text is checked all the same; skipping the
error would skip what stands behind it. `example` is a command that the parser rejects as it is and takes rewritten;
test_harness.py holds every entry to that, so one that a newer parser no longer needs is noticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_EVALS = ("eval", "where")


@dataclass(frozen=True)
class Accepted:
    """One wrong rejection.

    Attributes:
        commands: Commands that it is about.
        pattern: Regular expression over a command, in which texts in quotes stand as `"s0"`, `'s1'`.
        form: What each match becomes.
        reason: Why the original is good SPL.
        example: A command that needs the entry.
    """

    commands: tuple[str, ...]
    pattern: str
    form: str
    reason: str
    example: str

    def rewritten(self, command: str) -> str:
        """Return the command in the form that the parser takes."""
        if not command.startswith(self.commands):
            return command
        return re.sub(self.pattern, self.form, command, flags=re.IGNORECASE)


ACCEPTED = (
    Accepted(
        ("bin ", "bucket "),
        r"^(\w+) (\S+) (span=\S+)",
        r"\1 \3 \2",
        "the documentation lets options stand before or behind the field",
        "bin _time span=1d",
    ),
    Accepted(
        ("lookup ",),
        r"\s*,\s*",
        " ",
        "lookup lists its fields with commas or with spaces",
        "lookup keys key_id, model OUTPUT mean, days AS n",
    ),
    Accepted(
        ("eventstats ", "streamstats "),
        r"\s*,\s*(?=[^()]*(\(|$))",
        " ",
        "aggregations may be parted by commas, as in stats, where the parser takes them",
        "eventstats sum(a) AS b, count AS c BY key_id, model",
    ),
    Accepted(
        ("streamstats ",),
        r"^streamstats ((?:(?:window|global|time_window)=\S+ )+)(current=\S+)",
        r"streamstats \2 \1",
        "options have no order; the parser wants current first",
        "streamstats window=3 current=f count AS n",
    ),
    Accepted(
        ("streamstats ",),
        r"(global=\S+) (window=\S+)",
        r"\2 \1",
        "options have no order; the parser wants window before global",
        "streamstats global=f window=3 count AS n",
    ),
    Accepted(
        ("stats ", "eventstats ", "streamstats "),
        r"\b(?!count\b|c\b)\w+\(eval\(",
        "count(eval(",
        "every aggregation takes eval(...); the parser knows that of count only",
        "stats sum(eval(if(isnull(a), 1, 0))) AS n",
    ),
    Accepted(
        _EVALS,
        r"('?[\w.]+'?) IN ?\(",
        r"in(\1, ",
        "the operator IN is documented for eval and where; the parser knows the function",
        'where model IN ("s0", "s1")',
    ),
    Accepted(
        _EVALS,
        r"((?:[-+*/%=<>(,]|\b(?:AND|OR|NOT))\s*)-\s*(?=[a-z_'(])",
        r"\g<1>0 - ",
        "a minus sign may stand before a field or a parenthesis; the parser takes it before numbers only",
        "eval a = -b, c = d * -(e + f)",
    ),
    Accepted(
        _EVALS,
        r"\bmvmap\(",
        "mvappend(",
        "a function that the parser does not know; mvappend takes two expressions too",
        "eval a = mvmap(b, b + 1)",
    ),
    Accepted(
        _EVALS,
        r"\bjson_extract\(",
        "spath(",
        "a function that the parser does not know; spath takes a field and a path too",
        'eval a = json_extract(b, "s0")',
    ),
    Accepted(
        ("tstats ",),
        r"^tstats (.+?) where (.+?) (by .+)$",
        r"search \2 | stats \1 \3",
        "an index may be searched by tstats; the parser wants a data model",
        "tstats count where index=keytrip by key_id",
    ),
)


def rewritten(command: str) -> str:
    """Return a command in the form that the parser takes."""
    for entry in ACCEPTED:
        command = entry.rewritten(command)
    return command
