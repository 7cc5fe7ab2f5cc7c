"""What a Dask cluster on SLURM needs, tried one after the other: `workbench doctor cluster`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from workbench.errors import Unavailable, WorkbenchError
from workbench.jobs import slurm
from workbench.jobs.admission import admitted
from workbench.jobs.clusters import OwnClient, first_worker, on_slurm, reached, waiting
from workbench.jobs.launch import Limits
from workbench.settings import Settings

__all__ = ["Finding", "examine"]

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one try.

    Attributes
    ----------
    what : str
    good : bool or None
        None where it could not be tried.
    said : str
    """

    what: str
    good: bool | None
    said: str


def examine(settings: Settings, limits: Limits, wait: float = 120) -> Iterator[Finding]:
    """Try what a cluster needs; yield each finding as it is made.

    Parameters
    ----------
    settings : Settings
    limits : Limits
        Of the workers that are tried.
    wait : float
        Longest time to wait for the first, seconds.
    """
    steps: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("SLURM's commands", _commands),
        ("SLURM's controller, munge", _controller),
        ("such jobs are taken", partial(_taken, limits)),
        ("keys in one's home", partial(_home, settings)),
        ("address for nodes", partial(_address, settings)),
        ("scheduler, workers asked for", partial(_started, settings)),
        ("node to scheduler", partial(_to_scheduler, wait)),
        ("scheduler to worker", _to_worker),
        ("worker to worker", _between),
        ("pages about the cluster", lambda known: str(known["client"].dashboard_link)),
    ]
    with ExitStack() as stack:
        known: dict[str, Any] = {"stack": stack}
        for number, (what, step) in enumerate(steps):
            try:
                yield Finding(what, True, step(known))
            except _Untried as error:
                yield Finding(what, None, str(error))
            except WorkbenchError as error:
                yield Finding(what, False, str(error))
                yield from (Finding(name, None, "not tried") for name, _ in steps[number + 1 :])
                return


class _Untried(Exception):
    """There was no way to try."""


def _commands(known: dict[str, Any]) -> str:
    if reason := slurm.why_not():
        raise Unavailable("SLURM", reason, "On a node or in a container of the cluster it is.")
    return slurm.ask("sbatch", "--version").strip()


def _controller(known: dict[str, Any]) -> str:
    there = slurm.partitions()
    return ", ".join(f"{one.name} ({'up' if one.up else 'down'}, {one.longest})" for one in there)


def _taken(limits: Limits, known: dict[str, Any]) -> str:
    known["limits"] = admitted(limits, shorten=True)
    return f"{limits.cores} cores, {limits.memory} MiB, {known['limits'].walltime} minutes"


def _home(settings: Settings, known: dict[str, Any]) -> str:
    from workbench.jobs.sessions import Session

    session = Session(settings)
    session.close()
    return str(settings.jobs_dir)


def _address(settings: Settings, known: dict[str, Any]) -> str:
    return settings.scheduler_host or slurm.nodes_reach()


def _started(settings: Settings, known: dict[str, Any]) -> str:
    client = on_slurm(settings, known["limits"], 2, 2, wait=0, death_timeout=15)
    known["client"] = known["stack"].enter_context(client)
    return f"{client.cluster.scheduler_address}, {settings.digest or sys.executable}"


def _to_scheduler(wait: float, known: dict[str, Any]) -> str:
    client: OwnClient = known["client"]
    if not first_worker(client, client.cluster, wait):
        raise Unavailable(
            "The workers",
            f"did not come in {wait:g} s: {waiting(client.cluster)}",
            "Give --wait more seconds, or another --partition.",
        )
    return ", ".join(_places(client))


def _to_worker(known: dict[str, Any]) -> str:
    reached(known["client"], known["client"].cluster)
    return "answers, with the same libraries"


def _between(known: dict[str, Any]) -> str:
    client: OwnClient = known["client"]
    try:
        client.wait_for_workers(2, timeout=_SECONDS)
    except TimeoutError as error:
        raise _Untried(f"only one came in {_SECONDS} s: {waiting(client.cluster)}") from error
    there = list(client.scheduler_info()["workers"])
    part = client.submit(bytes, 1000, workers=there[:1], pure=False)
    try:
        client.submit(len, part, workers=there[1:2], pure=False).result(timeout=_SECONDS)
    except TimeoutError as error:
        raise Unavailable(
            "The workers",
            f"do not reach each other ({' and '.join(there)})",
            "Let the ports of WORKBENCH_WORKER_PORTS pass between the nodes.",
        ) from error
    return " and ".join(_places(client))


def _places(client: OwnClient) -> list[str]:
    return [address.partition("://")[2] for address in client.scheduler_info()["workers"]]
