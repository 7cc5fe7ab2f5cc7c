"""From a cell up to the place and origin time at which an event is likeliest."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.association.cells import Volume
from workbench.maths.association.likelihood import (
    CUT,
    TAIL_WIDTH,
    TYPICAL,
    Fits,
    PickList,
    density,
    fits,
    label_odds,
)
from workbench.maths.association.times import Spread, Times, spread, travel

__all__ = ["climb"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_LEVELS = 8
"""Halvings of the step while climbing: from a cell to a 128th of it."""


@njit(cache=True, error_model="numpy")
def climb(
    picks: PickList,
    free: Bools,
    rate: Floats,
    times: Times,
    error: Spread,
    volume: Volume,
    start: Floats,
    half: Floats,
    change: float,
    origin: float,
) -> tuple[Floats, float]:
    """Go up from a cell to the place and origin time of the highest likelihood near by.

    Steps along the axes, halved when none leads up.  What a place may be off by
    is added to the error of the arrivals, and shrinks with the steps, so that
    the first ones are taken on a smooth hill and the last ones on the real one.

    Parameters
    ----------
    start, half : ndarray, shape (3,)
        Middle of the cell and half its size, km.
    change : float
        How much travel times change within it, s.
    origin : float
        Origin time to start from, s.

    Returns
    -------
    place, origin
    """
    near = fits(picks, free, rate, times, error, start, origin, 5 * change)
    place, step = start.copy(), half.copy()
    computed, sigma = np.empty(near.pick.size), np.empty(near.pick.size)
    trial, best_place = np.empty(3), np.empty(3)
    for level in range(_LEVELS):
        blur = change * 0.5**level if level < _LEVELS - 2 else 0.0
        _predict(near, times, error, place, blur, computed, sigma)
        here, origin = _best_origin(picks, rate, near, computed, sigma, origin)
        for _ in range(6):
            best, best_origin = here, origin
            for axis in range(3):
                for way in (-1.0, 1.0):
                    trial[:] = place
                    trial[axis] = min(
                        max(place[axis] + way * step[axis], volume.low[axis]), volume.high[axis]
                    )
                    _predict(near, times, error, trial, blur, computed, sigma)
                    value, when = _best_origin(picks, rate, near, computed, sigma, origin)
                    if value > best + 1e-9:
                        best, best_origin = value, when
                        best_place[:] = trial
            if best == here:
                break
            here, origin = best, best_origin
            place[:] = best_place
        step *= 0.5
    return place, origin


@njit(cache=True, error_model="numpy")
def _predict(
    near: Fits, times: Times, error: Spread, place: Floats, blur: float, computed: Floats, sigma: Floats
) -> None:
    for i in range(near.pick.size):
        s, phase = near.station[i], near.phase[i]
        if i > 0 and near.station[i - 1] == s and near.phase[i - 1] == phase:
            computed[i], sigma[i] = computed[i - 1], sigma[i - 1]
            continue
        distance = math.hypot(place[0] - times.x[s], place[1] - times.y[s])
        computed[i] = travel(times, s, phase, distance, place[2])
        own = spread(error, phase, computed[i])
        sigma[i] = math.sqrt(own * own + blur * blur)


@njit(cache=True, error_model="numpy")
def _best_origin(
    picks: PickList, rate: Floats, near: Fits, computed: Floats, sigma: Floats, origin: float
) -> tuple[float, float]:
    """Find the origin time, by weighted means of what the picks say, and the log likelihood there."""
    best, best_origin = -math.inf, origin
    for _ in range(4):
        total = pull = weight = 0.0
        i = 0
        while i < near.pick.size:
            # The picks of one station; the best of each phase counts, and no pick twice.
            s = near.station[i]
            p_ratio = s_ratio = p_weight = s_weight = 0.0
            p_at = s_at = -1
            while i < near.pick.size and near.station[i] == s:
                phase, k = near.phase[i], near.pick[i]
                z = (picks.time[k] - origin - computed[i]) / sigma[i]
                if abs(z) <= CUT:
                    core, tail = density(z)
                    scale = label_odds(picks, k, phase) / (sigma[i] * rate[k])
                    q = scale * (core + tail)
                    w = scale * (core + tail / TAIL_WIDTH**2) / (sigma[i] * sigma[i])
                    if phase == 0 and q > p_ratio:
                        p_ratio, p_weight, p_at = q, w, i
                    elif phase == 1 and q > s_ratio:
                        s_ratio, s_weight, s_at = q, w, i
                i += 1
            if p_at >= 0 and s_at >= 0 and near.pick[p_at] == near.pick[s_at]:
                if p_ratio < s_ratio:
                    p_at = -1
                else:
                    s_at = -1
            if p_at >= 0:
                odds = 1 - TYPICAL + TYPICAL * p_ratio
                total += math.log(odds)
                w = TYPICAL * p_weight / odds
                weight += w
                pull += w * (picks.time[near.pick[p_at]] - origin - computed[p_at])
            if s_at >= 0:
                odds = 1 - TYPICAL + TYPICAL * s_ratio
                total += math.log(odds)
                w = TYPICAL * s_weight / odds
                weight += w
                pull += w * (picks.time[near.pick[s_at]] - origin - computed[s_at])
        if total > best:
            best, best_origin = total, origin
        if weight == 0.0 or abs(pull / weight) < 0.005:
            break
        origin += pull / weight
    return best, best_origin
