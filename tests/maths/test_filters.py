"""Butterworth sections against scipy's and against the closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import signal

from workbench.maths.filters import (
    butterworth_sos,
    decay_rate,
    initial_state,
    sosfilt,
    sosfiltfilt,
)

NOISE = np.random.default_rng(1).normal(size=4000)


def scipys(order, freqmin, freqmax, rate):
    kind = "bandpass" if freqmin and freqmax else "highpass" if freqmin else "lowpass"
    corners = [corner for corner in (freqmin, freqmax) if corner]
    return signal.butter(order, corners if len(corners) == 2 else corners[0], kind, fs=rate, output="sos")


@pytest.mark.parametrize("order", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("corners", [(1, 10), (10, 20), (1, None), (None, 10), (0.5, 45), (5, 5.5)])
def test_filters_as_scipys_butter_does(order, corners):
    ours = sosfilt(butterworth_sos(order, *corners, 100.0), NOISE)
    theirs = signal.sosfilt(scipys(order, *corners, 100.0), NOISE)
    assert np.abs(ours - theirs).max() < 1e-12 * np.abs(theirs).max()


@settings(max_examples=60, deadline=None)
@given(
    order=some.integers(1, 8),
    low=some.floats(1e-3, 0.9),
    width=some.floats(0.01, 0.99),
    kind=some.sampled_from(["band", "high", "low"]),
)
def test_amplitude_is_butterworths_formula(order, low, width, kind):
    rate = 100.0
    first, second = 50 * low, 50 * (low + (1 - low) * width)
    freqmin, freqmax = (None if kind == "low" else first), (None if kind == "high" else second)
    frequency = np.linspace(0.05, 49.95, 300)

    def warp(f):
        return np.tan(np.pi * np.asarray(f) / rate)

    if kind == "band":
        ratio = (warp(frequency) ** 2 - warp(first) * warp(second)) / (
            warp(frequency) * (warp(second) - warp(first))
        )
    else:
        ratio = warp(first) / warp(frequency) if kind == "high" else warp(frequency) / warp(second)
    exact = 1 / np.sqrt(1 + ratio ** (2 * order))
    response = signal.sosfreqz(butterworth_sos(order, freqmin, freqmax, rate), frequency, fs=rate)[1]
    assert np.abs(np.abs(response) - exact).max() < 1e-8


@pytest.mark.parametrize("corners", [(0.01, 49.0), (0.001, 49.9)])
def test_a_very_wide_band_stays_stable(corners):
    out = sosfilt(butterworth_sos(8, *corners, 100.0), NOISE)
    assert np.abs(out).max() < 10


@pytest.mark.parametrize("corners", [(0.0, 10.0), (10.0, 5.0), (1.0, 50.0), (None, 60.0), (None, None)])
def test_impossible_corners_are_refused(corners):
    with pytest.raises(ValueError, match="corner"):
        butterworth_sos(4, *corners, 100.0)


@given(cut=some.integers(0, 500))
@settings(max_examples=20, deadline=None)
def test_state_carries_over_any_cut_to_the_bit(cut):
    sos = butterworth_sos(4, 1.0, 10.0, 100.0)
    whole = sosfilt(sos, NOISE[:500])
    state = np.zeros((len(sos), 2))
    parts = [sosfilt(sos, NOISE[:cut], state), sosfilt(sos, NOISE[cut:500], state)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("corners", [(1.0, 10.0), (0.3, None), (None, 5.0)])
def test_initial_state_is_the_steady_one(corners):
    sos = butterworth_sos(4, *corners, 100.0)
    out = sosfilt(sos, np.full(300, 1e6), initial_state(sos, 1e6))
    np.testing.assert_allclose(out, 0 if corners[0] else 1e6, rtol=1e-9, atol=1e-3)
    np.testing.assert_allclose(initial_state(sos, 1.0), signal.sosfilt_zi(sos), rtol=1e-6, atol=1e-9)


def test_both_ways_as_scipys_sosfiltfilt():
    sos = butterworth_sos(4, 1.0, 10.0, 100.0)
    ours = sosfiltfilt(sos, NOISE, 500)
    theirs = signal.sosfiltfilt(sos, NOISE, padlen=500)
    np.testing.assert_allclose(ours, theirs, atol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_both_ways_on_hardly_any_samples(n):
    out = sosfiltfilt(butterworth_sos(2, 1.0, 10.0, 100.0), np.arange(n, dtype=float), 500)
    assert out.shape == (n,)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("corners", [(1.0, 10.0), (0.1, None), (None, 2.0), (5.0, 5.2), (1.0, 45.0)])
def test_decay_rate_says_when_a_filter_has_forgotten(corners):
    rate = 100.0
    seconds = 25 / decay_rate(4, *corners)
    impulse = np.zeros(int(3 * seconds * rate))
    impulse[0] = 1
    out = np.abs(sosfilt(butterworth_sos(4, *corners, rate), impulse))
    assert out[int(seconds * rate) :].max() < 1e-7 * out.max()


def test_silence_after_a_signal_does_not_slow_the_filter_down():
    sos = butterworth_sos(4, 5.0, 20.0, 100.0)
    state = np.zeros((len(sos), 2))
    sosfilt(sos, np.concatenate((NOISE, np.zeros(20_000))), state)
    assert not state.any()
