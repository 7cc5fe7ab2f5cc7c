"""Short-term over long-term average, and where it goes above a threshold.

References
----------
Allen, R. V. (1978). Automatic earthquake recognition and timing from single
traces. BSSA 68, 1521-1532.
Withers, M. et al. (1998). A comparison of select trigger algorithms for
automated global seismic phase and event detection. BSSA 88, 95-106.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["classic", "moving_sum", "onsets", "recursive"]

Floats = npt.NDArray[np.float64]


def moving_sum(x: Floats, n: int) -> Floats:
    """Sum of the last `n` samples, to the bit the same wherever the data were cut.

    A running sum would carry the rounding of everything before the window
    into it.  Here each sum is a fixed tree over its own samples: sums of
    2, 4, 8, ... neighbours, put together by the binary digits of `n`.

    Parameters
    ----------
    x : ndarray, shape (n_samples,)
    n : int
        Length of the window, samples.

    Returns
    -------
    ndarray, shape (n_samples,)
        Zero for the first ``n - 1`` samples, where the window is not full.

    Examples
    --------
    >>> moving_sum(np.array([1.0, 2.0, 3.0, 4.0]), 3)
    array([0., 0., 6., 9.])
    """
    if n > len(x):
        return np.zeros(len(x))
    total = np.zeros(len(x))
    block, length, offset = x.astype(np.float64), 1, 0
    while True:
        if n & length:
            total[offset:] += block[: len(x) - offset]
            offset += length
        if offset == n:
            break
        wider = block.copy()
        wider[length:] += block[:-length]
        block, length = wider, 2 * length
    total[: n - 1] = 0.0
    return total


def classic(x: npt.ArrayLike, nsta: int, nlta: int) -> Floats:
    """Ratio of the mean squares over the last `nsta` and the last `nlta` samples.

    Parameters
    ----------
    x : array_like, shape (n_samples,)
    nsta, nlta : int
        Lengths of the windows, samples; both end at the sample in question.

    Returns
    -------
    ndarray, shape (n_samples,)
        Zero before the long window is full, and where it holds only zeros.
    """
    power = np.square(x, dtype=np.float64)
    long = moving_sum(power, nlta)
    ratio = np.zeros(len(power))
    np.divide(moving_sum(power, nsta) * (nlta / nsta), long, out=ratio, where=long > 0)
    return ratio


def recursive(x: npt.ArrayLike, nsta: int, nlta: int, state: Floats | None = None) -> Floats:
    """Ratio of two exponentially weighted mean squares.

    Parameters
    ----------
    x : array_like, shape (n_samples,)
    nsta, nlta : int
        Time constants, samples.
    state : ndarray, shape (3,), optional
        Short average, long average and number of samples so far; zeros at the
        start.  **Changed in place**, so that any number of calls over parts
        gives what one call over the whole gives, to the bit.

    Returns
    -------
    ndarray, shape (n_samples,)
        Zero for the first `nlta` samples, while the long average fills, and
        where it is zero.
    """
    if state is None:
        state = np.zeros(3)
    return _recursive(np.ascontiguousarray(x, dtype=np.float64), nsta, nlta, state)


def onsets(
    ratio: Floats, on: float, off: float, longest: int | None = None
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Find where a ratio reaches `on`, and for how long it then stays at `off` or above.

    Parameters
    ----------
    ratio : ndarray, shape (n_samples,)
    on, off : float
        Thresholds, ``off <= on``.
    longest : int, optional
        Samples after which a trigger is ended; there is no new one before the
        ratio has been below `off`.

    Returns
    -------
    ndarray, shape (n_triggers, 2)
        First sample at `on` or above, last sample at `off` or above.
    ndarray, shape (n_triggers,)
        Largest ratio in between.

    Examples
    --------
    >>> onsets(np.array([0.0, 4.0, 2.0, 0.5, 0.0, 5.0]), 3.0, 1.0)
    (array([[1, 2],
           [5, 5]]), array([4., 5.]))
    """
    values = np.ascontiguousarray(ratio, dtype=np.float64)
    return _onsets(values, on, off, len(values) if longest is None else longest)


@njit(cache=True, nogil=True)
def _recursive(x, nsta, nlta, state):  # type: ignore[no-untyped-def]
    ratio = np.zeros(x.shape[0])
    short, long, seen = state[0], state[1], state[2]
    for i in range(x.shape[0]):
        power = x[i] * x[i]
        short += (power - short) / nsta
        long += (power - long) / nlta
        seen += 1
        if seen > nlta and long > 1e-200:
            ratio[i] = short / long
    state[0], state[1], state[2] = short, long, seen
    return ratio


@njit(cache=True, nogil=True)
def _onsets(ratio, on, off, longest):  # type: ignore[no-untyped-def]
    spans = []
    peaks = []
    start = -1
    peak = 0.0
    for i in range(ratio.shape[0]):
        if start < 0:
            if ratio[i] >= on:
                start, peak = i, ratio[i]
        elif ratio[i] >= off:
            if i - start <= longest:
                peak = max(peak, ratio[i])
        else:
            spans.append((start, min(i - 1, start + longest)))
            peaks.append(peak)
            start = -1
    if start >= 0:
        spans.append((start, min(ratio.shape[0] - 1, start + longest)))
        peaks.append(peak)
    found = np.zeros((len(spans), 2), np.int64)
    highest = np.zeros(len(spans))
    for n in range(len(spans)):
        found[n, 0], found[n, 1] = spans[n]
        highest[n] = peaks[n]
    return found, highest
