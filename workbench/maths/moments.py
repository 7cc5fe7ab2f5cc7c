"""Number, mean and spread of samples: exactly, or in one fixed order.

Whole numbers are summed exactly, so no order matters: squares go into two sums,
of their upper and of their lower 32 bits, neither of which can overflow below
2**31 samples.  Floats are summed pairwise in the order of time, so the sum is a
function of the samples and not of how they were cut.

References
----------
Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for computing
the sample variance: analysis and recommendations. The American Statistician
37, 242-247.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.shares import shared

__all__ = ["Moments", "add", "exact", "merge", "of_floats", "sums"]

_BLOCK = 1 << 12
_SMALL = 1 << 23
"""What digitisers of 24 bits count to: the squares of a block of these are far below 2**63."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Number of samples, their mean, and the sum of their squared distances from it."""

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0


@njit(cache=True, nogil=True)
def add(x, row):  # type: ignore[no-untyped-def]
    """Add whole numbers (int32) to a row of `sums`."""
    for at in range(0, x.size, _BLOCK):
        # Loops that do one thing each, by index: those the compiler makes vectors of.
        block = x[at : min(at + _BLOCK, x.size)]
        total, upper, lower = np.int64(0), np.int64(0), np.int64(0)
        least, most = block[0], block[0]
        for k in range(block.size):
            least = min(least, block[k])
        for k in range(block.size):
            most = max(most, block[k])
        if least >= -_SMALL and most < _SMALL:
            squares = np.int64(0)
            for k in range(block.size):
                total += block[k]
                squares += np.int64(block[k]) * np.int64(block[k])
            upper, lower = squares >> 32, squares & 0xFFFFFFFF
        else:
            for k in range(block.size):
                total += block[k]
                square = np.int64(block[k]) * np.int64(block[k])
                upper += square >> 32
                lower += square & 0xFFFFFFFF
        first = row[0] == 0
        row[0] += block.size
        row[1] += total
        row[2] += upper
        row[3] += lower
        row[4] = least if first else min(row[4], np.int64(least))
        row[5] = most if first else max(row[5], np.int64(most))


@njit(cache=True, nogil=True)
def _sums(x, bounds, out):  # type: ignore[no-untyped-def]
    for part in range(bounds.size - 1):
        if bounds[part] < bounds[part + 1]:
            add(x[bounds[part] : bounds[part + 1]], out[part])


def sums(x: npt.NDArray[np.int32], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sum whole numbers and their squares, part by part.

    Parameters
    ----------
    x : ndarray of int32, shape (n_samples,)
    bounds : ndarray of int64, shape (n_parts + 1,)
        Where the parts begin, and where the last of them ends.

    Returns
    -------
    ndarray of int64, shape (n_parts, 6)
        Number, sum, sum of the upper and of the lower 32 bits of the squares,
        least, most; the last two mean nothing where the number is 0.

    Examples
    --------
    >>> x = np.array([1, -2, 3, 2**31 - 1], dtype=np.int32)
    >>> sums(x, np.array([0, 3, 4])).tolist()
    [[3, 2, 0, 14, -2, 3], [1, 2147483647, 1073741823, 1, 2147483647, 2147483647]]
    """
    out = np.zeros((len(bounds) - 1, 6), np.int64)
    if len(x):

        def work(first: int, stop: int) -> None:
            _sums(x, bounds[first : stop + 1], out[first:stop])

        shared(work, len(out), len(x))
    return out


def exact(n: int, total: int, squares: int) -> Moments:
    """Return the moments of whole numbers from their sums, each correctly rounded.

    Examples
    --------
    >>> exact(2, 2**31, 2**61)
    Moments(n=2, mean=1073741824.0, m2=0.0)
    """
    if n == 0:
        return Moments()
    return Moments(n, total / n, (n * squares - total * total) / n)


def of_floats(x: npt.NDArray[np.float64]) -> Moments:
    """Return the moments of floats, all of them in the order of time."""
    if not len(x):
        return Moments()
    mean = float(np.sum(x)) / len(x)
    away = x - mean
    away *= away
    return Moments(len(x), mean, float(np.sum(away)))


def merge(parts: Iterable[Moments]) -> Moments:
    """Put moments together, neighbours first: always the same tree over the same parts.

    Examples
    --------
    >>> merge([Moments(1, 1.0, 0.0), Moments(1, 3.0, 0.0)])
    Moments(n=2, mean=2.0, m2=2.0)
    """
    level = list(parts)
    while len(level) > 1:
        pairs = [level[k : k + 2] for k in range(0, len(level), 2)]
        level = [_merged(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0] if level else Moments()


def _merged(one: Moments, two: Moments) -> Moments:
    if not one.n or not two.n:
        return one if one.n else two
    n = one.n + two.n
    away = two.mean - one.mean
    return Moments(n, one.mean + away * (two.n / n), one.m2 + two.m2 + away * away * (one.n * two.n / n))
