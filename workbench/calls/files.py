"""Files: found under folders and patterns, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import InvalidSetting, NoData

__all__ = ["expand", "is_store", "replacing", "replacing_folder", "write_bytes"]


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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place if all goes well.

    Whoever looks at `path` sees the old file or the new one, never a part; a
    crash of the machine changes nothing about that.

    Raises
    ------
    InvalidSetting
        If the folder is not there.
    """
    path = path.absolute()
    if not path.parent.is_dir():
        raise InvalidSetting(str(path), "its folder does not exist", f"Make {path.parent} first.")
    if path.is_dir() and not is_store(path):
        raise InvalidSetting(str(path), "is a folder", "Give the name of a file.")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        # mkstemp is for secrets; a result has the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        _sync(part)
        part.replace(path)
        _sync(path.parent)
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
    path = path.absolute()
    if not path.parent.is_dir():
        raise InvalidSetting(str(path), "its folder does not exist", f"Make {path.parent} first.")
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield part
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o777 & ~mask)
        for item in sorted(part.rglob("*")):
            _sync(item)
        _sync(part)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            path.replace(old)
            part.replace(path)
            shutil.rmtree(old)
        else:
            part.replace(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as part:
        part.write_bytes(data)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
