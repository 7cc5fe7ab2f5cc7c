"""What came of a work: counts, costs, what failed, and the results put together when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import errors
from workbench.errors import NoData, ResourceExceeded, Unavailable, WorkbenchError
from workbench.jobs.planning import Plan
from workbench.jobs.progress import duration
from workbench.jobs.tilestore import TileStore
from workbench.jobs.tilework import Outcome
from workbench.jobs.units import Tile
from workbench.jobs.windows import EVER, iso
from workbench.notices import Notice
from workbench.wire.packed import Packed
from workbench.wire.together import together

__all__ = ["Book", "Cost", "Counts", "Parts", "size_of"]

_NOTICES = 10_000
"""Notices that are kept of all tiles together."""

_HOPELESS = 20
"""So many tiles that fail, and none that does not, end a work.

So do as many that follow each other and find no room in the store: nor will the others.
"""

COLUMNS = ("tile", "unit", "start", "stop", "error", "remedy", "kind")


@dataclass
class Counts:
    """Tiles, by what became of them."""

    total: int
    computed: int = 0
    reused: int = 0
    failed: int = 0


@dataclass
class Cost:
    """What was spent.

    Attributes
    ----------
    cpu_s : float
        Seconds of processor time of the tiles that were computed.
    wall_s : float
        Seconds from start to end.
    bytes_in, bytes_out : int
        Read from the archive, and written into the store.
    """

    cpu_s: float = 0.0
    wall_s: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0

    def __str__(self) -> str:
        return (
            f"{duration(self.cpu_s)} of CPU in {duration(self.wall_s)}, "
            f"{size_of(self.bytes_in)} read, {size_of(self.bytes_out)} written"
        )


@dataclass
class Book:
    """Keeps account of the tiles of a plan, and nothing heavy of any.

    Parameters
    ----------
    plan : Plan
    """

    plan: Plan
    tiles: Counts = field(init=False)
    cost: Cost = field(default_factory=Cost)
    keys: dict[int, str] = field(default_factory=dict)
    notices: dict[Notice, None] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    samples: int = 0
    """Of the tiles that were computed."""
    _first: tuple[str, str, str, str] | None = None
    _roomless: int = 0
    """Tiles after each other, up to now, that found no room in the store."""

    def __post_init__(self) -> None:
        self.tiles = Counts(len(self.plan))

    def enter(self, tile: Tile, outcome: Outcome) -> None:
        """Account for a tile.

        Raises
        ------
        WorkbenchError
            If the workers are not ours, or nothing but failure is to be expected.
        """
        if outcome.state == "refused":
            raise _error(outcome.error or ("Unavailable", "a worker", "has other code", ""))
        if outcome.state == "failed":
            self._fail(tile, outcome)
            return
        self._roomless = 0
        self.keys[tile.number] = outcome.key
        if outcome.state == "computed":
            self.tiles.computed += 1
            self.samples += tile.samples
            self.cost.cpu_s += outcome.cpu_s
            self.cost.bytes_in += outcome.bytes_in
            self.cost.bytes_out += outcome.bytes_out
        else:
            self.tiles.reused += 1
        for said in outcome.notices:
            if len(self.notices) < _NOTICES:
                self.notices[said] = None

    def close(self) -> None:
        """See that something came of it.

        Raises
        ------
        WorkbenchError
            The error of the first tile, if all failed.
        """
        if self.tiles.failed and not self.keys:
            self._give_up()
        for row in self.rows[:_NOTICES]:
            self.notices[Notice(row["tile"], row["error"], row["remedy"])] = None

    def _fail(self, tile: Tile, outcome: Outcome) -> None:
        self.tiles.failed += 1
        kind, subject, problem, remedy = outcome.error or ("", tile.name, "failed", "")
        text = problem if subject == tile.name else f"{subject}: {problem}"
        ever = tile.start <= -EVER
        self.rows.append(
            {
                "tile": tile.name,
                "unit": tile.unit,
                "start": None if ever else iso(tile.start),
                "stop": None if ever else iso(tile.stop),
                "error": text,
                "remedy": remedy,
                "kind": kind,
            }
        )
        self._first = self._first or outcome.error
        if self.tiles.failed >= _HOPELESS and not self.keys:
            self._give_up()
        full = kind == ResourceExceeded.__name__ and Path(subject).is_relative_to(self.plan.job.store.folder)
        self._roomless = self._roomless + 1 if full else 0
        if self._roomless >= _HOPELESS:
            raise ResourceExceeded(
                str(self.plan.job.store.folder),
                f"has no room: {problem}. {len(self.keys)} of {self.tiles.total} tiles are finished and stay",
                f"{remedy} The same again goes on from there.".strip(),
            )

    def _give_up(self) -> None:
        kind, subject, problem, remedy = self._first or ("", "the tiles", "failed", "")
        number = self.tiles.failed
        if number > 1:
            more = "" if number == self.tiles.total else f" of {self.tiles.total}; the others were not tried"
            problem = f"{problem} (and so did the first {number} tiles{more})"
        raise _error((kind, subject, problem, remedy))

    @property
    def failed(self) -> pd.DataFrame:
        """The tiles that failed, a row each, with the error in words."""
        return pd.DataFrame(self.rows, columns=list(COLUMNS))

    @property
    def digest(self) -> str:
        """Names the results of all tiles together."""
        sha = hashlib.sha256()
        for number in sorted(self.keys):
            sha.update(self.keys[number].encode())
        return sha.hexdigest()

    def parts(self, output: str) -> Parts:
        """Return one output of all tiles, read when it is gone through."""
        return Parts(self.plan.job.store, [self.keys[number] for number in sorted(self.keys)], output)

    @cached_property
    def outputs(self) -> dict[str, Any]:
        """The results of all tiles put together, by name.

        Raises
        ------
        NoData
            If no tile gave anything.
        """
        found = {}
        for item in self.plan.kernel.outputs:
            parts = self.parts(item.name)
            if not any(True for _ in parts):
                said = next(iter(self.notices), None)
                raise NoData(
                    self.plan.kernel.id,
                    "no tile has data to work on" + (f" ({said.subject}: {said.problem})" if said else ""),
                    said.remedy if said else "",
                )
            found[item.name] = together(item.noun, parts, grid=self.plan.cut.grid)
        return found


class Parts:
    """One output of many tiles: each time it is gone through, the tiles are read again, one by one."""

    def __init__(self, store: TileStore, keys: list[str], output: str) -> None:
        self._store, self._keys, self._output = store, keys, output

    def __iter__(self) -> Iterator[Packed]:
        for key in self._keys:
            part = self.read(key)
            if part is not None:
                yield part

    @property
    def keys(self) -> list[str]:
        """The keys of the tiles, in their order."""
        return self._keys

    def read(self, key: str) -> Packed | None:
        """Return the output of one tile; None if it has none.

        Raises
        ------
        Unavailable
            If it is not in the store any more.
        """
        found = self._store.read(key)
        if found is None:
            raise Unavailable(
                str(self._store.folder),
                f"the finished tile {key[:12]} is not there any more, or damaged",
                "Run the same again: what is missing is computed, and the rest is there.",
            )
        return found[0].get(self._output)


def size_of(number: float) -> str:
    """Say a number of bytes as one would.

    Examples
    --------
    >>> size_of(512), size_of(3_500_000)
    ('512 B', '3.5 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def _error(said: tuple[str, str, str, str]) -> WorkbenchError:
    kind = getattr(errors, said[0], WorkbenchError) if said[0] in errors.__all__ else WorkbenchError
    made: WorkbenchError = kind(*said[1:])
    return made
