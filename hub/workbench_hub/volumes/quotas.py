"""Ways to keep a home from growing without bound, behind one interface."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from workbench.errors import InvalidSetting
from workbench_hub.volumes.images import ImageQuota
from workbench_hub.volumes.projects import ProjectQuota
from workbench_hub.volumes.usage import Usage, of_file_system

__all__ = ["NoQuota", "Quota", "Usage", "chosen"]


class Quota(Protocol):
    """A way to limit homes."""

    method: str
    """As the policy calls it."""

    def ensure(self, home: Path, uid: int, gid: int, limit: int, inodes: int) -> None:
        """Make a home's limit what it should be; `home` is there afterwards."""

    def usage(self, home: Path) -> Usage:
        """Say how full a home is."""

    def release(self, home: Path) -> None:
        """Let go of what holds a home while nobody works in it; nothing in it changes."""


class NoQuota:
    """Homes that are limited by the disk alone, or by a server elsewhere."""

    method = "none"

    def ensure(self, home: Path, uid: int, gid: int, limit: int, inodes: int) -> None:
        """Make the directory."""
        home.mkdir(mode=0o700, exist_ok=True)

    def usage(self, home: Path) -> Usage:
        """Say how much the disk takes."""
        return of_file_system(home, counted=False)

    def release(self, home: Path) -> None:
        """Do nothing: nothing holds it."""


_PROGRAMS = {
    "loop": ("mkfs.ext4", "resize2fs", "e2fsck", "mount", "umount", "losetup"),
    "project": ("setquota", "chattr"),
}


def chosen(method: str, homes: Path) -> Quota:
    """Return the way of the policy, or the best that works here.

    Parameters
    ----------
    method : {'auto', 'project', 'loop', 'none'}
    homes : Path
        Where the homes are, or will be.

    Raises
    ------
    InvalidSetting
        If that way does not work here, with the reason.
    """
    makers: dict[str, Callable[[], Quota]] = {
        "project": lambda: ProjectQuota(homes),
        "loop": lambda: ImageQuota(homes),
        "none": NoQuota,
    }
    if method == "auto" and any((homes / ".images").glob("*.ext4")):
        method = "loop"  # anything else would show their users empty homes
    if method != "auto":
        if why := _obstacle(method, homes):
            remedy = "Choose another `home.method` in the policy, or make that possible."
            raise InvalidSetting(f"Quota by '{method}' for {homes}", why, remedy)
        return makers[method]()
    return next(makers[name]() for name in makers if not _obstacle(name, homes))


def _obstacle(method: str, homes: Path) -> str:
    """Say why a way does not work here; nothing if it does."""
    if method == "none":
        return ""
    if os.geteuid():
        return "needs root"
    if absent := [name for name in _PROGRAMS[method] if shutil.which(name) is None]:
        return f"needs {', '.join(absent)}"
    if method == "project" and not ProjectQuota.works(homes):
        return "needs a file system that is mounted with prjquota"
    if method == "loop" and not Path("/dev/loop-control").exists():
        return "needs loop devices (/dev/loop-control)"
    if method == "loop" and not _shares_mounts():
        return "needs the host's mounts, and this process has its own: run it without PrivateTmp and the like"
    return ""


def _shares_mounts() -> bool:
    """Whether what is mounted here is mounted for the Docker daemon too.

    Its containers would else see empty directories.  Where none runs there is nothing to compare with.
    """
    daemons = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # processes come and go
            if (process / "comm").read_text().strip() == "dockerd":
                daemons.add((process / "ns" / "mnt").readlink())
    return not daemons or Path("/proc/self/ns/mnt").readlink() in daemons
