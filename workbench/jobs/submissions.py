"""A submission on disk: its Calls, what was asked for, and a place for each to write to.

::

    batch/ID/job.json       who asked for what, and where it went
             calls/0.json   a Call each
             states/0.json  how it is: see `workbench.jobs.records`
             logs/0.log     what it said
             results/0/     what came out, where no other folder was named
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from workbench.errors import InvalidSetting, ResourceExceeded, UnreadableFile
from workbench.jobs.launch import Limits
from workbench.jobs.records import Record, now, put
from workbench.settings import Settings

if TYPE_CHECKING:
    # Whoever only looks after a job has no need of all that a Call brings along.
    from workbench.calls import Call

__all__ = ["Run", "Submission", "Where", "root"]

Where = Literal["local", "slurm"]

_JOB = "job.json"


@dataclass(frozen=True, slots=True)
class Run:
    """Some of the Calls, sent together.

    Attributes
    ----------
    number : int
        In SLURM; 0 for those of this machine, and for those that SLURM has not taken.
    offset : int
        What to add to an index of SLURM's.
    indices : tuple of int
    sent : str
        When, UTC.
    """

    number: int
    offset: int
    indices: tuple[int, ...]
    sent: str

    def slurm(self, index: int) -> str:
        """Return how SLURM calls one of them."""
        return str(self.number) if self.alone else f"{self.number}_{index - self.offset}"

    @property
    def alone(self) -> bool:
        """Whether it is no array."""
        return self.offset < 0


@dataclass
class Submission:
    """Some Calls that were submitted together, in a folder of their own."""

    folder: Path
    about: dict[str, Any]

    @classmethod
    def create(
        cls,
        settings: Settings,
        calls: Sequence[Call],
        where: Where,
        limits: Limits,
        to: Path | None,
        *,
        many: bool,
        reuse: bool,
    ) -> Self:
        """Write a submission.

        Raises
        ------
        InvalidSetting
            If a folder of results is there already.
        ResourceExceeded
            If there is no room.
        """
        from workbench.calls.results import check_free

        for call in calls:
            call.split()
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        folder = root(settings) / name
        targets = [_target(folder, to, index, many) for index in range(len(calls))]
        for target in targets:
            check_free(target)
        made = cls(
            folder,
            {
                "id": name,
                "process": sorted({call.process for call in calls}),
                "calls": len(calls),
                "many": many,
                "where": where,
                "limits": asdict(limits),
                "to": str(to) if to is not None else None,
                "reuse": reuse,
                "created": now(),
                "runs": [],
            },
        )
        making = folder.with_name(f".{name}")
        try:
            making.mkdir(mode=0o700)
            for part in ("calls", "states", "logs"):
                (making / part).mkdir()
            for index, call in enumerate(calls):
                text = json.dumps(call.to_json(), indent=1, ensure_ascii=False)
                (making / "calls" / f"{index}.json").write_text(text)
                Record().write(making / "states" / f"{index}.json", durable=False)
            (making / _JOB).write_text(json.dumps(made.about, indent=1))
            making.rename(folder)
            for target in targets:
                target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            shutil.rmtree(making, ignore_errors=True)
            raise ResourceExceeded(
                str(folder), f"cannot be written ({error.strerror})", "Make room, or set WORKBENCH_JOBS."
            ) from error
        return made

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a submission.

        Raises
        ------
        UnreadableFile
            If there is none.
        """
        try:
            return cls(folder, json.loads((folder / _JOB).read_bytes()))
        except (OSError, ValueError) as error:
            raise UnreadableFile(str(folder), "holds no job", "`workbench jobs` lists yours.") from error

    @classmethod
    def all(cls, settings: Settings) -> list[Self]:
        """Return all of a user's, the newest first."""
        folders = [folder for folder in root(settings).glob("[!.]*") if (folder / _JOB).is_file()]
        # Names have no more than the second.
        return sorted(map(cls.load, folders), key=lambda one: (one.about["created"], one.id), reverse=True)

    def __len__(self) -> int:
        return int(self.about["calls"])

    @property
    def id(self) -> str:
        """Its name, by which it is found again."""
        return str(self.about["id"])

    @property
    def queue_name(self) -> str:
        """Its name in SLURM."""
        return f"wb-{self.id}"

    @property
    def where(self) -> Where:
        """What works it off."""
        return "slurm" if self.about["where"] == "slurm" else "local"

    @property
    def limits(self) -> Limits:
        """What each of its jobs may use."""
        return Limits(**self.about["limits"])

    @property
    def runs(self) -> list[Run]:
        """How it was sent, the newest last."""
        return [Run(**{**run, "indices": tuple(run["indices"])}) for run in self.about["runs"]]

    def sent(self, run: Run) -> None:
        """Note that some of it were sent."""
        self.about["runs"].append(asdict(run))
        self.save()

    def save(self) -> None:
        """Write down what is known about it."""
        put(self.folder / _JOB, json.dumps(self.about, indent=1).encode())

    def run_of(self, index: int) -> Run | None:
        """Return how a Call was last sent."""
        return next((run for run in reversed(self.runs) if index in run.indices), None)

    def call(self, index: int) -> Call:
        """Return a Call."""
        from workbench.calls import Call

        return Call.load(self.folder / "calls" / f"{index}.json")

    def state(self, index: int) -> Path:
        """Where a job writes how it is."""
        return self.folder / "states" / f"{index}.json"

    def wish(self, index: int) -> Path:
        """Whose being there says that a job is to end."""
        return self.folder / "states" / f"{index}.cancel"

    def log(self, index: int) -> Path:
        """Where a job writes what it says."""
        return self.folder / "logs" / f"{index}.log"

    def to(self, index: int) -> Path:
        """Where its results go."""
        given = self.about["to"]
        return _target(self.folder, Path(given) if given else None, index, self.about["many"])


def root(settings: Settings) -> Path:
    """Return the folder of all submissions of a user, which nobody else sees.

    Raises
    ------
    InvalidSetting
        If it cannot be made, or is somebody else's.
    """
    folder = settings.jobs_dir / "batch"
    try:
        for one in (settings.jobs_dir, folder):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise InvalidSetting(
                str(folder), "belongs to somebody else", "Set WORKBENCH_JOBS to a folder of yours."
            )
    except OSError as error:
        raise InvalidSetting(
            str(folder), f"cannot be made ({error.strerror})", "Make room there, or set WORKBENCH_JOBS."
        ) from error
    return folder


def compact(indices: Iterable[int]) -> str:
    """Write numbers as sbatch has them.

    Examples
    --------
    >>> compact([0, 1, 2, 5, 7, 8])
    '0-2,5,7-8'
    """
    spans: list[list[int]] = []
    for index in sorted(indices):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)


def _target(folder: Path, to: Path | None, index: int, many: bool) -> Path:
    if to is None:
        return folder / "results" / str(index)
    return to / str(index) if many else to
