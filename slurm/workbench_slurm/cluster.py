"""What a cluster on one machine is: its directory, its nodes, its ports.

::

    control/   what slurmctld writes: state of jobs, who ran them
    database/  MariaDB's, where slurmdbd keeps who used how much
    etc/       slurm.conf for everybody's commands; in daemons/ the daemons' own, and what belongs to it
    images/    what jobs run in, by digest
    logs/      a log for each daemon
    munge/     the key, and in door/ the socket
    run/       what lives as long as the daemons
    spool/     what each slurmd keeps
    tmp/       each job's own /tmp
    usage/     what each job used
    users/     names of uids
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidSetting, Unavailable
from workbench_hub import wrapped
from workbench_hub.deployment import free_port, is_free, package_file, write
from workbench_hub.supervised import Supervised
from workbench_slurm import enforcement
from workbench_slurm.images import Images
from workbench_slurm.users import Users

if TYPE_CHECKING:
    from workbench_hub.processes import Process

__all__ = ["MUNGE", "SLURM", "Cluster", "Plan", "program"]

SLURM, MUNGE = "slurm", "munge"
"""Accounts of Debian's packages that controller and munge run as."""

_SHADOWED = ("/tmp", "/dev/shm")  # noqa: S108 - where a job sees its own
_LOCALHOST = "127.0.0.1"
_LEAST_MEMORY = 500
_SECONDS = 30


@dataclass(frozen=True)
class Plan:
    """What a cluster is made of.

    Parameters
    ----------
    nodes : tuple of str
        Their names, which no other cluster of this machine has.
    ports : dict
        By name: ``controller``, ``accounting`` and each node.
    address : str
        Where controller and nodes are reached.
    cpus, memory : int
        Of each node; memory in MB.
    silence : int
        Seconds without a word after which a node counts as down.
    limits : str
        How memory limits are enforced: see `enforcement.ENFORCEMENTS`.
    archives : tuple of str
        What of this machine `wb-exec` shows read-only besides the home.
    accounting : bool
        Whether slurmdbd runs.
    """

    nodes: tuple[str, ...]
    ports: dict[str, int]
    address: str
    cpus: int
    memory: int
    silence: int
    limits: str
    archives: tuple[str, ...] = ()
    accounting: bool = False


class Cluster(Supervised):
    """The cluster in a state directory."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.etc = state / "etc"
        self.conf = self.etc / "slurm.conf"
        self.daemons = self.etc / "daemons"
        self.control = state / "control"
        self.munge = state / "munge"
        self.munge_door = self.munge / "door"
        self.munge_socket = self.munge_door / "socket"
        self.database = state / "database"
        self.database_socket = self.database / "socket"
        self.spool = state / "spool"
        self.tmp = state / "tmp"
        self.usage = state / "usage"
        self.users = Users(state / "users")
        self.images = Images(state / "images")
        self.exec = self.etc / "wb-exec"

    @property
    def exists(self) -> bool:
        """Whether it was ever started."""
        return (self.state / "cluster.json").is_file()

    @cached_property
    def plan(self) -> Plan:
        """What it was last started as."""
        if not self.exists:
            raise Unavailable(f"A cluster in {self.state}", "was never started", "workbench-slurm up")
        known = json.loads((self.state / "cluster.json").read_text())
        for name in ("nodes", "archives"):
            known[name] = tuple(known.get(name, ()))
        return Plan(**known)

    def choose(
        self,
        nodes: int,
        *,
        address: str | None,
        memory: int | None,
        silence: int,
        limits: str,
        archives: Sequence[Path] = (),
        accounting: bool = False,
    ) -> Plan:
        """Choose what it is to be; ports that it had stay where they are free.

        Raises
        ------
        InvalidSetting
            If there is no room for so many nodes, or its directory is hidden from jobs.
        """
        if any(self.state.is_relative_to(place) for place in _SHADOWED):
            raise InvalidSetting(str(self.state), "is hidden from jobs, each of which has a /tmp of its own")
        if nodes < 1:
            raise InvalidSetting(f"{nodes} nodes", "is less than one")
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        each = memory or whole // nodes
        if each < _LEAST_MEMORY:
            raise InvalidSetting(f"{nodes} nodes", f"have {each} MB each, less than {_LEAST_MEMORY}")
        tag = "w" + sha256(os.fsencode(self.state)).hexdigest()[:4]
        names = tuple(f"{tag}n{number + 1}" for number in range(nodes))
        known = self.plan.ports if self.exists else {}
        ports: dict[str, int] = {}
        for name in ("controller", "accounting", *names):
            port = known.get(name, 0)
            usable = port and port not in ports.values() and is_free(port)
            ports[name] = port if usable else free_port({*ports.values()})
        address = address or self.own_address()
        cpus = len(os.sched_getaffinity(0))
        way = enforcement.chosen(limits).name
        shown = tuple(str(path.absolute()) for path in archives)
        plan = Plan(names, ports, address, cpus, each, silence, way, shown, accounting)
        write(self.state / "cluster.json", json.dumps(asdict(plan), indent=1) + "\n")
        self.__dict__.pop("plan", None)
        return plan

    @property
    def host(self) -> str:
        """The name of this machine, as SLURM writes it."""
        return socket.gethostname().partition(".")[0]

    def own_address(self) -> str:
        """Return the address of this machine's name if nobody else reaches it, else that of localhost."""
        try:
            found = socket.gethostbyname(socket.gethostname())
        except OSError:
            return _LOCALHOST
        return found if ip_address(found).is_loopback else _LOCALHOST

    @property
    def listens_there_alone(self) -> bool:
        """Whether nothing listens but at the address of the plan.

        SLURM can be kept to the address that the machine's name stands for, and to no other; to its
        daemons nss_wrapper says that it stands for that one.
        """
        if wrapped.library() is not None:
            return True
        try:
            return socket.gethostbyname(socket.gethostname()) == self.plan.address
        except OSError:
            return False

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which SLURM's commands find this cluster and no other."""
        return {"SLURM_CONF": str(self.conf)}

    def processes(self) -> list[Process]:
        """Return the process list."""
        from workbench_slurm.processes import listed

        return listed(self)

    def ask(self, *words: str, check: bool = True) -> str:
        """Run one of SLURM's commands as whoever we are, and return what it says.

        Raises
        ------
        Unavailable
            If it fails.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        done = subprocess.run(
            words,
            env=environment | self.environment | self.names,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise Unavailable(words[0], done.stderr.strip() or f"ended with {done.returncode}")
        return done.stdout

    @property
    def names(self) -> dict[str, str]:
        """Variables by which SLURM's commands know the names of the cluster's users."""
        return wrapped.environment(self.users.folder)


def program(name: str) -> str:
    """Return the path of a program; Debian keeps daemons where only root looks.

    Raises
    ------
    Unavailable
        If it is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        remedy = "As root: apt-get install slurmctld slurmd slurm-client munge"
        raise Unavailable(name, "is not installed", remedy)
    return found


def source(name: str) -> Path:
    """Return a file of ``slurm/``."""
    return package_file("../../slurm") / name
