"""The events of one stretch of time.

Peaks of the stack are taken from the highest down.  From each the likelihood
climbs to a place and an origin time; if the evidence there is more than chance
would bring, it is an event and takes its picks.  When no peak is left the picks
are shared out anew, each to the event that it fits best, and every event is
settled again with what it has.  Then what is left over is searched again, as
fewer picks make chance less likely, until nothing more is found.

A picker marks more than P and S of an event: reflections, the surface wave,
the same onset twice.  Such picks move across the network as the event's own do
and would make a second, false event.  So at the stations of an event that is
found, picks from its first arrival to some seconds after its last one count as
more likely by chance; how much more is learnt from the picks themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.association.cells import Cells, Volume
from workbench.maths.association.climb import climb
from workbench.maths.association.found import Found, Rules
from workbench.maths.association.likelihood import TYPICAL, Fits, PickList, evidence, fits, rates
from workbench.maths.association.stack import LEAST, UNIT, Votes, bounds, peak
from workbench.maths.association.times import Times

__all__ = ["CODA_S", "RATE_S", "Block", "Ground", "codas"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Ints32 = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]

CODA_S = 10.0
"""Seconds after an event's last pick at a station in which more picks may be its own."""

RATE_S = 30.0
"""Seconds to either side in which the rate of picks is counted: a swarm or a gust lasts longer."""

_RINGS = (5, 8, 13, 20, 32)
"""Numbers of nearest stations that peaks are looked for with."""


@dataclass(frozen=True, eq=False, slots=True)
class Ground:
    """What does not change from block to block.

    Attributes
    ----------
    times : Times
    volume : Volume
    cells : Cells
    rules : Rules
    watched : ndarray of bool, shape (n_stations, 2)
        Whether the station ever picks P and S.
    usual : ndarray, shape (3,)
        Usual rate of picks of each label at a station, 1/s.
    step : float
        Spacing of origin times in the stack, s.
    tile : int
        Origin times of which only the highest peak is kept at a time.
    longest : float
        Longest travel time in the cells, s.
    """

    times: Times
    volume: Volume
    cells: Cells
    rules: Rules
    watched: Bools
    usual: Floats
    step: float
    tile: int
    longest: float


