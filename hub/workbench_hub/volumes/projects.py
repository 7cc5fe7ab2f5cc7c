"""Quotas of the file system itself: one project for each home (XFS, ext4)."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from workbench.errors import Unavailable
from workbench_hub.volumes.usage import Usage, of_file_system

__all__ = ["ProjectQuota", "mounted_at"]

_OPTIONS = frozenset({"prjquota", "pquota"})
_ESCAPED = re.compile(r"\\([0-7]{3})")


class ProjectQuota:
    """A project for each home, numbered as its user is.

    Parameters
    ----------
    homes : Path
        Where the homes are.
    """

    method = "project"

    def __init__(self, homes: Path) -> None:
        self.homes = homes

    @staticmethod
    def works(homes: Path, table: str = "/proc/self/mountinfo") -> bool:
        """Whether the file system counts by project."""
        _, options = mounted_at(homes, Path(table).read_text())
        return not _OPTIONS.isdisjoint(options)

    def ensure(self, home: Path, uid: int, gid: int, limit: int, inodes: int) -> None:
        """Make the directory, count it and all that is in it to its project, and set the limits."""
        home.mkdir(mode=0o700, exist_ok=True)
        point, _ = mounted_at(home, Path("/proc/self/mountinfo").read_text())
        if _project(home) != uid:
            _run("chattr", "-R", "-p", str(uid), str(home))
            _run(
                "chattr", "-R", "-f", "+P", str(home), check=False
            )  # a file cannot inherit, a directory does
            _run("chattr", "+P", str(home))
        blocks = str(max(1, limit // 1024))
        _run("setquota", "-P", str(uid), blocks, blocks, str(inodes), str(inodes), str(point))

    def usage(self, home: Path) -> Usage:
        """Say how full a home is: below a project's directory the file system is as large as its quota."""
        return of_file_system(home, counted=True)

    def release(self, home: Path) -> None:
        """Do nothing: nothing holds it."""


def mounted_at(path: Path, table: str) -> tuple[Path, frozenset[str]]:
    r"""Find the file system of a path in ``/proc/self/mountinfo``.

    Returns
    -------
    tuple of Path and frozenset of str
        Where it is mounted, and with which options.

    Examples
    --------
    >>> table = "21 1 8:1 / / rw - ext4 /dev/a rw\n22 21 8:2 / /srv rw,noatime - xfs /dev/b rw,prjquota"
    >>> point, options = mounted_at(Path("/srv/homes"), table)
    >>> str(point), sorted(options)
    ('/srv', ['noatime', 'prjquota', 'rw'])
    """
    real = path.resolve()
    best, options = Path("/"), frozenset[str]()
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(), right.split()
        point = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]))
        # A later line hides an earlier one at the same place.
        if (point == real or point in real.parents) and len(point.parts) >= len(best.parts):
            best, options = point, frozenset({*fields[5].split(","), *rest[2].split(",")})
    return best, options


def _project(path: Path) -> int:
    done = subprocess.run(
        ["lsattr", "-p", "-d", os.fspath(path)], capture_output=True, text=True, check=False
    )
    first = done.stdout.split(maxsplit=1)
    return int(first[0]) if done.returncode == 0 and first and first[0].isdecimal() else 0


def _run(*command: str, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        remedy = "Look whether the file system is mounted with prjquota, and that `quota` is installed."
        raise Unavailable(
            " ".join(command[:1]), done.stderr.strip() or f"exit code {done.returncode}", remedy
        )
