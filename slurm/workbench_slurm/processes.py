"""The daemons of a cluster, in the order in which they start."""

from __future__ import annotations

import sys

from workbench_hub.deployment import MARK
from workbench_hub.processes import Process
from workbench_slurm.cluster import MUNGE, SLURM, Cluster, program

__all__ = ["listed", "node_of"]

_NODE = "slurmd-"


def listed(cluster: Cluster) -> list[Process]:
    """Return munged, slurmctld, a slurmd for each node, and the guardian."""
    own = {MARK: str(cluster.state)}
    named = own | cluster.environment | cluster.names
    plan = cluster.plan
    conf = str(cluster.conf)
    munged = (
        *(program("munged"), "--foreground", f"--socket={cluster.munge_socket}"),
        *(f"--key-file={cluster.munge / 'key'}", f"--pid-file={cluster.munge / 'pid'}"),
        *(f"--log-file={cluster.munge / 'log'}", f"--seed-file={cluster.munge / 'seed'}"),
    )
    controller = (program("slurmctld"), "-D", "-f", conf)
    slurmd = program("slurmd")
    return [
        Process(
            "munged", "Says who somebody is", munged, own, address=str(cluster.munge_socket), account=MUNGE
        ),
        Process(
            "slurmctld",
            "Controller: queue and nodes",
            controller,
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


def node_of(process: str) -> str | None:
    """Return the node whose slurmd a process is, or None."""
    return process.removeprefix(_NODE) if process.startswith(_NODE) else None
