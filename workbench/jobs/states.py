"""How batch jobs are: what they wrote themselves, and what SLURM knows that they could not write."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from workbench.errors import WorkbenchError
from workbench.jobs import background, slurm
from workbench.jobs.records import Record, State, now
from workbench.jobs.submissions import Run, Submission

__all__ = ["Queue", "look", "resolve"]

_SETTLE_SECONDS = 60.0
"""How long after it was sent SLURM may not know a job."""

_ENDS: dict[str, tuple[State, int, str, str]] = {
    "TIMEOUT": (
        "timeout",
        5,
        "was ended: it took longer than its {minutes} minutes",
        "Retry it with a longer walltime=, or ask for less data.",
    ),
    "DEADLINE": ("timeout", 5, "was ended at its deadline", "Retry it."),
    "OUT_OF_MEMORY": (
        "out-of-memory",
        5,
        "was ended: it needed more than its {memory} MiB",
        "Retry it with more memory=, or ask for fewer channels or a shorter span.",
    ),
    "CANCELLED": ("cancelled", 130, "was cancelled", "Retry it if it is wanted."),
    "PREEMPTED": ("cancelled", 130, "had to make room for another job", "Retry it."),
    "NODE_FAIL": ("failed", 1, "was lost with its node", "Retry it."),
    "BOOT_FAIL": ("failed", 1, "was lost: its node did not start", "Retry it."),
}


@dataclass
class Queue:
    """What SLURM knows about some jobs.

    Attributes
    ----------
    jobs : dict
        By number of the job or array, and index; None is for a job that is no array.
    accounts : dict of str to str
        State of what the queue has forgotten and the accounting has not.
    error : WorkbenchError or None
        Why it is not known.
    """

    jobs: dict[tuple[int, int | None], slurm.Queued] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    error: WorkbenchError | None = None

    def find(self, run: Run, index: int) -> slurm.Queued | None:
        """Return a job, if it is in the queue or ended a short while ago."""
        return self.jobs.get((run.number, None if run.alone else index - run.offset))


def look(submissions: Iterable[Submission]) -> Queue:
    """Ask SLURM once about all that some submissions have sent and that may not have ended."""
    wanted = {
        run.number: run
        for one in submissions
        if one.where == "slurm"
        for run in one.runs
        if run.number and not all(_known(one, index) for index in run.indices)
    }
    if not wanted:
        return Queue()
    try:
        found = slurm.queue(wanted)
        queue = Queue({(job.array, job.index): job for job in found})
        gone = set(wanted) - {job.array for job in found}
        queue.accounts = slurm.accounts(gone) if gone else {}
    except WorkbenchError as error:
        return Queue(error=error)
    return queue


def resolve(submission: Submission, index: int, queue: Queue) -> Record:
    """Return how a job is."""
    path = submission.state(index)
    record = Record.read(path)
    if record.over and record.sure:
        return record
    if submission.where == "local":
        return record if record.over else _here(submission, index, record)
    run = submission.run_of(index)
    if queue.error is not None:
        return record.but(doing=f"SLURM does not say: {queue.error}") if not record.over else record
    if run is None or not run.number:
        return record.but(doing="was not sent")
    queued = queue.find(run, index)
    if queued is not None and not queued.over:
        return _waiting(record, queued)
    state = queued.state if queued is not None else queue.accounts.get(run.slurm(index), "")
    # It may have written its last word while we asked.
    record = Record.read(path)
    if record.over and (record.sure or not state):
        return record
    if not state:
        return record if _recent(record, run) else _lost(record)
    ended = _ended(submission, index, run, record, state)
    with suppress(OSError):
        ended.write(path)
    return ended


def _known(submission: Submission, index: int) -> bool:
    record = Record.read(submission.state(index))
    return record.over and record.sure


def _waiting(record: Record, queued: slurm.Queued) -> Record:
    if queued.state == "PENDING":
        reason = queued.reason
        words = reason.said
        if not reason.passes:
            return record.but(state="pending", subject="The job", problem=words, remedy=reason.remedy)
        return record.but(state="pending", doing=words)
    if record.over:
        return record
    return record.but(state="running", node=record.node or queued.node)


def _ended(submission: Submission, index: int, run: Run, record: Record, state: str) -> Record:
    """Return the record of a job that could not write it itself."""
    limits = submission.limits
    when = record.ended or now()
    if state in _ENDS:
        end, code, words, remedy = _ENDS[state]
        problem = words.format(minutes=limits.walltime, memory=limits.memory)
        if state in ("NODE_FAIL", "BOOT_FAIL") and record.node:
            problem = f"{problem} {record.node}"
        return record.but(
            state=end,
            exit_code=code,
            ended=when,
            subject="The job",
            problem=problem,
            remedy=remedy,
            sure=True,
        )
    if state == "COMPLETED" and (submission.to(index) / "provenance.json").is_file():
        return record.but(state="done", exit_code=0, ended=when, fraction=1.0, doing="", sure=True)
    code = slurm.exit_code(run.slurm(index)) or 1
    said = _last_words(submission, index, run)
    return record.but(
        state="failed",
        exit_code=code if code < 128 else 1,
        ended=when,
        subject="The job",
        problem=said or "ended without a word",
        remedy="Its log may say more.",
        sure=True,
    )


def _last_words(submission: Submission, index: int, run: Run) -> str:
    for path in (submission.folder / "logs" / f"slurm-{run.slurm(index)}.log", submission.log(index)):
        with suppress(OSError):
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                return lines[-1].strip()
    return ""


def _here(submission: Submission, index: int, record: Record) -> Record:
    """Return how a job of this machine is: whether the process that looks after it is there."""
    alive = background.alive(submission)
    if alive or (alive is None and not (record.state == "running" and record.silent)):
        return record
    record = Record.read(submission.state(index))
    if record.over:
        return record
    began = record.state == "running"
    ended = record.but(
        state="failed",
        exit_code=1,
        ended=now(),
        subject="The job",
        problem="its process has ended without a word: it was killed, or the machine was started anew"
        if began
        else "never began: the process that was to begin it is gone",
        remedy="Retry it.",
    )
    if alive is False:
        with suppress(OSError):
            ended.write(submission.state(index))
    return ended


def _recent(record: Record, run: Run) -> bool:
    """Whether nobody need wonder yet that SLURM does not know a job."""
    if record.state == "running":
        return not record.silent
    sent = datetime.fromisoformat(run.sent)
    return (datetime.now(UTC) - sent).total_seconds() < _SETTLE_SECONDS


def _lost(record: Record) -> Record:
    words = (
        "has given no sign of life, and SLURM does not know it any more: it was killed, or its node was lost"
        if record.state == "running"
        else "never began, and SLURM does not know it any more"
    )
    return record.but(state="failed", exit_code=1, subject="The job", problem=words, remedy="Retry it.")
