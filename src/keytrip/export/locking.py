"""One apply at a time: a lock in the destination, whose holder's beat says that it lives."""

from __future__ import annotations

import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

from keytrip.errors import KeytripError, SystemRefusedError
from keytrip.export.model import Holder, Transport

# Seconds: a single request may take a minute and be tried again; what is silent for longer is dead.
LEASE = 150.0
_BEAT = 10.0
_LOOK = 1.0


def whoami() -> str:
    """Return user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    return f"{user}@{socket.gethostname()}"


@dataclass
class Clock:
    """Time as locking sees it: only differences count, so nobody's calendar is asked."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Lock:
    """A lock that we hold."""

    transport: Transport
    holder: Holder
    clock: Clock = field(default_factory=Clock)
    beaten: float = 0.0

    def keep(self) -> None:
        """Show that we live, if it is time to.

        Raises:
            SystemRefusedError: Someone took the lock over.
        """
        if self.clock.now() - self.beaten >= _BEAT:
            self.renew()

    def renew(self) -> None:
        """Show that we live, and find out whether the lock is still ours.

        Raises:
            SystemRefusedError: Someone took the lock over.
        """
        self.holder = replace(self.holder, beat=self.holder.beat + 1)
        if not self.transport.beat(self.holder):
            hint = "look who applies, then apply again: it goes on from what is there"
            raise SystemRefusedError("another keytrip took the lock over", hint=hint)
        self.beaten = self.clock.now()


@contextmanager
def held(transport: Transport, wait: float, told: Callable[[str], None], clock: Clock | None = None) -> Iterator[Lock]:
    """Hold a destination's lock.

    Args:
        transport: The destination.
        wait: Seconds to wait for another holder.
        told: Is told once whom we wait for.
        clock: For tests.

    Raises:
        SystemRefusedError: Another holds it for longer than `wait`.
    """
    clock = clock or Clock()
    me = Holder(uuid4().hex, whoami(), os.getpid(), 0)
    _take(transport, me, wait, told, clock)
    lock = Lock(transport, me, clock, clock.now())
    try:
        yield lock
    finally:
        with suppress(KeytripError):  # what went wrong before is what matters; the lease ends by itself
            transport.unlock(lock.holder)


def _take(transport: Transport, me: Holder, wait: float, told: Callable[[str], None], clock: Clock) -> None:
    began = since = clock.now()
    other = transport.lock(me)
    if other is not None and not _dead(other) and wait > 0:
        told(f"waiting for {_named(other)}")
    while other is not None and other.token != me.token:
        stale = _dead(other) or clock.now() - since >= LEASE
        if not stale and clock.now() - began >= wait:
            hint = f"wait with --wait SECONDS; a holder that shows no life for {LEASE:.0f} s is passed over"
            raise SystemRefusedError(f"held by {_named(other)}", hint=hint)
        if not stale:
            clock.sleep(_LOOK)
        seen = other
        other = transport.lock(me, dead=seen if stale else None)
        if other is not None and (other.token, other.beat) != (seen.token, seen.beat):
            since = clock.now()


def _named(holder: Holder) -> str:
    return f"{holder.by} (process {holder.pid})"


def _dead(holder: Holder) -> bool:
    """Whether the holder was a process of this machine that is no more."""
    if os.name == "nt" or holder.by.rpartition("@")[2] != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
