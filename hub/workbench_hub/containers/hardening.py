"""The walls of a user's container: what Docker is told, from what the user is given.

A wall is stated here even where it is Docker's default, so that a daemon that
was set up otherwise changes nothing.
"""

from __future__ import annotations

import resource
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.types import HostConfig, LogConfig, Mount, Ulimit

__all__ = ["LEAST_PIDS", "PRIVATE", "Container", "Limits", "arguments", "fallen"]

PRIVATE = "/run/workbench"
"""In memory, for the user alone: sockets and caches that must not depend on space in the home."""

LEAST_PIDS = 1024
"""With fewer processes and threads a user's own libraries lock him out of his server."""

_API = "1.41"  # of Docker 20.10; create_host_config asks for one to choose what it may say
_PRIVATE_BYTES = 256 * 2**20
_CPU_PERIOD = 100_000
_FILES = 16_384  # open at a time in one process; the machine has one table for all
_TMPFS = "rw,nosuid,nodev"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a session may use.

    Attributes
    ----------
    memory, tmp, shm : int
        In bytes: of all processes together, and of it at most in /tmp and in shared memory.
    cpus : float
        Processor time a second, in seconds.
    pids : int
        Processes and threads.
    log : int
        Bytes of a log file; there are two.
    """

    memory: int
    cpus: float
    pids: int = LEAST_PIDS
    tmp: int = 2**30
    shm: int = 256 * 2**20
    log: int = 4 * 2**20

    @property
    def threads(self) -> int:
        """How many threads a numerical library starts: more would only take turns."""
        return max(1, int(self.cpus))


@dataclass(frozen=True, slots=True)
class Container:
    """A container to be made.

    Attributes
    ----------
    image : str
        By its digest or ID, never by a tag that may come to mean another one.
    uid, gid, groups : int
        Of the user; root is refused.
    mounts : tuple of (source, target, read_only)
        Directories of the host.
    """

    name: str
    image: str
    command: tuple[str, ...]
    uid: int
    gid: int
    home: str
    network: str
    limits: Limits
    groups: tuple[int, ...] = ()
    mounts: tuple[tuple[Path, str, bool], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    hostname: str = "workbench"
    dns: tuple[str, ...] = ()
    port: int = 8888

    def __post_init__(self) -> None:
        if self.uid <= 0 or self.gid <= 0 or 0 in self.groups:
            raise ValueError(f"{self.name}: no container runs as root or in root's group")
        if not self.image.startswith("sha256:"):
            raise ValueError(f"{self.name}: the image {self.image!r} is not named by its digest")


def arguments(container: Container) -> dict[str, Any]:
    """Return the arguments of ``docker.APIClient.create_container``."""
    limits = container.limits
    return {
        "image": container.image,
        "name": container.name,
        "command": list(container.command),
        "environment": _threads(limits.threads) | _private() | container.environment,
        "user": f"{container.uid}:{container.gid}",
        "working_dir": container.home,
        "hostname": container.hostname,
        "labels": container.labels,
        "ports": [container.port],
        "stop_signal": "SIGTERM",
        "host_config": HostConfig(version=_API, **_walls(container), **_shares(limits)),
    }


def fallen(pid: int, accepted: Collection[str] = (), proc: Path = Path("/proc")) -> list[str]:
    """Return the walls that do not stand around a running process, whatever Docker was told.

    A daemon may have been set up to leave some of them out, or be part of a
    Swarm, which does not know them.

    Parameters
    ----------
    pid : int
        Of the container's first process, as the host sees it.
    accepted : collection of str
        Walls that the site does without.
    """
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []  # it has ended, which is seen elsewhere
    status = {name: words.split() for name, _, words in (line.partition(":") for line in lines)}
    sets = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[name][0], 16)]
    stands = {
        "seccomp": status.get("Seccomp") == ["2"],
        "no-new-privileges": status.get("NoNewPrivs") == ["1"],
        "capabilities": not sets,
        "user": "0" not in (*status["Uid"], *status["Gid"], *status["Groups"]),
    }
    return [wall for wall, there in stands.items() if not there and wall not in accepted]


def _walls(container: Container) -> dict[str, Any]:
    own = f"{_TMPFS},noexec,mode=0700,uid={container.uid},gid={container.gid}"
    return {
        "cap_drop": ["ALL"],
        # Docker's own seccomp profile applies where none is named, unless the daemon was told otherwise:
        # `fallen` looks.
        "security_opt": ["no-new-privileges"],
        "privileged": False,
        "read_only": True,
        "tmpfs": {
            # Programs build and load libraries in /tmp, so it is the one place in memory they may run from.
            "/tmp": f"{_TMPFS},exec,mode=1777,size={container.limits.tmp}",  # noqa: S108
            PRIVATE: f"{own},size={_PRIVATE_BYTES}",
        },
        "mounts": [_mount(*mount) for mount in container.mounts],
        "group_add": [str(gid) for gid in container.groups],
        "network_mode": container.network,
        "dns": list(container.dns) or None,
        "sysctls": {"net.ipv6.conf.all.disable_ipv6": "1"},
        "ipc_mode": "private",
        # The log of a container that died at start is what one wants to read.
        "auto_remove": False,
        "restart_policy": {"Name": "no"},
    }


def _mount(source: Path, target: str, read_only: bool) -> Mount:
    mount = Mount(target=target, source=str(source), type="bind", read_only=read_only, propagation="rprivate")
    # What is mounted below the source would stay writable: a read-only bind does not reach it.
    mount["BindOptions"]["NonRecursive"] = True
    return mount


def _shares(limits: Limits) -> dict[str, Any]:
    # A daemon cannot give more than it was given itself.
    files = min(_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    return {
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,  # of both together: no swap
        "oom_kill_disable": False,
        "shm_size": limits.shm,
        "cpu_period": _CPU_PERIOD,
        "cpu_quota": int(limits.cpus * _CPU_PERIOD),
        "pids_limit": max(limits.pids, LEAST_PIDS),
        "ulimits": [
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=files, hard=files),
        ],
        "log_config": LogConfig(
            type=LogConfig.types.JSON, config={"max-size": str(limits.log), "max-file": "2"}
        ),
    }


def _threads(count: int) -> dict[str, str]:
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR")
    return {f"{name}_NUM_THREADS": str(count) for name in names} | {"WORKBENCH_WORKERS": str(count)}


def _private() -> dict[str, str]:
    """Move what programs write as they start out of the home, which may be full."""
    return {
        "JUPYTER_RUNTIME_DIR": f"{PRIVATE}/jupyter",
        "NUMBA_CACHE_DIR": f"{PRIVATE}/numba",
        "XDG_RUNTIME_DIR": PRIVATE,
    }
