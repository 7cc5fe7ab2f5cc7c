"""The work folder of a program: what it finds there, and what it leaves there."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from workbench.errors import ResourceExceeded, Unavailable, WorkbenchError

__all__ = ["File", "in_memory", "nameless", "put", "sha256_of", "take", "used", "work_folder"]

MOST_FILES = 10_000
"""Files that a program may leave in its work folder."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that a program needs, named by what is in it.

    Parameters
    ----------
    path : str or Path
        Where it is, an absolute path.
    sha256 : str
        Of its bytes: another file in its place is refused.
    """

    path: str | Path
    sha256: str

    @property
    def name(self) -> str:
        """What it is called in the work folder."""
        return Path(self.path).name

    def bytes(self) -> bytes:
        """Return what is in it, once it is what was declared.

        Raises
        ------
        Unavailable
            If it is not there, or is another file.
        """
        try:
            data = Path(self.path).read_bytes()
        except OSError as error:
            raise Unavailable(
                str(self.path), f"cannot be opened ({error.strerror})", "The program needs it: install it."
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            raise Unavailable(
                str(self.path),
                f"is not the file that was declared: its SHA-256 is {found}, not {self.sha256}",
                "Install the declared one, or declare this one.",
            )
        return data


@contextmanager
def work_folder() -> Iterator[Path]:
    """Make a folder of one's own, and take it away with all that a program made of it."""
    folder = Path(mkdtemp(prefix="workbench-program-"))
    try:
        (folder / "in").mkdir()
        # Whatever the umask: where root runs it, the program is nobody.
        (folder / "in").chmod(0o755)
        yield folder
    finally:
        try:
            shutil.rmtree(folder)
        except (OSError, RecursionError):
            # Folders that were closed, or nested too deep for Python.
            for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
                subprocess.run([*command, "--", str(folder)], check=False, stderr=subprocess.DEVNULL)


def put(folder: Path, contents: Mapping[str, bytes], *, executable: frozenset[str] = frozenset()) -> None:
    """Write the files that a program reads into ``in/``; they are of the names given."""
    for name, data in contents.items():
        path = folder / "in" / name
        path.write_bytes(data)
        path.chmod(0o555 if name in executable else 0o444)


def take(folder: Path, name: str, limit: int) -> bytes:
    """Return what a program wrote into a file of its work folder; a link leads nowhere.

    Raises
    ------
    WorkbenchError
        If it is not there, or is no file.
    ResourceExceeded
        If it has more than `limit` bytes.
    """
    try:
        # Not to wait at a pipe, not to follow a link.
        number = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise WorkbenchError(name, "was not written", "Look at what the program said.") from error
    except OSError as error:
        raise WorkbenchError(
            name, f"is no file that can be read ({error.strerror})", "A program writes plain files."
        ) from error
    try:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            raise WorkbenchError(name, "is no file", "A program writes plain files.")
        if about.st_size > limit:
            raise ResourceExceeded(name, f"has more than {limit} bytes", "Ask for less at a time.")
        with os.fdopen(os.dup(number), "rb") as file:
            return file.read(limit)
    finally:
        os.close(number)


def used(folder: Path) -> tuple[int, int]:
    """Return how many files there are in a folder, to `MOST_FILES`, and their bytes on the disk."""
    count = size = 0
    waiting = [folder]
    while waiting and count <= MOST_FILES:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    about = entry.stat(follow_symlinks=False)
                    size += max(about.st_size, about.st_blocks * 512)
                    if count > MOST_FILES:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
        except FileNotFoundError:
            # It went while we looked.
            continue
        except OSError:
            # Closed to us, or of a name too long: what is in there cannot be counted.
            return MOST_FILES + 1, size
    return count, size


def nameless(pids: Iterable[int]) -> int:
    """Return the bytes on the disk of files that processes have open and that have no name any more."""
    found: dict[tuple[int, int], int] = {}
    for pid in pids:
        with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
            for entry in entries:
                with suppress(OSError):
                    about = entry.stat()
                    if stat.S_ISREG(about.st_mode) and not about.st_nlink:
                        found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(found.values())


def in_memory(pids: Iterable[int]) -> int:
    """Return the bytes of files in the memory file systems /tmp and /dev that processes have of their own."""
    found: dict[int, int] = {}
    for name in ("tmp", "dev", "dev/shm"):
        # Until its sandbox is made, a process sees the system's own.
        shown = Path("/", name).stat().st_dev if Path("/", name).exists() else 0
        for pid in pids:
            place = f"/proc/{pid}/root/{name}"
            with suppress(OSError):
                own = os.stat(place, follow_symlinks=False).st_dev  # noqa: PTH116 - asked often
                if own != shown and own not in found:
                    about = os.statvfs(place)
                    found[own] = (about.f_blocks - about.f_bfree) * about.f_frsize
    return sum(found.values())


_hashes: dict[str, tuple[tuple[int, ...], str]] = {}


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file of the system, read again only when it changed.

    Raises
    ------
    Unavailable
        If it is not there.
    """
    try:
        about = Path(path).stat()
        state = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        known = _hashes.get(path)
        if known is None or known[0] != state:
            known = state, hashlib.sha256(Path(path).read_bytes()).hexdigest()
            _hashes[path] = known
    except OSError as error:
        raise Unavailable(
            path, f"cannot be opened ({error.strerror})", "The program is not installed here."
        ) from error
    return known[1]
