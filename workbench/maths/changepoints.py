"""Where exactly a record changes: Akaike's criterion, and the first break before it.

A window that holds one onset is two stretches of noise of different variance;
the most likely border between them is where the summed log likelihood of the
two (Akaike's information criterion, up to constants) is largest.

References
----------
Maeda, N. (1985). A method for reading and checking phase times in
auto-processing system of seismic wave data. Zisin 38, 365-379.
Sleeman, R., van Eck, T. (1999). Robust automatic P-phase picking: an on-line
implementation in the analysis of broadband seismogram recordings. PEPI 113, 265-275.
Burnham, K. P., Anderson, D. R. (2002). Model Selection and Multimodel
Inference, 2nd ed., section 2.9 (Akaike weights). Springer.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["akaike", "changepoint", "first_break", "first_motion"]

Floats = npt.NDArray[np.float64]

_EDGE = 3
"""Samples that each side must have, as a variance of fewer says nothing."""

_QUIET = 1.0
"""Standard deviations within which a sample is noise; two thirds of all noise samples are."""


@njit(cache=True, error_model="numpy")
def akaike(x: Floats, weights: Floats) -> Floats:
    """Akaike's criterion of a change of variance before each sample.

    Parameters
    ----------
    x : ndarray, shape (n_traces, n_samples)
        Traces without offset that change together: components, bands, or both.
    weights : ndarray, shape (n_traces,)
        Independent observations a sample: twice the bandwidth over the
        sampling rate for a filtered trace, 1 for white noise.

    Returns
    -------
    ndarray, shape (n_samples,)
        Smallest where the change is; infinite near the ends.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal((1, 300))
    >>> x[0, 120:] *= 5
    >>> int(akaike(x, np.ones(1)).argmin())
    120
    """
    n_traces, n = x.shape
    out = np.full(n, np.inf)
    if n < 2 * _EDGE + 1:
        return out
    out[_EDGE : n - _EDGE + 1] = 0.0
    tail = np.empty(n + 1)
    for c in range(n_traces):
        tail[n] = 0.0
        for i in range(n - 1, -1, -1):
            tail[i] = tail[i + 1] + x[c, i] * x[c, i]
        tiny = 1e-300 + 1e-16 * tail[0] / n
        head = 0.0
        for k in range(n):
            if _EDGE <= k <= n - _EDGE:
                out[k] += weights[c] * (
                    k * math.log(head / k + tiny) + (n - k) * math.log(tail[k] / (n - k) + tiny)
                )
            head += x[c, k] * x[c, k]
    return out


@njit(cache=True, error_model="numpy")
def changepoint(x: Floats, weights: Floats) -> tuple[int, float]:
    """Most likely sample of a change, and its standard error in samples.

    The error is that of the distribution that the criterion gives (Akaike
    weights).  It holds if the model holds, so it is a lower bound.

    Returns
    -------
    sample : int
        -1 if the window is too short.
    error : float

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal((1, 300))
    >>> x[0, 120:] *= 5
    >>> sample, error = changepoint(x, np.ones(1))
    >>> sample, error < 2
    (120, True)
    """
    cost = akaike(x, weights)
    best = int(np.argmin(cost))
    if not math.isfinite(cost[best]):
        return -1, 0.0
    total = first = second = 0.0
    for k in range(cost.size):
        p = math.exp(-0.5 * (cost[k] - cost[best])) if math.isfinite(cost[k]) else 0.0
        total += p
        first += p * (k - best)
        second += p * (k - best) * (k - best)
    mean = first / total
    return best, math.sqrt(max(second / total - mean * mean, 0.0))


@njit(cache=True, error_model="numpy")
def first_break(x: Floats, at: int, noise: float, reach: int) -> int:
    """Go back from a change to the last sample that still is noise.

    Akaike's criterion marks where the energy has changed, an analyst where the
    trace first leaves the noise, up to a quarter of a period before.

    Parameters
    ----------
    x : ndarray, shape (n_samples,)
    at : int
        Where the energy changes.
    noise : float
        Standard deviation of the noise.
    reach : int
        Samples to go back at most.

    Examples
    --------
    >>> first_break(np.array([0.1, -0.2, 0.1, 0.5, 2.0, 6.0, -8.0]), 5, 0.3, 5)
    2
    """
    k = at
    while k > 0 and at - k < reach and abs(x[k]) > _QUIET * noise:
        # Below three times that only a swing that still grows is signal, not a slow wave of noise.
        if abs(x[k]) < 3 * _QUIET * noise and abs(x[k - 1]) >= abs(x[k]):
            break
        k -= 1
    return k


@njit(cache=True, error_model="numpy")
def first_motion(x: Floats, at: int, noise: float, reach: int) -> int:
    """Sense of the first half swing after an onset: 1 up, -1 down, 0 if it is not clear.

    It is clear if the half swing that first leaves three standard deviations of the
    noise has begun within `reach` samples, and nothing of the other sense
    before it went beyond a third of it.

    Parameters
    ----------
    x : ndarray, shape (n_samples,)
    at : int
        The onset.
    noise : float
        Standard deviation of the noise.
    reach : int
        Samples after the onset within which the half swing must begin.
    """
    sense, peak, against = 0, 0.0, 0.0
    for i in range(at + 1, x.size):
        if sense == 0:
            if abs(x[i]) > 3 * noise:
                sense = 1 if x[i] > 0 else -1
                peak = abs(x[i])
            elif i - at > reach:
                return 0
        elif x[i] * sense > 0:
            peak = max(peak, abs(x[i]))
        else:
            break
    if sense == 0:
        return 0
    for i in range(at, x.size):
        if x[i] * sense > 3 * noise:
            break
        if x[i] * sense < 0:
            against = max(against, abs(x[i]))
    return sense if against < peak / 3 else 0
