"""How much memory a group of processes has, and whether the system ended one for want of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["kills", "used"]

_GROUPS = Path("/sys/fs/cgroup")
_PROCESSES = Path("/proc")


def used(group: int) -> int:
    """Return the memory of a process group, bytes; what processes share is counted once for each."""
    pages = 0
    for folder in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                pages += int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def kills(root: Path = _GROUPS, mine: Path = _PROCESSES / "self/cgroup") -> int:
    """Return how many processes of our control group the kernel has ended for want of memory."""
    with suppress(OSError, ValueError, IndexError):
        for line in mine.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                file = root / path.lstrip("/") / "memory.events"
            elif "memory" in controllers.split(","):
                file = root / "memory" / path.lstrip("/") / "memory.oom_control"
            else:
                continue
            for entry in file.read_text().splitlines():
                if entry.startswith("oom_kill "):
                    return int(entry.split()[1])
    return 0
