"""Files of what can be made again: each knows what it was made from, and one that is spoiled or old counts as none."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from keytrip import __version__
from keytrip.content import content_files

_COMPILERS = ("pysigma", "pysigma-backend-elasticsearch", "pysigma-backend-opensearch", "pysigma-backend-splunk")
# Folders of our package whose code decides what a rule becomes; "" holds the errors that refusals are worded by.
_OURS = ("", "baselines", "compile", "records", "rules")


def digest_of_files(paths: Sequence[Path]) -> str:
    """Return the hash of the names and contents of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def digest_of_compiler(packs: Sequence[Path] = ()) -> str:
    """Return the hash of all that compiles rules: our code, pySigma's version, pipelines, jobs, pack files.

    Raises:
        UsageError: A pack is no folder.
    """
    from keytrip.rules.packs import PACK_FILE

    jobs = content_files("baselines", ".py", packs)
    pack_files = [p / PACK_FILE for p in packs if (p / PACK_FILE).is_file()]
    return digest_of_text(_code(), digest_of_files([*content_files("pipelines", ".yml"), *jobs, *pack_files]))


@cache
def _code() -> str:
    from importlib.metadata import version

    parts = (Path(__file__).parents[1] / name for name in _OURS)
    code = [path for part in parts for path in sorted(part.iterdir()) if path.suffix in {".py", ".yml"}]
    return digest_of_text(__version__, *map(version, _COMPILERS), digest_of_files(code))


def digest_of_text(*texts: str) -> str:
    """Return the hash of texts, in order."""
    digest = hashlib.sha256()
    for text in texts:
        # a YAML text may hold half a surrogate pair
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def kept_text(path: Path, key: str) -> str | None:
    """Return what was kept in a file under `key`, or None if it is not there, of another key, or spoiled."""
    try:
        head, _, body = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, ValueError):
        return None
    return body if head == _head(key, body) else None


def keep_text(path: Path, key: str, body: str) -> None:
    """Keep a text under `key`; another process sees the file whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(f"{_head(key, body)}\n{body}", encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError:
        # a cache that cannot be written costs time, nothing else
        with suppress(OSError):
            part.unlink()


def _head(key: str, body: str) -> str:
    return f"{key} {digest_of_text(body)}"
