"""Trees: where the files of an archive lie, and how the index and the reader get at them.

All of a tree's files are named by their path below its root, with slashes.  The
one here is a folder of this machine; `workbench.archive.remote` has one under a URL.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from workbench.archive.records import Scan, scan, scan_file
from workbench.archive.selection import literal, matches
from workbench.errors import UnreadableFile
from workbench.maths.shares import CORES
from workbench.notices import notice

__all__ = ["SETTLED_S", "UNREADABLE", "Headers", "Local", "Status", "Tree", "named", "names_in", "tree_of"]

Status = tuple[int, int, int]
"""Size, time of change (ns since 1970), and a number that another file at the same place does not have."""

_rooms = threading.local()

SETTLED_S = 2.0
"""A file that changed this shortly before it was read may change again within one tick of its clock."""


UNREADABLE = "cannot be read: "
"""How the words begin about a file that is as it was, and may be read another time."""


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a file, and the version of it that they are from."""

    status: Status
    scan: Scan
    settled: bool
    """Whether another content would have another status."""


@runtime_checkable
class Tree(Protocol):
    """Files below a root.  Several threads may ask at once; what cannot be reached raises `Unavailable`.

    Attributes
    ----------
    parallel : int
        How many files are worth asking for at once.
    large : int
        From what size on, in bytes, which several of them have on average.
    """

    parallel: int
    large: int

    def full(self, path: str) -> str:
        """Return the name of a file as a person would look for it."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder, sorted; nothing if there is no such folder.

        Raises
        ------
        PermissionError
            If it is closed to whoever asks.
        """
        ...

    def has(self, path: str) -> bool:
        """Tell whether there is such a file or folder."""
        ...

    def statuses(self, paths: Sequence[str]) -> Iterable[Status | None]:
        """Return the status of each file, None for those that are not there."""
        ...

    def headers(self, path: str) -> Headers | None:
        """Read the headers of all records of a file; None if it is gone.

        Raises
        ------
        UnreadableFile
            If it is this file alone that cannot be read.
        """
        ...

    def ranges(self, path: str, status: Status, wanted: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Read bytes (offset, length) of one version of a file; None if that is there no longer.

        Raises
        ------
        UnreadableFile
            If it is this file alone that cannot be read.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """Read a file; None if it is gone.

        Raises
        ------
        UnreadableFile
            If it is this file alone that cannot be read.
        """
        ...


class Local:
    """A folder of this machine, or one that is mounted.

    Parameters
    ----------
    root : Path
    """

    parallel = CORES
    # Of smaller files so little is read at a time that threads would wait for each other.
    large = 1 << 20

    def __init__(self, root: Path) -> None:
        self.root = root

    def full(self, path: str) -> str:
        """Return the name of a file as a person would look for it."""
        return str(self.root / path)

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder, sorted; what fails but for its rights is a notice."""
        try:
            return sorted(os.listdir(f"{self.root}/{folder}"))  # noqa: PTH208
        except PermissionError:
            raise
        except OSError as error:
            self._name_missing(folder, error)
            return []

    def has(self, path: str) -> bool:
        """Tell whether there is such a file or folder; what is out of reach is a notice."""
        try:
            os.stat(f"{self.root}/{path}")  # noqa: PTH116
        except OSError as error:
            self._name_missing(path, error)
            return False
        return True

    def statuses(self, paths: Sequence[str]) -> Iterator[Status | None]:
        """Go through the status of each file, None for those that are gone; out of reach is a notice."""
        root = str(self.root)
        shut = ""
        for path in paths:
            try:
                # There are thousands, and a Path costs ten times what this does.
                yield _status(os.stat(f"{root}/{path}"))  # noqa: PTH116
            except OSError as error:
                folder = path.rpartition("/")[0] if isinstance(error, PermissionError) else ""
                # Of all files of a folder that is closed there is the same to say.
                if not folder or folder != shut:
                    self._name_missing(folder or path, error)
                shut = folder
                yield None

    def headers(self, path: str) -> Headers | None:
        """Read the headers of all records of a file; None if it is gone."""
        try:
            with self._opened(path) as (file, before):
                found = scan_file(file, together=True)
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(path, error) from error
        same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        return Headers(_status(before), found, same and time.time() - before.st_mtime >= SETTLED_S)

    def whole(self, path: str) -> tuple[Headers, npt.NDArray[np.uint8]] | None:
        """Read a file once, for its headers and for its samples; None if it is gone.

        The bytes are there until this thread reads the next file so: it goes to
        the same place, as fresh memory would first have to be cleared.
        """
        try:
            with self._opened(path) as (file, before):
                room = _room(before.st_size)
                size = 0
                while size < before.st_size and (fresh := file.readinto(room[size : before.st_size].data)):
                    size += fresh
                content = room[:size]
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(path, error) from error
        same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        settled = same and time.time() - before.st_mtime >= SETTLED_S
        return Headers(_status(before), scan(content), settled), content

    def ranges(self, path: str, status: Status, wanted: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Read bytes (offset, length) of one version of a file; None if that is there no longer."""
        try:
            with self._opened(path) as (file, found):
                if _status(found) != status:
                    return None
                parts, buffered = [], BufferedReader(file)
                for offset, length in wanted:
                    buffered.seek(offset)
                    part = buffered.read(length)
                    if len(part) < length:
                        return None
                    parts.append(part)
                return parts
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(path, error) from error

    def read(self, path: str) -> bytes | None:
        """Read a file; None if it is gone."""
        try:
            with self._opened(path) as (file, _):
                return file.readall()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(path, error) from error

    @contextmanager
    def _opened(self, path: str) -> Iterator[tuple[FileIO, os.stat_result]]:
        """Open a file, and look at it.  What is none might never end, or never begin."""
        with open(f"{self.root}/{path}", "rb", buffering=0, opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableFile(
                    self.full(path),
                    "is no file but a device or a pipe",
                    "Put the file itself there, or nothing.",
                )
            yield file, status

    def _unreadable(self, path: str, error: OSError) -> UnreadableFile:
        return UnreadableFile(
            self.full(path), f"{UNREADABLE}{error.strerror}", "Check who may read it, and the disk."
        )

    def _name_missing(self, path: str, error: OSError) -> None:
        """Name what is there and out of reach; of what is simply not there is nothing to say."""
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            found = self._unreadable(path, error)
            notice(found.subject, found.problem, found.remedy)
            return
        with suppress(OSError):
            leads = (self.root / path).readlink()
            notice(
                self.full(path),
                f"{UNREADABLE}it is a link to {leads}, which is not there",
                "Mount what it leads to, or remove the link.",
            )


def _room(size: int) -> npt.NDArray[np.uint8]:
    """Return room for so many bytes, the same for one thread as long as it is enough."""
    room: npt.NDArray[np.uint8] | None = getattr(_rooms, "room", None)
    if room is None or len(room) < size:
        room = _rooms.room = np.empty(size, np.uint8)
    return room


def tree_of(root: Path | Tree) -> Tree:
    """Return the tree that a root is of."""
    return Local(root) if isinstance(root, Path) else root


def named(tree: Tree, folder: str, pattern: str) -> list[str]:
    """Return what is in a folder and named as a pattern says (``*``, ``?``, commas), sorted."""
    fixed = literal(pattern)
    if fixed is not None:
        return sorted(name for name in set(fixed) if tree.has(f"{folder}/{name}" if folder else name))
    found = tree.names(folder)
    return found if pattern == "*" else [name for name in found if matches(name, pattern)]


def names_in(tree: Tree, folder: str) -> list[str]:
    """Return what is in a folder, sorted; one that is closed is a notice."""
    try:
        return tree.names(folder)
    except PermissionError:
        notice(tree.full(folder), f"{UNREADABLE}Permission denied", "Check who may read it.")
        return []


def _at_once(path: str, flags: int) -> int:
    # A pipe would be waited for until somebody writes into it.
    return os.open(path, flags | os.O_NONBLOCK)


def _status(found: os.stat_result) -> Status:
    return found.st_size, found.st_mtime_ns, found.st_ino
