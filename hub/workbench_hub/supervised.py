"""What a supervisor looks after: a directory, and the processes that are started from it."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench_hub.processes import Process

__all__ = ["Supervised"]

_LONGEST_SOCKET = 100  # the kernel takes 107 bytes, and the supervisor appends its pid


class Supervised(ABC):
    """A state directory with ``run/`` and ``logs/``, and the list of the processes that belong to it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.run = state / "run"
        self.logs = state / "logs"

    @abstractmethod
    def processes(self) -> list[Process]:
        """Return the process list with everything filled in."""

    @property
    def places(self) -> tuple[Path, ...]:
        """Return the paths that stand in the supervisor's configuration."""
        return (self.state, Path(sys.prefix))

    def walls(self, name: str) -> list[str]:
        """Return the words before the command of the process of that name, which is sandboxed."""
        return []

    @cached_property
    def socket(self) -> Path:
        """Where the supervisor listens; outside of a state directory whose path is too long."""
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET:
            return inside
        name = f"workbench-{os.geteuid()}-{sha256(os.fsencode(self.state)).hexdigest()[:12]}"
        folder = Path(tempfile.gettempdir()) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.geteuid() or folder.stat().st_mode & 0o077:
            raise PermissionError(f"{folder} belongs to somebody else; set TMPDIR to a directory of your own")
        return folder / "supervisor.sock"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody else starts or stops what is here."""
        self.run.mkdir(parents=True, exist_ok=True)
        with (self.run / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
