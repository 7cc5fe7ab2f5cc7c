"""Sums that depend on nothing but the samples."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import arrays

from workbench.maths.moments import Moments, exact, merge, of_floats, sums

LIMIT = 2**31
whole = some.integers(-LIMIT, LIMIT - 1) | some.integers(-100, 100) | some.sampled_from([-LIMIT, LIMIT - 1])
samples = arrays(np.int32, some.integers(0, 300), elements=whole)


def truth(values) -> Moments:
    """Return the moments by fractions, rounded once."""
    values = [Fraction(value) for value in values]
    n, total = len(values), sum(values)
    if not n:
        return Moments()
    m2 = sum(value**2 for value in values) - total**2 / n
    return Moments(n, float(total / n), float(m2))


@settings(max_examples=150, deadline=None)
@given(samples, some.lists(some.integers(0, 300), max_size=4))
def test_whole_numbers_are_summed_exactly(x, cuts) -> None:
    bounds = np.array(sorted([0, len(x), *(min(cut, len(x)) for cut in cuts)]))
    rows = sums(x, bounds)
    for (first, stop), row in zip(pairwise(bounds), rows.tolist(), strict=True):
        part = x[first:stop].tolist()
        n, total, upper, lower, least, most = row
        assert (n, total, (upper << 32) + lower) == (len(part), sum(part), sum(v * v for v in part))
        assert exact(n, total, (upper << 32) + lower) == truth(part)
        if part:
            assert (least, most) == (min(part), max(part))


def test_long_rows_of_the_largest_numbers_do_not_overflow() -> None:
    for value in (-LIMIT, LIMIT - 1, 2**23, -(2**23), 2**23 - 1):
        x = np.full(3_000_000, value, np.int32)
        ((n, total, upper, lower, _, _),) = sums(x, np.array([0, len(x)])).tolist()
        assert (total, (upper << 32) + lower) == (len(x) * value, len(x) * value**2)
        assert exact(n, total, (upper << 32) + lower).m2 == 0


@settings(max_examples=100, deadline=None)
@given(samples, some.lists(some.integers(0, 300), max_size=4))
def test_sums_of_parts_are_the_sum_of_the_whole(x, cuts) -> None:
    bounds = np.array(sorted([0, len(x), *(min(cut, len(x)) for cut in cuts)]))
    n, total, upper, lower = sums(x, bounds)[:, :4].sum(axis=0).tolist()
    assert exact(n, total, (upper << 32) + lower) == truth(x.tolist())


@settings(max_examples=100, deadline=None)
@given(some.lists(some.floats(-1e6, 1e6), max_size=200), some.floats(-1e9, 1e9))
def test_floats_are_as_exact_as_floats_can_be(values, offset) -> None:
    x = np.array(values) + offset
    found, want = of_floats(x), truth(x.tolist())
    assert found.n == want.n
    assert found.mean == pytest.approx(want.mean, rel=1e-12, abs=1e-9)
    assert math.sqrt(found.m2) == pytest.approx(math.sqrt(want.m2), rel=1e-9, abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(some.lists(some.lists(some.integers(-(10**6), 10**6), max_size=40), max_size=9))
def test_merged_parts_are_the_whole(parts) -> None:
    found = merge(truth(part) for part in parts)
    want = truth([value for part in parts for value in part])
    assert found.n == want.n
    assert found.mean == pytest.approx(want.mean, rel=1e-12, abs=1e-9)
    assert found.m2 == pytest.approx(want.m2, rel=1e-10, abs=1e-6)


def test_empty_parts_change_nothing() -> None:
    one = Moments(3, 2.5, 1.25)
    assert merge([Moments(), one, Moments(), Moments()]) == one
    assert merge([]) == Moments()
    assert sums(np.array([], np.int32), np.array([0, 0, 0])).tolist() == [[0] * 6] * 2
