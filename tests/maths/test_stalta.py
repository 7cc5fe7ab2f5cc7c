"""STA/LTA against ObsPy's, and to the bit wherever the data are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from obspy.signal.trigger import classic_sta_lta, recursive_sta_lta, trigger_onset

from workbench.maths.stalta import classic, moving_sum, onsets, recursive

RNG = np.random.default_rng(2)
NOISE = np.concatenate(([0.0], RNG.normal(size=3000) * (1 + 9 * (np.arange(3000) % 1000 < 60))))


@pytest.mark.parametrize(("ours", "theirs"), [(classic, classic_sta_lta), (recursive, recursive_sta_lta)])
def test_agrees_with_obspy(ours, theirs):
    np.testing.assert_allclose(ours(NOISE, 20, 300), theirs(NOISE, 20, 300), rtol=1e-9)


@given(n=some.integers(1, 700), length=some.integers(1, 700))
@settings(max_examples=60, deadline=None)
def test_moving_sum_is_the_sum(n, length):
    x = NOISE[:length] ** 2
    want = [x[i - n + 1 : i + 1].sum() if i >= n - 1 else 0.0 for i in range(length)]
    np.testing.assert_allclose(moving_sum(x, n), want, rtol=1e-12)


@given(start=some.integers(0, 2000), nsta=some.integers(1, 50), nlta=some.integers(50, 400))
@settings(max_examples=60, deadline=None)
def test_classic_does_not_depend_on_where_the_data_begin(start, nsta, nlta):
    whole = classic(NOISE, nsta, nlta)
    part = classic(NOISE[start:], nsta, nlta)
    np.testing.assert_array_equal(part[nlta - 1 :], whole[start + nlta - 1 :])


@given(cuts=some.lists(some.integers(0, len(NOISE)), max_size=5))
@settings(max_examples=30, deadline=None)
def test_recursive_carries_its_state_to_the_bit(cuts):
    state = np.zeros(3)
    parts = [recursive(part, 20, 300, state) for part in np.split(NOISE, sorted(cuts))]
    np.testing.assert_array_equal(np.concatenate(parts), recursive(NOISE, 20, 300))


@given(some.lists(some.floats(0, 5), min_size=1, max_size=60), some.floats(2, 4), some.floats(0.5, 2))
@settings(max_examples=100, deadline=None)
def test_onsets_are_obspys(ratio, on, off):
    spans, peaks = onsets(np.array(ratio), on, off)
    theirs = trigger_onset(np.array(ratio), on, off)
    assert spans.tolist() == [list(span) for span in theirs]
    assert peaks.tolist() == [max(ratio[first : last + 1]) for first, last in spans]


@pytest.mark.parametrize("ratio", [classic, recursive])
@pytest.mark.parametrize("x", [np.zeros(500), np.zeros(0), np.ones(1), np.ones(9)])
def test_nothing_to_measure_gives_zero(ratio, x):
    assert not ratio(x, 5, 10).any()
    assert ratio(x, 5, 10).shape == x.shape
