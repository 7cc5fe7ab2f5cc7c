"""Where the energy of a record rises: F tests of short against long windows.

In stationary Gaussian noise the ratio of the mean energies of two windows that
follow each other has Fisher's F distribution; the degrees of freedom are twice
bandwidth times length, whatever the sampling rate.  So the ratio can be
written as the number of standard deviations that a Gaussian variable would have to
exceed to be as improbable.  That *significance* means the same in each
band, on each sampling rate, and after two seconds of noise as after ten: with
little noise there are few degrees of freedom, and only a strong onset counts.
The significances of components add up as Gaussian variables do (Stouffer).

References
----------
Paulson, E. (1942). An approximate normalization of the analysis of variance
distribution. Annals of Mathematical Statistics 13, 233-235.
Stouffer, S. A. et al. (1949). The American Soldier, vol. 1, p. 45. Princeton.
van Herk, M. (1992). A fast algorithm for local minimum and maximum filters.
Pattern Recognition Letters 13, 517-521 (the two running sums of `_sums`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["combine", "jump", "lasting", "peaks", "risen", "significance", "significance_since"]

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@njit(cache=True, error_model="numpy")
def _deviate(ratio: float, n1: float, n2: float) -> float:
    """Gaussian deviate of an F ratio above 1 (Paulson's approximation), else 0."""
    if not ratio > 1.0:
        return 0.0
    a, b = 2.0 / (9.0 * max(n1, 1.0)), 2.0 / (9.0 * max(n2, 1.0))
    root = ratio ** (1.0 / 3.0)
    return max(((1.0 - b) * root - (1.0 - a)) / math.sqrt(b * root * root + a), 0.0)


@njit(cache=True, error_model="numpy")
def _sums(x: Floats, length: int) -> Floats:
    """Sum of the squares of ``x[i : i + length]``, for each i that has them all.

    Sums run forwards and backwards from the borders of blocks as long as the
    window, so nothing is ever subtracted: a quiet minute after a strong shock
    keeps all its digits.
    """
    n = x.size
    out = np.zeros(n)
    back = np.zeros(n)
    for i in range(n - 1, -1, -1):
        square = x[i] * x[i]
        back[i] = square if (i == n - 1 or (i + 1) % length == 0) else square + back[i + 1]
    ahead = 0.0
    for j in range(n):
        square = x[j] * x[j]
        ahead = square if j % length == 0 else ahead + square
        i = j - length + 1
        if i >= 0:
            out[i] = ahead if i % length == 0 else back[i] + ahead
    return out


@njit(cache=True, error_model="numpy")
def significance(x: Floats, short: int, long: int, freedom: float, settle: int) -> Singles:
    """How far the energy after each sample exceeds that before it.

    Parameters
    ----------
    x : ndarray, shape (n_samples,)
        A filtered trace.
    short, long : int
        Lengths of the windows after and before a sample, in samples.  Near the
        beginning the window before is as long as there are samples.
    freedom : float
        Degrees of freedom a sample: twice the bandwidth over the sampling rate.
    settle : int
        Samples at the beginning that are not used, as the filter settles.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Gaussian deviates, 0 where there is nothing to tell.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal(4000)
    >>> x[3000:3400] *= 3
    >>> z = significance(x, 100, 500, 0.5, 0)
    >>> bool(abs(int(z.argmax()) - 3000) <= 10), bool(z.max() > 6), bool(z[:2800].max() < 5)
    (True, True, True)
    """
    n = x.size
    out = np.zeros(n, np.float32)
    after = _sums(x, short)
    before = _sums(x, long)
    running = 0.0
    for i in range(settle, n - short + 1):
        k = i - settle
        if k < long:
            noise, count = running, k
            running += x[i] * x[i]
        else:
            noise, count = before[i - long], long
        if count >= 2 and noise > 0.0:
            out[i] = _deviate(after[i] / short * count / noise, short * freedom, count * freedom)
    return out


@njit(cache=True, error_model="numpy")
def significance_since(x: Floats, first: int, last: int, short: int, long: int, freedom: float) -> Singles:
    """Do the same between two samples, with nothing before the first one as noise.

    This finds a second onset behind a first, such as S behind P, as the window
    before it does not reach back beyond the first.

    Returns
    -------
    ndarray of float32, shape (last - first,)
    """
    out = np.zeros(max(last - first, 0), np.float32)
    stop = min(last + short, x.size)
    after = _sums(x[first:stop], short)
    before = _sums(x[first:stop], long)
    running = 0.0
    for k in range(min(last - first, stop - first - short + 1)):
        if k < long:
            noise, count = running, k
            running += x[first + k] * x[first + k]
        else:
            noise, count = before[k - long], long
        if count >= 2 and noise > 0.0:
            out[k] = _deviate(after[k] / short * count / noise, short * freedom, count * freedom)
    return out


@njit(cache=True, error_model="numpy")
def combine(z: Singles, live: Bools, vertical: int) -> tuple[Singles, npt.NDArray[np.int8]]:
    """Join the significances of components and bands into one.

    In each band the components together, the vertical one alone, and the
    horizontal ones together are taken, and of these and of all bands the most
    significant: a dead or noisy component then hides nothing.

    Parameters
    ----------
    z : ndarray of float32, shape (n_components, n_bands, n_samples)
    live : ndarray of bool, shape (n_components, n_samples)
        Where a component has data.
    vertical : int
        Index of the vertical component, -1 if there is none.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
    ndarray of int8, shape (n_samples,)
        The band that it is from.
    """
    n_components, n_bands, n = z.shape
    best = np.zeros(n, np.float32)
    band = np.zeros(n, np.int8)
    for i in range(n):
        number, lying = 0, 0
        for c in range(n_components):
            if live[c, i]:
                number += 1
                lying += 1 if c != vertical else 0
        for b in range(n_bands):
            total, flat, value = 0.0, 0.0, 0.0
            for c in range(n_components):
                if live[c, i]:
                    total += z[c, b, i]
                    if c != vertical:
                        flat += z[c, b, i]
                    else:
                        value = float(z[c, b, i])
            if number > 0:
                value = max(value, total / math.sqrt(number))
            if lying > 0:
                value = max(value, flat / math.sqrt(lying))
            if value > best[i]:
                best[i] = value
                band[i] = b
    return best, band


@njit(cache=True)
def peaks(z: Singles, threshold: float, half: int) -> npt.NDArray[np.int64]:
    """Find the samples that reach a threshold and that nothing near exceeds.

    Parameters
    ----------
    z : ndarray of float32, shape (n_samples,)
    threshold : float
    half : int
        Samples to either side within which a peak must be the largest; of
        equal ones the first is taken.
    """
    found = []
    n = z.size
    for i in range(n):
        if z[i] < threshold:
            continue
        largest = True
        for j in range(max(0, i - half), min(n, i + half + 1)):
            if z[j] > z[i] or (z[j] == z[i] and j < i):
                largest = False
                break
        if largest:
            found.append(i)
    return np.array(found, dtype=np.int64)


@njit(cache=True, error_model="numpy")
def jump(x: Floats, at: int, short: int, long: int) -> tuple[float, float]:
    """Mean energies after and before a sample; the first is 0 without data on both sides."""
    first, stop = max(0, at - long), min(x.size, at + short)
    if at - first < 2 or stop - at < 2:
        return 0.0, 0.0
    before = after = 0.0
    for i in range(first, at):
        before += x[i] * x[i]
    for i in range(at, stop):
        after += x[i] * x[i]
    return after / (stop - at), before / (at - first)


@njit(cache=True, error_model="numpy")
def lasting(x: Floats, at: int, short: int, long: int, freedom: float) -> tuple[float, float]:
    """How far the energy exceeds that before an onset, at once and half a window later.

    Compared with the `long` samples before `at` are the half window that
    follows and the whole one after that.  A spike has died away by then, also in a
    filter of the width that belongs to the window; an earthquake has not.

    Returns
    -------
    significance : float
        The smaller of the two; infinite if the data end before.
    share : float
        Mean energy later over that at once; 1 if the data end before.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal(4000)
    >>> x[3000:3003] = 1000.0
    >>> significance, share = lasting(x, 3000, 100, 500, 0.5)
    >>> significance < 3, share < 0.01
    (True, True)
    """
    first = max(0, at - long)
    begin = at + max(short // 2, 1)
    if at - first < 2 or begin + 2 > x.size:
        return math.inf, 1.0
    stop = min(x.size, begin + short)
    before = early = late = 0.0
    for i in range(first, at):
        before += x[i] * x[i]
    for i in range(at, begin):
        early += x[i] * x[i]
    for i in range(begin, stop):
        late += x[i] * x[i]
    if before <= 0.0 or early <= 0.0:
        return math.inf, 1.0
    before, early, late = before / (at - first), early / (begin - at), late / (stop - begin)
    noise = (at - first) * freedom
    at_once = _deviate(early / before, (begin - at) * freedom, noise)
    return min(at_once, _deviate(late / before, (stop - begin) * freedom, noise)), late / early


@njit(cache=True, error_model="numpy")
def risen(x: Floats, first: int, last: int, length: int, windows: int, freedom: float) -> Singles:
    """How far the energy has already risen when a sample comes.

    The window that ends at a sample is compared with the quietest of those
    before it.  It is near 0 in noise and in a coda that decays, and large
    behind the first arrival of an event.

    Parameters
    ----------
    x : ndarray, shape (n_samples,)
    first, last : int
        Samples asked for, from `first` up to `last`.
    length : int
        Of a window, in samples.
    windows : int
        How many before it, one behind the other.
    freedom : float
        Degrees of freedom a sample.

    Returns
    -------
    ndarray of float32, shape (last - first,)
        Gaussian deviates; 0 where there are not two windows.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal(4000)
    >>> x[3000:] *= 5
    >>> at = risen(x, 3000, 3500, 200, 5, 0.5)
    >>> bool(at[0] < 3), bool(at[100] > 5), bool(at[499] > 5)
    (True, True, True)
    """
    out = np.zeros(max(last - first, 0), np.float32)
    begin = max(first - (windows + 1) * length, 0)
    stop = min(last, x.size)
    if stop - begin < length:
        return out
    sums = _sums(x[begin:stop], length)
    for i in range(max(first, begin + 2 * length), stop):
        quietest = math.inf
        for k in range(1, windows + 1):
            at = i - (k + 1) * length - begin
            if at < 0:
                break
            quietest = min(quietest, sums[at])
        if quietest > 0.0 and quietest < math.inf:
            n = length * freedom
            out[i - first] = _deviate(sums[i - length - begin] / quietest, n, n)
    return out
