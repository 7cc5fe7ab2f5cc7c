"""Linear systems in the frequency domain against signals that are known in closed form."""

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as some

from workbench.maths.spectra import _fast_length, apply, between, passband, wood_anderson


@given(n=some.integers(1, 100_000))
@settings(max_examples=100, deadline=None)
def test_fast_lengths_are_scipys(n):
    assert _fast_length(n) == scipy.fft.next_fast_len(n, real=True)


@given(
    corners=some.lists(some.floats(0.01, 50), min_size=4, max_size=4, unique=True).map(sorted),
    at=some.floats(0, 60),
)
@settings(max_examples=100, deadline=None)
def test_passband_is_one_inside_zero_outside_and_monotone_between(corners, at):
    f1, f2, f3, f4 = corners
    (value,) = passband(np.array([at]), *corners)
    assert 0 <= value <= 1
    if at <= f1 or at >= f4:
        assert value == 0
    if f2 <= at <= f3:
        assert value == 1
    assert (np.diff(passband(np.linspace(f1, f2, 50), *corners)) >= 0).all()


def test_between_is_exact_for_cubics():
    def cubic(f):
        return (1 + 2j) * f**3 - 3j * f**2 + f - 4

    frequency = np.linspace(0, 3.5, 101)
    np.testing.assert_allclose(
        between(frequency, 0.5, cubic(np.arange(9) * 0.5)), cubic(frequency), rtol=1e-12
    )


def test_wood_anderson_at_its_free_period():
    """At the free frequency s**2 and the square of that frequency cancel, and 1 / (2 h) is left."""
    response = wood_anderson(np.array([1.25]), 2080.0, 0.8, 0.7)[0]
    assert abs(response) == pytest.approx(2080 / 1.4)
    assert np.angle(response) == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("oversample", [1, 4])
@pytest.mark.parametrize("n", [999, 1000])
def test_a_wave_group_passes_unchanged_and_oversampled(oversample, n):
    def group(time):
        return np.exp(-(((time - 10) / 2) ** 2)) * np.sin(2 * np.pi * 5 * time)

    time = np.arange(n) / 50
    out = apply(group(time) + 3 + 0.1 * time, 50.0, lambda f: np.ones(len(f), complex), 2.0, oversample)
    assert len(out) == n * oversample
    np.testing.assert_allclose(out, group(np.arange(n * oversample) / (50 * oversample)), atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_hardly_any_samples_give_finite_ones(n):
    out = apply(np.arange(n), 50.0, lambda f: np.ones(len(f), complex), 2.0)
    assert out.shape == (n,)
    assert np.isfinite(out).all()
