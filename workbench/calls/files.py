"""Files: found under folders and patterns, written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import InvalidSetting, NoData

__all__ = ["expand", "is_store", "replacing_folder", "write_bytes"]


def is_store(path: Path) -> bool:
    """Whether a folder is one object (a Zarr store) and not a folder of files."""
    return (path / "zarr.json").is_file() or (path / ".zgroup").is_file()


def expand(path: Path) -> Iterator[Path]:
    """Go through the files under a path, in order; hidden ones are left out.

    Raises
    ------
    NoData
        If there are none.
    """
    if not path.is_dir() or is_store(path):
        yield path
        return
    found = False
    for folder, folders, files in os.walk(path, followlinks=True):
        stores = [name for name in folders if is_store(Path(folder, name))]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in stores)
        for name in sorted([*stores, *files]):
            if not name.startswith("."):
                found = True
                yield Path(folder, name)
    if not found:
        raise NoData(str(path), "is a folder without files", "Check the path.")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, through a temporary file beside it.

    Whoever looks at `path` sees the old file or the new one, never a part; a
    crash of the machine changes nothing about that.

    Raises
    ------
    InvalidSetting
        If the folder is not there, or the path is one.
    """
    part = _beside(path)
    if path.is_dir():
        raise InvalidSetting(str(path), "is a folder", "Give the name of a file.")
    try:
        part.write_bytes(data)
        _sync(part)
        part.replace(path.absolute())
        _sync(part.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`, which takes its place if all goes well.

    Raises
    ------
    InvalidSetting
        If the folder around it is not there.
    """
    part = _beside(path)
    part.mkdir()
    try:
        yield part
        for item in sorted(part.rglob("*")):
            _sync(item)
        _sync(part)
        if path.exists():
            # Only an empty folder can be renamed over: what was there steps aside first.
            old = _beside(path)
            path.absolute().replace(old)
            part.replace(path.absolute())
            shutil.rmtree(old)
        else:
            part.replace(path.absolute())
        _sync(part.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _beside(path: Path) -> Path:
    path = path.absolute()
    if not path.parent.is_dir():
        raise InvalidSetting(str(path), "its folder does not exist", f"Make {path.parent} first.")
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
