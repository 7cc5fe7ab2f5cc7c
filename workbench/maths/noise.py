"""Spectra of noise, by the method of McNamara and Buland.

References
----------
McNamara, D. E. and Buland, R. P. (2004). Ambient noise levels in the
continental United States. BSSA 94, 1517-1527.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["Octaves", "flat", "fourier_length", "power", "probability"]

Floats = npt.NDArray[np.float64]

_PARTS = 4
"""A window has this many pieces side by side; overlapping by 3/4 they are 13, and a few more."""

_TAPER = 0.1
"""Share of a piece at each end that fades."""


def fourier_length(samples: int) -> int:
    """Return how long the pieces of a window are: the next lower power of two below a quarter of it."""
    return 1 << max(int(math.log2(max(samples / _PARTS, 1))), 0)


def power(x: npt.ArrayLike, rate: float, length: int) -> Floats:
    """Power spectral density of a window: the mean over pieces that overlap by three quarters.

    A straight line is taken off each piece, and a tenth at each end fades.

    Parameters
    ----------
    x : array_like, shape (n_samples,)
    rate : float
        Samples a second.
    length : int
        Samples of a piece, a power of two.

    Returns
    -------
    ndarray, shape (length // 2 + 1,)
        Unit of the samples squared, for each hertz, from 0 Hz to the Nyquist frequency.

    Examples
    --------
    White noise of variance 1 has 2 / rate from end to end:

    >>> noise = np.random.default_rng(0).normal(size=1 << 17)
    >>> float(power(noise, 10.0, 1 << 10)[1:].mean().round(2))
    0.2
    """
    values = np.asarray(x, dtype=np.float64)
    step = length - int(0.75 * length)
    window, piece = _taper(length), np.empty(length)
    total = np.zeros(length // 2 + 1)
    firsts = range(0, len(values) - length + 1, step)
    for first in firsts:
        _cut(values, first, window, piece)
        spectrum = np.fft.rfft(piece)
        total += spectrum.real**2
        total += spectrum.imag**2
    total[1 : -1 if length % 2 == 0 else None] *= 2.0
    mean: Floats = total / (len(firsts) * rate * (window @ window))
    return mean


@njit(cache=True, nogil=True)
def _cut(x, first, window, piece):  # type: ignore[no-untyped-def]
    """Take a piece out, its straight line off it, and fade its ends."""
    n = piece.size
    mean, slope, squares = 0.0, 0.0, 0.0
    for k in range(n):
        mean += x[first + k]
    mean /= n
    middle = (n - 1) / 2
    for k in range(n):
        slope += (k - middle) * (x[first + k] - mean)
        squares += (k - middle) ** 2
    slope /= squares
    for k in range(n):
        piece[k] = (x[first + k] - mean - slope * (k - middle)) * window[k]


class Octaves:
    """Averages over whole octaves of period, every eighth of an octave.

    The middles are the powers of two to the eighths, in seconds, the same for
    all sampling rates, so that spectra of all channels can be compared.

    Parameters
    ----------
    rate : float
        Samples a second.
    length : int
        Samples of a piece.

    Attributes
    ----------
    numbers : ndarray of int, shape (n_periods,)
        Eighths of octaves above 1 s, from the Nyquist period to the length of a piece.
    """

    def __init__(self, rate: float, length: int) -> None:
        first = math.ceil(8 * math.log2(2 / rate) - 1e-9)
        last = math.floor(8 * math.log2(length / rate) + 1e-9)
        self.numbers = np.arange(first, last + 1)
        frequency = np.fft.rfftfreq(length, 1 / rate)[1:]
        middles = self.periods(self.numbers)
        # From the lowest frequency of each to its highest.
        margin = 1 + 1e-9
        self._first = np.searchsorted(frequency, 1 / (middles * math.sqrt(2) * margin))
        self._stop = np.searchsorted(frequency, margin * math.sqrt(2) / middles, side="right")

    @staticmethod
    def periods(numbers: npt.NDArray[np.int64]) -> Floats:
        """Return the middles, s."""
        found: Floats = np.round(2.0 ** (numbers / 8), 9)
        return found

    def means(self, decibels: Floats) -> Floats:
        """Average a spectrum in dB, from the lowest frequency above 0 Hz on."""
        return np.array(
            [decibels[first:stop].mean() for first, stop in zip(self._first, self._stop, strict=True)]
        )


@njit(cache=True, nogil=True)
def flat(x, least):  # type: ignore[no-untyped-def]
    """Tell whether one value repeats at least so many times in a row."""
    run = 1
    for k in range(1, x.size):
        run = run + 1 if x[k] == x[k - 1] else 1
        if run >= least:
            return True
    return x.size <= 1 or least <= 1


def probability(decibels: Floats, edges: Floats) -> Floats:
    """Share of the spectra that lie between two levels, period by period.

    Parameters
    ----------
    decibels : ndarray, shape (n_spectra, n_periods)
        NaN where there is none.
    edges : ndarray, shape (n_levels + 1,)
        Growing, dB.

    Returns
    -------
    ndarray, shape (n_levels, n_periods)
        NaN for periods without a spectrum.

    Examples
    --------
    >>> probability(np.array([[-150.5], [-149.5], [-150.2]]), np.array([-151.0, -150.0, -149.0])).ravel()
    array([0.66666667, 0.33333333])
    """
    there = np.isfinite(decibels)
    counts = np.stack(
        [np.histogram(column[ok], edges)[0] for column, ok in zip(decibels.T, there.T, strict=True)], axis=1
    )
    with np.errstate(invalid="ignore"):
        found: Floats = counts / there.sum(axis=0)
    return found


def _taper(length: int) -> Floats:
    """Rise from 0 to 1 over a tenth, and fall to 0 over the last one, as half a cosine."""
    side = int(length * _TAPER + 0.5)
    window = np.ones(length)
    if side:
        rise = 0.5 * (1 - np.cos(np.pi * np.arange(side) / max(side - 1, 1)))
        window[:side], window[length - side :] = rise, rise[::-1]
    return window
