"""Bytes of input files: decompression, standard input, and how a file begins."""

from __future__ import annotations

import gzip
import mmap
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from keytrip.errors import DataError, Place
from keytrip.sources.files import Form, InputFile, Packing

if TYPE_CHECKING:
    import zstandard

BOM = b"\xef\xbb\xbf"
_BLOCK = 2**20
_MAGIC: dict[bytes, Packing] = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}
_WORD = rb'"?[A-Za-z_][\w .-]*"?'
_CSV_HEADER = re.compile(rb"\s*" + _WORD + rb"(," + _WORD + rb")+\r?(\n|$)")


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


def first_bytes(path: Path, size: int = 2**16) -> bytes:
    """Return how a file begins, its byte order mark cut."""
    with path.open("rb") as file:
        return file.read(size).removeprefix(BOM)


def last_byte(path: Path) -> bytes:
    """Return the last byte that is no white space (of the last 64 KiB)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16))
        return file.read().rstrip()[-1:]


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap | bytes]:
    """Yield a file's bytes without reading them all into memory.

    Raises:
        OSError: Its file system lets no file be mapped.
    """
    if not path.stat().st_size:
        yield b""
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def has_longer(data: mmap.mmap | bytes, limit: int) -> bool:
    """Whether a line is over `limit` bytes: such a line cannot hide between places that are `limit` bytes apart."""
    place = limit
    while place < len(data):
        begin = data.rfind(b"\n", 0, place) + 1
        end = data.find(b"\n", place)
        end = len(data) if end < 0 else end
        if end - begin > limit:
            return True
        place = end + 1 + limit
    return False


def spool(stream: IO[bytes], folder: Path) -> InputFile:
    """Copy standard input into `folder`, decompressed; its first bytes say what it is.

    Raises:
        DataError: It is compressed, and broken.
    """
    path = _new(folder, ".stdin")
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out, _BLOCK)
    start = first_bytes(path, 4)
    packing: Packing = next((p for magic, p in _MAGIC.items() if start.startswith(magic)), "")
    plain = unpack(InputFile(path, "text", packing, "standard input"), folder)
    return replace(plain, form=_form_of(first_bytes(plain.path)))


def _form_of(start: bytes) -> Form:
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.lstrip().startswith((b"[", b"{")):
        return "json"
    return "csv" if _CSV_HEADER.match(start) else "text"


def unpack(file: InputFile, folder: Path) -> InputFile:
    """Return the file decompressed into `folder`, or as it is when nothing packs it.

    Raises:
        DataError: It is broken, or not what its suffix says.
    """
    if not file.packing:
        return _under_a_name_for_sql(file, folder)
    path = _new(folder, ".plain")
    with opened(file) as source, path.open("wb") as out:
        while block := source.read(_BLOCK):
            out.write(block)
    return replace(file, path=path, packing="")


def _under_a_name_for_sql(file: InputFile, folder: Path) -> InputFile:
    """Return the file, by a link in `folder` where its name is no UTF-8: DuckDB could not be told it."""
    try:
        str(file.path).encode()
    except UnicodeEncodeError:
        link = _new(folder, ".link")
        link.unlink()
        link.symlink_to(file.path.resolve())
        return replace(file, path=link)
    return file


def _new(folder: Path, suffix: str) -> Path:
    handle = tempfile.NamedTemporaryFile(dir=folder, suffix=suffix, delete=False)  # noqa: SIM115 - only its name
    handle.close()
    return Path(handle.name)


def start_of(file: InputFile, size: int) -> bytes:
    """Return up to `size` bytes of a file's content, decompressed, its byte order mark cut.

    Raises:
        DataError: It is broken, or not what its suffix says.
    """
    parts, left = [], size
    with opened(file) as source:
        while left > 0 and (block := source.read(left)):
            parts.append(block)
            left -= len(block)
    return b"".join(parts).removeprefix(BOM)


@contextmanager
def opened(file: InputFile) -> Iterator[Readable]:
    """Yield a stream of a file's content, decompressed.

    Raises:
        DataError: While reading: it is broken, or not what its suffix says.
    """
    try:
        with file.path.open("rb") as raw:
            yield _decoded(raw, file.packing)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"is no whole .{file.packing} file ({error})", place=Place(file.name)) from error


def _decoded(raw: IO[bytes], packing: Packing) -> Readable:
    if packing == "gz":
        return gzip.GzipFile(fileobj=raw, mode="rb")
    if packing == "zst":
        import zstandard

        return _ZstdFrames(raw, zstandard.ZstdDecompressor(), zstandard.ZstdError)
    return raw


class _ZstdFrames:
    """Reads frame after frame; one that ends early is an EOFError (the library would just stop)."""

    def __init__(self, raw: IO[bytes], decompressor: zstandard.ZstdDecompressor, broken: type[Exception]) -> None:
        self._raw = raw
        self._broken = broken
        self._new = decompressor.decompressobj
        self._frame = self._new()
        self._fresh = True

    def read(self, size: int, /) -> bytes:
        """Return the next decompressed bytes, at times more than `size`, none only at the end."""
        while block := self._raw.read(size):
            if data := b"".join(self._feed(block)):
                return data
        if not self._fresh:
            raise EOFError("it ends in the middle")
        return b""

    def _feed(self, block: bytes) -> Iterator[bytes]:
        try:
            while block:
                self._fresh = False
                yield self._frame.decompress(block)
                block = self._frame.unused_data if self._frame.eof else b""
                if self._frame.eof:
                    self._frame, self._fresh = self._new(), True
        except self._broken as error:
            raise EOFError(str(error)) from error
