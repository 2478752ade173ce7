"""Indicators for tests."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from keytrip.export.indicators import LONGEST, Indicator, indicator_of

SEEN = datetime(2026, 4, 1, 2, 11, 9, 123000, tzinfo=UTC)
VALUES = {
    "ipv4": "203.0.113.7",
    "ipv6": "2001:db8::1",
    "cidr": "203.0.113.0/24",
    "user_agent": "o'brien\\1.0 [a] | x = 'y' OR",
    "domain": "evil.example",
    "url": "https://evil.example/a'b?c=\\d",
    "key_id_sha256": "ab" * 32,
}
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
# Every character that an indicator may hold, quotes, brackets and right-to-left marks among them.
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\ufeff\ufffe\uffff"), min_size=1
)
hostile = st.one_of(
    texts,
    st.lists(st.sampled_from(["'", "\\", "]", "[", " OR ", "\u202e", "=", "{{x}}", "$t$", "|", '"', "a"])).map(
        lambda parts: "x" + "".join(parts) + "x"
    ),
)


def made(kind: str = "ipv4", value: str | None = None, **members: Any) -> Indicator:
    """Return an indicator, by default of the kind's own example value."""
    given = {"first_seen": SEEN, "last_seen": SEEN + timedelta(hours=1), "count": 3, "rules": ["r1", "r2"]}
    return indicator_of({"kind": kind, "value": VALUES[kind] if value is None else value, **given, **members})


def an_agent(text: str) -> bool:
    """Whether a text can be a user agent of a list: no character in it is one that cannot be seen, none too many."""
    return 0 < len(text) <= LONGEST and not UNSEEN.search(text)


def one_of_each() -> list[Indicator]:
    """Return an indicator of each kind."""
    return [made(kind, tlp=tlp) for kind, tlp in zip(VALUES, ["clear", "green", "amber", "red"] * 2, strict=False)]
