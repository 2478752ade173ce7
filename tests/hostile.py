"""Hostile texts, the same ones each time: what an attacker may write where a key, a model or a user agent stands.

`KEYTRIP_HOSTILE` says how many (50 in each run of the tests); docs/reliability.md says what was seen with 10,000.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

COUNT = int(os.environ.get("KEYTRIP_HOSTILE", "50"))
MEGABYTE = 1_000_000

# Each breaks out of something: a string, a query, a cell, a template, a terminal, a parser, a key of several parts.
PIECES = (
    *(
        "'",
        '"',
        "`",
        "''",
        '""',
        '"""',
        "\\",
        "\\\\",
        "\\'",
        '\\"',
        "\\\\'",
        "\\n",
        "\\u0041",
        "\\x41",
        "\\Q",
        "\\E",
        "/",
        "//",
    ),
    *(
        "|",
        "||",
        "| delete index=*",
        '" | outputlookup keytrip_key_models',
        "| collect index=main",
        "|search",
        "&&",
        ";",
    ),
    *("[search index=*]", "[", "]", "[[", "]]", "[| makeresults]", "(", ")", "((", "{", "}", "<", ">", "!", "~", "^"),
    *(
        "$token$",
        "$result.x$",
        "$$",
        "$",
        "${x}",
        "${jndi:ldap://x/y}",
        "$(id)",
        "#{7*7}",
        "%7B",
        "%",
        "%s",
        "%00",
        "{x}",
    ),
    *("{{ 7 * 7 }}", "{% raw %}", "{% endraw %}", "{#", "#}", "{{ '' }}", "{%", "%}", "<% 1 %>", "{{#ctx}}", "{{{x}}}"),
    *("`index`", "`keytrip_filter`", "`comment(x)`", "`x(1,2)`", '"`', '`"'),
    *(
        "'; DROP TABLE events; --",
        "' OR '1'='1",
        "' OR 1=1 --",
        '" OR "a"="a',
        "/*",
        "*/",
        "--",
        "#",
        "'||'",
        "E'",
        "$q$",
    ),
    *(
        "FROM x | LIMIT 1 //",
        "any where true",
        "sequence by x",
        "NOT *:*",
        "_exists_:x",
        "a:b",
        "[a TO b]",
        "/.*/",
        "+a -b",
    ),
    *("*", "?", "**", "\\*", "\\?", "%_", ".*", ".", "(?i)", "(a+)+$", "a*", "?a", "^a$"),
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", ",", ";;", "sep=;", '","', "\n=1", "1,5"),
    *(
        "<script>alert(1)</script>",
        "<b>",
        "</td>",
        "&amp;",
        "&#60;",
        "<!--",
        "-->",
        "]]>",
        "javascript:x",
        "[x](http://y)",
        "![x](y)",
    ),
    *(
        "\x1b[2J",
        "\x1b]0;x\x07",
        "\x1b[31m",
        "\x9b1m",
        "\x07",
        "\x08\x08",
        "\x7f",
        "\x00",
        "a\x00b",
        "\x01",
        "\x1e",
        "\x1eu",
        "\x1f",
        "\x1f\x1f",
    ),
    *(
        "\n",
        "\r\n",
        "\r",
        "\t",
        "\x0b",
        "\x0c",
        "\x85",
        "\u2028",
        "\u2029",
        " ",
        "  ",
        "\xa0",
        "\u3000",
        "\n\n",
        "\\\n",
        " \\\n",
    ),
    *(
        "\u202e",
        "\u202d",
        "\u2066",
        "\u2069",
        "\u200e",
        "\u200f",
        "\u061c",
        "\u200b",
        "\u2060",
        "\ufeff",
        "\ufffe",
        "\uffff",
        "\ufffd",
    ),
    *(
        "\u00e9",
        "e\u0301",
        "\u0130",
        "\u0131",
        "\u017f",
        "\u212a",
        "\u1e9e",
        "\u03c2",
        "\u00df",
        "\ufb01",
        "\U0001f600",
        "\U0001f511",
        "\U0010ffff",
    ),
    *(
        "null",
        "None",
        "NULL",
        "true",
        "false",
        "NaN",
        "inf",
        "1e5",
        "0042",
        "0x1F",
        "-0",
        "1.0",
        "_id",
        "_key",
        "_time",
        "__proto__",
    ),
    *("../..", "/etc/passwd", "C:\\x", "con", ".keytrip", "~", "\\\\host\\x", "a/b", "a%2fb", "..", "-rf", "--help"),
    *(
        "[default]",
        "[keytrip]\nsearch = x",
        "search = *",
        "# x",
        "enableSched = 1",
        ": x",
        "- x",
        "!!python/object",
        "&a",
        "*a",
        "<<",
    ),
    *(
        "gpt-4o",
        "key_",
        "a",
        "B",
        "7",
        "z\u00fcrich",
        "\u6f22\u5b57",
        "\u05d0\u05d1",
        "\u0627",
        "10.1.2.0/24",
        "2001:db8::1",
        "sk-",
    ),
)
_WIDE = (*range(0x20), *range(0x20, 0x180), *range(0x2000, 0x2070), *range(0xFF00, 0xFF60), *range(0x1F600, 0x1F610))


def hostile_texts(count: int = COUNT, *, fit: Callable[[str], bool] = bool, seed: int = 7) -> list[str]:
    """Return distinct texts, none of them empty: the pieces, pieces put together, characters at random, a megabyte.

    Args:
        count: How many; where it allows, two of them are a megabyte long.
        fit: Which texts the place takes where they are to stand; others are left out.
        seed: Of the choices.
    """
    dice = random.Random(seed)  # noqa: S311 - the same texts each time
    found = dict.fromkeys(filter(fit, PIECES))
    for long in ('"' * MEGABYTE, ("x'\\\"|`$[ \u202e" * MEGABYTE)[:MEGABYTE]):
        if fit(long):
            found[long] = None
    while len(found) < count:
        text = _text(dice)
        if text and fit(text):
            found[text] = None
    texts = list(found)
    # a small number still has some of each sort
    return texts if len(texts) <= count else [*texts[-2:], *dice.sample(texts[:-2], count - 2)]


def half_characters(count: int = 20) -> list[str]:
    """Return texts with a lone surrogate, which no UTF-8 holds."""
    dice = random.Random(11)  # noqa: S311 - the same texts each time
    return [f"{_text(dice)}{chr(dice.randrange(0xD800, 0xE000))}{_text(dice)}" for _ in range(count)]


def _text(dice: random.Random) -> str:
    if dice.random() < 0.3:
        return "".join(chr(dice.choice(_WIDE)) for _ in range(dice.randint(1, 40)))
    return "".join(dice.choice(PIECES) for _ in range(dice.randint(1, 6)))
