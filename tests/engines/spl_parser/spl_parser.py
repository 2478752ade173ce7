"""A strict syntax check of SPL by a published grammar, pth_03; what a text means is not tested."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from engines.spl_parser.accepted import rewritten
from engines.toolchain import Program, java_program

HERE = Path(__file__).parent
TIMEOUT_SECONDS = 300
SplCheck: TypeAlias = Callable[[Mapping[str, str]], dict[str, list[str]]]

# In this order: a comment's marks inside a text are part of it, and a quote inside a comment opens nothing.
_TEXT_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|\'[^\'\n]*\'|```.*?```', re.DOTALL)
_MASK = re.compile(r"""(["'])s(\d+)\1""")
_ERROR = re.compile(r"(\d+):(\d+) (.*)")


def spl_program() -> Program:
    """Return the parser, built now where it is new.

    Raises:
        ToolchainError: Maven or javac failed.
    """
    return java_program(HERE / "SplCheck.java", HERE / "pom.xml")


def spl_checker(program: Program) -> SplCheck:
    """Return the check of named SPL texts that uses the parser `program`."""

    def check(queries: Mapping[str, str]) -> dict[str, list[str]]:
        pieces = [(name, piece) for name, spl in queries.items() for piece in parsable(spl)]
        found = {name: _dangling(spl) for name, spl in queries.items()}
        for (name, piece), errors in zip(pieces, parse(program, [p for _, p in pieces]), strict=True):
            found[name] += [_readable(error, piece) for error in errors]
        return found

    return check


def parse(program: Program, texts: list[str]) -> list[list[str]]:
    """Return the parser's own errors for each text as it stands, from one run of it."""
    done = subprocess.run(
        program.command("SplCheck"),
        env=program.environment(),
        input="".join(f"{text}\0" for text in texts).encode(),
        capture_output=True,
        check=True,
        timeout=TIMEOUT_SECONDS,
    )
    answers = done.stdout.decode().split("\0")[:-1]
    return [answer.splitlines() for answer in answers]


def parsable(spl: str) -> list[str]:
    """Return an SPL text in pieces that the parser can read.

    Comments go: the parser reads one at the start as search words and rejects any other. A lookup ends its piece, since
    the parser knows no pipe behind one; the next piece starts with a search of its own.
    """
    masked, texts = _masked(spl)
    pieces: list[list[str]] = [[]]
    for command in _commands(masked):
        pieces[-1].append(_unmasked(rewritten(command), texts))
        if command.startswith("lookup "):
            pieces.append(["index=keytrip"])
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces.pop()
    return [" | ".join(piece) for piece in pieces]


def _masked(spl: str) -> tuple[str, list[str]]:
    """Return the SPL without comments and with numbered texts, and the texts: no rule has to mind quotes then."""
    texts: list[str] = []

    def mask(match: re.Match[str]) -> str:
        if match[0].startswith("```"):
            return " "
        texts.append(match[0])
        return f"{match[0][0]}s{len(texts) - 1}{match[0][0]}"

    return _TEXT_OR_COMMENT.sub(mask, spl), texts


def _unmasked(command: str, texts: list[str]) -> str:
    return _MASK.sub(lambda match: texts[int(match[2])], command)


def _commands(masked: str) -> list[str]:
    """Return what stands between the pipes outside of subsearches (nothing, before a pipe that comes first)."""
    commands, depth = [""], 0
    for character in masked:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "|" and depth == 0:
            commands.append("")
        else:
            commands[-1] += character
    return [command.strip() for command in commands]


def _dangling(spl: str) -> list[str]:
    """Return the error of a pipe with nothing behind it; at the end of a text the parser lets it pass."""
    return ["a pipe has no command behind it"] if "" in _commands(_masked(spl)[0])[1:] else []


def _readable(error: str, piece: str) -> str:
    """Return an error with the text that it is about, and without the list of every word that could stand there."""
    match = _ERROR.fullmatch(error)
    if match is None:
        return error
    line = piece.splitlines()[int(match[1]) - 1]
    column = int(match[2]) - 1
    return (
        f"at '{line[max(0, column - 20) : column]}>>>{line[column : column + 30]}': {match[3].split(' expecting ')[0]}"
    )
