"""Linear systems applied in the frequency domain: instruments off, instruments on.

References
----------
Uhrhammer, R. A. and Collins, E. R. (1990). Synthesis of Wood-Anderson
seismograms from broadband digital records. BSSA 80, 702-716.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["apply", "between", "passband", "wood_anderson"]

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]


def passband(frequency: Floats, f1: float, f2: float, f3: float, f4: float) -> Floats:
    """Return 1 from `f2` to `f3`, 0 below `f1` and above `f4`, and smooth flanks.

    The flanks are smooth to the third derivative, so that what happens at one
    time echoes in the result only for a few periods of `f2`.

    Examples
    --------
    >>> passband(np.array([0.0, 1.0, 1.5, 2.0, 9.0]), 1.0, 2.0, 5.0, 8.0).tolist()
    [0.0, 0.0, 0.5, 1.0, 0.0]
    """
    return _step((frequency - f1) / (f2 - f1)) * _step((f4 - frequency) / (f4 - f3))


def wood_anderson(frequency: Floats, gain: float, period: float, damping: float) -> Complexes:
    """Response of a Wood-Anderson seismograph to ground displacement.

    Parameters
    ----------
    frequency : ndarray
        Hz.
    gain : float
        Static magnification.
    period : float
        Free period, s.
    damping : float
        Fraction of critical.

    Examples
    --------
    >>> high = wood_anderson(np.array([100.0]), 2080.0, 0.8, 0.7)
    >>> bool(abs(abs(high[0]) / 2080 - 1) < 1e-3)
    True
    """
    s = 2j * np.pi * frequency.astype(np.complex128)
    free = 2 * np.pi / period
    return gain * s**2 / (s**2 + 2 * damping * free * s + free**2)


def between(frequency: Floats, spacing: float, grid: Complexes) -> Complexes:
    """Interpolate a smooth spectrum that is known at 0, 1, 2, ... times `spacing`.

    Cubic through the four nearest values (Lagrange).
    """
    at = frequency / spacing
    first = np.clip(np.floor(at).astype(np.int64) - 1, 0, len(grid) - 4)
    t = at - first
    return (
        -grid[first] * (t - 1) * (t - 2) * (t - 3) / 6
        + grid[first + 1] * t * (t - 2) * (t - 3) / 2
        - grid[first + 2] * t * (t - 1) * (t - 3) / 2
        + grid[first + 3] * t * (t - 1) * (t - 2) / 6
    )


def apply(
    x: npt.ArrayLike,
    rate: float,
    transfer: Callable[[Floats], Complexes],
    settle: float,
    oversample: int = 1,
) -> Floats:
    """Send samples through a linear system.

    A straight line is taken off first.  Instead of a taper inside the data,
    which would cost their ends, the data go on beyond both ends, mirrored
    through the end points and fading out over `settle` seconds, and then rest
    at zero until the system has come to rest too.

    Parameters
    ----------
    x : array_like, shape (n_samples,)
    rate : float
        Samples a second.
    transfer : callable
        Complex response of the system at frequencies in Hz, zero at 0 Hz.
    settle : float
        Seconds that the data are continued on each side.
    oversample : int
        Samples of the result for each of the input, exact for what lies below
        the Nyquist frequency.

    Returns
    -------
    ndarray, shape (n_samples * oversample,)
    """
    values = np.asarray(x, dtype=np.float64)
    n = len(values)
    time = np.arange(n) - (n - 1) / 2
    level = values.mean()
    slope = (time * (values - level)).sum() / max((time * time).sum(), 1.0)
    values = values - level - slope * time
    extra = round(settle * rate)
    fade = min(extra, n - 1)
    weight = 0.5 * (1 + np.cos(np.pi * np.arange(1, fade + 1) / (fade + 1)))
    after = (2 * values[-1] - values[n - 2 :: -1][:fade]) * weight
    before = (2 * values[0] - values[1 : fade + 1]) * weight
    total = _fast_length(n + 4 * extra + 1)
    long = np.zeros(total)
    long[:n] = values
    long[n : n + fade] = after
    long[total - fade :] = before[::-1]
    spectrum = np.fft.rfft(long)
    spectrum *= transfer(np.arange(len(spectrum), dtype=np.float64) * (rate / total))
    if oversample > 1 and total % 2 == 0:
        # What was the Nyquist frequency is now an ordinary one, and stands for both of its sides.
        spectrum[-1] *= 0.5
    return np.fft.irfft(spectrum, total * oversample)[: n * oversample] * oversample


def _step(x: Floats) -> Floats:
    """Rise from 0 to 1 between 0 and 1, with three derivatives that are zero at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)


def _fast_length(n: int) -> int:
    """Return the next number made of the factors 2, 3 and 5 only, which the FFT likes."""
    best = 1 << (n - 1).bit_length()
    five = 1
    while five < best:
        three = five
        while three < best:
            left = -(-n // three)
            best = min(best, three << max(0, (left - 1).bit_length()))
            three *= 3
        five *= 5
    return best
