"""Work folders go when their command does, whenever an interrupt comes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keytrip.sources.work import sweep, uninterrupted, work_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TMPDIR that tempfile has not tried yet."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """An interrupt raises: a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_work_folder_goes_with_its_block(temporary: Path) -> None:
    """It lies under TMPDIR, and is gone with what it holds when the block ends, by an error too."""

    def fail() -> None:
        with work_folder() as folder:
            (folder / "file").write_text("x")
            assert list(temporary.iterdir()) == [folder]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert list(temporary.iterdir()) == []


def test_an_interrupt_while_the_place_is_tried_leaves_nothing(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt just after tempfile has made its trial file comes when that file is gone again."""
    opened = os.open

    def interrupted(*arguments: object, **options: object) -> int:
        handle = opened(*arguments, **options)  # type: ignore[arg-type]
        monkeypatch.setattr(os, "open", opened)
        signal.raise_signal(signal.SIGINT)
        return handle

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt), work_folder():
        pytest.fail("the interrupt did not come")  # pragma: no cover - only seen if the claim does not hold

    assert list(temporary.iterdir()) == []


def test_an_interrupt_waits_for_the_block() -> None:
    """What has to be whole is; the interrupt comes behind it."""
    done = []

    def whole() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        whole()

    assert done == [True]


def test_an_ignored_interrupt_stays_ignored() -> None:
    """What a shell set for a command in the background is left as it is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with uninterrupted():
        signal.raise_signal(signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_is_not_asked() -> None:
    """Only the main thread may change handlers, and only it is interrupted: elsewhere the block just runs."""
    done = []

    def whole() -> None:
        with uninterrupted():
            done.append(threading.current_thread().name)

    thread = threading.Thread(target=whole, name="other")
    thread.start()
    thread.join()

    assert done == ["other"]


def test_work_folders_that_an_interrupt_leaves_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of this process go, another one's stay."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for owner in (os.getpid(), 1):
        (tmp_path / f"keytrip-{owner}-x" / "deep").mkdir(parents=True)
    sweep()

    assert [path.name for path in tmp_path.iterdir()] == ["keytrip-1-x"]
