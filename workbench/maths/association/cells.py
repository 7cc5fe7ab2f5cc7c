"""The search volume, cut into cells that picks can tell apart.

A cell is small enough when, over its whole extent, the travel times to the
nearest stations change among themselves by no more than arrivals scatter
anyway; a change that all stations share only moves the origin time.  So cells
are small in the midst of the stations and grow outside and below, where a
network resolves little, and a volume of any size takes some thousand cells.
They come from halving the whole volume along the axis on which times change
most, again and again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.association.times import Spread, Times, spread, travel

__all__ = ["Cells", "Volume"]

Floats = npt.NDArray[np.float64]

_NEAREST = 12
"""Stations whose times decide whether a cell is small enough: those that small events are seen at."""

_LISTED = 32
"""Stations, the nearest, that a cell is searched with: an event seen farther away is seen at these too."""

_FINENESS = 0.75
"""Change of times within a cell, in standard errors; finer cells find hardly more and take longer."""

_ROUGHNESS = 2.5
"""The same for a rough cut."""

_GATE = 2.0
"""Half-width of a gate in standard errors, besides what the size of the cell adds."""

_MOST = 40_000
"""Cells, at most; beyond that they are made coarser."""

_OPEN = 4096
"""Cells that wait to be cut: more than 12 a halving, of which 200 would come to an atom."""


class Volume(NamedTuple):
    """A box on the plane: lowest and highest x, y and depth, km."""

    low: Floats
    high: Floats


class Cells(NamedTuple):
    """Cells, with the times to their nearest stations.

    Attributes
    ----------
    centre, half : ndarray, shape (n_cells, 3)
        Middle, and half the size, in x, y and depth, km.
    change : ndarray, shape (n_cells,)
        Root mean square change of travel times between middle and corner,
        without what all stations share, s.
    station : ndarray of int32, shape (n_cells, n_listed)
        The nearest stations, nearest first.
    time : ndarray of float32, shape (n_cells, n_listed, 2)
        Travel times of P and S from the middle, s.
    gate : ndarray of float32, shape (n_cells, n_listed, 2)
        How far from that an arrival from within the cell may be, s.
    """

    centre: Floats
    half: Floats
    change: Floats
    station: npt.NDArray[np.int32]
    time: npt.NDArray[np.float32]
    gate: npt.NDArray[np.float32]

    @classmethod
    def build(cls, volume: Volume, times: Times, error: Spread, *, uses_s: bool) -> Cells:
        """Cut a volume.

        Parameters
        ----------
        volume : Volume
        times : Times
        error : Spread
        uses_s : bool
            Whether there are S picks, which tell more places apart.
        """
        # A rough cut tells how many cells the fine one will have: they go as the cube or less.
        rough, *_ = _cut(volume, times, error, uses_s, _ROUGHNESS)
        allowed = max(_FINENESS, 1.1 * _ROUGHNESS * (len(rough) / _MOST) ** (1 / 2.5))
        while True:
            boxes, change, done = _cut(volume, times, error, uses_s, allowed)
            if done:
                break
            allowed *= 1.25
        centre, half = boxes[:, :3].copy(), boxes[:, 3:].copy()
        listed = min(_LISTED, times.x.size)
        return cls(centre, half, change, *_list(centre, change, times, error, listed))

    def gated(self, times: Times, error: Spread) -> Cells:
        """Return the same cells with gates for another error, not less than `_FINENESS` of the first."""
        error = error._replace(p=max(error.p, _FINENESS), s=max(error.s, _FINENESS))
        return Cells(
            self.centre,
            self.half,
            self.change,
            *_list(self.centre, self.change, times, error, self.station.shape[1]),
        )


@njit(cache=True, error_model="numpy")
def _cut(
    volume: Volume, times: Times, error: Spread, uses_s: bool, allowed: float
) -> tuple[Floats, Floats, bool]:
    """Halve the volume until no cell's times change by more than `allowed` standard errors."""
    cells, changes = np.empty((_MOST, 6)), np.empty(_MOST)
    waiting = np.empty((_OPEN, 6))
    waiting[0, :3] = (volume.low + volume.high) / 2
    waiting[0, 3:] = (volume.high - volume.low) / 2
    count, n_waiting = 0, 1
    away = np.empty(times.x.size)
    change = np.empty(3)
    while n_waiting > 0:
        n_waiting -= 1
        cell = waiting[n_waiting].copy()
        for i in range(away.size):
            # From the nearest point of the cell: a large one surrounds many stations.
            dx = max(abs(cell[0] - times.x[i]) - cell[3], 0.0)
            dy = max(abs(cell[1] - times.y[i]) - cell[4], 0.0)
            away[i] = dx * dx + dy * dy + 1e-6 * ((cell[0] - times.x[i]) ** 2 + (cell[1] - times.y[i]) ** 2)
        nearest = _smallest(away, min(_NEAREST, away.size))
        _vary(cell, nearest, times, uses_s, change)
        total = math.sqrt((change * change).sum())
        scatter, last = 0.0, 1 if uses_s else 0
        for s in nearest:
            distance = math.hypot(cell[0] - times.x[s], cell[1] - times.y[s])
            scatter += spread(error, last, travel(times, s, last, distance, cell[2]))
        if total <= allowed * scatter / nearest.size:
            if count == _MOST:
                return cells, changes, False
            cells[count], changes[count] = cell, total
            count += 1
            continue
        if n_waiting + 2 > _OPEN:
            return cells, changes, False
        axis = int(np.argmax(change))
        cell[3 + axis] /= 2
        waiting[n_waiting], waiting[n_waiting + 1] = cell, cell
        waiting[n_waiting, axis] -= cell[3 + axis]
        waiting[n_waiting + 1, axis] += cell[3 + axis]
        n_waiting += 2
    return cells[:count].copy(), changes[:count].copy(), True


