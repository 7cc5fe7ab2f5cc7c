"""What holds a job to the memory that it asked for: the kernel's control groups, or looking now and then."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InvalidSetting
from workbench_hub.health import wait_for

__all__ = ["ENFORCEMENTS", "Enforcement", "chosen", "end", "found"]

_ROOT = Path("/sys/fs/cgroup")
_NEEDED = ("freezer", "memory", "cpuacct")
_SECONDS = 10.0
_TMP = "/tmp"  # noqa: S108 - what jobs call theirs


@dataclass(frozen=True, slots=True)
class Enforcement:
    """A way of enforcing memory limits, and the words of slurm.conf and cgroup.conf for it."""

    name: str
    what: str
    values: dict[str, str]


_CGROUP = {
    "track": "proctrack/cgroup",
    "task": "task/cgroup",
    "gather": "jobacct_gather/cgroup",
    "gather_parameters": "",
}

ENFORCEMENTS = {
    "cgroup/v1": Enforcement(
        "cgroup/v1",
        "the kernel ends a job at its limit (task/cgroup, version 1)",
        {**_CGROUP, "plugin": "cgroup/v1", "systemd": ""},
    ),
    "cgroup/v2": Enforcement(
        "cgroup/v2",
        "the kernel ends a job at its limit (task/cgroup, version 2)",
        {**_CGROUP, "plugin": "cgroup/v2", "systemd": "IgnoreSystemdOnFailure=yes"},
    ),
    "polling": Enforcement(
        "polling",
        "slurmd looks each second and cancels a job above its limit (OverMemoryKill): no control groups here",
        {
            "track": "proctrack/linuxproc",
            "task": "task/none",
            "gather": "jobacct_gather/linux",
            "gather_parameters": "JobAcctGatherParams=OverMemoryKill",
            "plugin": "cgroup/v1",
            "systemd": "",
        },
    ),
}
"""By name, the best last resort at the end."""


def found(root: Path = _ROOT) -> Enforcement:
    """Return the best way that this machine allows."""
    if all(os.access(root / name, os.W_OK) for name in _NEEDED):
        return ENFORCEMENTS["cgroup/v1"]
    controllers = root / "cgroup.controllers"
    if controllers.is_file() and "memory" in controllers.read_text().split() and os.access(root, os.W_OK):
        return ENFORCEMENTS["cgroup/v2"]
    return ENFORCEMENTS["polling"]


def chosen(name: str) -> Enforcement:
    """Return a way by its name; ``auto`` is the best that this machine allows.

    Raises
    ------
    InvalidSetting
        If there is none of that name.
    """
    if name == "auto":
        return found()
    if name not in ENFORCEMENTS:
        known = ", ".join(["auto", *ENFORCEMENTS])
        raise InvalidSetting(name, "is no way of enforcing memory limits", f"There are: {known}.")
    return ENFORCEMENTS[name]


def end(nodes: Iterable[str], tmp: Path, root: Path = _ROOT) -> list[int]:
    """End whatever of jobs still runs on some nodes; remove their control groups.

    Parameters
    ----------
    nodes : iterable of str
        Names of nodes.
    tmp : Path
        Where the cluster keeps each job's own /tmp, by node.

    Returns
    -------
    list of int
        The processes that had to be ended.
    """
    nodes = list(nodes)
    groups = [group for node in nodes for group in sorted(root.glob(f"*/slurm_{node}"))]
    places = [tmp / node for node in nodes]
    ended: set[int] = set()

    def all_gone() -> bool:
        left = _inside(groups) | _with_tmp(places)
        for number in left:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        ended.update(left)
        return not left

    wait_for(all_gone, _SECONDS, "", fail=False)
    for group in groups:
        _remove(group)
    return sorted(ended)


def _inside(groups: Iterable[Path]) -> set[int]:
    found: set[int] = set()
    for group in groups:
        for file in group.rglob("cgroup.procs"):
            with suppress(OSError):
                found |= {int(word) for word in file.read_text().split()}
    return found


def _with_tmp(places: Iterable[Path]) -> set[int]:
    """Return the processes whose /tmp lies in one of some places: those of jobs, wherever they went."""
    inside = tuple(f"{_on_its_file_system(place)}/" for place in places)
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            mounts = [line.split() for line in (folder / "mountinfo").read_text().splitlines()]
        except OSError:
            continue  # gone meanwhile
        if any(mount[4] == _TMP and mount[3].startswith(inside) for mount in mounts):
            found.add(int(folder.name))
    return found


def _on_its_file_system(place: Path) -> str:
    """Return where a directory lies on its file system, as a mount of it says."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    above = [mount for mount in mounts if place.is_relative_to(mount[4])]
    nearest = max(above, key=lambda mount: len(mount[4]))
    return str(Path(nearest[3]) / place.relative_to(nearest[4]))


def _remove(group: Path) -> None:
    """Remove a group and those inside of it; the kernel keeps one for a moment after its last process."""
    for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        _rmdir(folder)
    _rmdir(group)


def _rmdir(folder: Path) -> None:
    end = time.monotonic() + _SECONDS
    while folder.is_dir() and time.monotonic() < end:
        with suppress(OSError):
            folder.rmdir()
