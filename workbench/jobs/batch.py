"""Batch: Calls that are worked off without the notebook that sends them.

::

    job = wb.submit(call, to="results/first")   # or: workbench submit CALL.json -o results/first
    job.state, job.log(), job.result().value
    wb.jobs()                                   # all of them, also from another notebook
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.calls import Call
from workbench.errors import InvalidSetting
from workbench.jobs import slurm
from workbench.jobs.admission import admitted
from workbench.jobs.batchjob import BatchJob, BatchJobs
from workbench.jobs.clusters import Kind
from workbench.jobs.launch import Limits
from workbench.jobs.records import Record
from workbench.jobs.sending import send
from workbench.jobs.submissions import Submission
from workbench.settings import Settings

__all__ = ["jobs", "submit"]

Asked = Call | Mapping[str, Any] | str | Path

_LONG = 30 * 24 * 60
"""Minutes that a job of this machine may take where nobody says how long."""


def submit(
    calls: Asked | Sequence[Asked],
    to: str | Path | None = None,
    kind: Kind = "auto",
    *,
    cores: int | None = None,
    memory: str | int | None = None,
    walltime: str | int | None = None,
    partition: str | None = None,
    account: str | None = None,
    reuse: bool = True,
    settings: Settings | None = None,
) -> Any:
    """Submit a Call, or many as an array.

    The job is worked off by SLURM, or by processes of this machine that outlive
    the notebook; what it writes is what ``workbench run CALL.json -o FOLDER``
    writes.

    Parameters
    ----------
    calls : Call, mapping, path of a Call file, or a sequence of these
    to : path, optional
        Folder for the results; for several Calls a folder with a folder for
        each.  By default in the job's own folder.
    kind : {"auto", "local", "slurm"}
        ``auto`` is SLURM where its commands are, and else this machine.
    cores, memory, walltime, partition, account
        What each job may use, as for `workbench.cluster`; on this machine by
        default all of it.
    reuse : bool
        Whether the results of an equal run, that has finished or is under way,
        are taken instead of computing them again.
    settings : Settings, optional
        Read from the environment if needed.

    Returns
    -------
    BatchJob, or BatchJobs for a sequence

    Raises
    ------
    WorkbenchError
        If a Call is wrong, or SLURM does not take it: it says why.
    """
    rules = settings or Settings()
    many = isinstance(calls, Sequence) and not isinstance(calls, str)
    asked = [_call(one) for one in (calls if many else [calls])]  # type: ignore[union-attr]
    if not asked:
        raise InvalidSetting("submit", "is given no Call", "Give at least one.")
    limits = Limits.of(rules, cores, memory, walltime, partition, account)
    if kind == "slurm" or (kind == "auto" and slurm.here()):
        limits = admitted(limits, shorten=walltime is None)
        where: Any = "slurm"
    elif kind in ("auto", "local"):
        where = "local"
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limits = limits.changed(memory=memory or whole, walltime=walltime or f"{_LONG}m")
    else:
        raise InvalidSetting(f"kind = {kind!r}", "is no kind of batch", "There are: auto, local, slurm.")
    target = Path(to).expanduser().absolute() if to is not None else None
    submission = Submission.create(rules, asked, where, limits, target, many=many, reuse=reuse)
    indices = range(len(asked))
    try:
        send(submission, indices, rules, _equal(submission, rules) if reuse and not many else ())
    except BaseException:
        # What is not under way is no job.
        if not any(run.number for run in submission.runs) and where == "slurm":
            shutil.rmtree(submission.folder, ignore_errors=True)
        raise
    found = BatchJobs([BatchJob(submission, index, rules) for index in indices])
    return found if many else found[0]


def jobs(job: str = "", settings: Settings | None = None) -> BatchJobs:
    """Return one's own jobs, the newest first.

    Parameters
    ----------
    job : str, optional
        Only that of this id, or those whose id begins with it.
    settings : Settings, optional

    Raises
    ------
    InvalidSetting
        If there is none of that id.
    """
    rules = settings or Settings()
    found = [
        BatchJob(one, index, rules)
        for one in Submission.all(rules)
        for index in range(len(one))
        if not job or one.id.startswith(job.partition("/")[0])
    ]
    if job:
        found = [one for one in found if one.id == job or "/" not in job]
        if not found:
            raise InvalidSetting(f"Job {job}", "is not one of yours", "`workbench jobs` lists them.")
    return BatchJobs(found)


def _call(given: Any) -> Call:
    """Return a Call whose paths hold wherever it is run."""
    base = Path.cwd()
    if isinstance(given, str | Path):
        base = Path(given).absolute().parent
        call = Call.load(Path(given))
    else:
        call = given if isinstance(given, Call) else Call.of(given)

    def absolute(value: Any) -> Any:
        if isinstance(value, list):
            return [absolute(item) for item in value]
        if isinstance(value, dict) and isinstance(value.get("path"), str):
            return {**value, "path": str(base / Path(value["path"]).expanduser())}
        return value

    return call.model_copy(update={"inputs": {name: absolute(value) for name, value in call.inputs.items()}})


def _equal(submission: Submission, settings: Settings) -> list[int]:
    """Return the job of SLURM that is at work on the same Call: after it the results are there."""
    if submission.where != "slurm":
        return []
    mine = submission.call(0).canonical()
    for other in Submission.all(settings):
        run = other.run_of(0)
        if other.id == submission.id or len(other) > 1 or run is None or not run.number:
            continue
        if Record.read(other.state(0)).state == "running" and other.call(0).canonical() == mine:
            return [run.number]
    return []
