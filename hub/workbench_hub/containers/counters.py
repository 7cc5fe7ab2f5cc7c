"""What the kernel counts for a control group: memory, processes, processor time, and what it refused.

Both layouts are read: version 1, one tree for each controller, and version 2,
one tree for all.  From the host a container is found by the pid of its first
process; from inside, a container reads its own counters.

The group is removed with its last process, so whoever wants to know why a
container ended must have read its counters while it ran.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Counters", "own", "read"]

_Folder = Callable[[Path, str], Path]
_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
_NO_LIMIT = 2**60  # version 1 says "unlimited" with a number near 2**63, version 2 with the word max


@dataclass(frozen=True, slots=True)
class Counters:
    """What a control group used and what it was refused, since it began.

    Attributes
    ----------
    memory : int
        Bytes that could not be given back at once: without file caches that nobody uses.
    memory_peak : int or None
        The most bytes at any time, caches included; None where the kernel does not say.
    memory_limit : int or None
        In bytes; None means no limit.
    oom_kills : int
        Processes that the kernel ended because the memory was used up.
    pids, pids_limit : int
        Processes and threads now, and at most.
    pids_refused : int
        How often a new process or thread was refused because of that limit.
    cpu_seconds, throttled_seconds : float
        Processor time used, and time spent waiting because the share was used up.
    """

    memory: int = 0
    memory_peak: int | None = None
    memory_limit: int | None = None
    oom_kills: int = 0
    pids: int = 0
    pids_limit: int | None = None
    pids_refused: int = 0
    cpu_seconds: float = 0.0
    throttled_seconds: float = 0.0


def read(pid: int, proc: Path = _PROC, groups: Path = _GROUPS) -> Counters | None:
    """Return the counters of the group that a process is in; None if the process has ended.

    Parameters
    ----------
    pid : int
        Of the container's first process, as the host sees it.
    proc, groups : Path, optional
        Where the two file systems are mounted.
    """
    return _read(proc / str(pid) / "cgroup", groups, _outside)


def own(proc: Path = _PROC, groups: Path = _GROUPS) -> Counters | None:
    """Return the counters of the group that this process is in, as a container sees itself."""
    return _read(proc / "self" / "cgroup", groups, _inside)


def _outside(mount: Path, path: str) -> Path:
    return mount / path.lstrip("/")


def _inside(mount: Path, path: str) -> Path:
    """In a container its own group is mounted in place of the root."""
    outside = _outside(mount, path)
    return outside if outside.is_dir() else mount


def _read(membership: Path, groups: Path, folder: _Folder) -> Counters | None:
    try:
        lines = membership.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    paths = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    # Where both are mounted, the controllers that count are still those of version 1.
    if "memory" not in paths:
        return _version_2(folder(groups, paths.get("", "/")))
    return _version_1({name: folder(groups / name, paths.get(name, "/")) for name in _CONTROLLERS})


def _version_1(folders: dict[str, Path]) -> Counters | None:
    memory, pids, cpu, cpuacct = (folders[name] for name in _CONTROLLERS)
    usage = _number(memory / "memory.usage_in_bytes")
    if usage is None:
        return None
    idle = _table(memory / "memory.stat").get("total_inactive_file", 0)
    return Counters(
        memory=max(usage - idle, 0),
        memory_peak=_number(memory / "memory.max_usage_in_bytes"),
        memory_limit=_number(memory / "memory.limit_in_bytes"),
        oom_kills=_table(memory / "memory.oom_control").get("oom_kill", 0),
        pids=_number(pids / "pids.current") or 0,
        pids_limit=_number(pids / "pids.max"),
        pids_refused=_table(pids / "pids.events").get("max", 0),
        cpu_seconds=(_number(cpuacct / "cpuacct.usage") or 0) / 1e9,
        throttled_seconds=_table(cpu / "cpu.stat").get("throttled_time", 0) / 1e9,
    )


def _version_2(group: Path) -> Counters | None:
    usage = _number(group / "memory.current")
    if usage is None:
        return None
    cpu = _table(group / "cpu.stat")
    return Counters(
        memory=max(usage - _table(group / "memory.stat").get("inactive_file", 0), 0),
        memory_peak=_number(group / "memory.peak"),
        memory_limit=_number(group / "memory.max"),
        oom_kills=_table(group / "memory.events").get("oom_kill", 0),
        pids=_number(group / "pids.current") or 0,
        pids_limit=_number(group / "pids.max"),
        pids_refused=_table(group / "pids.events").get("max", 0),
        cpu_seconds=cpu.get("usage_usec", 0) / 1e6,
        throttled_seconds=cpu.get("throttled_usec", 0) / 1e6,
    )


def _number(file: Path) -> int | None:
    try:
        word = file.read_text().strip()
    except OSError:
        return None
    return int(word) if word.isdigit() and int(word) < _NO_LIMIT else None


def _table(file: Path) -> dict[str, int]:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