@dataclass(eq=False, slots=True)
class Block:
    """Picks of which events take more and more.

    Attributes
    ----------
    ground : Ground
    picks : PickList
    free : ndarray of bool, shape (n_picks,)
        Which picks have no event.
    rate : ndarray, shape (n_picks,)
        Rate of picks by chance, 1/s.
    """

    ground: Ground
    picks: PickList
    free: Bools
    rate: Floats

    @classmethod
    def of(cls, ground: Ground, picks: PickList, free: Bools) -> Block:
        """Make a block of picks, some of which may have been taken already."""
        return cls(ground, picks, free.copy(), np.zeros(0))

    def events(self, begin: float, end: float, *, rounds: int, hope: float) -> list[Found]:
        """Find the events with origin times from `begin` to `end`.

        Parameters
        ----------
        begin, end : float
            Seconds.
        rounds : int
            How often what is left over is searched, at most.
        hope : float
            Part of the evidence needed that a peak must have to be climbed from.
        """
        events: list[Found] = []
        for _ in range(rounds):
            self.rate = rates(self.picks, self.free, RATE_S, self.ground.usual)
            new = self._detect(begin, end, events, hope)
            if not new:
                break
            events = self._share(events + new)
        return events

    def _detect(self, begin: float, end: float, before: list[Found], hope: float) -> list[Found]:
        """Take peaks from the highest down."""
        ground = self.ground
        length = ground.tile * ground.step
        rate = self.rate.copy()
        self._add_codas(rate, before)
        votes = self._votes(rate)
        floor = int(hope * ground.rules.evidence * UNIT)
        bound = bounds(
            ground.cells, begin, ground.step, ground.tile, math.ceil((end - begin) / length), votes, self.free
        )
        highest = bound.max(axis=1).astype(np.int64)
        known: dict[int, tuple[int, float]] = {}
        events = []
        while highest.max() > floor:
            j = int(highest.argmax())
            if j not in known:
                score, cell, when = peak(
                    ground.cells,
                    begin + j * length,
                    ground.step,
                    ground.tile,
                    votes,
                    self.free,
                    bound[j],
                    floor,
                )
                highest[j], known[j] = score, (int(cell), float(when))
                continue
            cell, when = known.pop(j)
            cells = ground.cells
            event, place = self._climb(
                rate, cells.centre[cell], cells.half[cell], float(cells.change[cell]), when
            )
            if event is not None and begin <= event.origin < end:
                events.append(event)
                self.free[event.picks] = False
                self._add_codas(rate, [event])
                taken = self.picks.time[event.picks]
                first = int((taken.min() - ground.longest - begin) / length)
                for other in range(max(first, 0), int((taken.max() - begin) / length) + 1):
                    known.pop(other, None)
            else:
                highest[j] = _forget(bound[j], cells.centre, cells.half, cell, place)
        return events

    def _votes(self, rate: Floats) -> Votes:
        picks, ground, n = self.picks, self.ground, self.ground.times.x.size
        voters = [np.flatnonzero((picks.label == phase) | (picks.label == 2)) for phase in range(2)]
        pick = np.concatenate(voters)
        slot = 2 * picks.station[pick] + np.repeat([0, 1], [v.size for v in voters])
        order = np.lexsort((picks.time[pick], slot))
        pick, slot = pick[order], slot[order]
        # Where S are picked more rarely than P, or the other way round, silence says less.
        usual = ground.usual[:2] * ground.watched.any(axis=0) + ground.usual[2]
        p = np.maximum(TYPICAL * usual / usual.max(), 0.05)
        phase = slot % 2
        rings = np.unique(np.minimum(_RINGS, ground.cells.station.shape[1]))
        return Votes(
            first=np.searchsorted(slot, np.arange(2 * n + 1)).astype(np.int64),
            pick=pick,
            time=picks.time[pick],
            weight=np.log(p[phase] / (1 - p[phase]) / rate[pick]),
            absence=np.where(ground.watched, np.rint(np.log(1 - p) * UNIT), 0).astype(np.int64),
            rings=rings.astype(np.int64),
        )

    def _add_codas(self, rate: Floats, events: list[Found]) -> None:
        if self.ground.rules.coda > 0.0:
            inside, _ = codas(self.picks, events)
            rate[inside] += self.ground.rules.coda

    def _climb(
        self, rate: Floats, start: Floats, half: Floats, change: float, origin: float
    ) -> tuple[Found | None, Floats]:
        """Return the event near a place and time, if there is one, and where the climb ended."""
        ground = self.ground
        place, origin = climb(
            self.picks,
            self.free,
            rate,
            ground.times,
            ground.rules.error,
            ground.volume,
            start,
            half,
            change,
            origin,
        )
        fit = fits(self.picks, self.free, rate, ground.times, ground.rules.error, place, origin, 0.0)
        event = self._weigh(fit, place, origin)
        return None if event is None else replace(event, half=half, change=change), place

    def _weigh(self, fit: Fits, place: Floats, origin: float) -> Found | None:
        """Return an event if the evidence suffices."""
        rules = self.ground.rules
        if fit.pick.size < rules.min_picks:
            return None
        known, reach, p, s = evidence(fit, self.ground.times, self.ground.watched, place)
        if known < rules.evidence:
            return None
        own = _odds(fit, self.ground.times, place, reach, p, s) > 1
        if own.sum() < rules.min_picks or np.unique(fit.station[own]).size < rules.min_stations:
            return None
        return Found(
            place=place,
            origin=origin,
            evidence=known,
            reach=reach,
            p=p,
            s=s,
            picks=fit.pick[own],
            phases=fit.phase[own],
            stations=fit.station[own],
            residual=fit.residual[own],
            error=fit.error[own],
            half=np.zeros(3),
            change=0.0,
        )

    def _share(self, events: list[Found]) -> list[Found]:
        """Give each pick to the event that it fits best, and settle the events again."""
        for _ in range(2):
            for event in events:
                self.free[event.picks] = True
            given = self._given(events)
            settled = []
            for i in sorted(range(len(events)), key=lambda i: (-events[i].evidence, events[i].origin)):
                old, mine = events[i], given[i]
                self.free[mine] = True
                again, _ = self._climb(self.rate, old.place, old.half / 8, old.change / 8, old.origin)
                if again is not None:
                    self.free[again.picks] = False
                    settled.append(replace(again, half=old.half, change=old.change))
            events = settled
            if not events:
                break
        return events

    def _given(self, events: list[Found]) -> list[Ints]:
        """Return the picks that each event gets, and take them."""
        ground = self.ground
        wanted, odds = [], []
        for event in events:
            fit = fits(
                self.picks,
                self.free,
                self.rate,
                ground.times,
                ground.rules.error,
                event.place,
                event.origin,
                1e-9,
            )
            wanted.append(fit)
            odds.append(_odds(fit, ground.times, event.place, event.reach, event.p, event.s))
        number = np.repeat(np.arange(len(events)), [fit.pick.size for fit in wanted])
        station, phase, pick = (
            np.concatenate([getattr(fit, name) for fit in wanted]) for name in ("station", "phase", "pick")
        )
        gain = np.concatenate(odds)
        order = np.argsort(-gain, kind="stable")
        shape = (len(events), ground.times.x.size, 2)
        given = _give(order, gain, number, station, phase, pick, np.zeros(shape, np.bool_), self.free)
        return [pick[given & (number == i)] for i in range(len(events))]


