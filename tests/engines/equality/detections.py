"""Random detections over awkward records: every modifier and condition form of Sigma 2.x, on every type of field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from keytrip.rules.load import Document

Test = tuple[str, Any]
TEXT_FIELDS = ("model", "model_raw", "user_agent", "key_id", "source_ip", "agent_family", "model_family", "day", "user")
NUMBER_FIELDS = ("status_code", "input_tokens", "hour_of_day", "total_tokens", "request_count")
DOUBLES = ("cost_usd", "list_price")
# Values as the records have them (tests/engines/invented.py), parts of them, and what looks like them.
WORDS = (
    *("gpt-4o", "GPT-4O", "gpt-4o-2024-08-06", 'a"b', 'a"bc', "a\\b", "a\\\\b", "a\\*b\\?c", "a*b?c", "axbyc", ""),
    *(
        "ÄÖ-größe",
        "äö-GRÖSSE",
        "ÖSS",
        "ß",
        "line\nbreak",
        "日本語",
        "本",
        "5",
        "5.0",
        "05",
        " gpt-4o",
        " ",
        "`tick` $x$ [s] |",
    ),
    *(
        "curl/8.5.0",
        "OpenAI/Python",
        "python-requests/2.31",
        "-requests",
        "/python",
        "TruffleHog",
        "x",
        "k1",
        "K1",
        "ключ",
    ),
    *(
        "КЛЮЧ",
        'q"UOTE',
        "back\\slash",
        "1000",
        "1e3",
        "10.0.0.1",
        "2001:DB8::1",
        "ǄX-ⴀ",
        "host-?",
        "*",
        "?",
        "**",
        "g*o",
        "?pt*",
        "*\\*",
    ),
    *(
        "*\\\\*",
        "%",
        "_",
        "100%",
        "'",
        "gpt_4o",
        ".",
        "[s]",
        "$x$",
        "|",
        "\\",
        "2026-04-0*",
        "*-03-*",
        "openai",
        "truffle*",
    ),
)
PATTERNS = (
    *(
        "^gpt",
        "4o$",
        "GPT",
        "e.b",
        "^break$",
        r"\d",
        r"^\w+-",
        "[^a-z]",
        r"\bo",
        r"\Bo",
        "a|b",
        "(gpt|curl)[-/]",
        "^$",
        "x?",
    ),
    *(
        r"\.",
        r"[\"\\]",
        "#",
        "@",
        "&",
        "~",
        "<",
        "\u043e",
        "Ö",
        "[\u0430-\u044f]+",
        "^.{3}$",
        r"\s",
        r"\S{12,}",
        r"[ok1]\z",
        r"^[[:upper:]_]",
        r"\x{6f}[\x{31}-\x{39}]?\z",
        r"\Q?c\E|\Qa*b",
        "^(?P<first>g|k)(?:p|[12])",
        "(?i)gpt",
        "^4..$",
        "0{2}",
    ),
)
NETWORKS = (
    "10.0.0.0/8",
    "10.0.0.1",
    "10.0.0.0/31",
    "0.0.0.0/0",
    "2001:db8::/32",
    "::/0",
    "::1/128",
    "::ffff:0:0/96",
    "fe80::/10",
)
NUMBERS: tuple[Any, ...] = (
    0,
    1,
    17,
    200,
    401,
    5.5,
    -1,
    0.1,
    0.2,
    1e-6,
    "200",
    "17.0",
    "2e2",
    "x",
    "",
    10**15,
    33.333333,
)
DIGITS = ("4", "0", "2*", "*1", "?00", "20?", "1", 4, 17, "", "*", "1000000", "-")


def _values(random: Random, pool: tuple[Any, ...], odd: tuple[Any, ...] = ()) -> Any:
    many = random.choice((1, 1, 1, 2, 3))
    found = [random.choice(odd) if odd and random.random() < 0.1 else random.choice(pool) for _ in range(many)]
    return found[0] if many == 1 and random.random() < 0.7 else found


def _text(random: Random) -> Test:
    parts = random.choice(("", "", "|contains", "|startswith", "|endswith", "|windash", "|windash|contains"))
    pool = tuple(w for w in WORDS if not set("*?\\\n") & set(w)) if "windash" in parts else WORDS
    all_ = random.choice(("", "", "|all")) if parts else ""
    cased = random.choice(("", "", "|cased"))
    order = random.choice((f"{parts}{all_}{cased}", f"{cased}{parts}{all_}")) if "windash" not in parts else parts
    plain = (None, 5, 5.5) if not order else (5,) if "windash" not in order else ()
    return f"{random.choice(TEXT_FIELDS)}{order}", _values(random, pool, plain)


def _encoded(random: Random) -> Test:
    encoding = random.choice(("", "|wide", "|utf16", "|utf16le", "|utf16be"))
    modifier = random.choice(("|base64", "|base64offset"))
    pool = tuple(w for w in WORDS if not set("*?\\") & set(w))
    return f"{random.choice(TEXT_FIELDS)}{encoding}{modifier}|contains", _values(random, pool)


def _regex(random: Random) -> Test:
    flags = "".join(f"|{flag}" for flag in "ims" if random.random() < 0.25)
    field = random.choice((*TEXT_FIELDS, *NUMBER_FIELDS))
    return f"{field}|re{flags}", _values(random, PATTERNS)


def _cidr(random: Random) -> Test:
    return f"{random.choice(('source_ip', 'source_ip', 'model', 'user'))}|cidr", _values(random, NETWORKS)


def _number(random: Random) -> Test:
    field = random.choice((*NUMBER_FIELDS, *DOUBLES))
    return field, _values(random, NUMBERS, (None,))


def _digits(random: Random) -> Test:
    modifier = random.choice(("", "|contains", "|startswith", "|endswith", "|contains|all"))
    return f"{random.choice(NUMBER_FIELDS)}{modifier}", _values(random, DIGITS)


def _compared(random: Random) -> Test:
    pool = tuple(n for n in NUMBERS if n not in {"x", ""})
    return f"{random.choice((*NUMBER_FIELDS, *DOUBLES))}|{random.choice(('gt', 'gte', 'lt', 'lte'))}", _values(
        random, pool
    )


def _reference(random: Random) -> Test:
    part = random.choice(("", "|startswith", "|endswith", "|contains"))
    if random.random() < 0.3 and not part:
        return f"{random.choice((*NUMBER_FIELDS, *DOUBLES))}|fieldref", random.choice((*NUMBER_FIELDS, *DOUBLES))
    fields = (*TEXT_FIELDS, *NUMBER_FIELDS[:2])
    modifiers = random.choice(
        (f"|fieldref{part}", f"|fieldref{part}", f"|cased|fieldref{part}", f"{part}|fieldref|cased")
    )
    return f"{random.choice(fields)}{modifiers}", random.choice(fields)


def _presence(random: Random) -> Test:
    field = random.choice((*TEXT_FIELDS, *NUMBER_FIELDS, *DOUBLES, "timestamp", "project"))
    return (f"{field}|exists", random.random() < 0.5) if random.random() < 0.6 else (field, random.choice((None, [])))


_KINDS: tuple[Callable[[Random], Test], ...] = (
    *(_text, _text, _text, _regex, _cidr, _number, _digits, _compared, _reference, _presence, _encoded),
)


def _item(random: Random) -> Test:
    key, value = random.choice(_KINDS)(random)
    return (f"{key}|neq", value) if random.random() < 0.2 and "exists" not in key else (key, value)


def _selection(random: Random) -> Any:
    if random.random() < 0.2:
        return [dict(_item(random) for _ in range(random.choice((1, 2)))) for _ in range(random.choice((1, 2, 3)))]
    return dict(_item(random) for _ in range(random.choice((1, 1, 1, 2, 3))))


def _condition(random: Random, names: list[str], depth: int = 0) -> str:
    kind = random.random()
    if kind < 0.35 or depth > 2:
        return random.choice(names)
    if kind < 0.5:
        quantity = random.choice(("1", "any", "all"))
        return f"{quantity} of {random.choice(('them', names[0][:2] + '*', '*' + names[-1][-1], 's*'))}"
    if kind < 0.65:
        return (
            f"not {_condition(random, names, depth + 2)}"
            if random.random() < 0.5
            else (f"not ({_condition(random, names, depth + 1)})")
        )
    parts = [_condition(random, names, depth + 1) for _ in range(random.choice((2, 2, 3)))]
    inner = (
        f" {random.choice(('and', 'or'))} ".join(parts)
        if random.random() < 0.7
        else f"{parts[0]} and {parts[1]} or not {parts[-1]}"
    )
    return f"({inner})" if random.random() < 0.6 else inner


def _detection(random: Random) -> dict[str, Any]:
    names = [f"s{place}_{letter}" for place, letter in zip("112", random.sample("abc", 3), strict=True)]
    names = names[: random.choice((1, 1, 2, 3))]
    conditions = [_condition(random, names) for _ in range(random.choice((1, 1, 1, 2)))]
    selections = {name: _selection(random) for name in names}
    return {**selections, "condition": conditions if len(conditions) > 1 else conditions[0]}


def random_rules(seed: int, count: int) -> Iterator[Document]:
    """Yield plain rules over usage records."""
    random = Random(seed)  # noqa: S311 - test data
    for number in range(count):
        name = f"made_{seed}_{number}"
        product = {"product": random.choice(("openai", "OpenAI"))} if random.random() < 0.05 else {}
        data = {
            "title": "Made",
            "id": str(uuid5(NAMESPACE_URL, name)),
            "name": name,
            "status": "test",
            "level": "high",
            "logsource": {"category": "ai_usage", **product},
            "detection": _detection(random),
        }
        yield Document(data, Path("made.yml"), 1)
