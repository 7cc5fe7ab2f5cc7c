"""The whole search: what the picks are like, and then their events, block by block.

How far arrivals scatter about the model, how late they are at each station, how
many picks are of codas and what probabilities are worth is first assumed and
then learnt from events in the blocks that have most picks.
A pick list of any length is gone through in time that grows with its length,
and in memory that does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.maths.association.block import RATE_S, Block, Ground, codas
from workbench.maths.association.cells import Cells, Volume
from workbench.maths.association.found import Found, Rules
from workbench.maths.association.likelihood import PickList
from workbench.maths.association.times import Spread, Times

__all__ = ["search"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_DAY = 86_400.0

_TILE_S = 5.0
"""Seconds of origin time of which only the highest peak is kept at a time: few events are closer."""

_BLOCK_S = 600.0
"""Seconds that are searched at once, at least; the bounds of a block take some 30 MB."""

_ROUNDS = 3
"""Searches of a block; the third finds one event in fifty."""

_HOPE = 0.6
"""Part of the evidence needed that a peak of the stack must have to be looked at.

The votes of a stack are cruder than the likelihood: of events on real and
generated picks, 95 in 100 had more than this in their peaks.
"""

_TRIALS = 3
"""Blocks, those with most picks, that tell what picks are like."""

_LESSONS, _SETTLED = 3, 0.1
"""How often those are searched at most, and the relative change of scatter that ends it."""

_CODA, _CODA_S = 0.03, 500.0
"""Rate of picks of codas that is assumed, 1/s, and the seconds of codas that count for as much:

