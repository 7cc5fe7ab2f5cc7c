"""The parts of the association search: times, cells, bounds, and the likelihood ratio."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.maths.association.cells import Cells, Volume
from workbench.maths.association.climb import climb
from workbench.maths.association.likelihood import PickList, evidence, fits, rates
from workbench.maths.association.stack import UNIT, Votes, bounds, peak
from workbench.maths.association.times import Spread, Times, spread, travel
from workbench.maths.layered import Layers
from workbench.velocity import VelocityModel

MODEL = VelocityModel((0.0, 3.0, 12.0, 30.0), (5.0, 5.7, 6.2, 8.0), (2.9, 3.3, 3.55, 4.5))
LAYERS = Layers.of(MODEL, "P"), Layers.of(MODEL, "S")
ERROR = Spread(0.1, 0.1, 0.015)
TURN = np.arange(10) * 2.39996
X, Y = (30.0 * np.sqrt((np.arange(10) + 0.5) / 10) * side for side in (np.sin(TURN), np.cos(TURN)))
DEPTH = np.linspace(-1.5, 0.2, 10)
TIMES = Times.build(LAYERS, X, Y, DEPTH, distance_km=120.0, depth_km=(-1.5, 30.0))
VOLUME = Volume(np.array([-45.0, -45.0, -1.5]), np.array([45.0, 45.0, 30.0]))
CELLS = Cells.build(VOLUME, TIMES, ERROR, uses_s=True)
WATCHED = np.ones((10, 2), np.bool_)


def chance(random, *, seconds=600.0, per_station=10):
    """Picks that belong to nothing, half of them P."""
    station = np.repeat(np.arange(10), per_station)
    time = np.concatenate([np.sort(random.uniform(0, seconds, per_station)) for _ in range(10)])
    first = np.arange(0, station.size + 1, per_station)
    return PickList(time, station, random.integers(0, 2, station.size), first, np.ones(station.size), 0.95)


def arrivals_of(place, origin):
    km = np.hypot(X - place[0], Y - place[1])
    return np.stack([of.arrivals(place[2], DEPTH, km)[0] for of in LAYERS], axis=1) + origin


@given(st.integers(0, 9), st.integers(0, 1), st.floats(0.0, 110.0), st.floats(0.0, 29.0))
def test_tables_are_as_good_as_rays(station, phase, km, depth):
    exact = float(LAYERS[phase].arrivals(depth, DEPTH[station : station + 1], np.array([km]))[0][0])
    assert travel(TIMES, station, phase, km, depth) == pytest.approx(exact, abs=0.02)


def test_a_delay_is_added():
    delay = np.zeros((10, 2))
    delay[3, 1] = 0.25
    late = TIMES._replace(delay=delay)
    assert travel(late, 3, 1, 20.0, 8.0) == travel(TIMES, 3, 1, 20.0, 8.0) + 0.25
    assert travel(late, 3, 0, 20.0, 8.0) == travel(TIMES, 3, 0, 20.0, 8.0)


def test_errors_grow_with_travel_time():
    assert spread(ERROR, 0, 0.0) == pytest.approx(0.1)
    assert spread(ERROR, 0, 16.0) == pytest.approx(math.sqrt(0.01 + 0.16 + 0.0576))
    assert spread(ERROR._replace(s=2.0), 1, 16.0) == pytest.approx(2 * spread(ERROR, 0, 16.0))


def test_cells_fill_the_volume_once():
    assert (8 * CELLS.half.prod(axis=1)).sum() == pytest.approx(float((VOLUME.high - VOLUME.low).prod()))
    for point in np.random.default_rng(1).uniform(VOLUME.low, VOLUME.high, (200, 3)):
        assert (np.abs(point - CELLS.centre) <= CELLS.half).all(axis=1).sum() == 1
    assert (np.diff([math.hypot(*(CELLS.centre[0, :2] - (X[s], Y[s]))) for s in CELLS.station[0]]) >= 0).all()


def votes_of(picks, rate):
    pick = np.concatenate([np.flatnonzero(picks.label == phase) for phase in range(2)])
    slot = 2 * picks.station[pick] + picks.label[pick]
    order = np.lexsort((picks.time[pick], slot))
    pick, slot = pick[order], slot[order]
    first = np.searchsorted(slot, np.arange(21)).astype(np.int64)
    weight = np.log(1.5 / rate[pick])
    absence = np.full((10, 2), round(math.log(0.4) * UNIT), np.int64)
    return Votes(first, pick, picks.time[pick], weight, absence, np.array([5, 8, 10]))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_what_was_computed_stays_a_bound_when_picks_are_taken(seed):
    random = np.random.default_rng(seed)
    picks = chance(random)
    votes, free = votes_of(picks, np.full(picks.time.size, 0.02)), np.ones(picks.time.size, np.bool_)
    before = bounds(CELLS, 0.0, 0.2, 25, 20, votes, free)
    free[random.random(free.size) < 0.3] = False
    after = bounds(CELLS, 0.0, 0.2, 25, 20, votes, free)
    assert (after <= before).all()
    for tile in range(0, 20, 5):
        score, cell, when = peak(CELLS, 5.0 * tile, 0.2, 25, votes, free, before[tile].copy(), -(10**6))
        assert score == after[tile].max() == after[tile, cell]
        assert 5.0 * tile <= when <= 5.0 * tile + 5.1


def test_the_highest_peak_of_the_stack_leads_to_the_earthquake():
    place, origin = np.array([6.0, -4.0, 9.0]), 43.0
    time = arrivals_of(place, origin)
    order = np.argsort(time, axis=1)
    picks = PickList(
        np.take_along_axis(time, order, 1).ravel(),
        np.repeat(np.arange(10), 2),
        order.ravel(),
        np.arange(0, 21, 2),
        np.ones(20),
        0.95,
    )
    votes, free = votes_of(picks, np.full(20, 0.01)), np.ones(20, np.bool_)
    bound = bounds(CELLS, 0.0, 0.2, 25, 20, votes, free)
    tile = int(bound.max(axis=1).argmax())
    _, cell, when = peak(CELLS, 5.0 * tile, 0.2, 25, votes, free, bound[tile], 0)
    assert abs(when - origin) < 0.8
    start = CELLS.centre[cell], CELLS.half[cell], float(CELLS.change[cell])
    rate = np.full(20, 0.01)
    found, at = climb(picks, free, rate, TIMES, ERROR, VOLUME, *start, when)
    assert np.abs(found - place).max() < 0.3
    assert abs(at - origin) < 0.05
    fit = fits(picks, free, rate, TIMES, ERROR, place, origin, 0.0)
    assert fit.pick.size == 20
    assert np.abs(fit.residual).max() < 0.03
    log_ratio, reach, p, s = evidence(fit, TIMES, WATCHED, place)
    assert log_ratio > 50
    assert reach == pytest.approx(float(np.hypot(X - 6, Y + 4).max()))
    assert (p, s) == (0.9, 0.9)


def test_one_pick_is_not_both_phases():
    """Near the source P and S are closer than the errors."""
    near = TIMES._replace(x=np.full(10, 0.0), y=np.full(10, 0.0))
    picks = PickList(
        np.array([0.3]), np.zeros(1, np.int64), np.array([2]), np.r_[0, np.ones(10, int)], np.ones(1), 0.95
    )
    fit = fits(picks, np.ones(1, np.bool_), np.full(1, 0.01), near, ERROR, np.zeros(3), 0.0, 0.0)
    assert fit.pick.tolist() == [0]


def test_the_rate_is_that_of_others_of_the_same_name_at_the_station():
    picks = PickList(
        np.array([10.0, 20.0, 25.0, 100.0, 12.0]),
        np.array([0, 0, 0, 0, 1]),
        np.array([0, 0, 1, 0, 0]),
        np.array([0, 4, 5]),
        np.array([1.0, 1.0, 1.0, 1.0, 2.0]),
        0.95,
    )
    found = rates(picks, np.ones(5, np.bool_), 30.0, np.array([0.02, 0.04, 0.0]))
    assert found == pytest.approx([(1 / 60 + 0.02) / 2] * 2 + [0.02, 0.01, 0.005])


def test_by_chance_the_ratio_is_one_in_the_mean_and_large_ones_are_as_rare_as_markov_says():
    random = np.random.default_rng(7)
    place, ratios = np.array([3.0, 2.0, 8.0]), []
    for _ in range(3000):
        count = random.poisson(12, 10)
        station = np.repeat(np.arange(10), count)
        time = np.concatenate([np.sort(random.uniform(0, 600, n)) for n in count])
        label = random.integers(0, 2, station.size)
        first = np.concatenate([[0], np.cumsum(count)])
        picks = PickList(time, station, label, first, np.ones(time.size), 0.95)
        rate = np.full(time.size, 6 / 600)
        fit = fits(picks, np.ones(time.size, np.bool_), rate, TIMES, ERROR, place, 300.0, 0.0)
        ratios.append(math.exp(evidence(fit, TIMES, WATCHED, place)[0]))
    for limit in (2, 10, 100):
        expected = 3000 / limit
        assert (np.array(ratios) > limit).sum() <= expected + 3 * math.sqrt(expected)
    # Each station's terms are one in the mean, and most ratios lie far below.
    assert np.median(ratios) < 1
