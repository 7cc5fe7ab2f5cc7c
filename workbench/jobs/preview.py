"""Previews: the same Call on a sample first, and what the whole will cost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidSetting, WorkbenchError
from workbench.jobs.planning import Plan
from workbench.jobs.progress import duration
from workbench.jobs.results import Book, size_of
from workbench.jobs.units import Tile

if TYPE_CHECKING:
    from distributed import Client

    from workbench.jobs.fanout import Mapped

__all__ = ["Estimate", "Preview", "estimate", "remember", "sample"]

_OLD = 0.5
"""What is left of the weight of earlier runs when another one is remembered."""


@dataclass(frozen=True)
class Estimate:
    """What a work will cost.

    Attributes
    ----------
    tiles : int
    finished : int
        Tiles that are there already.
    cpu_s : float or None
        Processor time of those that are not, in seconds; None if there is
        nothing to go by.
    bytes_in : int
        Read from the archive for them.
    bytes_out : float or None
        Size of the whole result.
    basis : str
        What this was estimated from.
    """

    tiles: int
    finished: int
    cpu_s: float | None
    bytes_in: int
    bytes_out: float | None
    basis: str

    def __str__(self) -> str:
        cpu = "an unknown time" if self.cpu_s is None else f"about {duration(self.cpu_s)}"
        out = "an unknown size" if self.bytes_out is None else f"about {size_of(self.bytes_out)}"
        finished = f", {self.finished} of them finished" if self.finished else ""
        return (
            f"{self.tiles} tiles{finished}; {cpu} of CPU, {size_of(self.bytes_in)} to read, "
            f"{out} of results ({self.basis})"
        )


class Preview:
    """A sample of a work, run first.

    Attributes
    ----------
    sample : Mapped or None
        What the sample gave; None if it is empty.
    estimate : Estimate
        What the whole will cost.
    """

    def __init__(
        self,
        plan: Plan,
        fraction: float,
        *,
        client: Client | None = None,
        retries: int = 1,
        progress: bool = True,
        to: str | Path | None = None,
    ) -> None:
        from workbench.jobs.fanout import execute

        self._plan = plan
        self._how: dict[str, Any] = {"client": client, "retries": retries, "progress": progress}
        self._to = to
        tiles = sample(plan, fraction)
        self.sample: Mapped | None = execute(plan, tiles, **self._how) if tiles else None
        self.estimate = estimate(plan, tiles)

    @property
    def value(self) -> Any:
        """What the sample gave."""
        if self.sample is None:
            raise InvalidSetting("preview", "is of no tiles", "Give a larger fraction.")
        return self.sample.value

    def run(self) -> Mapped:
        """Run the whole; the sample is finished already.  Its cost stands beside the estimate."""
        from workbench.jobs.fanout import execute

        done = execute(self._plan, **self._how, estimate=self.estimate)
        if self._to is not None:
            done.write(self._to)
        return done

    def __repr__(self) -> str:
        return f"{self._plan.kernel.id}: {self.estimate}"


def sample(plan: Plan, fraction: float) -> list[Tile]:
    """Return a fraction of the tiles, evenly spread over all of them, and always the same.

    Raises
    ------
    InvalidSetting
        If it is no fraction.
    """
    if not 0 <= fraction <= 1:
        raise InvalidSetting("preview", f"{fraction:g} is no fraction", "Give one from 0 to 1: 0.01.")
    total = len(plan)
    number = 0 if fraction == 0 else max(1, round(total * fraction))
    wanted = {int((place + 0.5) * total / number) for place in range(number)}
    return [tile for tile in plan if tile.number in wanted]


def estimate(plan: Plan, tiles: Iterable[Tile] = ()) -> Estimate:
    """Estimate what a plan will cost, from finished tiles of it, or from earlier runs of its kernel.

    Parameters
    ----------
    plan : Plan
    tiles : iterable of Tile
        Those that were run as a sample.
    """
    store = plan.job.store
    samples = cpu_s = bytes_out = 0.0
    number = 0
    for tile in tiles:
        head = store.head(tile.key)
        if head is not None:
            samples += head["more"]["samples"]
            cpu_s += head["more"]["cpu_s"]
            bytes_out += store.size(tile.key)
            number += 1
    basis = f"from {number} tile{'' if number == 1 else 's'} of it"
    if not samples:
        known = _read(_path(plan))
        samples, cpu_s, bytes_out = (
            known.get("samples", 0),
            known.get("cpu_s", 0.0),
            known.get("bytes_out", 0),
        )
        basis = "from earlier runs" if samples else "nothing to go by: give a preview"
    finished = left = to_read = 0
    for tile in plan:
        if store.size(tile.key):
            finished += 1
        else:
            left += tile.samples
            to_read += tile.bytes
    return Estimate(
        tiles=len(plan),
        finished=finished,
        cpu_s=cpu_s / samples * left if samples else None,
        bytes_in=to_read,
        bytes_out=bytes_out / samples * plan.samples if samples else None,
        basis=basis,
    )


def remember(book: Book) -> None:
    """Remember what the tiles of a kernel cost, for estimates to come."""
    path = _path(book.plan)
    known = _read(path)
    facts = {
        "samples": known.get("samples", 0) * _OLD + book.samples,
        "cpu_s": known.get("cpu_s", 0.0) * _OLD + book.cost.cpu_s,
        "bytes_out": known.get("bytes_out", 0) * _OLD + book.cost.bytes_out,
    }
    # Nothing hangs on it: a full disk is no reason to lose a result.
    with suppress(OSError, WorkbenchError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(facts))
        part.replace(path)


def _path(plan: Plan) -> Path:
    return plan.job.store.folder / "history" / f"{plan.kernel.id}.json"


def _read(path: Path) -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found
