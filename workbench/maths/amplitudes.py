"""Amplitudes read off a record."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["clipped", "half_cycle", "half_range"]

_FULL_SCALE = float(2**23)
"""Counts of a 24-bit digitiser, the commonest; at 1 % below it there is no signal left to gain."""

_COARSE = 1000.0
"""Counts: in a record of less range a few equal extremes are chance."""


def half_range(x: npt.ArrayLike, n: int) -> tuple[float, int, int]:
    """Find half of the largest difference between two samples at most `n` apart.

    That is half of the peak-to-peak amplitude of a wave whose half period is
    no longer than that, whatever it rides on.

    Parameters
    ----------
    x : array_like, shape (n_samples,)
    n : int
        Samples.

    Returns
    -------
    amplitude : float
        Half of the difference; 0 for fewer than two samples.
    first, last : int
        The two samples, in order.

    Examples
    --------
    >>> half_range([0.0, 1.0, -2.0, 0.0, 5.0], 1)
    (2.5, 3, 4)
    """
    values = np.ascontiguousarray(x, dtype=np.float64)
    amplitude, first, last = _half_range(values, max(1, n))
    return float(amplitude), int(first), int(last)


def half_cycle(x: npt.ArrayLike, amplitude: float, first: int, last: int) -> int:
    """Return the samples from a peak to the trough beside it.

    The two samples that `half_range` finds may lie one and a half cycles
    apart, or more, in a wave that rides on a longer one.

    Parameters
    ----------
    x : array_like, shape (n_samples,)
    amplitude : float
    first, last : int
        As `half_range` finds them in `x`.
    """
    around = np.asarray(x, dtype=np.float64)[max(0, 2 * first - last) : 2 * last - first + 1]
    found = last - first
    while found > 1:
        nearer, begin, end = half_range(around, found // 2)
        if nearer < 0.8 * amplitude:
            break
        found = end - begin
    return found


def clipped(x: npt.NDArray[np.int32] | npt.NDArray[np.float64]) -> bool:
    """Tell whether counts have run into the limits of their digitiser.

    They have if they come within 1 % of 24 bits, or if the largest (or the
    smallest) value stands three samples in a row more than once.

    Parameters
    ----------
    x : ndarray, shape (n_samples,)
        Counts as recorded, not filtered.
    """
    values = np.asarray(x, dtype=np.float64)
    if len(values) < 3:
        return False
    high, low = values.max(), values.min()
    if 0.99 * _FULL_SCALE <= max(high, -low) <= 1.01 * _FULL_SCALE:
        return True
    if high - low < _COARSE:
        return False
    return any(_plateaus(values == extreme) > 1 for extreme in (high, low))


def _plateaus(flat: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flat, [False])).astype(np.int8)))
    return int(((edges[1::2] - edges[::2]) >= 3).sum())


@njit(cache=True, nogil=True)
def _half_range(x, n):  # type: ignore[no-untyped-def]
    """Slide a window of n + 1 samples, with queues that keep its largest and smallest in front."""
    size = x.shape[0]
    high = np.empty(size, np.int64)
    low = np.empty(size, np.int64)
    high_first = high_next = low_first = low_next = 0
    best, first, last = 0.0, 0, 0
    for i in range(size):
        while high_next > high_first and x[high[high_next - 1]] <= x[i]:
            high_next -= 1
        high[high_next] = i
        high_next += 1
        while low_next > low_first and x[low[low_next - 1]] >= x[i]:
            low_next -= 1
        low[low_next] = i
        low_next += 1
        if high[high_first] < i - n:
            high_first += 1
        if low[low_first] < i - n:
            low_first += 1
        half = (x[high[high_first]] - x[low[low_first]]) / 2
        if half > best:
            best = half
            first = min(high[high_first], low[low_first])
            last = max(high[high_first], low[low_first])
    return best, first, last
