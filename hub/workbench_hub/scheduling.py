"""What a user's server gets to work with SLURM: directories, environment, doors; by the site's way of access.

Which cluster there is was found out when the deployment started, and is written down in
``run/slurm.json``; all that has to be known of it stands in its slurm.conf.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.errors import InvalidSetting
from workbench_hub import wrapped
from workbench_hub.deployment import write
from workbench_hub.network.plan import Door
from workbench_hub.policy.work import Slurm

__all__ = ["ACCESS", "NOTE", "Access", "Scheduler", "access", "found", "remember"]

NOTE = "slurm.json"
"""The file in ``run/`` that says which cluster there is."""

_CONTROLLER_PORT, _ACCOUNTING_PORT = 6817, 6819
_MUNGE = Path("/run/munge/munge.socket.2")
_LINE = re.compile(r"^\s*(\w+)\s*=\s*(\S.*?)\s*$")


@dataclass(frozen=True)
class Scheduler:
    """A cluster, as its slurm.conf describes it.

    Parameters
    ----------
    conf : Path
        Its slurm.conf.
    own : Path, optional
        The directory of the cluster, where this deployment started it.
    known : mapping, optional
        What slurm.conf said when it was last read; by default it is read when it is asked for.
    """

    conf: Path
    own: Path | None = None
    known: Mapping[str, str] | None = field(default=None, compare=False)

    @property
    def munge(self) -> Path:
        """The socket by which one says who one is."""
        named = re.search(r"socket=([^,\s]+)", self.said.get("authinfo", ""))
        return Path(named[1]) if named else _MUNGE

    @property
    def controller(self) -> int:
        """The port of slurmctld."""
        # At a site it may be a range; the first of it is always one.
        return int(self.said.get("slurmctldport", str(_CONTROLLER_PORT)).partition("-")[0])

    @property
    def accounting(self) -> int | None:
        """The port of slurmdbd, if the cluster has one."""
        if "slurmdbd" not in self.said.get("accountingstoragetype", ""):
            return None
        return int(self.said.get("accountingstorageport", str(_ACCOUNTING_PORT)))

    @property
    def launcher(self) -> str:
        """What runs a command in an image on a node."""
        return str(self.own / "etc" / "wb-exec") if self.own else "wb-exec"

    def has(self, digest: str) -> bool:
        """Whether jobs can run in an image, as far as one knows here."""
        return self.own is None or (self.own / "images" / digest / "image.json").is_file()

    @property
    def names(self) -> dict[str, str]:
        """Variables by which SLURM's commands know names that this machine does not."""
        return wrapped.environment(self.own / "users") if self.own else {}

    def knows(self, user: str) -> bool:
        """Whether the cluster knows a user; of a site's own one asks the cluster itself."""
        return self.own is None or user in self.users

    @property
    def users(self) -> tuple[str, ...]:
        """Names that the own cluster knows, also those of the machine's accounts."""
        passwd = self.own / "users" / "passwd" if self.own else None
        lines = passwd.read_text().splitlines() if passwd and passwd.is_file() else []
        return tuple(line.partition(":")[0] for line in lines)

    @cached_property
    def said(self) -> Mapping[str, str]:
        """The first word of each line of slurm.conf, in small letters, and what it is.

        Raises
        ------
        InvalidSetting
            If it cannot be read.
        """
        if self.known is not None:
            return self.known
        try:
            lines = self.conf.read_text(errors="replace").splitlines()
        except OSError as error:
            remedy = "`slurm.cluster` of the policy names slurm.conf."
            raise InvalidSetting(str(self.conf), f"cannot be read ({error.strerror})", remedy) from error
        pairs = (_LINE.match(line.partition("#")[0]) for line in lines)
        return {pair[1].lower(): pair[2] for pair in reversed([*filter(None, pairs)])}


@dataclass(frozen=True, slots=True)
class Access:
    """What every session gets, whoever its user is.

    Attributes
    ----------
    doors : tuple of Door
        Ports of this machine that containers have to reach.
    mounts : tuple of (source, target, read_only)
        Directories of this machine.
    environment : mapping
        Variables.
    """

    doors: tuple[Door, ...] = ()
    mounts: tuple[tuple[Path, str, bool], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def access(scheduler: Scheduler, rules: Slurm) -> Access:
    """Return what a session gets, by the policy's `slurm.access`; the ports of Dask are the same for all."""
    own = ACCESS[rules.access](scheduler)
    first, last = map(int, rules.worker_ports.split(":"))
    dask = {
        "WORKBENCH_LAUNCHER": scheduler.launcher,
        "WORKBENCH_WORKER_PORTS": rules.worker_ports,
        "WORKBENCH_SCHEDULER_PORTS": rules.scheduler_ports,
    }
    partition = {"WORKBENCH_PARTITION": rules.partition} if rules.partition else {}
    return Access(
        doors=(*own.doors, Door("Dask's workers", first, last)),
        mounts=own.mounts,
        environment={**dask, **partition, **own.environment},
    )


def _munge(scheduler: Scheduler) -> Access:
    """SLURM's own commands, which say who asks by the kernel's word for it; the key stays outside."""
    doors = [Door("SLURM's controller", scheduler.controller)]
    if scheduler.accounting is not None:
        doors.append(Door("SLURM's accounting", scheduler.accounting))
    places = dict.fromkeys((scheduler.conf.parent, scheduler.munge.parent))
    return Access(
        tuple(doors),
        tuple((place, str(place), True) for place in places),
        {"SLURM_CONF": str(scheduler.conf)},
    )


def _broker(_: Scheduler) -> Access:
    """Return no way to SLURM itself: door and address of the broker are the deployment's own."""
    # Its jobs are in their image already: what runs things there is found in it.
    return Access(environment={"WORKBENCH_LAUNCHER": "/opt/workbench/broker/wb-exec"})


ACCESS: Mapping[str, Callable[[Scheduler], Access]] = {"munge": _munge, "broker": _broker}
"""What each way of access adds."""


def remember(run: Path, scheduler: Scheduler | None) -> None:
    """Write down which cluster there is, and what its slurm.conf says: whatever happens to that meanwhile.

    Raises
    ------
    InvalidSetting
        If slurm.conf cannot be read.
    """
    known: dict[str, Any] = {}
    if scheduler is not None:
        known = {"conf": str(scheduler.conf), "own": str(scheduler.own or ""), "said": dict(scheduler.said)}
    write(run / NOTE, json.dumps(known) + "\n", mode=0o600)


def found(run: Path) -> Scheduler | None:
    """Return the cluster that was found at the start, or None."""
    note = run / NOTE
    known = json.loads(note.read_text()) if note.is_file() else {}
    if not known:
        return None
    return Scheduler(Path(known["conf"]), Path(known["own"]) if known["own"] else None, known["said"])
