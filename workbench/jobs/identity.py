"""Which process this is, so that it is told from a later one of the same number."""

from __future__ import annotations

import platform
from pathlib import Path

__all__ = ["alive", "boot", "here", "started"]

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def here() -> str:
    """Return the name of this machine."""
    return platform.node()


def boot() -> str:
    """Return what is the same for all processes that number each other, until the machine starts anew."""
    try:
        return f"{_BOOT.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def started(pid: int) -> str:
    """Return when a process of this machine began, in ticks; empty where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):
        return ""
    # A zombie has ended; only whoever started it has not looked yet.
    return "" if text[0] == "Z" else text[19]


def alive(pid: int, began: str, where: str) -> bool | None:
    """Whether a process is there still; None where this machine cannot know."""
    if where != boot():
        return None
    return bool(began) and started(pid) == began