@njit(cache=True, error_model="numpy")
def _smallest(values: Floats, count: int) -> npt.NDArray[np.int64]:
    """Return the indices of the smallest values, in order; of equal ones the first come first."""
    found = np.empty(count, np.int64)
    n = 0
    for i in range(values.size):
        if n == count and values[i] >= values[found[n - 1]]:
            continue
        at = n if n < count else n - 1
        while at > 0 and values[found[at - 1]] > values[i]:
            if at < count:
                found[at] = found[at - 1]
            at -= 1
        found[at] = i
        n = min(n + 1, count)
    return found


@njit(cache=True, error_model="numpy")
def _vary(cell: Floats, nearest: npt.NDArray[np.int64], times: Times, uses_s: bool, change: Floats) -> None:
    """Find how much times change from the middle to each pair of faces, without what all share."""
    n_phases = 2 if uses_s else 1
    by = np.empty(nearest.size * n_phases)
    for axis in range(3):
        ex = cell[3] if axis == 0 else 0.0
        ey = cell[4] if axis == 1 else 0.0
        ez = cell[5] if axis == 2 else 0.0
        k = 0
        for s in nearest:
            one = math.hypot(cell[0] + ex - times.x[s], cell[1] + ey - times.y[s])
            other = math.hypot(cell[0] - ex - times.x[s], cell[1] - ey - times.y[s])
            for phase in range(n_phases):
                by[k] = travel(times, s, phase, one, cell[2] + ez) - travel(
                    times, s, phase, other, cell[2] - ez
                )
                k += 1
        by -= by.mean()
        change[axis] = math.sqrt((by * by).mean()) / 2


@njit(cache=True, error_model="numpy")
def _list(
    centre: Floats, change: Floats, times: Times, error: Spread, listed: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    n = centre.shape[0]
    station = np.empty((n, listed), np.int32)
    time = np.empty((n, listed, 2), np.float32)
    gate = np.empty((n, listed, 2), np.float32)
    away = np.empty(times.x.size)
    for i in range(n):
        for s in range(away.size):
            away[s] = math.hypot(centre[i, 0] - times.x[s], centre[i, 1] - times.y[s])
        order = _smallest(away, listed)
        for k in range(listed):
            s = order[k]
            station[i, k] = s
            for phase in range(2):
                seconds = travel(times, s, phase, away[s], centre[i, 2])
                time[i, k, phase] = seconds
                gate[i, k, phase] = _GATE * spread(error, phase, seconds) + change[i]
    return station, time, gate
