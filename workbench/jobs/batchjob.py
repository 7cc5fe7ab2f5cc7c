"""Batch jobs as a notebook has them: how they are, what they said, what came out."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import overload

from workbench.calls import Call, Result
from workbench.errors import (
    BadInput,
    InvalidSetting,
    NoData,
    ResourceExceeded,
    Unavailable,
    WorkbenchError,
)
from workbench.jobs import slurm, states
from workbench.jobs.admission import admitted
from workbench.jobs.outcome import read_results
from workbench.jobs.records import OVER, Record, State, now
from workbench.jobs.sending import send
from workbench.jobs.submissions import Submission
from workbench.settings import Settings

__all__ = ["BatchJob", "BatchJobs"]

_POLL_SECONDS = 0.5
_ASK_SECONDS = 3.0
_KINDS: dict[int, type[WorkbenchError]] = {2: InvalidSetting, 3: NoData, 4: BadInput, 5: ResourceExceeded}


class BatchJob:
    """One Call that was submitted.

    Parameters
    ----------
    submission : Submission
    index : int
        Of the Call in it.
    settings : Settings
    """

    def __init__(self, submission: Submission, index: int, settings: Settings) -> None:
        self.submission, self.index, self.settings = submission, index, settings

    @property
    def id(self) -> str:
        """Its name: ``workbench jobs`` and another notebook know it by that."""
        return f"{self.submission.id}/{self.index}" if self.submission.about["many"] else self.submission.id

    @property
    def call(self) -> Call:
        """What was asked."""
        return self.submission.call(self.index)

    @property
    def to(self) -> Path:
        """The folder of its results."""
        return self.submission.to(self.index)

    @property
    def status(self) -> Record:
        """How it is now, with all that is known about it."""
        return states.resolve(self.submission, self.index, states.look([self.submission]))

    @property
    def state(self) -> State:
        """One of pending, running, done, failed, cancelled, timeout, out-of-memory."""
        return self.status.state

    @property
    def error(self) -> WorkbenchError | None:
        """What went wrong, or what keeps it from beginning."""
        return _error(self.status)

    def log(self, lines: int = 40) -> str:
        """Return the newest lines of what it said."""
        run = self.submission.run_of(self.index)
        paths = [self.submission.log(self.index)]
        if run is not None and run.number:
            paths.append(self.submission.folder / "logs" / f"slurm-{run.slurm(self.index)}.log")
        text: list[str] = []
        for path in paths:
            with suppress(OSError):
                text += path.read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:])

    def wait(self, seconds: float | None = None) -> BatchJob:
        """Wait until it has ended.

        Raises
        ------
        Unavailable
            If it has not in that time.
        """
        BatchJobs([self]).wait(seconds)
        return self

    def result(self, seconds: float | None = None) -> Result:
        """Wait for the result and return it.

        Raises
        ------
        WorkbenchError
            What went wrong, as the Call would have raised it here.
        Unavailable
            If it has not ended in that time.
        """
        ended = self.wait(seconds).status
        if error := _error(ended):
            raise error
        return read_results(self.to)

    def cancel(self) -> BatchJob:
        """End it, also if it waits; one that has ended stays as it is."""
        BatchJobs([self]).cancel()
        return self

    def retry(
        self,
        *,
        cores: int | None = None,
        memory: str | int | None = None,
        walltime: str | int | None = None,
        partition: str | None = None,
        account: str | None = None,
    ) -> BatchJob:
        """Send it again, with other limits if some are said.

        Raises
        ------
        InvalidSetting
            If it has not ended, or is done.
        """
        if self.state not in OVER - {"done"}:
            raise InvalidSetting(f"Job {self.id}", f"is {self.state}", "What failed or was ended is retried.")
        BatchJobs([self]).retry(
            cores=cores, memory=memory, walltime=walltime, partition=partition, account=account
        )
        return self

    def remove(self) -> None:
        """Forget it, and remove what it wrote into its own folder.

        Raises
        ------
        InvalidSetting
            If something of what was submitted together has not ended.
        """
        if not all(one.state in OVER for one in _all(self.submission, self.settings)):
            raise InvalidSetting(f"Job {self.submission.id}", "has not ended", "Cancel it first.")
        shutil.rmtree(self.submission.folder)

    def __repr__(self) -> str:
        return _line(self, self.status)


class BatchJobs(Sequence[BatchJob]):
    """Several jobs: as a sequence, and as a table where they are shown."""

    def __init__(self, jobs: Sequence[BatchJob]) -> None:
        self._jobs = list(jobs)

    def __len__(self) -> int:
        return len(self._jobs)

    @overload
    def __getitem__(self, index: int) -> BatchJob: ...
    @overload
    def __getitem__(self, index: slice) -> BatchJobs: ...
    def __getitem__(self, index: int | slice) -> BatchJob | BatchJobs:
        """Return one, or some."""
        return BatchJobs(self._jobs[index]) if isinstance(index, slice) else self._jobs[index]

    @property
    def statuses(self) -> list[Record]:
        """How each is, asked for together."""
        queue = states.look(self._submissions().values())
        return [states.resolve(job.submission, job.index, queue) for job in self._jobs]

    @property
    def states(self) -> dict[State, int]:
        """How many are in each state."""
        return dict(Counter(status.state for status in self.statuses))

    def wait(self, seconds: float | None = None) -> BatchJobs:
        """Wait until all have ended.

        Raises
        ------
        Unavailable
            If they have not in that time.
        """
        end = None if seconds is None else time.monotonic() + seconds
        asked = 0.0
        while True:
            # Their own words cost nothing; SLURM's do.
            own = [Record.read(job.submission.state(job.index)) for job in self._jobs]
            if all(one.over and one.sure for one in own):
                return self
            if time.monotonic() - asked > _ASK_SECONDS:
                asked, found = time.monotonic(), self.statuses
                if all(one.over for one in found):
                    return self
            if end is not None and time.monotonic() > end:
                counts = ", ".join(f"{number} {state}" for state, number in self.states.items())
                raise Unavailable(
                    self._named, f"did not end in {seconds:g} s: {counts}", "Wait longer, or see its log()."
                )
            time.sleep(_POLL_SECONDS)

    def results(self, seconds: float | None = None) -> list[Result]:
        """Wait for all and return what came out; the first error is raised."""
        self.wait(seconds)
        return [job.result() for job in self._jobs]

    def cancel(self) -> BatchJobs:
        """End all that have not ended."""
        waiting = [job for job, one in zip(self._jobs, self.statuses, strict=True) if one.state not in OVER]
        for job in waiting:
            job.submission.wish(job.index).touch()
        numbers = []
        for job in waiting:
            run = job.submission.run_of(job.index)
            if run is not None and run.number:
                numbers.append(run.slurm(job.index))
        slurm.cancel(*numbers)
        for job in waiting:
            # What never begins cannot write it down itself.
            path = job.submission.state(job.index)
            if job.submission.where == "slurm" and Record.read(path).state == "pending":
                Record.read(path).but(
                    state="cancelled",
                    exit_code=130,
                    ended=now(),
                    subject="The job",
                    problem="was cancelled before it began",
                ).write(path)
        return self

    def retry(
        self,
        *,
        cores: int | None = None,
        memory: str | int | None = None,
        walltime: str | int | None = None,
        partition: str | None = None,
        account: str | None = None,
    ) -> BatchJobs:
        """Send again what failed or was ended, with other limits if some are said."""
        ended = OVER - {"done"}
        again = [job for job, one in zip(self._jobs, self.statuses, strict=True) if one.state in ended]
        for submission in BatchJobs(again)._submissions().values():
            limits = submission.limits.changed(cores, memory, walltime, partition, account)
            if submission.where == "slurm":
                limits = admitted(limits)
            submission.about["limits"] = {name: getattr(limits, name) for name in limits.__slots__}
            indices = [job.index for job in again if job.submission.folder == submission.folder]
            for index in indices:
                submission.wish(index).unlink(missing_ok=True)
                before = Record.read(submission.state(index))
                Record(attempt=before.attempt).write(submission.state(index))
            settings = next(job.settings for job in again if job.submission.folder == submission.folder)
            send(submission, indices, settings)
        return self

    def _submissions(self) -> dict[Path, Submission]:
        found: dict[Path, Submission] = {}
        for job in self._jobs:
            # Those that were submitted together know the same.
            job.submission = found.setdefault(job.submission.folder, job.submission)
        return found

    @property
    def _named(self) -> str:
        return f"Job {self._jobs[0].id}" if len(self) == 1 else f"{len(self)} jobs"

    def _rows(self) -> Iterator[list[str]]:
        for job, status in zip(self._jobs, self.statuses, strict=True):
            yield _row(job, status)

    def __repr__(self) -> str:
        if not self._jobs:
            return "no jobs"
        rows = [_HEAD, *self._rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        def line(cells: list[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        return f"<table>{line(_HEAD, 'th')}{''.join(line(row, 'td') for row in self._rows())}</table>"


_HEAD = ["job", "process", "state", "where", "since", "what"]


def _row(job: BatchJob, status: Record) -> list[str]:
    return [
        job.id,
        job.call.process,
        status.state,
        " ".join(filter(None, (status.node, status.slurm))),
        status.ended or status.started or str(job.submission.about["created"]),
        _said(status),
    ]


def _line(job: BatchJob, status: Record) -> str:
    said = _said(status)
    return f"job {job.id} ({job.call.process}): {status.state}" + (f", {said}" if said else "")


def _said(status: Record) -> str:
    error = _error(status)
    if error is not None:
        return str(error)
    if status.state == "running" and status.fraction:
        return f"{status.fraction:.0%} {status.doing}".strip()
    return f"taken from {status.reused}" if status.reused else status.doing


def _error(status: Record) -> WorkbenchError | None:
    if not status.problem or status.state == "done":
        return None
    kind = _KINDS.get(status.exit_code or 1, Unavailable if status.state == "pending" else WorkbenchError)
    return kind(status.subject, status.problem, status.remedy)


def _all(submission: Submission, settings: Settings) -> BatchJobs:
    return BatchJobs([BatchJob(submission, index, settings) for index in range(len(submission))])
