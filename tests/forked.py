"""Commands in processes of their own, forked from one that has loaded the program, so that they start at once."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_LOADED = [
    "pytest",  # which each process loads anew if it is the main module
    "duckdb",
    "pydantic",
    "yaml",
    "rich.cells",
    "keytrip.cli.app",
    "keytrip.cli.data",
    "keytrip.cli.baseline",
    "keytrip.baselines.build",
    "keytrip.hunt.engine",
    "keytrip.sources.canonical",
]


def start(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> BaseProcess:
    """Start `keytrip ARGUMENTS` in a folder, with its two streams written to files."""
    _SERVER.set_forkserver_preload(_LOADED)
    process = _SERVER.Process(target=_command, args=(arguments, folder, dict(environment), out, err))
    process.start()
    return process


def _command(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> None:
    from keytrip.cli.app import run

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    code = run(arguments)
    sys.stdout.flush()
    sys.exit(code)
