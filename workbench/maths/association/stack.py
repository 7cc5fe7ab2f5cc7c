"""The score of every cell and origin time, and its peaks.

Every pick votes for the origin times that its station's travel time allows,
cell by cell.  A vote weighs the logarithm of how much more often an event gives
a pick there than chance does, so a pick at a station that is picked all the
time weighs little; and every station within reach that has no pick speaks
against.  How far an event reaches is not known, so stations are taken in, the
nearest first, and the best of a few radii counts.  A station has one vote for
each phase, however many picks.

The score of a cell falls when picks are taken away and never rises.  What was
once computed therefore stays an upper bound, and after an event has taken its
picks only cells whose bound still beats the best are computed again (lazy
evaluation, Minoux 1978).

References
----------
Johnson, C. E., Lindh, A., Hirshorn, B. (1994). Robust regional phase
association. USGS Open-File Report 94-621 (votes of picks for cells, as in the
Binder associator of Earthworm).
Muenchmeyer, J. (2024). PyOcto: A high-throughput seismic phase associator.
Seismica 3(1) (partition of space and time, best event first).
Minoux, M. (1978). Accelerated greedy algorithms for maximizing submodular set
functions. Optimization Techniques, LNCIS 7, 234-243.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.association.cells import Cells

__all__ = ["LEAST", "UNIT", "Votes", "bounds", "peak"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Ints32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

UNIT = 256.0
"""Scores are whole numbers of 1/256, so that sums do not depend on their order."""

LEAST = np.int32(-(2**30))
"""Less than any score."""


class Votes(NamedTuple):
    """Picks as they vote, by station and phase.

    Attributes
    ----------
    first : ndarray of int, shape (2 n_stations + 1,)
        Where the votes of station s and phase f begin: ``first[2 s + f]``.
    pick : ndarray of int, shape (n_votes,)
        The pick of each; one of unknown phase votes twice.
    time : ndarray, shape (n_votes,)
        Seconds.
    weight : ndarray, shape (n_votes,)
        Log of what an event makes of the chance of this pick, in a gate of one second.
    absence : ndarray of int, shape (n_stations, 2)
        What a station within reach without a pick adds to the score, in units.
    rings : ndarray of int
        Numbers of nearest stations that an event may reach to, growing.
    """

    first: Ints
    pick: Ints
    time: Floats
    weight: Floats
    absence: Ints
    rings: Ints


@njit(cache=True, error_model="numpy")
def _score(
    cells: Cells, cell: int, begin: float, step: float, votes: Votes, free: Bools, turn: Ints32, best: Ints32
) -> None:
    """Fill `best` with the score of a cell at origin times ``begin + i * step``."""
    n = best.size
    end = begin + n * step
    turn[:] = 0
    best[:] = LEAST
    against = 0
    ring = 0
    for k in range(cells.station.shape[1]):
        station = cells.station[cell, k]
        for phase in range(2):
            against += votes.absence[station, phase]
            low, high = votes.first[2 * station + phase], votes.first[2 * station + phase + 1]
            if low == high:
                continue
            gate = float(cells.gate[cell, k, phase])
            seconds = float(cells.time[cell, k, phase])
            narrow = -math.log(2 * gate)
            earliest = begin + seconds - gate
            stop = high
            while low < stop:
                middle = (low + stop) // 2
                if votes.time[middle] < earliest:
                    low = middle + 1
                else:
                    stop = middle
            voted = 0
            for v in range(low, high):
                origin = votes.time[v] - seconds
                if origin - gate >= end:
                    break
                if not free[votes.pick[v]]:
                    continue
                weight = int((votes.weight[v] + narrow) * UNIT)
                if weight <= 0:
                    continue
                start = max(int((origin - gate - begin) / step), voted)
                finish = min(int((origin + gate - begin) / step) + 1, n)
                if finish > start:
                    turn[start] += weight
                    if finish < n:
                        turn[finish] -= weight
                    voted = finish
        if k + 1 == votes.rings[ring]:
            score = against
            for i in range(n):
                score += turn[i]
                best[i] = max(best[i], score)
            ring += 1
            if ring == votes.rings.size:
                break


@njit(cache=True, error_model="numpy")
def bounds(
    cells: Cells, begin: float, step: float, tile: int, n_tiles: int, votes: Votes, free: Bools
) -> Ints32:
    """Highest score of every cell in every tile of time.

    Parameters
    ----------
    cells : Cells
    begin, step : float
        First origin time, and their spacing, s.
    tile, n_tiles : int
        Origin times in a tile, and how many tiles.
    votes : Votes
    free : ndarray of bool
        Which picks have no event yet.

    Returns
    -------
    ndarray of int32, shape (n_tiles, n_cells)
    """
    n = cells.station.shape[0]
    found = np.empty((n_tiles, n), np.int32)
    turn, best = np.empty(n_tiles * tile, np.int32), np.empty(n_tiles * tile, np.int32)
    for cell in range(n):
        _score(cells, cell, begin, step, votes, free, turn, best)
        for j in range(n_tiles):
            highest = LEAST
            for i in range(j * tile, (j + 1) * tile):
                highest = max(highest, best[i])
            found[j, cell] = highest
    return found


@njit(cache=True, error_model="numpy")
def peak(
    cells: Cells, begin: float, step: float, tile: int, votes: Votes, free: Bools, bound: Ints32, floor: int
) -> tuple[int, int, float]:
    """Find the highest score in one tile.

    Parameters
    ----------
    begin : float
        First origin time of the tile, s.
    bound : ndarray of int32, shape (n_cells,)
        Upper bounds in this tile; lowered where they are computed again.
    floor : int
        Scores up to this do not matter.

    Returns
    -------
    score, cell, time
        The cell is -1 if no score is above the floor.
    """
    turn, best = np.empty(tile, np.int32), np.empty(tile, np.int32)
    high, where, when = int(floor), -1, 0.0
    hopeful = np.flatnonzero(bound > floor)
    order = hopeful[np.argsort(-bound[hopeful], kind="mergesort")]
    for cell in order:
        if bound[cell] <= high:
            break
        _score(cells, cell, begin, step, votes, free, turn, best)
        at = int(np.argmax(best))
        bound[cell] = best[at]
        if best[at] > high:
            last = at
            while last + 1 < tile and best[last + 1] == best[at]:
                last += 1
            high, where, when = int(best[at]), int(cell), begin + ((at + last) / 2 + 0.5) * step
    return high, where, when
