"""Amplitudes read off records, against a search through all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.maths.amplitudes import clipped, half_cycle, half_range


@given(
    x=some.lists(some.floats(-1e6, 1e6), min_size=1, max_size=60),
    n=some.integers(1, 80),
)
@settings(max_examples=150, deadline=None)
def test_half_range_is_the_largest_of_all_pairs(x, n):
    amplitude, first, last = half_range(x, n)
    pairs = [abs(x[j] - x[i]) / 2 for i in range(len(x)) for j in range(i, min(i + n, len(x) - 1) + 1)]
    assert amplitude == max(pairs)
    assert 0 <= last - first <= n
    assert amplitude == abs(x[last] - x[first]) / 2


def test_half_range_of_a_wave_is_its_amplitude_whatever_it_rides_on():
    time = np.arange(4000) / 200
    ride = 3 * np.sin(2 * np.pi * 2 * time) + 20 * np.sin(2 * np.pi * 0.05 * time)
    assert half_range(ride, round(0.25 * 200))[0] == pytest.approx(3, rel=0.3)
    assert half_range(np.zeros(0), 3) == (0.0, 0, 0)


def test_the_period_is_that_of_the_wave_and_not_of_what_it_rides_on():
    time = np.arange(4000) / 200
    wave = 3 * np.sin(2 * np.pi * 2 * time)
    for record in (wave, wave + 0.5 * time):
        amplitude, first, last = half_range(record, round(0.8 * 200))
        assert amplitude == pytest.approx(3, abs=0.2)
        assert 2 * half_cycle(record, amplitude, first, last) / 200 == pytest.approx(0.5, abs=0.03)
    assert half_cycle(wave, 3.0, 7, 8) == 1


def wave(amplitude, n=3000):
    noise = np.random.default_rng(0).normal(0, 20, n)
    return np.round(amplitude * np.sin(np.arange(n) / 15) + noise).astype(np.int32)


@pytest.mark.parametrize("limit", [8_388_607, 32_767, 50_000])
def test_flat_tops_are_clipped(limit):
    assert clipped(np.clip(wave(2 * limit), -limit, limit))
    assert clipped(np.clip(wave(2 * limit), -limit, None))


def test_the_end_of_the_scale_is_clipped_even_where_noise_rides_on_it():
    assert clipped(wave(8_350_000))
    assert not clipped(wave(8_000_000))


@pytest.mark.parametrize("x", [wave(1e5), wave(300), np.zeros(100, np.int32), np.arange(2), wave(9e7)])
def test_what_is_not_flat_is_not_clipped(x):
    assert not clipped(x)


def test_a_coarse_recording_is_not_clipped():
    assert not clipped(np.repeat(wave(4)[:300] // 20, 4))
