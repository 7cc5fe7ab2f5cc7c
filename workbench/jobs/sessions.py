"""The keys of a user's Dask clusters, one folder each; what dead ones left is cleared away.

::

    clusters/SESSION/ca.pem, cert.pem, key.pem   0600, below folders of 0700
                     lock                        held as long as the process lives
                     session.json                where it runs, with which libraries
                     logs/                       of its workers
                     refused/                    why workers did not join
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import secrets
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidSetting, WorkbenchError
from workbench.jobs import libraries, slurm

if TYPE_CHECKING:
    from distributed.security import Security

    from workbench.settings import Settings

__all__ = ["Session", "job_name", "purge", "security"]

_SILENT_SECONDS = 600
"""A session of another machine whose lock nobody holds is dead after so long without a sign of life."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Session:
    """The folder of one cluster, which lives as long as this process holds its lock.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    InvalidSetting
        If there is no place for it that is ours alone.
    """

    def __init__(self, settings: Settings) -> None:
        # PostgreSQL, the hub's own Dask and this one have their keys from one place.
        from workbench_hub import tls

        root = _root(settings)
        purge(root)
        self.name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        making = root / f".{self.name}"
        try:
            making.mkdir(mode=0o700)
            for name in ("logs", "refused"):
                (making / name).mkdir(mode=0o700)
            tls.create(making)
            about = {"boot": _boot(), "host": platform.node(), "versions": libraries.found()}
            (making / "session.json").write_text(json.dumps(about, indent=1))
            self._lock = (making / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            shutil.rmtree(making, ignore_errors=True)
            raise InvalidSetting(
                str(root),
                f"cannot be written to ({error.strerror})",
                "Make room there, or set WORKBENCH_JOBS.",
            ) from error
        # Not before the lock is held: others clear away what is not locked.
        self.folder = root / self.name
        making.rename(self.folder)

    @property
    def security(self) -> Security:
        """What scheduler, workers and clients of this session show to each other."""
        return security(self.folder)

    @property
    def logs(self) -> Path:
        """Where its workers write."""
        return self.folder / "logs"

    def touch(self) -> None:
        """Give a sign of life, for machines that do not see the lock."""
        with suppress(OSError):
            os.utime(self.folder / "lock")

    def refusals(self) -> dict[int, str]:
        """Return why workers refused to join, by the number of their job."""
        found = {}
        for path in (self.folder / "refused").glob("*.json"):
            there = json.loads(path.read_text())
            found[int(path.stem)] = "; ".join(libraries.differences(libraries.found(), there))
        return found

    def close(self) -> None:
        """Remove the keys."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def security(folder: Path) -> Security:
    """Return the keys in a folder for each part of a cluster; nothing goes unencrypted."""
    from distributed.security import Security

    # One certificate for every part: who has its key belongs to the cluster.
    parts = {
        f"tls_{part}_{name}": str(folder / f"{name}.pem")
        for part in ("client", "scheduler", "worker")
        for name in ("cert", "key")
    }
    return Security(require_encryption=True, tls_ca_file=str(folder / "ca.pem"), **parts)


def job_name(session: str) -> str:
    """Return the name of all jobs of a session, by which they are found again."""
    return f"dask-{session}"


def purge(root: Path) -> list[str]:
    """Remove the keys of sessions that are dead, and cancel the jobs that they left.

    Returns
    -------
    list of str
        The sessions.
    """
    gone = []
    for folder in sorted(root.iterdir()):
        if not folder.is_dir() or not _dead(folder):
            continue
        with suppress(WorkbenchError):  # without SLURM its workers end by themselves
            _cancel(job_name(folder.name))
        shutil.rmtree(folder, ignore_errors=True)
        gone.append(folder.name)
    return gone


def _cancel(name: str) -> None:
    if slurm.here():
        slurm.cancel(*(job.number for job in slurm.queue(name=name) if not job.over))


def _dead(folder: Path) -> bool:
    lock = folder / "lock"
    try:
        seen = (lock if lock.exists() else folder).stat().st_mtime
        silent = time() - seen > _SILENT_SECONDS
        if folder.name.startswith("."):
            return silent  # it is being made, or was left half made
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A file system may keep locks of other machines to itself.
        return silent or _about(folder).get("boot") == _boot()
    except BlockingIOError:
        return False
    except OSError:
        return True


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / "session.json").read_text())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _boot() -> str:
    """Return what all containers of a machine have in common, until it starts anew."""
    return _BOOT.read_text().strip()


def _root(settings: Settings) -> Path:
    root = settings.jobs_dir / "clusters"
    try:
        for folder in (settings.jobs_dir, root):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.stat().st_uid != os.geteuid():
            raise InvalidSetting(
                str(root), "belongs to somebody else", "Set WORKBENCH_JOBS to a folder of yours."
            )
        root.chmod(0o700)
    except OSError as error:
        raise InvalidSetting(
            str(root), f"cannot be made ({error.strerror})", "Make room there, or set WORKBENCH_JOBS."
        ) from error
    return root
