"""What is tried again and for how long, and what an error says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from keytrip.errors import SystemRefusedError
from keytrip.export.http import answer_of, retry_after
from keytrip.export.indices.bulk import write_bulk
from keytrip.export.wire import TRIES, UNREACHED, Answer, checked, pause, persistent


def answering(*answers: Answer) -> tuple[Any, list[str]]:
    """Return a sender that gives these answers in turn, and the list of what it was asked."""
    waiting, asked = list(answers), []

    def send(method: str, path: str, body: Any = None) -> Answer:
        asked.append(f"{method} {path}")
        return waiting.pop(0)

    return send, asked


def test_what_may_pass_is_tried_again() -> None:
    """Busy servers and dropped connections are asked again; a refusal is final."""
    send, asked = answering(Answer(UNREACHED), Answer(429), Answer(503), Answer(200, {"a": 1}))
    waits: list[float] = []
    assert persistent(send, waits.append)("GET", "/x").body == {"a": 1}
    assert asked == ["GET /x"] * 4
    assert len(waits) == 3
    send, asked = answering(Answer(403))
    assert persistent(send, waits.append)("GET", "/x").status == 403
    send, asked = answering(*[Answer(502)] * TRIES)
    assert persistent(send, waits.append)("GET", "/x").status == 502
    assert len(asked) == TRIES


def test_pauses_grow_and_end() -> None:
    """Each pause is about twice the one before, at most half a minute; the server's word counts, up to a minute."""
    for attempt in range(20):
        assert min(30, 0.5 * 2**attempt) / 2 <= pause(attempt) <= min(30, 0.5 * 2**attempt)
    assert pause(0, 7) == 7
    assert pause(0, 86_400) == 60


def test_retry_after_has_two_forms() -> None:
    """Seconds, or a date; anything else is no word at all."""
    assert retry_after("12") == 12
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < (retry_after(soon) or 0) <= 90
    assert retry_after("Wed, 01 Jan 2020 00:00:00 GMT") == 0
    assert retry_after("soon") is None
    assert retry_after(None) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"root_cause": [{"reason": "a"}, {"reason": "b"}], "reason": "c"}}, "a; b"),
        ({"error": {"reason": "c"}}, "c"),
        ({"error": "plain"}, "plain"),
        ({"message": "misp says"}, "misp says"),
        ("<html>", "<html>"),
    ],
)
def test_an_error_has_the_servers_words(body: Any, reason: str) -> None:
    """Every form of an error is read; what was asked and what to do stand beside it."""
    with pytest.raises(SystemRefusedError) as caught:
        checked(Answer(401, body), "reading x")
    assert str(caught.value).startswith(f"reading x: the server answered 401: {reason}; the credential is not valid")
    with pytest.raises(SystemRefusedError, match="the server was not reached: cut off"):
        checked(Answer(UNREACHED, "cut off"), "reading x")


def test_a_success_without_a_body_was_cut_off() -> None:
    """A proxy's page, or nothing, in place of JSON is no answer; an empty 204 is one."""
    assert answer_of(200, "", {}).status == UNREACHED
    assert answer_of(200, "<html>", {}).status == UNREACHED
    assert answer_of(204, "", {}).ok
    assert answer_of(502, "<html>", {}) == Answer(502, "<html>")


def test_a_document_that_is_refused_for_good_is_named() -> None:
    """One of many that fails ends the work with its id and reason; so does one that fails too often."""
    bad = {"errors": True, "items": [{"index": {"_id": "i7", "status": 400, "error": {"reason": "no such field"}}}]}
    send, _ = answering(Answer(200, bad))
    with pytest.raises(SystemRefusedError, match="x: document i7 was refused: no such field"):
        write_bulk(send, "x", ["line"], lambda _: None)
    busy = {"errors": True, "items": [{"index": {"_id": "i7", "status": 429, "error": {"reason": "full"}}}]}
    send, asked = answering(*[Answer(200, busy)] * TRIES)
    with pytest.raises(SystemRefusedError, match="1 documents were refused 6 times"):
        write_bulk(send, "x", ["line"], lambda _: None, lambda _: None)
    assert len(asked) == TRIES
