"""Times of a grid, exact however long it is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cubes.grid import DAY_NS, Grid, follow

RATES = [100.0, 100 / 3, 33.3333, 40.0, 1.0, 0.1, 3.0, 1000.0, 99.9999, float(np.float32(100 / 3))]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(RATES),
    st.integers(0, 3 * 10**9),
    st.integers(1, 50),
    st.integers(1, 7),
)
def test_every_time_is_right_to_the_nanosecond(rate, seconds, size, stride) -> None:
    first = int(seconds * rate)
    grid = Grid(18_000 * DAY_NS, rate, first, size, stride)
    near = Fraction(rate).limit_denominator(10**6)
    exact = near if float(near) == rate else Fraction(rate)
    times = grid.times().astype(np.int64)
    for place in (0, size // 2, size - 1):
        number = first + place * stride
        true = grid.origin + Fraction(number * 10**9) / exact
        # What is left of float arithmetic, where so many samples never fill whole seconds.
        slack = Fraction(1, 2) if exact == near else Fraction(number * 10**9) / exact / 2**51 + 1
        assert abs(int(times[place]) - true) <= slack
        assert int(times[place]) == grid.time(number)
        assert abs(grid.number(int(times[place])) - number) < 1e-4
        assert abs(grid.places(times[place].astype("datetime64[ns]")) - place) < 1e-4


def test_a_part_has_the_times_of_the_whole() -> None:
    grid = Grid(0, 100 / 3, 17, 1000)
    np.testing.assert_array_equal(grid.part(slice(5, 900, 7)).times(), grid.times()[5:900:7])
    again = grid.part(slice(5, 900, 7)).part(slice(-30, None, 2))
    np.testing.assert_array_equal(again.times(), grid.times()[5:900:7][-30::2])
    assert grid.part(slice(7, 7)).size == 0
    assert grid.part(slice(7, 7)).times().shape == (0,)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("stride", [1, 3])
def test_days_begin_at_midnight(rate, stride) -> None:
    start = 18_262 * DAY_NS + 7_654_321_000
    grid = Grid.over(start, start + 3 * DAY_NS // (10 if rate > 40 else 1), rate)
    grid = Grid(grid.origin, rate, grid.first, grid.size // stride, stride)
    days = grid.days()
    assert sum(days) == grid.size
    at = 0
    for number, count in enumerate(days):
        ends = grid.times([at, at + count - 1]).astype(np.int64) // DAY_NS
        assert ends.tolist() == [18_262 + number] * 2
        at += count


def test_a_span_has_a_time_next_to_every_sample_in_it() -> None:
    grid = Grid.over(DAY_NS, 2 * DAY_NS, 100.0)
    assert (grid.size, grid.time(grid.first), grid.times([-1])[0]) == (
        8_640_001,
        DAY_NS,
        np.datetime64(DAY_NS - 10_000_000, "ns"),
    )
    grid = Grid.over(DAY_NS + 3_000_000, DAY_NS + 17_000_000, 100.0)
    assert [int(one) - DAY_NS for one in grid.times().astype(np.int64)] == [0, 10_000_000, 20_000_000]
    assert Grid.over(DAY_NS, DAY_NS, 1.0).size == 1


def test_rounding_holds_its_side() -> None:
    rng = np.random.default_rng(1)
    numbers = 1000 * np.arange(200) + 0.5 + rng.uniform(-0.09, 0.09, 200)
    whole, leans = follow(numbers)
    assert len(set(np.diff(whole))) == 1
    assert max(map(abs, leans)) <= 0.6
    # A clock that drifts is let go after a while, and each time is within 0.6 of where it belongs.
    drifting = 1000.01 * np.arange(500)
    whole, leans = follow(drifting)
    assert set(np.diff(whole)) == {1000, 1001}
    assert max(map(abs, leans)) <= 0.6
    assert follow([10.5], lean=0.5)[0] == [11]
    assert follow([10.5], lean=-0.5)[0] == [10]
