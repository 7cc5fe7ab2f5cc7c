"""Dask on SLURM: each worker a job, by dask-jobqueue, watched so that nobody waits for what will not come."""

from __future__ import annotations

import asyncio
import shlex
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

from dask_jobqueue.slurm import SLURMCluster, SLURMJob
from distributed.core import Status

from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench.jobs import launch, slurm
from workbench.jobs.dashboard import Scheduler, link
from workbench.jobs.launch import Limits
from workbench.jobs.sessions import Session, job_name
from workbench.notices import WorkbenchWarning
from workbench.settings import Settings

__all__ = ["Workers"]

_T = TypeVar("_T")

_LOOK_SECONDS = 3.0
_SETTLE_SECONDS = 10.0
"""How long after its submission a job may be unknown to the queue."""

_PATIENCE_SECONDS = 20.0
"""How long there may be no worker at all before it is said what they wait for."""

_PAUSES = (2.0, 5.0, 10.0, 20.0)
"""Before a worker that was lost is asked for again; then no more."""

_LOG_LINES = 12
_SAME = "Run both in the same image: WORKBENCH_IMAGE names it."


class _Job(SLURMJob):
    """A worker's job."""

    job_id: str
    since: float = 0.0
    """When it was submitted."""
    joined = False
    """Whether its worker has come."""
    lost: WorkbenchError | None = None
    """Why it will not come."""
    again: float = 0.0
    """When another may be asked for in its place."""

    async def start(self) -> None:
        """Submit it; what SLURM says against it is kept, for who asks."""
        self.since = monotonic()
        try:
            script = self.job_script()  # type: ignore[no-untyped-call]
            self.job_id = str(await _aside(slurm.submit, script))
        except WorkbenchError as error:
            self.job_id, self.lost = "", error
        self.status = Status.running

    async def close(self) -> None:
        """Cancel it, if it did not end by itself."""
        if self.job_id:
            with suppress(WorkbenchError):  # without its scheduler it ends by itself
                await _aside(slurm.cancel, self.job_id)
        self.status = Status.closed


