"""Tiles: a Call over much data, as many Calls over little.

A tile is a channel, a station or a network (as the kernel's ``per`` says) in a
window of time, with the lead and the trail that the kernel needs around it.
Windows begin at multiples of their length since 1970, so that those of a day
open the file of that day, and are the same whatever else is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import numpy as np

from workbench.archive import Selection
from workbench.archive.extents import Holds
from workbench.archive.trees import Tree
from workbench.errors import InvalidSetting, NoData
from workbench.jobs.units import File, Rows, Span, Tile, Unit
from workbench.jobs.windows import EVER, Cut
from workbench.kernel import Per

__all__ = ["Tiles"]

BYTES = 512 * 2**20
"""Most bytes of samples of a tile, unless it cannot be cut any smaller."""


class Tiles:
    """The tiles of a work, planned while they are gone through; each time anew, and the same.

    Parameters
    ----------
    holds : sequence of (int, Holds)
        What each archive has, with its number.
    selections : sequence of Selection
    per : str
        As the kernel declares it.
    cut : Cut
    base : bytes
        What the keys of all tiles have in common.
    waveforms : str
        The input that takes the selected data.
    stations : dict of str to sequence of Selection
        Inputs that take stations of an archive.
    trees : sequence of Tree
        Where the station files of the archives are.
    max_bytes : int
        Most bytes of samples of a tile.

    Raises
    ------
    InvalidSetting
        If a channel is selected twice at one time.
    NoData
        If the archives have nothing of it.
    """

    def __init__(
        self,
        holds: Sequence[tuple[int, Holds]],
        selections: Sequence[Selection],
        per: Per,
        cut: Cut,
        base: bytes,
        waveforms: str,
        stations: dict[str, Sequence[Selection]] | None = None,
        trees: Sequence[Tree] = (),
        max_bytes: int = BYTES,
    ) -> None:
        self.holds = holds
        self.cut = cut
        self.base = hashlib.sha256(base)
        self.waveforms = waveforms
        self.stations = {name: [_span(one) for one in given] for name, given in (stations or {}).items()}
        self.trees = trees
        self.max_bytes = max_bytes
        self.spans = [_span(one) for one in selections]
        ids = sorted({seed_id for _, one in holds for seed_id in one.ids})
        self.chosen = {
            seed_id: found
            for seed_id in ids
            if (found := [span for span in self.spans if span.selection.matches(seed_id)])
        }
        for seed_id, found in self.chosen.items():
            _check_apart(seed_id, found)
        self.units = _units(list(self.chosen), per)
        if not self.units:
            raise NoData(
                "+".join(map(str, selections)),
                "no archive holds waveforms of it",
                "See 'workbench archive ls'.",
            )

    def __iter__(self) -> Iterator[Tile]:
        numbers = count()
        for unit, ids in self.units.items():
            yield from Unit(self, unit, ids).tiles(numbers)

    def rows(self, ids: list[str], start: int, end: int) -> tuple[Rows, list[File]]:
        """Return the selected stretches of some channels, and the files that they number."""
        found: list[Rows] = []
        files: list[File] = []
        for source, holds in self.holds:
            extents = holds.channels(ids, max(start, -EVER), min(end, EVER))
            for number, (seed_id, one) in enumerate(zip(ids, extents, strict=True)):
                if not len(one.rows):
                    continue
                rows = one.rows
                rows[:, 5] += len(files)
                files += [(source, file.path, file.size, file.mtime_ns, file.inode) for file in one.files]
                for span in self.chosen[seed_id]:
                    core = np.maximum(rows[:, 0], span.start)
                    until = np.minimum(rows[:, 1], span.end)
                    place = np.full((len(rows), 2), (number, source))
                    more = np.column_stack([rows, place, core, until])
                    found.append(more[core <= until])
        if not found:
            return np.empty((0, 10), np.int64), files
        whole = np.concatenate(found)
        return whole[np.lexsort((whole[:, 4], whole[:, 7], whole[:, 6], whole[:, 0]))], files


def _span(selection: Selection) -> Span:
    start, end = selection.starttime, selection.endtime
    return Span(selection, -EVER if start is None else start.ns, EVER if end is None else end.ns)


def _check_apart(seed_id: str, found: list[Span]) -> None:
    ordered = sorted(found, key=lambda span: span.start)
    for one, other in pairwise(ordered):
        if other.start <= one.end:
            raise InvalidSetting(
                f"{one.selection}+{other.selection}", f"selects {seed_id} twice", "Select each channel once."
            )


def _units(ids: list[str], per: Per) -> dict[str, list[str]]:
    """Group channels as far as a kernel has to have them together."""
    if per in ("trace", "channel"):
        return {seed_id: [seed_id] for seed_id in ids}
    if per != "station":
        # A network is what is looked at together, of whichever network codes.
        return {"all": ids} if ids else {}
    units: dict[str, list[str]] = {}
    for seed_id in ids:
        units.setdefault(".".join(seed_id.split(".")[:2]), []).append(seed_id)
    return units
