"""Claims: who is at work on a tile, so that nobody else does the same.

A claim is a small file beside the tile, which its owner touches as long as it
lives.  One that nobody touches any more is taken over: at once where the owner
was a process of this machine that is gone, else when it has not been touched
for a while, by the clock of the one who waits.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from workbench.archive.files import lock

__all__ = ["LEASE_S", "Claim", "Waiting", "claim", "release_all"]

LEASE_S = 30.0
"""How long a claim holds that is not touched."""


class Claim:
    """A claim that this process holds, until it is released.

    Parameters
    ----------
    path : Path
    token : str
        What is written in it, by which it is known again.
    """

    def __init__(self, path: Path, token: str) -> None:
        self.path = path
        self.token = token
        _heart().add(path, token)

    def release(self) -> None:
        """Give it back; that of somebody who took it over stays."""
        _heart().discard(self.path)
        _remove(self.path, self.token)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def release_all() -> None:
    """Give back all that this process holds, before it ends without a word."""
    for path, token in _heart().held().items():
        _remove(path, token)


class Waiting:
    """What somebody who waits has seen of the claims of others."""

    def __init__(self, lease: float = LEASE_S) -> None:
        self.lease = lease
        self._seen: dict[Path, tuple[int, float]] = {}

    def over(self, path: Path) -> bool:
        """Whether a claim does not hold any more."""
        try:
            touched = path.stat().st_mtime_ns
            owner = json.loads(path.read_bytes() or b"{}")
        except FileNotFoundError:
            self._seen.pop(path, None)
            return True
        except (OSError, ValueError):
            return False
        if _gone(owner):
            return True
        # Clocks of machines differ: what counts is how long we have seen no change.
        now = time.monotonic()
        seen = self._seen.setdefault(path, (touched, now))
        if seen[0] != touched:
            self._seen[path] = touched, now
            return False
        return now - seen[1] > self.lease


def claim(path: Path, waiting: Waiting) -> Claim | None:
    """Claim a place; None if somebody else has it.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    found = _make(path)
    if found is not None or not waiting.over(path):
        return found
    # Two who see that a claim is over must not take each other's new one away.
    with lock(path.parent / ".over.lock", str(path)):
        if waiting.over(path):
            path.unlink(missing_ok=True)
    return _make(path)


def _make(path: Path) -> Claim | None:
    token = secrets.token_hex(8)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(handle, "wb") as file:
        file.write(json.dumps({**_me(), "token": token}).encode())
    return Claim(path, token)


def _remove(path: Path, token: str) -> None:
    with suppress(OSError):
        if _token(path) == token:
            path.unlink()


def _token(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["token"])
    except (OSError, ValueError, KeyError):
        return ""


def _me() -> dict[str, object]:
    return {**_place(os.getpid()), "pid": os.getpid(), "began": _began(os.getpid())}


@cache
def _place(_pid: int) -> dict[str, str]:
    """Say in which machine, and in which numbering of processes, this process is."""
    try:
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        space = ""
    return {"host": platform.node(), "space": space}


def _began(pid: int) -> str:
    """Return when a process began, by which it is told from a later one of the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _gone(owner: dict[str, object]) -> bool:
    here = _place(os.getpid())
    if not here["space"] or any(owner.get(key) != here[key] for key in here):
        return False
    pid = owner.get("pid")
    return isinstance(pid, int) and _began(pid) != owner.get("began")


class _Heart:
    """Touches the claims of this process."""

    def __init__(self) -> None:
        self._held: dict[Path, str] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, path: Path, token: str) -> None:
        with self._lock:
            self._held[path] = token
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, name="workbench-claims", daemon=True)
                self._thread.start()

    def discard(self, path: Path) -> None:
        with self._lock:
            self._held.pop(path, None)

    def held(self) -> dict[Path, str]:
        with self._lock:
            return dict(self._held)

    def _beat(self) -> None:
        while True:
            time.sleep(LEASE_S / 5)
            with self._lock:
                held = list(self._held)
                if not held:
                    self._thread = None
                    return
            for path in held:
                with suppress(OSError):
                    os.utime(path)


@cache
def _heart_of(_pid: int) -> _Heart:
    return _Heart()


def _heart() -> _Heart:
    # A process that was forked has the paths of its parent, but not the thread.
    return _heart_of(os.getpid())