class Workers(SLURMCluster):
    """The workers of one session.

    Parameters
    ----------
    session : Session
    settings : Settings
    limits : Limits
        Of each worker.
    host : str
        Address that nodes reach the scheduler at.
    port : int
        Its port; 0 is any.
    death_timeout : float
        Seconds after which a worker without a scheduler ends.
    asynchronous : bool
    """

    job_cls = _Job
    scheduler: Any
    workers: dict[str, Any]

    def __init__(
        self,
        session: Session,
        settings: Settings,
        limits: Limits,
        host: str,
        port: int = 0,
        death_timeout: float = 60,
    ) -> None:
        self.session, self.settings = session, settings
        self.limits = limits
        self.trouble: WorkbenchError | None = None
        self.given_up = False
        self._told_of = ""
        self._failures = 0
        logs = session.logs / "%j.log"
        # A worker ends by itself in time, with what it holds handed on to others.
        lifetime = max(limits.walltime * 60 - 120, limits.walltime * 30)
        variables = launch.environment(settings, limits.cores)
        super().__init__(
            name=job_name(session.name),
            job_name=job_name(session.name),
            cores=limits.cores,
            processes=1,
            memory=f"{limits.memory}MiB",
            queue=None,
            job_directives_skip=["-n ", "-t ", "--cpus-per-task", "--mem"],
            job_extra_directives=[*limits.directives, f'--output="{logs}"', "--no-requeue"],
            job_script_prologue=[f"export {name}={shlex.quote(said)}" for name, said in variables.items()],
            python="exec " + shlex.join(launch.python(settings)),
            worker_command="workbench.jobs.worker",
            worker_extra_args=[
                *("--worker-port", settings.worker_ports or "0"),
                *("--lifetime", f"{lifetime}s"),
                *("--session", shlex.quote(str(session.folder))),
            ],
            death_timeout=death_timeout,
            nanny=False,
            security=session.security,
            protocol="tls://",
            shared_temp_directory=str(session.folder),
            scheduler_cls=Scheduler,
            scheduler_options={
                "host": host,
                "port": port,
                "dashboard_address": "127.0.0.1:0",
                "folder": settings.jobs_dir / "pages",
            },
        )

    def _get_worker_security(self, security: Any) -> None:
        """Leave the keys to the worker, which finds them in its session."""

    @property
    def dashboard_link(self) -> str:
        """Where the owner sees what the cluster does."""
        return link(self.scheduler)

    async def _start(self) -> None:
        await super()._start()  # type: ignore[no-untyped-call]
        self._watching = asyncio.create_task(self._watch())

    async def _close(self) -> None:
        watching: asyncio.Task[None] | None = getattr(self, "_watching", None)
        if watching is not None:
            watching.cancel()
        await super()._close()  # type: ignore[no-untyped-call]
        self.session.close()

    async def _watch(self) -> None:
        """See which jobs will not bring a worker, and ask for others, a few times."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.session.touch()
            try:
                await self.look()
            except WorkbenchError as error:
                self._say(error)

    async def look(self) -> None:
        """Ask SLURM about the workers that are not here."""
        here = {str(worker.name) for worker in self.scheduler.workers.values()}
        for name in here & {*self.workers}:
            if not self.workers[name].joined:
                self.workers[name].joined, self._failures, self.trouble = True, 0, None
        missing: dict[str, _Job] = {name: job for name, job in self.workers.items() if name not in here}
        if not missing:
            return
        submitted = [int(job.job_id) for job in missing.values() if job.job_id]
        found = await _aside(slurm.queue, submitted) if submitted else []
        known, refused = {job.number: job for job in found}, self.session.refusals()
        if not here:
            self._say_waiting(found, min(job.since for job in missing.values()))
        for name, job in missing.items():
            if job.lost is None and job.job_id:
                job.lost = self._lost(job, known.get(int(job.job_id)), refused)
            if job.lost is not None and not job.again:
                self._count(job)
            over = job.joined and (int(job.job_id) not in known or known[int(job.job_id)].over)
            if over or (job.lost is not None and monotonic() > job.again and not self.given_up):
                # What has no job any more is asked for anew, if it is still wanted.
                self.worker_spec.pop(name, None)
                self.workers.pop(name, None)
                job.status = Status.closed  # as Dask wants to see it of each when the cluster ends

    def _lost(
        self, job: _Job, queued: slurm.Queued | None, refused: Mapping[int, str]
    ) -> WorkbenchError | None:
        """Return why a job brings no worker, or None while it may."""
        number, what = int(job.job_id), f"Worker {job.job_id}"
        if job.joined or (queued is None and monotonic() - job.since < _SETTLE_SECONDS):
            return None
        if number in refused:
            return InvalidSetting(what, f"has other libraries: {refused[number]}", _SAME)
        if queued is not None and not queued.over:
            if queued.state == "PENDING" and not queued.reason.passes:
                self._say(queued.reason.error(what))
            return None
        how = queued.state.lower().replace("_", " ") if queued else "forgotten by SLURM"
        return Unavailable(
            what,
            f"ended before it reached the scheduler at {self.scheduler.address} ({how}): {self._log(number)}",
            "`workbench doctor cluster` tries the way in both directions.",
        )

    def _count(self, job: _Job) -> None:
        assert job.lost is not None
        self._say(job.lost)
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        job.again = monotonic() + pause
        if self._failures > len(_PAUSES) or isinstance(job.lost, InvalidSetting):
            self._give_up()

    def _give_up(self) -> None:
        """Ask for no more workers; what waits for one fails, instead of waiting for ever."""
        self.given_up = True
        if self._adaptive is not None:
            self._adaptive.stop()
        self.scheduler.no_workers_timeout = 1.0

    def _say_waiting(self, queued: list[slurm.Queued], since: float) -> None:
        """Say once what the first worker waits for: work that is sent shows nothing until it comes."""
        waiting = sorted({job.reason.said for job in queued if job.state == "PENDING" and job.reason.passes})
        told = "; ".join(waiting)
        if told and told != self._told_of and monotonic() - since > _PATIENCE_SECONDS:
            self._told_of = told
            _warn(
                f"The cluster has no worker yet: {told}. Work begins when one comes; `squeue` shows its job."
            )

    def _say(self, error: WorkbenchError) -> None:
        if self.trouble is None or str(self.trouble) != str(error):
            self.trouble = error
            _warn(str(error))

    def _log(self, number: int) -> str:
        path = self.session.logs / f"{number}.log"
        try:
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            return "it wrote nothing"
        return "\n".join(lines[-_LOG_LINES:]) or "it wrote nothing"


def _warn(text: str) -> None:
    with suppress(WorkbenchWarning):  # where warnings are errors, watching goes on
        warnings.warn(text, WorkbenchWarning, stacklevel=3)


async def _aside(function: Callable[..., _T], *arguments: Any) -> _T:
    """Call a function that takes its time without holding up the scheduler."""
    try:
        return await asyncio.to_thread(function, *arguments)
    except WorkbenchError:
        raise
    except RuntimeError:
        # When a notebook ends without a word there are no more threads, and no more work either.
        return function(*arguments)