one more pick in 17 s, in the codas of two events at a dozen stations.
"""

_RESERVE = 4
"""Residuals of a station, imagined, that are zero: a few real ones do not make it late."""

_TELLING, _ENOUGH = 8, 50
"""Picks of an event whose residuals are looked at, and residuals that suffice."""

_CLASSES, _DOUBT = 5, 5.0
"""Classes of probability, equally full, and picks that each has before any is counted."""

_ROOM = 1.15
"""Allowance for residuals that the cut at three standard errors has taken away."""

_BUSIEST = 5.0
"""How many times the median of the stations one station counts, at most, in the usual rate of picks."""

_TIGHTEST, _WIDEST = 0.4, 2.0
"""Bounds on the factor by which arrivals scatter less or more than assumed."""


def search(
    time: Floats,
    station: Ints,
    label: Ints,
    probability: Floats,
    times: Times,
    volume: Volume,
    *,
    error: Spread,
    false_per_day: float,
    min_picks: int,
    min_stations: int,
    named: float,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Found]:
    """Find the events that picks belong to.

    Parameters
    ----------
    time : ndarray, shape (n_picks,)
        Seconds after some reference; best a small number, as 1e-16 of it is lost.
    station, label : ndarray of int, shape (n_picks,)
        Which station of `times`; 0 for P, 1 for S, 2 for unknown.
    probability : ndarray, shape (n_picks,)
        How sure the picker was, on whatever scale; NaN where it does not say.
    times : Times
    volume : Volume
    error : Spread
        How far arrivals are assumed to scatter, until they tell.
    false_per_day : float
        Events a day that chance may bring, as bounded by Markov's inequality.
    min_picks, min_stations : int
        Picks of an event, and stations that have them, at least.
    named : float
        Probability that a label is right.
    progress : callable, optional
        Called with the part that is done.

    Returns
    -------
    list of Found
        By origin time.
    """
    order = np.lexsort((probability, station, label, time))
    columns = time[order], station[order], label[order], probability[order]
    picks = _Picks(*columns, np.ones(time.size), named, times.x.size)
    cells = Cells.build(volume, times, error, uses_s=bool((label != 0).any()))
    # Twice in the narrowest gate of a usual cell, so that no peak falls between two origin times.
    step = float(np.median(cells.gate.min(axis=(1, 2)))) / 2
    chances = cells.change.size * _DAY / step
    ground = Ground(
        times=times,
        volume=volume,
        cells=cells,
        rules=Rules(error, math.log(chances / false_per_day), min_picks, min_stations),
        watched=picks.watched(),
        usual=picks.usual(),
        step=step,
        tile=max(1, math.ceil(_TILE_S / step)),
        longest=float(cells.time.max()),
    )
    blocks = list(picks.blocks(ground))
    ground, picks = _learn(ground, picks, blocks)
    free = np.ones(time.size, np.bool_)
    events: list[Found] = []
    for number, (begin, end) in enumerate(blocks):
        progress(number / len(blocks))
        for event in _block(ground, picks, free, begin, end):
            free[event.picks] = False
            events.append(replace(event, picks=order[event.picks]))
    progress(1.0)
    return sorted(events, key=lambda event: (event.origin, event.place.tolist()))


@dataclass(frozen=True, eq=False, slots=True)
class _Picks:
    """All picks, by time."""

    time: Floats
    station: Ints
    label: Ints
    probability: Floats
    worth: Floats
    named: float
    n_stations: int

    def between(self, begin: float, end: float) -> tuple[PickList, Ints]:
        """Return the picks of a stretch of time by station, and which they are."""
        low, high = np.searchsorted(self.time, [begin, end])
        which = low + np.argsort(self.station[low:high], kind="stable")
        first = np.searchsorted(self.station[which], np.arange(self.n_stations + 1)).astype(np.int64)
        columns = self.time[which], self.station[which], self.label[which]
        return PickList(*columns, first, self.worth[which], self.named), which

    def watched(self) -> Bools:
        """Which phases each station picks at all."""
        watched = np.zeros((self.n_stations, 2), np.bool_)
        for phase in range(2):
            watched[self.station[(self.label == phase) | (self.label == 2)], phase] = True
        return watched

    def usual(self) -> Floats:
        """Rate of picks of each label at a station, over all, 1/s.

        Of the first pick of each station only half counts: it says that the station
        works more than how often it picks, and a list may be of a single event.  A
        station that has gone wild says little about the others.
        """
        duration = max(float(np.ptp(self.time)), 2 * RATE_S)
        rate = np.empty(3)
        for label in range(3):
            counts = np.unique(self.station[self.label == label], return_counts=True)[1]
            typical = float(np.minimum(counts, _BUSIEST * np.median(counts)).mean()) if counts.size else 0.0
            rate[label] = max(typical - 0.5, 0.5) / duration
        return rate

    def blocks(self, ground: Ground) -> Iterator[tuple[float, float]]:
        """Cut origin time into blocks; stretches without picks are left out."""
        tile = ground.tile * ground.step
        length = math.ceil(max(_BLOCK_S, 2 * ground.longest) / tile) * tile
        begin = -math.inf
        while True:
            ahead = int(np.searchsorted(self.time, begin))
            if ahead == self.time.size:
                return
            begin = max(begin, self.time[ahead] - ground.longest)
            yield begin, begin + length
            begin += length


def _block(ground: Ground, picks: _Picks, free: Bools, begin: float, end: float) -> list[Found]:
    """Find the events with origin times in a block.

    Origin times for a while after the block are searched too, lest an event that
    begins there loses picks to one in the block.  What is found there is dropped,
    as the next block will find it again.
    """
    late = end + ground.longest
    mine, which = picks.between(begin - RATE_S, late + ground.longest + RATE_S)
    found = Block.of(ground, mine, free[which]).events(begin, late, rounds=_ROUNDS, hope=_HOPE)
    return [replace(event, picks=which[event.picks]) for event in found if event.origin < end]


def _learn(ground: Ground, picks: _Picks, blocks: list[tuple[float, float]]) -> tuple[Ground, _Picks]:
    """Find out what picks are like, from events that are found with what is assumed, a few times over."""
    crowd = [int(np.diff(np.searchsorted(picks.time, block))[0]) for block in blocks]
    chosen = sorted(range(len(blocks)), key=lambda i: (-crowd[i], i))[:_TRIALS]
    for _ in range(_LESSONS):
        seen: list[Found] = []
        counts, seconds = np.zeros(2), np.array([0.0, 1.0])
        taken, left_over = [np.empty(0)], [np.empty(0)]
        for i in sorted(chosen):
            begin, end = blocks[i]
            mine, which = picks.between(begin - RATE_S, end + ground.longest + RATE_S)
            block = Block.of(ground, mine, np.ones(mine.time.size, np.bool_))
            events = block.events(begin, end, rounds=1, hope=1.0)
            seen.extend(events)
            inside, length = codas(mine, events)
            within = (mine.time >= begin) & (mine.time < end)
            left = block.free & within
            taken.append(picks.probability[which[within & ~block.free]])
            left_over.append(picks.probability[which[left]])
            near = int(left[inside].sum())
            counts += near, int(left.sum()) - near
            seconds += length, max((end - begin) * ground.watched.any(axis=1).sum() - length, 0.0)
        assumed = ground.rules.error
        times, error = _misfit(seen, ground.times, assumed)
        # Half of the picks of codas for either label.
        coda = (max(0.0, counts[0] - seconds[0] * counts[1] / seconds[1]) / 2 + _CODA * _CODA_S) / (
            seconds[0] + _CODA_S
        )
        ground = replace(
            ground,
            times=times,
            rules=replace(ground.rules, error=error, coda=coda),
            cells=ground.cells.gated(times, error),
        )
        worth = _worth(picks.probability, np.concatenate(taken), np.concatenate(left_over))
        picks = replace(picks, worth=worth)
        if max(abs(error.p / assumed.p - 1), abs(error.s / assumed.s - 1)) < _SETTLED:
            break
    return ground, picks


def _misfit(events: list[Found], times: Times, assumed: Spread) -> tuple[Times, Spread]:
    """Find how late arrivals are at each station, and how far they scatter about that."""
    told = [event for event in events if event.picks.size >= _TELLING]
    if not told:
        return times, assumed
    # Four unknowns take up some of the residuals.
    taken_up = np.concatenate(
        [np.full(e.picks.size, math.sqrt(e.picks.size / (e.picks.size - 4))) for e in told]
    )
    station, phase, residual, error = (
        np.concatenate([getattr(event, name) for event in told])
        for name in ("stations", "phases", "residual", "error")
    )
    delay = times.delay.copy()
    for s, f in sorted(set(zip(station.tolist(), phase.tolist(), strict=True))):
        mine = (station == s) & (phase == f)
        n = int(mine.sum())
        late = float(np.median(residual[mine])) * n / (n + _RESERVE)
        delay[s, f] += late
        # The mean that is taken away is of these residuals too.
        residual[mine] = (residual[mine] - late) * math.sqrt((n + _RESERVE) / (n + _RESERVE - 1))
    factors = [assumed.p, assumed.s]
    for f in range(2):
        score = (residual * taken_up / error)[phase == f]
        if score.size >= _ENOUGH:
            scale = 1.4826 * float(np.median(np.abs(score)))
            factors[f] = min(max(_ROOM * scale * factors[f], _TIGHTEST), _WIDEST)
    return times._replace(delay=delay), assumed._replace(p=factors[0], s=factors[1])


def _worth(probability: Floats, taken: Floats, left_over: Floats) -> Floats:
    """Find how much oftener than others picks of each probability are taken by events."""
    worth = np.ones(probability.size)
    taken, left_over = taken[np.isfinite(taken)], left_over[np.isfinite(left_over)]
    if min(taken.size, left_over.size) < _ENOUGH:
        return worth
    both = np.concatenate([taken, left_over])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, _CLASSES + 1)[1:-1]))
    of_events, of_chance = (
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=edges.size + 1) + _DOUBT
        for values in (taken, left_over)
    )
    ratio = (of_events / of_events.sum()) / (of_chance / of_chance.sum())
    known = np.isfinite(probability)
    worth[known] = ratio[np.searchsorted(edges, probability[known], side="right")]
    return worth
