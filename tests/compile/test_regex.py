"""One expression in three dialects matches the same texts: RE2 (DuckDB runs it), PCRE and Lucene (Python stands in)."""

from __future__ import annotations

import re
from random import Random

import duckdb
import pytest

from keytrip.compile.dialects import lucene_caseless, pcre_literal, to_lucene, to_pcre
from keytrip.compile.regex import parse_regex, readable
from keytrip.errors import ContentError

TEXTS = ("", *'abA_0\n"\\éÉ', "ab", "ba", "aab", "a\nb", "aB", "a.b", "a-b", "a é", "a0\n", "#@")
ATOMS = (*"abé.", r"\d", r"\w", r"\W", r"\s", r"\.", r"\\", "", "[ab]", "[^a]", "[a-c0]", r"[^\w\n]", "(a|b)", "(?:ab)")
EDGES = ("^", "$", "", "", "")
REPEATS = ("", "", "", "*", "+", "?", "{2}", "{0,1}", "{1,}?", "*?")
FLAGS = ("", "i", "s", "m", "im", "ims")


# What RE2 knows and Python's `re`, by which pySigma checks, does not read, or warns of.
ODD = (r"\z", r"\x{41}", r"[\x{41}-\x{43}]", r"\Qa.b\E", r"\Q[", "(?P<n>a)", "[[:alpha:]_]", "[^[:digit:]]", "[[a]")
ODD_TOO = ("[a&&b]", "[a|b~~c]", "[]a]", "[^]a]", "[:alpha:]", r"\[", r"[\]a]", r"[\\]")


def made(random: Random) -> str:
    """Return a random expression."""

    def piece() -> str:
        atom = random.choice(ATOMS)
        return atom + (random.choice(REPEATS) if atom else "")

    def branch() -> str:
        inner = "".join(piece() for _ in range(random.randrange(4)))
        return random.choice(EDGES) + inner + random.choice(EDGES)

    text = "|".join(branch() for _ in range(random.choice((1, 1, 2, 3))))
    return f"({text})c?" if random.random() < 0.2 else text


def by_pcre(pattern: str, text: str) -> bool:
    """Python reads this part of PCRE alike, but for the name of the very end."""
    return re.search(pattern.replace(r"\z", r"\Z"), text) is not None


def by_lucene(pattern: str, text: str) -> bool:
    """Lucene's expressions match the whole text, and their dot every character."""
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def test_same_matches() -> None:
    """A thousand random expressions match the same of many texts in each dialect that can say them."""
    random = Random(1)  # noqa: S311 - test data
    con = duckdb.connect()
    said = 0
    for _ in range(1000):
        text, flags = made(random), random.choice(FLAGS)
        tree = parse_regex(text, flags)
        prefix = f"(?{flags})" if flags else ""
        query = "select list_transform(?::varchar[], lambda t: regexp_matches(t, ?))"
        row = con.execute(query, [list(TEXTS), prefix + text]).fetchone()
        expected = dict(zip(TEXTS, row[0] if row else (), strict=True))
        assert {t: by_pcre(to_pcre(tree), t) for t in TEXTS} == expected, (text, flags, to_pcre(tree))
        try:
            lucene = to_lucene(tree)
        except ContentError:
            continue
        said += 1
        assert {t: by_lucene(lucene, t) for t in TEXTS} == expected, (text, flags, lucene)
    assert said > 500


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a(?=b)", "looks around"),
        ("(?<!a)b", "looks around"),
        (r"(a)\1", r"has \1"),
        (r"\p{L}", r"has \p"),
        (r"\ué", r"has \u"),
        ("a++", "repeats a repetition"),
        ("a**", "repeats a repetition"),
        ("*a", "repeats nothing"),
        ("(a", "unmatched ("),
        ("a)", "unmatched )"),
        ("a{2,1}", "bad repetition"),
        ("a{1001}", "bad repetition"),
        ("[b-a]", "bad range"),
        (r"[a-\d]", "bad range"),
        ("[a", "ends too early"),
        ("[[:vowel:]]", "has no class"),
        ("a\\", "ends too early"),
        ("a" * 5000, "5000 characters"),
    ],
)
def test_refused(text: str, why: str) -> None:
    """What is not RE2, or not known to every engine, is refused with the reason."""
    with pytest.raises(ContentError, match=re.escape(why)):
        parse_regex(text)


def test_many_branches_are_refused() -> None:
    """Anchors in many alternatives cannot make a query of any length."""
    with pytest.raises(ContentError, match="too many anchored branches"):
        to_lucene(parse_regex("(^a|b$)" * 8))
    with pytest.raises(ContentError, match="too many anchored branches"):
        to_lucene(parse_regex("|".join(f"^{number}x" for number in range(80))))


def test_literals() -> None:
    """A literal matches itself only, and in SPL's form has nothing that quoting or macros could change."""
    text = "".join(map(chr, range(1, 127))) + "é日"
    assert re.fullmatch(pcre_literal(text), text)
    assert not set('"`$') & set(pcre_literal(text))
    assert not re.search(r"\\(?!x[0-9a-f]{2})", pcre_literal(text))
    assert re.fullmatch(lucene_caseless("a*É#1"), "A*é#1")
    assert not re.fullmatch(lucene_caseless("a*É#1"), "AA*é#1")


def test_what_python_does_not_read_is_said_in_other_words() -> None:
    """The words mean the same to RE2, Python compiles them without a warning, and our reader takes them."""
    random = Random(3)  # noqa: S311 - test data
    con = duckdb.connect()
    for _ in range(300):
        pieces = [random.choice((*ODD, *ODD_TOO, "a", "b*", "^", "$", ".")) for _ in range(random.randint(1, 4))]
        text = random.choice(("", "(?m)")) + "".join(dict.fromkeys(pieces))
        other = readable(text)
        re.compile(other)
        parse_regex(other)
        answers = [
            con.execute("select regexp_matches(unnest($1), $2)", [list(TEXTS), t]).fetchall() for t in (text, other)
        ]
        assert answers[0] == answers[1], (text, other)
    assert readable("(?<name>a)") == "(?P<name>a)"
