"""The daemons of a cluster, in the order in which they start."""

from __future__ import annotations

import shlex
import sys

from workbench_hub.deployment import MARK
from workbench_hub.processes import Process
from workbench_slurm import accounting
from workbench_slurm.cluster import MUNGE, SLURM, Cluster, program

__all__ = ["listed", "node_of"]

_NODE = "slurmd-"
# The first start of slurmdbd needs the database, and that of slurmctld needs slurmdbd; later ones do without.
_AFTER = ("bash", "-c", 'for _ in {1..300}; do ( eval "$0" ) 2>&- && break; sleep 0.1; done; exec "$@"')


def listed(cluster: Cluster) -> list[Process]:
    """Return munged, slurmctld, a slurmd for each node, and the guardian."""
    own = {MARK: str(cluster.state)}
    named = own | cluster.environment | cluster.names
    plan = cluster.plan
    conf = str(cluster.daemons / "slurm.conf")
    munged = (
        *(program("munged"), "--foreground", f"--socket={cluster.munge_socket}"),
        *(f"--key-file={cluster.munge / 'key'}", f"--pid-file={cluster.munge / 'pid'}"),
        *(f"--log-file={cluster.munge / 'log'}", f"--seed-file={cluster.munge / 'seed'}"),
    )
    controller = (program("slurmctld"), "-D", "-f", conf)
    answering = f"exec 3<>/dev/tcp/{plan.address}/{plan.ports['accounting']}"
    slurmd = program("slurmd")
    return [
        Process(
            "munged", "Says who somebody is", munged, own, address=str(cluster.munge_socket), account=MUNGE
        ),
        *(_accounting(cluster, own) if plan.accounting else []),
        Process(
            "slurmctld",
            "Controller: queue and nodes",
            (*_AFTER, answering, *controller) if plan.accounting else controller,
            named,
            address=f"{plan.address}:{plan.ports['controller']}",
            account=SLURM,
        ),
        *(
            Process(
                f"{_NODE}{node}",
                "Node: runs jobs",
                (slurmd, "-D", "-N", node, "-f", conf),
                named,
                address=f"{plan.address}:{plan.ports[node]}",
            )
            for node in plan.nodes
        ),
        Process(
            "guardian",
            "Starts the supervisor again if it dies",
            (sys.executable, "-m", "workbench_slurm.guardian", str(cluster.state)),
            own,
            kept=False,
        ),
    ]


def _accounting(cluster: Cluster, own: dict[str, str]) -> list[Process]:
    address = f"{cluster.plan.address}:{cluster.plan.ports['accounting']}"
    found = own | cluster.environment | cluster.names | {"MYSQL_UNIX_PORT": str(cluster.database_socket)}
    return [
        Process(
            "database",
            "MariaDB: keeps what slurmdbd writes",
            accounting.database_command(cluster),
            own,
            address=str(cluster.database_socket),
            account=accounting.DATABASE,
        ),
        Process(
            "slurmdbd",
            "Who used how much",
            (*_AFTER, f"[ -S {shlex.quote(str(cluster.database_socket))} ]", program("slurmdbd"), "-D"),
            found,
            address=address,
            account=SLURM,
        ),
    ]


def node_of(process: str) -> str | None:
    """Return the node whose slurmd a process is, or None."""
    return process.removeprefix(_NODE) if process.startswith(_NODE) else None
