"""NetCDF and Zarr from strangers: what must be looked at before they are opened.

HDF5 can keep its values in any other file of the machine, Zarr can name a codec
that unpickles, and both can be a few bytes that claim a terabyte of zeros.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workbench.errors import ResourceExceeded, UnreadableFile

__all__ = ["check_folder", "check_hdf5", "check_size", "check_zip"]

_CODECS = frozenset(
    {
        "blosc",
        "bytes",
        "bz2",
        "crc32",
        "crc32c",
        "delta",
        "fixedscaleoffset",
        "gzip",
        "lz4",
        "lzma",
        "shuffle",
        "sharding_indexed",
        "transpose",
        "vlen-bytes",
        "vlen-utf8",
        "zlib",
        "zstd",
    }
)
"""Codecs that turn bytes into numbers and text, and do nothing else."""

_METADATA = (".zarray", "zarr.json")
_FREE = 256 * 2**20
"""Bytes that a dataset may have in memory, however small its file is."""

_GROWTH = 100
"""How many times its own size a larger one may unpack to."""


def check_size(in_memory: int, in_file: int, name: str) -> None:
    """Refuse a dataset that is much larger in memory than in its file.

    Raises
    ------
    ResourceExceeded
    """
    if in_memory > max(_FREE, _GROWTH * in_file):
        raise ResourceExceeded(
            name, f"is {in_file} bytes and would unpack to {in_memory}", "Cut out the part that is needed."
        )


def check_hdf5(data: bytes, name: str) -> None:
    """Refuse HDF5 whose values lie in other files.

    Raises
    ------
    UnreadableFile
    """
    import h5py

    with h5py.File(io.BytesIO(data), "r") as file:
        left: list[Any] = [file]
        seen: set[Any] = set()
        while left:
            group = left.pop()
            for key in group:
                link = group.get(key, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise UnreadableFile(name, f"leads to another file ('{key}')", "Copy the data into it.")
                item = group.get(key)
                if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
                    raise UnreadableFile(
                        name, f"keeps the values of '{key}' in another file", "Copy the data into it."
                    )
                if isinstance(item, h5py.Group) and item.id not in seen:
                    # A group can hold itself.
                    seen.add(item.id)
                    left.append(item)


def check_zip(data: bytes, name: str) -> None:
    """Refuse a Zarr store in a zip file that names a codec which is not known to be harmless.

    Raises
    ------
    UnreadableFile
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        wanted = [item for item in archive.infolist() if item.filename.rpartition("/")[2] in _METADATA]
        _check((archive.open(item).read(_FREE) for item in wanted), name)


def check_folder(folder: Path) -> None:
    """Refuse a Zarr store that names a codec which is not known to be harmless.

    Raises
    ------
    UnreadableFile
    """
    _check((path.read_bytes() for kind in _METADATA for path in folder.rglob(kind)), str(folder))


def _check(texts: Iterable[bytes], name: str) -> None:
    for text in texts:
        unknown = set(_codecs(json.loads(text))) - _CODECS
        if unknown:
            raise UnreadableFile(
                name,
                f"uses the codec '{min(unknown)}', which is not read",
                "Write it with blosc, gzip or zstd.",
            )


def _codecs(found: Any) -> Iterable[str]:
    """Find the codecs in the metadata of arrays, version 2 or 3."""
    if not isinstance(found, dict):
        return
    entries = [found.get("compressor"), *(found.get("filters") or []), *(found.get("codecs") or [])]
    for entry in entries:
        if isinstance(entry, dict):
            yield str(entry.get("id") or entry.get("name")).removeprefix("numcodecs.")
            inner = entry.get("configuration")
            if isinstance(inner, dict):
                # Shards have codecs of their own.
                for key in ("codecs", "index_codecs"):
                    yield from _codecs({"codecs": inner.get(key)})
    for value in found.values():
        # Consolidated metadata hold those of the arrays below.
        if isinstance(value, dict):
            yield from _codecs(value)