def codas(picks: PickList, events: Iterable[Found]) -> tuple[Ints, float]:
    """Find the picks in the codas of events, and how many seconds the codas last, over all stations.

    An event's own picks count as well.
    """
    inside, seconds = [np.empty(0, np.int64)], 0.0
    for event in events:
        for station in np.unique(event.stations):
            own = picks.time[event.picks[event.stations == station]]
            begin, end = float(own.min()), float(own.max()) + CODA_S
            low, high = picks.first[station], picks.first[station + 1]
            first, last = np.searchsorted(picks.time[low:high], [begin, end]) + low
            inside.append(np.arange(first, last))
            seconds += end - begin
    return np.unique(np.concatenate(inside)), seconds


def _odds(fit: Fits, times: Times, place: Floats, reach: float, p: float, s: float) -> Floats:
    """Odds of each pick to be of the event rather than of chance.

    Beyond the reach the probability of a pick falls off with distance.
    """
    away = np.hypot(place[0] - times.x[fit.station], place[1] - times.y[fit.station])
    seen = np.where(fit.phase == 0, p, s) * np.exp(-np.maximum(away - reach, 0.0) / (0.15 * reach + 1.0))
    return np.asarray(seen * fit.ratio / (1 - seen))


@njit(cache=True, error_model="numpy")
def _forget(bound: Ints32, centre: Floats, half: Floats, cell: int, end: Floats) -> int:
    """Strike out the cells between one and where the climb from it ended; return the highest bound left."""
    low, high = np.minimum(centre[cell], end), np.maximum(centre[cell], end)
    highest = int(LEAST)
    for i in range(bound.size):
        inside = True
        for axis in range(3):
            room = 1.5 * (half[i, axis] + half[cell, axis])
            if centre[i, axis] < low[axis] - room or centre[i, axis] > high[axis] + room:
                inside = False
                break
        if inside:
            bound[i] = LEAST
        highest = max(highest, int(bound[i]))
    return highest


@njit(cache=True, error_model="numpy")
def _give(
    order: Ints,
    gain: Floats,
    number: Ints,
    station: Ints,
    phase: Ints,
    pick: Ints,
    taken: npt.NDArray[np.bool_],
    free: Bools,
) -> Bools:
    """Give picks to events, the best fits first; an event has one of a phase at a station."""
    given = np.zeros(order.size, np.bool_)
    for i in order:
        if gain[i] <= 1.0:
            break
        if free[pick[i]] and not taken[number[i], station[i], phase[i]]:
            given[i] = True
            free[pick[i]] = False
            taken[number[i], station[i], phase[i]] = True
    return given
