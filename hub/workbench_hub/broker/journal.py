"""What was sent to SLURM, by the id that the sender chose: none is lost, and none is sent twice.

A folder for each uid, and in it, for each id::

    ID.lock   held by whoever is at it, and by sbatch itself as long as it runs
    ID.json   that it is sent: the hash of what was asked
    ID.out    what sbatch said, written by sbatch
    ID.err
    ID.told   that the audit log has it

The broker may be killed at any instant.  Whoever comes again with the same id
waits until an sbatch that was left behind has ended, and reads what it said; where
that is nothing, the jobs are searched for one with that id in its comment.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import Unavailable
from workbench_hub.broker.rules import Refused
from workbench_hub.broker.running import Done
from workbench_hub.deployment import write

__all__ = ["Entry", "Journal", "number"]

_ID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"^(?:Submitted batch job )?(\d+)(?:;\S+)?$", re.MULTILINE)
_KEPT = 86400.0
_WAIT = 90.0
_PAUSE = 0.05


def number(said: str) -> str:
    """Return the number of the job that sbatch tells of, or nothing.

    Examples
    --------
    >>> number("Submitted batch job 17"), number("17;centre"), number("")
    ('17', '17', '')
    """
    found = _NUMBER.search(said)
    return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One submission in the journal, while nobody else is at it."""

    folder: Path
    id: str
    lock: int

    @property
    def hash(self) -> str:
        """Of what was asked; empty if nothing was sent."""
        with suppress(FileNotFoundError, ValueError, KeyError):
            return str(json.loads(self._path("json").read_text())["asked"])
        return ""

    @property
    def said(self) -> Done | None:
        """What sbatch said, if a job came of it."""
        with suppress(FileNotFoundError):
            out = self._path("out").read_text(errors="replace")
            if number(out):
                return Done(0, out, self._path("err").read_text(errors="replace"))
        return None

    def send(self, asked: str, run: Callable[..., Done]) -> Done:
        """Write down that it is sent, and send it: ``run(out=, err=, held=)``."""
        write(self._path("json"), json.dumps({"asked": asked}), mode=0o600)
        with self._path("out").open("wb") as out, self._path("err").open("wb") as err:
            done = run(out=out, err=err, held=(self.lock,))
        texts = (self._path(name).read_text(errors="replace") for name in ("out", "err"))
        return Done(done.code, *texts)

    @property
    def told(self) -> bool:
        """Whether the audit log has it."""
        return self._path("told").exists()

    def tell(self) -> None:
        """Remember that the audit log has it."""
        self._path("told").touch(mode=0o600)

    def found(self, said: str) -> Done:
        """Write down what sbatch would have said of a job that was found."""
        write(self._path("out"), said, mode=0o600)
        self._path("err").touch(mode=0o600)
        return Done(0, said, "")

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self.id}.{suffix}"


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal in a folder of root's."""

    folder: Path

    @contextmanager
    def entry(self, uid: int, id: str) -> Iterator[Entry]:
        """Be alone with a submission.

        Raises
        ------
        Refused
            If the id has not the form of one.
        Unavailable
            If somebody else is at it and does not end.
        """
        if not _ID.fullmatch(id):
            raise Refused("The id of the submission", "is not 32 hexadecimal digits")
        folder = self.folder / str(uid)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / f"{id}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = time.monotonic() + _WAIT
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise Unavailable("The same submission", "is still under way", "Try again.") from None
                    time.sleep(_PAUSE)
            yield Entry(folder, id, descriptor)
        finally:
            os.close(descriptor)

    def newest(self, uid: int, seconds: float) -> int:
        """Return how many were sent in the last seconds; forget what is older than a day."""
        now, count = time.time(), 0
        with suppress(FileNotFoundError):
            for path in os.scandir(self.folder / str(uid)):
                with suppress(FileNotFoundError):
                    age = now - path.stat().st_mtime
                    count += path.name.endswith(".json") and not path.name.startswith(".") and age < seconds
                    if age > _KEPT:
                        Path(path).unlink()
        return count
