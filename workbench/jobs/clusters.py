"""A Dask cluster of one's own, on what is there: the cores of this machine, or SLURM's nodes."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from time import monotonic
from typing import Any, Literal

import distributed
from dask.typing import no_default

from workbench.errors import InvalidSetting, Unavailable
from workbench.jobs import slurm
from workbench.jobs.admission import admitted
from workbench.jobs.launch import Limits
from workbench.jobs.local import local
from workbench.jobs.sessions import Session
from workbench.jobs.workers import Workers
from workbench.notices import notice
from workbench.settings import Settings

__all__ = ["Kind", "OwnClient", "check", "cluster", "first_worker", "on_slurm", "reached", "waiting"]

Kind = Literal["auto", "local", "slurm"]

_MAXIMUM = 8
"""Workers at most where nobody says how many."""

_ANSWER_SECONDS = 10


class OwnClient(distributed.Client):
    """A client of a cluster that is its own, and ends with it."""

    cluster: Any

    def __init__(self, cluster: Any) -> None:
        # Lazy arrays are computed on it, as with any client that is made in a notebook.
        super().__init__(cluster)  # type: ignore[no-untyped-call]

    def close(self, timeout: Any = no_default) -> Any:
        """Leave the cluster, and end it."""
        cluster = self.cluster
        closed = super().close(timeout)  # type: ignore[no-untyped-call]
        if cluster is not None:
            with suppress(TimeoutError):
                cluster.close()
        return closed


def cluster(
    workers: int | None = None,
    kind: Kind = "auto",
    *,
    minimum: int | None = None,
    maximum: int | None = None,
    cores: int = 1,
    memory: str | int | None = None,
    walltime: str | int | None = None,
    partition: str | None = None,
    account: str | None = None,
    wait: float = 60,
    death_timeout: float = 60,
    settings: Settings | None = None,
) -> OwnClient:
    """Start a Dask cluster of one's own, and return a client of it.

    On SLURM each worker is a job, in the image of this notebook where it has
    one.  Scheduler, workers and client show each other a certificate that only
    this cluster has.  Its keys lie in one's home, which the nodes have to have
    too.

    Parameters
    ----------
    workers : int, optional
        How many; one that is lost is replaced.  By default as many as there is
        work for, between `minimum` and `maximum`.
    kind : {"auto", "local", "slurm"}
        ``auto`` is SLURM where its commands are, and else this machine.
    minimum, maximum : int, optional
        Of workers; by default from 0 to 8 on SLURM, and one a core here.
    cores : int
        Of each worker.
    memory : str, optional
        Of each worker, as ``"4 GiB"``; by default 2 GiB on SLURM.
    walltime : str, optional
        Of each worker's job, as ``"2h"``; by default an hour, or what the
        partition gives.  A worker whose time is over is replaced.
    partition, account : str, optional
        By default those of the settings, or SLURM's own.
    wait : float
        Longest time to wait for the first worker, seconds.  If by then none has
        come that is on its way, a notice says what it waits for.
    death_timeout : float
        Seconds after which a worker without a scheduler ends.
    settings : Settings, optional
        Read from the environment if needed.

    Raises
    ------
    InvalidSetting
        If SLURM does not take such jobs, or workers have other libraries.
    Unavailable
        If SLURM does not answer, or workers cannot be reached: it says why.

    Examples
    --------
    >>> with cluster(1, kind="local") as client:
    ...     client.submit(sum, [1, 2]).result()
    3
    """
    rules = settings or Settings()
    least, most = _bounds(workers, minimum, maximum)
    if kind == "local" or (kind == "auto" and not slurm.here()):
        if most is None:
            least, most = least or rules.workers, max(least, rules.workers)
        return OwnClient(local(rules, least, most, cores, memory))
    if kind not in ("auto", "slurm"):
        raise InvalidSetting(f"kind = {kind!r}", "is no kind of cluster", "There are: auto, local, slurm.")
    most = most if most is not None else max(least, _MAXIMUM)
    limits = Limits.of(rules, cores, memory, walltime, partition, account)
    return on_slurm(rules, admitted(limits, shorten=walltime is None), least, most, wait, death_timeout)


def check(client: distributed.Client) -> None:
    """Raise what keeps the workers of a client from coming, if it is known.

    Raises
    ------
    WorkbenchError
    """
    trouble = getattr(client.cluster, "trouble", None)
    if trouble is not None:
        raise trouble


def on_slurm(
    settings: Settings, limits: Limits, minimum: int, maximum: int, wait: float, death_timeout: float
) -> OwnClient:
    """Start a cluster whose workers are jobs."""
    host = settings.scheduler_host or slurm.nodes_reach()
    port = _port(settings.scheduler_ports, host)
    session = Session(settings)
    try:
        workers = Workers(session, settings, limits, host, port, death_timeout)
    except BaseException:
        session.close()
        raise
    client = None
    try:
        client = OwnClient(workers)
        # A worker that is lost is replaced, where many are wanted as well as where few are.
        workers.adapt(minimum=minimum, maximum=maximum)
        if minimum and wait > 0:
            if first_worker(client, workers, wait):
                reached(client, workers)
            else:
                notice(
                    "The cluster",
                    f"has no worker after {wait:g} s: {waiting(workers)}",
                    "Work that is sent begins when one comes.",
                    loss=False,
                )
    except BaseException:
        (client or workers).close()
        raise
    return client


def _bounds(workers: int | None, minimum: int | None, maximum: int | None) -> tuple[int, int | None]:
    if workers is not None and (minimum is not None or maximum is not None):
        raise InvalidSetting("workers", "is said together with minimum or maximum", "Say one or the other.")
    if workers is not None:
        minimum = maximum = workers
    least = minimum or 0
    if least < 0 or (maximum is not None and (maximum < 1 or maximum < least)):
        raise InvalidSetting(
            f"{least} to {maximum} workers", "is no range", "At least one has to be allowed."
        )
    return least, maximum


def first_worker(client: OwnClient, workers: Workers, seconds: float) -> bool:
    """Wait for the first worker; return whether it came.

    Raises
    ------
    WorkbenchError
        If none will come, with the reason.
    """
    end = monotonic() + seconds
    while not client.scheduler_info()["workers"]:
        asked = list(workers.workers.values())
        if workers.trouble is not None and (workers.given_up or (asked and all(job.lost for job in asked))):
            raise workers.trouble
        queued = _queued(workers)
        held = [job for job in queued if job.state == "PENDING" and not job.reason.passes]
        if held and len(held) == len(queued):
            raise held[0].reason.error(f"Worker {held[0].number}")
        if monotonic() > end:
            if workers.trouble is not None:
                raise workers.trouble
            return False
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=1)
    return True


def waiting(workers: Workers) -> str:
    """Return what the workers wait for that are not here yet."""
    reasons = {job.reason.said for job in _queued(workers) if job.state == "PENDING"}
    return "; ".join(sorted(reasons)) or "they are starting"


def _queued(workers: Workers) -> list[slurm.Queued]:
    return [job for job in slurm.queue(name=workers.job_name) if not job.over]


def reached(client: OwnClient, workers: Workers) -> None:
    """See that the scheduler reaches the workers: they have reached it.

    Raises
    ------
    Unavailable
        If it does not.
    """
    there = list(client.scheduler_info()["workers"])[:1]
    try:
        client.sync(  # type: ignore[no-untyped-call]
            client._run, os.getpid, workers=there, callback_timeout=_ANSWER_SECONDS
        )
    except (TimeoutError, OSError) as error:
        raise Unavailable(
            f"The worker at {there[0]}",
            "has reached the scheduler, and is not reached by it: something between blocks its port",
            f"Let the ports {workers.settings.worker_ports} of the nodes pass; `workbench doctor cluster` "
            "tries both directions.",
        ) from error


def _port(text: str, host: str) -> int:
    """Return a free port of a range at an address of ours; 0 for any.

    Raises
    ------
    InvalidSetting
        If the address is not ours.
    Unavailable
        If none is free.
    """
    first, _, last = (text or "0").partition(":")
    for port in range(int(first), int(last or first) + 1):
        try:
            with socket.create_server((host, port), family=_family(host)):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise InvalidSetting(
                    f"The scheduler cannot listen at {host}",
                    str(error.strerror),
                    "WORKBENCH_SCHEDULER_HOST names an address of this machine or container.",
                ) from error
    raise Unavailable(
        f"Ports {text}", f"are all taken at {host}", "Close a cluster, or widen WORKBENCH_SCHEDULER_PORTS."
    )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
