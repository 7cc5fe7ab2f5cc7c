"""Spectra of noise, against matplotlib's and against what is known."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import mlab
from obspy.signal.invsim import cosine_taper

from workbench.maths.noise import Octaves, _taper, flat, fourier_length, power, probability


@pytest.mark.parametrize(
    ("samples", "length"), [(360_000, 65_536), (3600, 512), (144_000, 32_768), (3, 1), (0, 1)]
)
def test_pieces_are_the_next_lower_power_of_two_of_a_quarter(samples, length):
    assert fourier_length(samples) == length


@pytest.mark.parametrize("length", [4, 7, 64, 100, 512, 32_768])
def test_taper_is_that_of_obspy(length):
    np.testing.assert_allclose(_taper(length), cosine_taper(length, 0.2), atol=1e-12)


@pytest.mark.parametrize(("n", "rate"), [(3600, 1.0), (144_000, 40.0), (7777, 20.0)])
def test_power_is_that_of_matplotlib(n, rate):
    x = np.cumsum(np.random.default_rng(1).normal(0, 100, n)) + np.arange(n)
    length = fourier_length(n)
    want, _ = mlab.psd(
        x,
        length,
        rate,
        detrend=mlab.detrend_linear,
        window=lambda piece: piece * cosine_taper(len(piece), 0.2),
        noverlap=int(0.75 * length),
    )
    np.testing.assert_allclose(power(x, rate, length)[1:], want[1:], rtol=1e-6)


def test_a_sine_has_the_power_that_it_has():
    """All of it within a few lines of its frequency: the integral is half of the squared amplitude."""
    rate, length = 50.0, 4096
    time = np.arange(20_000) / rate
    found = power(3.0 * np.sin(2 * np.pi * 5.0 * time), rate, length)
    frequency = np.fft.rfftfreq(length, 1 / rate)
    near = np.abs(frequency - 5.0) < 0.2
    assert found[near].sum() * frequency[1] == pytest.approx(4.5, rel=1e-3)
    assert found[~near].max() < 1e-3 * found[near].max()


@pytest.mark.parametrize("rate", [1.0, 20.0, 40.0, 100.0, 0.1, 4.0, 62.5])
def test_octaves_cover_an_octave_each(rate):
    length = fourier_length(int(3600 * rate))
    octaves = Octaves(rate, length)
    periods = octaves.periods(octaves.numbers)
    assert periods[0] >= 2 / rate * (1 - 1e-8)
    assert periods[-1] <= length / rate * (1 + 1e-8)
    frequency = np.fft.rfftfreq(length, 1 / rate)[1:]
    slope = 10 * np.log10(frequency)
    for period, mean in zip(periods, octaves.means(slope), strict=True):
        inside = (1 / frequency >= period / 2**0.5 * (1 - 1e-9)) & (
            1 / frequency <= period * 2**0.5 * (1 + 1e-9)
        )
        assert mean == pytest.approx(slope[inside].mean())


def test_middles_of_octaves_are_the_same_for_all_rates():
    one, two = (Octaves(rate, fourier_length(int(3600 * rate))) for rate in (1.0, 100.0))
    shared = np.intersect1d(one.periods(one.numbers), two.periods(two.numbers))
    assert len(shared) > 50
    assert 1.0 in two.periods(two.numbers)


def test_one_value_that_repeats_is_seen():
    x = np.arange(100.0)
    assert not flat(x, 2)
    x[40:60] = 7
    assert flat(x, 20)
    assert not flat(x, 21)
    assert flat(np.zeros(5, np.int32), 5)


def test_probabilities_are_shares_of_the_spectra_that_there_are():
    levels = np.array([[-150.5, np.nan], [-149.5, np.nan], [np.nan, np.nan], [-300.0, np.nan]])
    found = probability(levels, np.array([-151.0, -150.0, -149.0]))
    np.testing.assert_allclose(found[:, 0], [1 / 3, 1 / 3])
    assert np.isnan(found[:, 1]).all()
