"""The demo: makes a month of logs, types the commands that a newcomer could type, and draws what they found."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from keytrip.demo.facts import Facts, Period
from keytrip.demo.report import Case, Report, cases_of, render
from keytrip.demo.thefts import Theft
from keytrip.demo.traffic import DAYS, LAST_DAY, write_logs
from keytrip.errors import DataError, Place, SystemRefusedError

Say = Callable[[str], None]
_SOURCE = "litellm"
_SHOWN_RULE = "key_new_network"  # its queries are short, and show the lookup of a baseline


@dataclass(frozen=True)
class Command:
    """A `keytrip` command.

    Attributes:
        arguments: What follows `keytrip`.
        into: The file that its output goes to; None for the screen.
    """

    arguments: tuple[str, ...]
    into: Path | None = None

    def __str__(self) -> str:
        """Return the command as one types it in a shell."""
        typed = shlex.join(("keytrip", *self.arguments))
        return f"{typed} > {shlex.quote(self.into.as_posix())}" if self.into else typed


def commands(out: Path, last: date = LAST_DAY) -> tuple[Command, ...]:
    """Return what the demo runs in the folder `out`: the baseline of 30 days, the hunt on the last, and two queries."""
    logs, store = (out / "logs").as_posix(), (out / "store").as_posix()
    reading = ("--source", _SOURCE, "--store", store)
    day = f"{logs}/litellm-{last}.ndjson"
    return (
        Command(("baseline", "build", logs, "--end", str(last - timedelta(days=1)), *reading)),
        Command(("hunt", day, *reading, "--format", "json"), _alerts_file(out)),
        Command(("compile", _SHOWN_RULE, "--target", "splunk")),
        Command(("compile", _SHOWN_RULE, "--target", "esql")),
    )


def run_demo(out: Path, say: Say, note: Say, switches: tuple[str, ...] = ()) -> int:
    """Run the demo in the folder `out`; return 1 if a theft was missed or another key alarmed, else 0.

    Args:
        out: Folder for the logs, the store, the alerts and the page; made if it is not there.
        say: Takes each line of what the demo and its commands answer.
        note: Takes each line of what the commands say besides.
        switches: Put behind each command, such as `--quiet`.

    Raises:
        DataError: A command failed.
        SystemRefusedError: The folder cannot be written.
    """
    stolen = write_logs(out / "logs")
    say(f"{DAYS} days of a gateway's logs, made up, are in {(out / 'logs').as_posix()}")
    typed = commands(out)
    for command in typed:
        _run(replace(command, arguments=(*command.arguments, *switches)), say, note)
    alerts = [json.loads(line) for line in _alerts_file(out).read_text(encoding="utf-8").splitlines()]
    facts, snapshot = _facts(out)
    stories = {theft.key_id: theft.story for theft in stolen}
    report = Report(facts, cases_of(alerts, facts, stories), snapshot, tuple(f"$ {command}" for command in typed))
    page = out / "report.html"
    _write(page, render(report))
    say("")
    for line in table(report.cases):
        say(line)
    verdict, code = judge(stolen, alerts)
    say("")
    say(verdict)
    say(f"{len(alerts)} alerts; the page is {page.as_posix()}")
    return code


def _alerts_file(out: Path) -> Path:
    return out / "alerts.ndjson"


def _run(command: Command, say: Say, note: Say) -> None:
    say("")
    say(f"$ {command}")
    # -P: a file `keytrip.py` in the working directory is not us
    typed = [sys.executable, "-P", "-m", "keytrip", *command.arguments]
    # the logs are of one month for ever: their baseline does not grow old
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "utf-8",
        "KEYTRIP_NOW": f"{LAST_DAY + timedelta(days=1)}T00:00:00Z",
    }
    done = subprocess.run(typed, capture_output=True, check=False, env=environment, stdin=subprocess.DEVNULL)
    complaints = done.stderr.decode("utf-8", "replace").splitlines()
    for line in complaints:
        note(line)
    if done.returncode:
        last = complaints[-1] if complaints else f"exit code {done.returncode}"
        raise DataError(last, place=Place(str(command)), hint="try another --out folder")
    if command.into:
        command.into.write_bytes(done.stdout)
        return
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if line.strip():
            say(line)


def _facts(out: Path) -> tuple[Facts, int]:
    """Return the facts of the month, and the number of the snapshot that the hunt was against."""
    from keytrip.baselines.snapshots import active_snapshot, folder_of
    from keytrip.baselines.store import Store
    from keytrip.demo.gather import gather, read_records
    from keytrip.hunt.engine import connect
    from keytrip.sources import source_named
    from keytrip.sources.convert import Workshop
    from keytrip.sources.files import input_files
    from keytrip.sources.secrets import hmac_key
    from keytrip.sources.work import work_folder

    store = Store(out / "store")
    snapshot = active_snapshot(store)
    window = {name: date.fromisoformat(snapshot.manifest["window"][name]) for name in ("start", "end")}
    with work_folder() as folder:
        con = connect(None, "500MB", folder)
        try:
            files = input_files([str(out / "logs")])
            read_records(con, files, source_named(_SOURCE), Workshop(folder), lambda: hmac_key(store.hmac_key))
            facts = gather(con, folder_of(store, snapshot.number), Period(**window, day=LAST_DAY))
        finally:
            con.close()
    return facts, snapshot.number


def table(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the lines of the table: key, what fired, against which habit."""
    rows = [("key", "what fired", "against which habit")]
    for case in cases:
        names = [case.name, *[""] * (len(case.findings) - 1)]
        found = zip(names, case.findings, strict=True)
        rows += [(name, finding.rule, f"{finding.what}; {finding.habit}") for name, finding in found]
    first, second = (max(len(row[column]) for row in rows) + 2 for column in (0, 1))
    lines = [f"{row[0]:{first}}{row[1]:{second}}{row[2]}" for row in rows]
    yield lines[0]
    yield "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * max(map(len, lines))
    yield from lines[1:]


def judge(stolen: Sequence[Theft], alerts: Sequence[Any]) -> tuple[str, int]:
    """Return what the demo's makers know of its alerts, in words, and the exit code."""
    alarmed, thieves = {alert["key_id"] for alert in alerts}, {theft.key_id for theft in stolen}
    missed, wrong = thieves - alarmed, alarmed - thieves
    if not missed and not wrong:
        return f"All {len(thieves)} thefts found, no other key alarmed.", 0
    return f"{len(thieves) - len(missed)} of {len(thieves)} thefts found, {len(wrong)} other keys alarmed.", 1


def _write(page: Path, text: str) -> None:
    try:
        # half a surrogate pair may stand in a log
        page.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise SystemRefusedError(problem, place=Place(str(page)), hint="name another folder with --out") from error
