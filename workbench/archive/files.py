"""Files that are whole at every moment: the old one or the new one, whatever is killed."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.errors import ResourceExceeded, Unavailable, WorkbenchError

__all__ = ["lock", "make_folder", "replace_file", "trouble"]

WAIT_S = 600.0
"""How long a writer waits for another one."""


def replace_file(path: Path, content: bytes) -> None:
    """Give a file new content: written beside it, forced to disk, renamed over it.

    To be called under the lock that all writers of this file take.

    Raises
    ------
    ResourceExceeded
        If the disk is full or a quota used up; the old file stays as it is.
    Unavailable
        If the place cannot be written to.
    """
    path = path.resolve()
    make_folder(path.parent)
    try:
        for left in path.parent.glob(f".{path.name}.*.part"):
            left.unlink(missing_ok=True)  # of a writer that was killed: the lock is ours
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                beside.chmod(path.stat().st_mode & 0o7777)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise trouble(path, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each one on disk before the next."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    try:
        for one in reversed(missing):
            one.mkdir(exist_ok=True)
            _sync_folder(one.parent)
    except OSError as error:
        raise trouble(missing[0], error) from error


@contextmanager
def lock(path: Path, subject: str) -> Iterator[None]:
    """Keep other writers out, in this process, others, and on other machines.

    Raises
    ------
    Unavailable
        If another holds it for longer than `WAIT_S`.
    """
    make_folder(path.parent)
    held = FileLock(path, timeout=WAIT_S, mode=0o666)
    try:
        held.acquire()
    except Timeout as error:
        raise Unavailable(
            subject,
            f"another writer has held it for {WAIT_S:g} s ({path})",
            "End that writer, or wait for it.",
        ) from error
    except OSError as error:
        raise trouble(path, error) from error
    try:
        yield
    finally:
        held.release()


def trouble(path: Path, error: OSError) -> WorkbenchError:
    """Return our own error for one of the operating system."""
    what = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceExceeded(str(path), f"cannot be written: {what}", "Make room; nothing was changed.")
    return Unavailable(
        str(path), f"cannot be reached or written: {what}", "Check the path and who may write there."
    )


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
