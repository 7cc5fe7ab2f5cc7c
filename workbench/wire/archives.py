"""Compressed files and archives, opened with a limit on what comes out."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Protocol

from workbench.errors import ResourceExceeded, UnreadableFile, WorkbenchError
from workbench.wire.dataset import is_zarr

__all__ = ["LIMIT", "unpack"]

LIMIT = 4 * 2**30
"""Bytes that one file may unpack to, unless the caller says less."""

_MEMBERS = 20_000
_DEPTH = 3
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, RuntimeError)
_TAR_MAGIC = slice(257, 262)


class Readable(Protocol):
    """Something with bytes in it."""

    def read(self, size: int, /) -> bytes:
        """Return that many bytes, or what is left."""
        ...


def unpack(data: bytes, name: str, limit: int = LIMIT, depth: int = _DEPTH) -> Iterator[tuple[str, bytes]]:
    """Go through the files inside a file; a plain file is its own only member.

    Parameters
    ----------
    data : bytes
    name : str
        What to call it; members are called ``name/member``.
    limit : int
        Most bytes that may come out of it altogether.

    Raises
    ------
    UnreadableFile
        If it is broken, or nested too deep.
    ResourceExceeded
        If more than `limit` bytes, or too many files, would come out.

    Examples
    --------
    >>> list(unpack(gzip.compress(b"text"), "a.gz"))
    [('a.gz', b'text')]
    """
    if len(data) > limit:
        raise ResourceExceeded(name, f"is larger than {limit} bytes", "Cut it into smaller files.")
    opened = _compressed(data)
    is_zip = data[:4] == b"PK\x03\x04" and not is_zarr(data)
    is_tar = data[_TAR_MAGIC] == b"ustar"
    if opened is None and not is_zip and not is_tar:
        yield name, data
        return
    if depth == 0:
        raise UnreadableFile(name, "is an archive in an archive in an archive", "Unpack it first.")
    left = limit
    try:
        members = (
            _single(name, opened)
            if opened
            else _zip_members(data, name)
            if is_zip
            else _tar_members(data, name)
        )
        for count, (inner, stream) in enumerate(members, 1):
            content = stream.read(left + 1)
            left -= len(content)
            if left < 0 or count > _MEMBERS:
                raise ResourceExceeded(
                    name, f"unpacks to more than {limit} bytes or {_MEMBERS} files", "Unpack it first."
                )
            yield from unpack(content, inner, max(left, len(content)), depth - 1)
    except WorkbenchError:
        raise
    except _BROKEN as error:
        said = " ".join(str(error).split())[:120]
        raise UnreadableFile(name, f"does not unpack ({said})", "Get the file again.") from error


def _compressed(data: bytes) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | None:
    if data[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=io.BytesIO(data))
    if data[:3] == b"BZh":
        return bz2.BZ2File(io.BytesIO(data))
    if data[:6] == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(io.BytesIO(data))
    return None


def _single(name: str, opened: Readable) -> Iterator[tuple[str, Readable]]:
    yield name, opened


def _zip_members(data: bytes, name: str) -> Iterator[tuple[str, Readable]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                with archive.open(info) as stream:
                    yield f"{name}/{info.filename}", stream


def _tar_members(data: bytes, name: str) -> Iterator[tuple[str, Readable]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            stream = archive.extractfile(info) if info.isreg() else None
            if stream is not None:
                yield f"{name}/{info.name}", stream
