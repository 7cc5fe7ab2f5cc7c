"""The whole search: peaks, events, and picks shared out among events.

Picks are gone through in blocks of time.  In each, peaks of the stack are taken
from the highest down; from each, the likelihood climbs to a place and origin
time, and if the evidence is more than chance would bring, it is an event and
takes its picks.  When no peak is left, the picks of all events are shared out
anew, each to the event that it fits best, and every event is settled again
with what it has; then the picks that are left over, whose rates are lower now,
are searched again, until nothing more is found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.association.cells import Cells, Volume
from workbench.maths.association.likelihood import TYPICAL, Fits, PickList, climb, evidence, fits, rates
from workbench.maths.association.stack import LEAST, UNIT, Votes, bounds, peak
from workbench.maths.association.times import Spread, Times

__all__ = ["Found", "Rules", "search"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_DAY = 86_400.0

_RINGS = (5, 8, 13, 20, 32)
"""Numbers of nearest stations that peaks are looked for with."""

_TILE_S = 5.0
"""Seconds of origin time of which only the highest peak is kept at a time: few events are closer."""

_BLOCK_S = 600.0
"""Seconds that are searched at once, at least; the bounds of a block take some 30 MB."""

_RATE_S = 30.0
"""Seconds to either side in which the rate of picks is counted: a swarm or a gust lasts longer."""

_HOPE = 0.6
"""Part of the evidence needed that a peak must have to be climbed from.

