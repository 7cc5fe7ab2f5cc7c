"""slurm.conf and what belongs to it, written from the files of ``slurm/`` for one cluster."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from workbench_hub.deployment import write
from workbench_slurm import accounting
from workbench_slurm.cluster import MUNGE, SLURM, Cluster, source
from workbench_slurm.enforcement import ENFORCEMENTS

__all__ = ["create", "write_all"]

_TEMPLATES = ("slurm.conf", "cgroup.conf", "job_container.conf")
_SCRIPTS = ("prolog", "epilog", "epilog-slurmctld", "task-prolog")
_KEY_BYTES = 128
_PATIENCE = 10
"""Seconds that SLURM's daemons wait for an answer, unless one says otherwise."""


def create(cluster: Cluster) -> None:
    """Make directories and the munge key that are not there yet, each its daemon's own."""
    for folder in (cluster.state, cluster.etc, cluster.daemons, cluster.spool, cluster.tmp):
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.chmod(0o755)
    for folder, owner in ((cluster.control, SLURM), (cluster.control / "state", SLURM)):
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(folder, owner, owner)
    for private in (cluster.run, cluster.logs, cluster.usage):
        private.mkdir(mode=0o700, exist_ok=True)
        private.chmod(0o700)
    # Whoever submits has to reach the socket in it; munge wants a folder that nobody else can write to.
    for folder in (cluster.munge, cluster.munge_door):
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)
    key = cluster.munge / "key"
    if not key.is_file():
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
    for path in (cluster.munge, cluster.munge_door, key):
        shutil.chown(path, MUNGE, MUNGE)
    for node in cluster.plan.nodes:
        (cluster.spool / node).mkdir(mode=0o755, exist_ok=True)
    if cluster.plan.accounting:
        accounting.create(cluster)


def write_all(cluster: Cluster) -> None:
    """Write every file of ``etc/``."""
    plan = cluster.plan
    nodes = [
        f"NodeName={node} NodeHostname={cluster.host} NodeAddr={plan.address} Port={plan.ports[node]} "
        f"CPUs={plan.cpus} RealMemory={plan.memory} State=UNKNOWN"
        for node in plan.nodes
    ]
    there_alone = cluster.listens_there_alone
    values = {
        "name": "workbench",
        "host": cluster.host,
        "address": plan.address,
        "port": plan.ports["controller"],
        "slurm_user": SLURM,
        "communication": "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny" if there_alone else "",
        "munge": cluster.munge_socket,
        "state": cluster.state,
        "control": cluster.control,
        "scripts": cluster.etc,
        "accounting": _accounting(cluster),
        "accounting_port": plan.ports["accounting"],
        "silence": plan.silence,
        "patience": max(2, min(_PATIENCE, plan.silence // 2)),
        "nodes": "\n".join(nodes),
        "memory_per_cpu": plan.memory // plan.cpus // 2,
        **ENFORCEMENTS[plan.limits].values,
    }
    for name in _TEMPLATES:
        write(cluster.daemons / name, Template(source(name).read_text()).substitute(values))
    # Nobody tells srun that the machine has another address than its name: it listens wherever it is called.
    anywhere = values | {"communication": ""}
    write(cluster.conf, Template(source(cluster.conf.name).read_text()).substitute(anywhere))
    if plan.accounting:
        _private(cluster, values)
    for name in _SCRIPTS:
        _copy(source(name), cluster.etc / name, 0o755)
    _copy(source("job_submit.lua"), cluster.daemons / "job_submit.lua", 0o644)
    _copy(source("wb-exec"), cluster.exec, 0o755)
    write(cluster.etc / "wb-exec.json", json.dumps(_seen(cluster), indent=1) + "\n")


def _accounting(cluster: Cluster) -> str:
    if not cluster.plan.accounting:
        return "AccountingStorageType=accounting_storage/none"
    lines = (
        "Type=accounting_storage/slurmdbd",
        f"Host={cluster.plan.address}",
        f"Port={cluster.plan.ports['accounting']}",
        f"Pass={cluster.munge_socket}",  # which is no password, but where munge is
    )
    return "\n".join(f"AccountingStorage{line}" for line in lines)


def _private(cluster: Cluster, values: Mapping[str, object]) -> None:
    """Write slurmdbd.conf, which slurmdbd wants to be its own and nobody else's to read."""
    path = cluster.etc / "slurmdbd.conf"
    write(path, Template(source(path.name).read_text()).substitute(values), mode=0o600)
    shutil.chown(path, SLURM, SLURM)


def _seen(cluster: Cluster) -> dict[str, Any]:
    """Return what wb-exec shows of the machine: archives, and what a command submits jobs with."""
    shown = [*cluster.plan.archives, cluster.etc, cluster.munge_door]
    return {
        "images": str(cluster.images.folder),
        "read_only": [{"path": str(path)} for path in shown],
        "keep": ["DASK_*", "WORKBENCH_*"],
    }


def _copy(file: Path, target: Path, mode: int) -> None:
    write(target, file.read_text(), mode=mode)
    target.chmod(mode)
