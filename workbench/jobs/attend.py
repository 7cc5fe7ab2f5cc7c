"""The inside of a batch job: ``python -m workbench.jobs.attend FOLDER``.

One process works the Call off; this one looks after it, and writes down how it
is, so that whatever ends the other is told in words.  It holds nothing but
that, and is the last that a lack of memory hits.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from workbench.jobs import memory
from workbench.jobs.identity import boot, here, started
from workbench.jobs.records import Record, State, now
from workbench.jobs.submissions import Submission

__all__ = ["attend", "main"]

CHILD = "workbench.cli.attended"
"""The module that works a Call off: a surface, which knows the exit codes."""

_TICK = 0.5
_SIGN_SECONDS = 30.0
_PROGRESS_SECONDS = 2.0
_GRACE = 2.0
_NEAR_END = 90
"""SLURM looks at times once a minute: a job that is told to end so shortly before its limit is over it."""


class _Watch:
    """Looks after one process until it has ended."""

    def __init__(
        self, submission: Submission, index: int, *, limit: bool, stop: Callable[[], bool], log: Path | None
    ) -> None:
        self.submission, self.index, self.stop, self.log = submission, index, stop, log
        self.path = submission.state(index)
        self.limits = submission.limits
        # SLURM ends what is beyond its limits itself; on this machine nobody else does.
        self.limit = limit
        earlier = Record.read(self.path)
        self.record = Record(
            state="running",
            attempt=earlier.attempt + 1,
            node=os.environ.get("SLURMD_NODENAME", "") or here(),
            slurm=_number(),
            pid=os.getpid(),
            began=started(os.getpid()),
            boot=boot(),
            started=now(),
        )
        self.begun = time.monotonic()
        self.written = 0.0
        self.heard = False
        """Whether something was said since."""
        self.ended_by: State | None = None

    def write(self, **changes: Any) -> None:
        self.record = self.record.but(**changes)
        # A folder that cannot be written to must not cost the work itself.
        with suppress(OSError):
            self.record.write(self.path)
        self.written, self.heard = time.monotonic(), False

    def run(self) -> Record:
        self.write()
        read, write = os.pipe()
        before = memory.kills()
        words = [sys.executable, "-m", CHILD, str(self.submission.folder), str(self.index), str(write)]
        with (
            self.log.open("ab") if self.log is not None else nullcontext(None) as log,
            subprocess.Popen(
                words,
                pass_fds=[write],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            ) as child,
        ):
            os.close(write)
            with os.fdopen(read, "rb", buffering=0) as line:
                self._follow(child, line)
            code = child.wait()
        self._finish(code, killed=memory.kills() > before)
        return self.record

    def _follow(self, child: subprocess.Popen[bytes], line: Any) -> None:
        """Take what the process says until it has ended."""
        text = b""
        while True:
            ready, _, _ = select.select([line], [], [], _TICK)
            if ready:
                data = line.read(65536)
                text += data
                *said, text = text.split(b"\n")
                for one in said:
                    self._hear(json.loads(one))
                if not data:
                    return
            self._look(child)

    def _look(self, child: subprocess.Popen[bytes]) -> None:
        used = memory.used(child.pid)
        if used > self.record.memory:
            self.record = self.record.but(memory=used)
        if self.stop() or self.submission.wish(self.index).exists():
            self._end(child, self._why())
        elif self.limit and time.monotonic() - self.begun > self.limits.walltime * 60:
            self._end(child, "timeout")
        elif self.limit and used > self.limits.memory * 2**20:
            self._end(child, "out-of-memory")
        # What was said last is written down too, where nothing follows it for long.
        if time.monotonic() - self.written > (_PROGRESS_SECONDS if self.heard else _SIGN_SECONDS):
            self.write()

    def _hear(self, said: dict[str, Any]) -> None:
        self.record, self.heard = self.record.but(**said), True

    def _why(self) -> State:
        if self.submission.wish(self.index).exists():
            return "cancelled"
        late = time.monotonic() - self.begun > self.limits.walltime * 60 - _NEAR_END
        return "timeout" if late else "cancelled"

    def _end(self, child: subprocess.Popen[bytes], state: State) -> None:
        """End the process and all that it started; what it was ended for is written first."""
        if self.ended_by is not None:
            return
        self.ended_by = state
        # Why SLURM ends a job it says to others, not to the job.
        sure = self.limit or self.submission.wish(self.index).exists()
        self.write(state=state, ended=now(), exit_code=_CODES[state], sure=sure, **self._words(state))
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
                return

    def _finish(self, code: int, *, killed: bool) -> None:
        if self.ended_by is not None:
            return
        if code == 0:
            self.write(state="done", exit_code=0, ended=now(), fraction=1.0, doing="")
        elif killed or (code == -signal.SIGKILL and self._full()):
            self.write(state="out-of-memory", exit_code=5, ended=now(), **self._words("out-of-memory"))
        else:
            words = self.record.problem or f"its process was lost: it ended with {_how(code)}"
            self.write(
                state="failed",
                exit_code=code if 0 < code < 128 else 1,
                ended=now(),
                problem=words,
                subject=self.record.subject or "The job",
                remedy=self.record.remedy or ("" if self.record.problem else "Its log may say more."),
            )

    def _words(self, state: State) -> dict[str, str]:
        known = _ENDED[state]
        words = known["problem"].format(minutes=self.limits.walltime, memory=self.limits.memory)
        return {**known, "problem": words}

    def _full(self) -> bool:
        return self.record.memory > 0.8 * self.limits.memory * 2**20


_ENDED: dict[str, dict[str, str]] = {
    "timeout": {
        "subject": "The job",
        "problem": "was ended: it took longer than its {minutes} minutes",
        "remedy": "Retry it with a longer walltime=, or ask for less data.",
    },
    "out-of-memory": {
        "subject": "The job",
        "problem": "was ended: it needed more than its {memory} MiB",
        "remedy": "Retry it with more memory=, or ask for fewer channels or a shorter span.",
    },
    "cancelled": {"subject": "The job", "problem": "was cancelled", "remedy": "Retry it if it is wanted."},
}
_CODES: dict[str, int] = {"timeout": 5, "out-of-memory": 5, "cancelled": 130}


def attend(
    submission: Submission,
    index: int,
    *,
    limit: bool = False,
    stop: Callable[[], bool] = lambda: False,
    log: Path | None = None,
) -> Record:
    """Have a Call worked off, and return how it ended.

    Parameters
    ----------
    submission : Submission
    index : int
        Of the Call.
    limit : bool
        Whether to see to its limits of time and memory.
    stop : callable
        Says that it is to end.
    log : Path, optional
        Where what it says goes; by default where ours goes.
    """
    return _Watch(submission, index, limit=limit, stop=stop, log=log).run()


def main(folder: Path, offset: int) -> int:
    """Work off the Call that SLURM has begun; return an exit code."""
    told: list[int] = []

    def tell(number: int, frame: FrameType | None) -> None:
        told.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    index = int(os.environ.get("SLURM_ARRAY_TASK_ID", "0")) + offset
    ended = attend(Submission.load(folder), index, stop=lambda: bool(told))
    return ended.exit_code if ended.exit_code is not None else 1


def _number() -> str:
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID", "")


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