The votes of a stack are cruder than the likelihood; events on the threshold had
from 0.62 times the evidence in their peak on real and generated picks.
"""

_ROUNDS = 3
"""Searches of a block; the third has never been seen to find more than one event in fifty."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes an event.

    Attributes
    ----------
    error : Spread
    false_per_day : float
        Events a day that chance may bring, as bounded by Markov's inequality.
    min_picks, min_stations : int
    named : float
        Probability that a pick's label is right.
    """

    error: Spread
    false_per_day: float
    min_picks: int
    min_stations: int
    named: float


@dataclass(frozen=True, eq=False)
class Found:
    """An event.

    Attributes
    ----------
    place : ndarray, shape (3,)
        x, y and depth, km.
    origin : float
        Origin time, s.
    evidence : float
        Log of the likelihood ratio to chance.
    reach, p, s : float
        Distance to which stations see it, km; probability of picks within.
    picks, phases : ndarray of int, shape (n,)
        Which picks of the input it has, and as what: 0 for P, 1 for S.
    residual : ndarray, shape (n,)
        Seconds.
    """

    place: Floats
    origin: float
    evidence: float
    reach: float
    p: float
    s: float
    picks: Ints
    phases: Ints
    residual: Floats
    half: Floats = field(repr=False)
    change: float = field(repr=False)


def search(
    time: Floats,
    station: Ints,
    label: Ints,
    times: Times,
    volume: Volume,
    rules: Rules,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Found]:
    """Find the events that picks belong to.

    Parameters
    ----------
    time : ndarray, shape (n_picks,)
        Seconds after some reference; best a small number, as 1e-9 of it is lost.
    station, label : ndarray of int, shape (n_picks,)
        Which station of `times`; 0 for P, 1 for S, 2 for unknown.
    times : Times
    volume : Volume
    rules : Rules
    progress : callable, optional
        Called with the part that is done.

    Returns
    -------
    list of Found
        By origin time.
    """
    order = np.lexsort((label, time, station))
    time, station, label = time[order], station[order], label[order]
    whole = _Search.of(PickList(time, station, label, _firsts(station, times.x.size), rules.named), times, volume, rules)
    events: list[Found] = []
    for begin, end in whole.blocks():
        progress((begin - time.min()) / max(end, time.max() - time.min()))
        events.extend(whole.block(begin, end))
    events.sort(key=lambda event: (event.origin, event.place.tolist()))
    return [replace(event, picks=order[event.picks]) for event in events]


def _firsts(station: Ints, n_stations: int) -> Ints:
    return np.searchsorted(station, np.arange(n_stations + 1)).astype(np.int64)


@dataclass(eq=False, slots=True)
class _Search:
    """Picks, of which events take more and more, and what does not change meanwhile."""

    picks: PickList
    free: Bools
    rate: Floats
    usual: Floats
    watched: Bools
    times: Times
    volume: Volume
    cells: Cells
    rules: Rules
    step: float
    longest: float
    threshold: float

    @classmethod
    def of(cls, picks: PickList, times: Times, volume: Volume, rules: Rules) -> _Search:
        n = times.x.size
        watched = np.zeros((n, 2), np.bool_)
        for phase in range(2):
            watched[picks.station[(picks.label == phase) | (picks.label == 2)], phase] = True
        cells = Cells.build(volume, times, rules.error, uses_s=bool(watched[:, 1].any()))
        # Twice in the narrowest gate of a usual cell, so that no peak falls between two origin times.
        step = float(np.median(cells.gate.min(axis=(1, 2)))) / 2
        chances = cells.change.size * _DAY / step
        return cls(
            picks=picks,
            free=np.ones(picks.time.size, np.bool_),
            rate=np.empty(0),
            usual=_usual(picks),
            watched=watched,
            times=times,
            volume=volume,
            cells=cells,
            rules=rules,
            step=step,
            longest=float(cells.time.max()),
            threshold=math.log(chances / rules.false_per_day),
        )

    def blocks(self) -> Iterator[tuple[float, float]]:
        """Cut origin time into blocks; stretches without picks are left out."""
        time = np.sort(self.picks.time)
        tile = max(1, math.ceil(_TILE_S / self.step)) * self.step
        length = math.ceil(max(_BLOCK_S, 2 * self.longest) / tile) * tile
        begin, last = time[0] - self.longest, time[-1]
        while begin < last:
            ahead = time[np.searchsorted(time, begin) :]
            if ahead[0] - self.longest > begin + length:
                begin = ahead[0] - self.longest
            yield begin, begin + length
            begin += length
            if not (time >= begin).any():
                return

    def block(self, begin: float, end: float) -> list[Found]:
        """Find the events with origin times in a block.

        Origin times for a while after the block are searched too, lest an event
        that begins there loses picks to one in the block; what is found there
        gives its picks back, as the next block will find it again.
        """
        events: list[Found] = []
        for _ in range(_ROUNDS):
            self.rate = rates(self.picks, self.free, _RATE_S, self.usual)
            new = self._detect(begin, end + self.longest)
            if not new:
                break
            events = self._share(events + new)
        kept = [event for event in events if event.origin < end]
        for event in events:
            if event.origin >= end:
                self.free[event.picks] = True
        return kept

    def _votes(self) -> Votes:
        picks, n = self.picks, self.times.x.size
        voters = [np.flatnonzero((picks.label == phase) | (picks.label == 2)) for phase in range(2)]
        pick = np.concatenate(voters)
        slot = 2 * picks.station[pick] + np.repeat([0, 1], [v.size for v in voters])
        order = np.lexsort((picks.time[pick], slot))
        pick, slot = pick[order], slot[order]
        # Where S are picked more rarely than P, or the other way round, silence says less.
        counts = np.array([v.size for v in voters], np.float64)
        p = np.maximum(TYPICAL * np.minimum(1.0, counts / max(counts.max(), 1.0)), 0.05)
        phase = slot % 2
        rings = np.unique(np.minimum(_RINGS, min(n, self.cells.station.shape[1])))
        return Votes(
            first=np.searchsorted(slot, np.arange(2 * n + 1)).astype(np.int64),
            pick=pick,
            time=picks.time[pick],
            weight=np.log(p[phase] / (1 - p[phase]) / self.rate[pick]),
            absence=np.where(self.watched, np.rint(np.log(1 - p) * UNIT), 0).astype(np.int64),
            rings=rings.astype(np.int64),
        )

    def _detect(self, begin: float, end: float) -> list[Found]:
        """Take peaks from the highest down."""
        tile = max(1, math.ceil(_TILE_S / self.step))
        n_tiles = math.ceil((end - begin) / (tile * self.step))
        votes = self._votes()
        floor = int(_HOPE * self.threshold * UNIT)
        bound = bounds(self.cells, begin, self.step, tile, n_tiles, votes, self.free)
        highest = bound.max(axis=1).astype(np.int64)
        known: dict[int, tuple[int, float]] = {}
        events = []
        while highest.max() > floor:
            j = int(highest.argmax())
            if j not in known:
                start = begin + j * tile * self.step
                score, cell, when = peak(
                    self.cells, start, self.step, tile, votes, self.free, bound[j], floor
                )
                highest[j], known[j] = score, (int(cell), float(when))
                continue
            cell, when = known.pop(j)
            event = self._climb(self.cells.centre[cell], self.cells.half[cell], float(self.cells.change[cell]), when)
            if event is not None and begin <= event.origin < end:
                events.append(event)
                self.free[event.picks] = False
                taken = self.picks.time[event.picks]
                first = int((taken.min() - self.longest - begin) / (tile * self.step))
                last = int((taken.max() - begin) / (tile * self.step))
                for other in range(max(first, 0), last + 1):
                    known.pop(other, None)
            else:
                _forget(bound[j], self.cells, cell)
                highest[j] = bound[j].max()
        return events

    def _climb(self, start: Floats, half: Floats, change: float, origin: float) -> Found | None:
        """Return the event near a place and time, if there is one."""
        place, origin = climb(
            self.picks, self.free, self.rate, self.times, self.rules.error, self.volume, start, half, change, origin
        )
        fit = fits(self.picks, self.free, self.rate, self.times, self.rules.error, place, origin, 0.0)
        event = self._weigh(fit, place, origin)
        return None if event is None else replace(event, half=half, change=change)

    def _weigh(self, fit: Fits, place: Floats, origin: float) -> Found | None:
        if fit.pick.size < self.rules.min_picks:
            return None
        known, reach, p, s = evidence(fit, self.times, self.watched, place)
        if known < self.threshold:
            return None
        own = _odds(fit, self.times, place, reach, p, s) > 1
        if own.sum() < self.rules.min_picks or np.unique(fit.station[own]).size < self.rules.min_stations:
            return None
        return Found(
            place, origin, known, reach, p, s, fit.pick[own], fit.phase[own], fit.residual[own], np.empty(0), 0.0
        )

    def _share(self, events: list[Found]) -> list[Found]:
        """Give each pick to the event that it fits best, and settle the events again."""
        for _ in range(2):
            for event in events:
                self.free[event.picks] = True
            wanted = [self._wanted(event) for event in events]
            number = np.repeat(np.arange(len(events)), [fit.pick.size for fit, _ in wanted])
            columns = [np.concatenate([getattr(fit, name) for fit, _ in wanted]) for name in ("station", "phase", "pick")]
            gain = np.concatenate([odds for _, odds in wanted])
            given = _give(np.argsort(-gain, kind="stable"), gain, number, *columns, self.times.x.size, len(events), self.free)
            settled = []
            for i in sorted(range(len(events)), key=lambda i: (-events[i].evidence, events[i].origin)):
                mine = columns[2][given & (number == i)]
                self.free[mine] = True
                event = self._climb(events[i].place, events[i].half / 8, events[i].change / 8, events[i].origin)
                if event is not None:
                    event = replace(event, half=events[i].half, change=events[i].change)
                    self.free[mine] = True
                    self.free[event.picks] = False
                    settled.append(event)
            events = settled
        return events

    def _wanted(self, event: Found) -> tuple[Fits, Floats]:
        fit = fits(
            self.picks, self.free, self.rate, self.times, self.rules.error, event.place, event.origin, 1e-9
        )
        return fit, _odds(fit, self.times, event.place, event.reach, event.p, event.s)


def _usual(picks: PickList) -> Floats:
    """Rate of picks of each label at a station, over all, 1/s.

    The first pick of each station says that it works and not how often; and half
    a pick in a window is what is known when there are none.
    """
    duration = max(float(np.ptp(picks.time)), 2 * _RATE_S)
    rate = np.empty(3)
    for label in range(3):
        here = picks.station[picks.label == label]
        stations = max(np.unique(here).size, 1)
        rate[label] = max(here.size - stations, 0) / stations / duration + 0.5 / (2 * _RATE_S)
    return rate


def _odds(fit: Fits, times: Times, place: Floats, reach: float, p: float, s: float) -> Floats:
    """Odds of each pick to be of the event rather than of chance."""
    away = np.hypot(place[0] - times.x[fit.station], place[1] - times.y[fit.station])
    seen = np.where(fit.phase == 0, p, s) * np.exp(-np.maximum(away - reach, 0.0) / (0.15 * reach + 1.0))
    return np.asarray(seen * fit.ratio / (1 - seen))


def _forget(bound: npt.NDArray[np.int32], cells: Cells, cell: int) -> None:
    """Strike out the cells around one that led to no event."""
    apart = np.abs(cells.centre - cells.centre[cell])
    bound[(apart <= 1.5 * (cells.half + cells.half[cell])).all(axis=1)] = LEAST


@njit(cache=True, error_model="numpy")
def _give(
    order: Ints, gain: Floats, number: Ints, station: Ints, phase: Ints, pick: Ints, n_stations: int, n_events: int, free: Bools
) -> Bools:
    """Give picks to events, the best fits first; an event has one of a phase at a station."""
    taken = np.zeros((n_events, n_stations, 2), np.bool_)
    given = np.zeros(order.size, np.bool_)
    for i in order:
        if gain[i] <= 1.0:
            break
        if free[pick[i]] and not taken[number[i], station[i], phase[i]]:
            given[i] = True
            free[pick[i]] = False
            taken[number[i], station[i], phase[i]] = True
    return given
