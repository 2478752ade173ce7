"""Bulk requests: chunks by size, items that were refused for now are sent again, the others are told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence

from keytrip.errors import SystemRefusedError
from keytrip.export.model import Progress
from keytrip.export.wire import NOT_FOUND, PASSING, TRIES, Answer, Send, Sleep, checked, pause, succeeded

MOST_BYTES = 5_000_000
MOST_ITEMS = 5_000


def write_bulk(
    send: Send, index: str, lines: Iterable[str], progress: Progress, sleep: Sleep = time.sleep, tries: int = TRIES
) -> None:
    """Write items of `bulk_lines` into an index; ids are ours, so that sending one twice does no harm.

    Args:
        send: Tries again itself where a whole request fails.
        index: Must be there.
        lines: One text an item.
        progress: Is told how many items are done, each time.
        sleep: Waits between the tries of refused items.
        tries: How often an item is sent at most.

    Raises:
        SystemRefusedError: An item was refused for good, or for too long.
    """
    for chunk in chunks(lines):
        waiting: Sequence[str] = chunk
        for attempt in range(tries):
            answer = send("POST", f"/{index}/_bulk", "".join(waiting))
            waiting, reason = _refused(index, waiting, answer)
            if not waiting:
                break
            if attempt == tries - 1:
                raise SystemRefusedError(f"{index}: {len(waiting)} documents were refused {tries} times: {reason}")
            sleep(pause(attempt))
        progress(len(chunk))


def chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield items in lists that are small enough for one request."""
    chunk: list[str] = []
    size = 0
    for line in lines:
        # our JSON is ASCII, so that characters are bytes
        if chunk and (len(chunk) >= MOST_ITEMS or size + len(line) > MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk


def _refused(index: str, sent: Sequence[str], answer: Answer) -> tuple[list[str], str]:
    """Return the items to send again, and why one of them was refused."""
    body = checked(answer, f"writing to {index}")
    if not body["errors"]:
        return [], ""
    again, reason = [], ""
    for line, item in zip(sent, body["items"], strict=True):
        ((action, result),) = item.items()
        if result["status"] in PASSING:
            again.append(line)
            reason = json.dumps(result.get("error"))
        elif not succeeded(result["status"]) and (action, result["status"]) != ("delete", NOT_FOUND):
            raise SystemRefusedError(f"{index}: document {result['_id']} was refused: {_why(result)}")
    return again, reason


def _why(result: dict[str, object]) -> str:
    error = result.get("error")
    return str(error.get("reason", error)) if isinstance(error, dict) else str(error or result.get("status"))
