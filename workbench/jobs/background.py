"""Batch jobs without SLURM: processes of this machine that outlive the notebook.

``python -m workbench.jobs.background FOLDER INDICES`` works off the Calls of a
submission, at most so many at a time on the machine as there are workers,
whichever notebook they are from.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType

from workbench.errors import Unavailable
from workbench.jobs import identity
from workbench.jobs.attend import attend
from workbench.jobs.records import Record, now, put
from workbench.jobs.submissions import Submission, compact
from workbench.settings import Settings

__all__ = ["alive", "main", "start"]

_RUNNER = "runner.json"
_POLL_SECONDS = 0.3
_START_SECONDS = 30.0


def start(submission: Submission, indices: Sequence[int], variables: dict[str, str]) -> None:
    """Start a process that works off some of the Calls, and see that it is there.

    Raises
    ------
    Unavailable
        If it does not start.
    """
    runner = submission.folder / _RUNNER
    runner.unlink(missing_ok=True)
    words = [sys.executable, "-m", "workbench.jobs.background", str(submission.folder), compact(indices)]
    log = submission.folder / "logs" / "runner.log"
    # A shell in between, so that it is nobody's child and nobody has to wait for it.
    command = ["/bin/sh", "-c", 'log=$1; shift; exec setsid "$@" </dev/null >>"$log" 2>&1 &', "sh", str(log)]
    subprocess.run([*command, *words], env={**os.environ, **variables}, check=True)
    end = time.monotonic() + _START_SECONDS
    while not runner.is_file():
        if time.monotonic() > end:
            raise Unavailable("The background process", f"did not start: {log.read_text()[-500:]}")
        time.sleep(0.05)


def alive(submission: Submission) -> bool | None:
    """Whether the process that works off a submission is there; None where this machine cannot know."""
    try:
        known = json.loads((submission.folder / _RUNNER).read_bytes())
    except (OSError, ValueError):
        return False
    return identity.alive(known["pid"], known["began"], known["boot"])


def main(folder: Path, indices: Sequence[int]) -> None:
    """Work off some of the Calls of a submission."""
    submission, settings = Submission.load(folder), Settings()
    stop = Event()

    def tell(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    me = {"pid": os.getpid(), "began": identity.started(os.getpid()), "boot": identity.boot()}
    put(folder / _RUNNER, json.dumps(me).encode())
    slots = settings.jobs_dir / "slots"
    slots.mkdir(mode=0o700, exist_ok=True)

    def work(index: int) -> None:
        def over() -> bool:
            return stop.is_set() or submission.wish(index).exists()

        with _slot(slots, settings.workers, over) as free:
            if free:
                # What it says goes into its own log, not into that of all.
                attend(submission, index, limit=True, stop=over, log=submission.log(index))
            else:
                ended = Record(state="cancelled", exit_code=130, ended=now(), subject="The job")
                ended.but(problem="was cancelled before it began").write(submission.state(index))

    with ThreadPoolExecutor(min(settings.workers, len(indices))) as pool:
        for done in [pool.submit(work, index) for index in indices]:
            done.result()


@contextmanager
def _slot(folder: Path, size: int, stop: object) -> Iterator[bool]:
    """Hold one of some places on this machine; False if it was given up before one was free."""
    files = [(folder / str(number)).open("w") for number in range(size)]
    try:
        while not stop():  # type: ignore[operator]
            for file in files:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield True
                return
            time.sleep(_POLL_SECONDS)
        yield False
    finally:
        for file in files:
            file.close()


def _indices(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), _indices(sys.argv[2]))
