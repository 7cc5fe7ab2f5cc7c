"""Gaps, overlaps and samples, against counting slot by slot."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.maths.availability import availability, chains, first_sample

STEP = 250_000_000
"""Spacing of the samples of these tests, ns."""

spans = some.lists(some.tuples(some.integers(0, 300), some.integers(1, 60)), min_size=1, max_size=8)


def arrays(found, step=STEP):
    """Return first and last sample, samples and rate of (first slot, number of samples), by start."""
    found = sorted(found)
    start = np.array([first for first, _ in found]) * step
    n = np.array([number for _, number in found])
    return start, start + (n - 1) * step, n, np.full(len(found), 1e9 / step)


def alone(start, *more):
    """Return what is measured of one channel."""
    gaps, overlaps, samples = availability(np.array([0, len(start)]), start, *more)
    return gaps[:, 0], overlaps[:, 0], samples[0]


def runs(flags):
    """Return how many runs of True there are, and the longest."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(int)))
    lengths = edges[1::2] - edges[::2]
    return len(lengths), int(lengths.max(initial=0))


@settings(max_examples=200, deadline=None)
@given(spans, some.lists(some.integers(0, 400), min_size=2, max_size=6, unique=True).map(sorted))
def test_agrees_with_counting_slot_by_slot(found, cuts):
    covers = np.zeros(400, int)
    for first, number in found:
        covers[first : first + number] += 1
    edges = np.array(cuts) * STEP
    gaps, _, samples = alone(*arrays(found), edges)
    for window, (begin, stop) in enumerate(pairwise(cuts)):
        inside = covers[begin:stop]
        number, longest = runs(inside == 0)
        assert gaps[:, window].tolist() == [number, longest * STEP, int((inside == 0).sum()) * STEP]
        assert samples[window] == inside.sum()


@settings(max_examples=100, deadline=None)
@given(spans, some.lists(some.integers(-10, 400), max_size=5, unique=True), some.integers(-40, 40))
def test_windows_do_not_depend_on_each_other(found, cuts, shift):
    """However the time is cut, a window holds the same; half a sample from the grid of the samples too."""
    columns = arrays(found)
    whole = np.arange(-10, 401) * STEP + shift * STEP // 80
    wanted = alone(*columns, whole)
    edges = sorted({0, len(whole) - 1, *(cut + 10 for cut in cuts)})
    parts = [alone(*columns, whole[first : stop + 1]) for first, stop in pairwise(edges)]
    for number, one in enumerate(wanted):
        np.testing.assert_array_equal(np.concatenate([part[number] for part in parts], axis=-1), one)


@settings(max_examples=100, deadline=None)
@given(some.lists(spans, min_size=1, max_size=5), some.lists(some.integers(0, 400), min_size=2, unique=True))
def test_channels_do_not_depend_on_each_other(channels, cuts):
    columns = [arrays(found) for found in channels]
    edges = np.array(sorted(cuts)) * STEP
    bounds = np.cumsum([0, *map(len, channels)])
    together = availability(bounds, *map(np.concatenate, zip(*columns, strict=True)), edges)
    for row, column in enumerate(columns):
        for one, wanted in zip(together, alone(*column, edges), strict=True):
            np.testing.assert_array_equal(one[..., row, :], wanted)


@pytest.mark.parametrize(
    ("late", "gap", "overlap"),
    [(0.0, 0, 0), (0.5, 0, 0), (-0.5, 0, 0), (0.51, 1, 0), (-0.51, 0, 1), (1.0, 1, 0), (-1.0, 0, 1)],
)
def test_half_a_sample_is_tolerated(late, gap, overlap):
    start = np.array([0, 10 * STEP + round(late * STEP)])
    end = start + 9 * STEP
    edges = np.array([0, int(end[-1]) + STEP])
    gaps, overlaps, samples = alone(start, end, np.array([10, 10]), np.full(2, 1e9 / STEP), edges)
    assert (gaps[0, 0], overlaps[0, 0], samples[0]) == (gap, overlap, 20)
    assert gaps[2, 0] == gap * round(late * STEP)
    assert overlaps[2, 0] == overlap * round(-late * STEP)


@pytest.mark.parametrize(("away", "gaps"), [(0.0, 0), (0.5, 0), (0.51, 1), (-0.5, 0)])
def test_half_a_sample_is_tolerated_at_the_edges_of_a_window(away, gaps):
    start = np.array([round(away * STEP)])
    found, _, samples = alone(
        start, start + 9 * STEP, np.array([10]), np.array([1e9 / STEP]), np.array([0, 10 * STEP])
    )
    assert found[0, 0] == gaps
    assert samples[0] == (9 if away < 0 else 10)


def test_each_stretch_that_begins_while_another_lasts_is_an_overlap():
    """Three copies are two overlaps, however many records each of them is of."""
    copies = [(first, 10) for first in range(0, 50, 10) for _ in range(3)]
    edges = np.array([0, 25, 50]) * STEP
    gaps, overlaps, samples = alone(*arrays(copies), edges)
    assert gaps[0].tolist() == [0, 0]
    assert overlaps.tolist() == [[2, 2], [25 * STEP] * 2, [50 * STEP] * 2]
    assert samples.tolist() == [75, 75]


def test_spans_that_follow_each_other_are_one_chain_whatever_is_between():
    start, end, _, rate = arrays([(0, 10), (5, 100), (10, 10), (20, 10)])
    begins, stops, _ = chains(start, end, 1e9 / rate)
    assert (begins // STEP).tolist() == [0, 5]
    assert (stops // STEP).tolist() == [30, 105]


def test_spans_of_another_rate_do_not_continue_a_chain():
    start = np.array([0, 10]) * 1_000_000_000
    end = np.array([9, 19]) * 1_000_000_000
    assert len(chains(start, end, np.array([1e9, 0.5e9]))[0]) == 2
    gaps, overlaps, _ = alone(start, end, np.array([10, 19]), np.array([1.0, 2.0]), start)
    assert (gaps[0, 0], overlaps[0, 0]) == (0, 0)


@pytest.mark.parametrize("rate", [100.0, 1.0, 200.0, 3.0])
def test_samples_that_headers_round_down_are_on_time(rate):
    """Half a header's count before midnight belongs to the new day; a clear part of a sample does not."""
    step = 1e9 / rate
    assert first_sample(-50_000, step, 5, 0) == 0
    assert first_sample(-round(0.3 * step), step, 5, 0) == 1
    assert first_sample(10, step, 5, 0) == 0
    assert first_sample(0, step, 5, 2**62) == 5


def test_without_spans_each_window_is_one_gap():
    none = np.array([], np.int64)
    gaps, overlaps, samples = alone(none, none, none, np.array([]), np.array([0, 5, 7]))
    assert gaps.tolist() == [[1, 1], [5, 2], [5, 2]]
    assert not overlaps.any()
    assert not samples.any()
