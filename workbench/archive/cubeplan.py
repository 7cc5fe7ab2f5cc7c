"""What a cube of an archive will be: its channels, grid and offsets, told from the index alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from workbench.archive.layout import DayFile, day_of
from workbench.archive.runs import ROUNDING_NS
from workbench.archive.sdsreader import SdsReader
from workbench.archive.selection import Selection
from workbench.archive.spans import Row
from workbench.cubes.grid import Grid, follow, one_rate
from workbench.errors import InvalidSetting, NoData
from workbench.notices import notice

__all__ = ["Channel", "Plan", "plan"]

_EVER = 2**62
_LEANING = 0.3
"""Offsets, in samples, that are remembered, as rounding could go either way."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a cube.

    Attributes
    ----------
    id : str
        SEED id.
    rate : float
        Samples a second, as most of its records say.
    offset : int
        Nanoseconds from the times of the grid to those of its samples.
    leans : dict
        By number of the source and day: what rounding to the grid added to
        the sample before, where that is not about zero.
    """

    id: str
    rate: float
    offset: int
    leans: dict[tuple[int, int], float]


@dataclass(frozen=True, slots=True)
class Plan:
    """A cube that has not been read yet.

    Attributes
    ----------
    channels : tuple of Channel
        By SEED id.
    grid : Grid
    start, end : int
        Span of the samples, ns since 1970, both included.
    dtype : dtype
        That holds every sample exactly: int32, float32 or float64.
    """

    channels: tuple[Channel, ...]
    grid: Grid
    start: int
    end: int
    dtype: np.dtype[np.generic]


def plan(sources: Sequence[SdsReader], selections: Sequence[Selection], rate: float | None = None) -> Plan:
    """Plan the cube of what is selected.

    Parameters
    ----------
    sources : sequence of SdsReader
        Searched in order; a sample is taken from the first that has it.
    selections : sequence of Selection
        All of one time span; a side that is open reaches to the last sample.
    rate : float, optional
        Sampling rate to take, Hz; what has another one is left out.

    Raises
    ------
    NoData
        If there are no samples.
    InvalidSetting
        If there are several sampling rates and none is chosen.
    """
    start, end = _span(selections)
    found: dict[str, list[tuple[int, Row]]] = {}
    kinds: set[int] = set()
    for number, source in enumerate(sources):
        files = _files(source, selections)
        for row in source.index.spans(files, start, end):
            if row.rate > 0:
                found.setdefault(row.id, []).append((number, row))
        kinds |= _encodings(source, files)
    named = "+".join(map(str, selections))
    if not found:
        raise NoData(named, "no archive holds waveforms of it", "See 'workbench archive ls'.")
    found = _of_one_rate(named, found, rate)
    rows = [row for some in found.values() for _, row in some]
    rates, counts = np.unique([row.rate for row in rows], return_counts=True)
    first = max(start, min(row.start for row in rows)) if start == -_EVER else start
    last = min(end, max(row.end for row in rows)) if end == _EVER else end
    grid = Grid.over(first, last, float(rates[counts.argmax()]))
    channels = [_channel(seed_id, found[seed_id], grid) for seed_id in sorted(found)]
    _tell_clocks([(channel.id, away) for channel, away in channels], grid)
    return Plan(tuple(channel for channel, _ in channels), grid, first, last, _dtype(kinds))


def _span(selections: Sequence[Selection]) -> tuple[int, int]:
    spans = {(one.starttime and one.starttime.ns, one.endtime and one.endtime.ns) for one in selections}
    if len(spans) != 1:
        raise InvalidSetting(
            "+".join(map(str, selections)),
            "has several time spans, and a cube has one",
            "Open one cube for each, or give all the same span.",
        )
    ((start, end),) = spans
    return -_EVER if start is None else start, _EVER if end is None else end


def _files(source: SdsReader, selections: Iterable[Selection]) -> list[DayFile]:
    return list({file.path: file for one in selections for file in source.files(one)}.values())


def _of_one_rate(
    named: str, found: dict[str, list[tuple[int, Row]]], rate: float | None
) -> dict[str, list[tuple[int, Row]]]:
    """Keep what has one sampling rate: the chosen one, or the only one."""
    rates: dict[float, set[str]] = {}
    for seed_id, some in found.items():
        for _, row in some:
            near = next((known for known in rates if one_rate(row.rate, known)), row.rate)
            rates.setdefault(near, set()).add(seed_id)
    said = "; ".join(f"{one:g} Hz: {_listed(sorted(rates[one]))}" for one in sorted(rates, reverse=True))
    if rate is None:
        if len(rates) > 1:
            raise InvalidSetting(
                named,
                f"has several sampling rates, and a cube has one ({said})",
                f"Select channels of one rate, or choose: sampling_rate={max(rates):g}.",
            )
        return found
    chosen = next((known for known in rates if one_rate(rate, known)), None)
    if chosen is None:
        raise NoData(named, f"has nothing at {rate:g} Hz ({said})", "Choose another sampling_rate.")
    both = sorted(rates[chosen] & {one for known in rates if known != chosen for one in rates[known]})
    if both:
        notice(
            _listed(both),
            f"had other sampling rates as well; only the times at {chosen:g} Hz are valid",
            "Open another cube for the others.",
        )
    kept = {
        seed_id: [item for item in some if one_rate(item[1].rate, chosen)] for seed_id, some in found.items()
    }
    return {seed_id: some for seed_id, some in kept.items() if some}


def _channel(seed_id: str, some: list[tuple[int, Row]], grid: Grid) -> tuple[Channel, float]:
    """Return a channel, and how far its clock goes away from its offset, in ns."""
    _, first = min(some, key=lambda item: item[1].start)
    offset = first.start - grid.time(round(grid.number(first.start)))
    leans: dict[tuple[int, int], float] = {}
    away = 0.0
    for number, group in groupby(sorted(some), key=lambda item: item[0]):
        rows = [row for _, row in group]
        numbers, leaning = follow(grid.number(row.start - offset) for row in rows)
        lean = 0.0
        days: set[int] = set()
        for row, place, leaned in zip(rows, numbers, leaning, strict=True):
            day = day_of(row.start)
            if day not in days and abs(lean) > _LEANING:
                leans[number, day] = lean
            days.add(day)
            lean = leaned
            end = grid.time(place + row.n - 1) + offset
            away = max(away, abs(row.start - offset - grid.time(place)), abs(row.end - end))
    counted: dict[float, int] = {}
    for _, row in some:
        counted[row.rate] = counted.get(row.rate, 0) + row.n
    return Channel(seed_id, max(counted, key=lambda rate: counted[rate]), offset, leans), away


def _tell_clocks(found: list[tuple[str, float]], grid: Grid) -> None:
    """Say which channels do not keep their offset."""
    slack = min(ROUNDING_NS, grid.step / 4)
    changing = {seed_id: away for seed_id, away in found if away > slack}
    if changing:
        most = max(changing, key=lambda seed_id: changing[seed_id])
        notice(
            _listed(sorted(changing)),
            f"the clock changes against the times of the cube, by up to {changing[most] / 1e6:.3g} ms"
            f" ({most})",
            "The samples are at the nearest times, unchanged; shifts=True tells how far each one is off.",
            loss=False,
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _dtype(kinds: set[int]) -> np.dtype[np.generic]:
    floats, others = kinds & {4, 5}, kinds - {0, 4, 5}
    if not floats:
        return np.dtype(np.int32)
    # float32 does not hold every int32.
    return np.dtype(np.float64 if others or 5 in floats else np.float32)


def _encodings(source: SdsReader, files: Sequence[DayFile]) -> set[int]:
    paths = [file.path for file in files]

    def ask(base: sqlite3.Connection) -> set[int]:
        found: set[int] = set()
        for first in range(0, len(paths), 500):
            some = paths[first : first + 500]
            marks = ",".join("?" * len(some))
            query = (
                "SELECT DISTINCT encoding FROM stretch WHERE file IN"  # noqa: S608
                f" (SELECT id FROM file WHERE path IN ({marks}))"
            )
            found.update(row[0] for row in base.execute(query, some))
        return found

    return source.index._run(ask) if paths else set()
