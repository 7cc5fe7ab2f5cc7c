"""The first arrival between two points in constant layers, exact for the layers.

The direct ray is found by Newton's method and compared with the head waves along
every interface that both ends reach.  Source and receiver may lie anywhere,
either of them above the other.  Arrays in, numbers out; what the arrays are made
of says `workbench.maths.layered`.

References
----------
Tian, Y., Chen, Y. (2005). Rapid computation of seismic rays and travel times
in layered models. Computers & Geosciences 31, 1030-1040 (the ray parameter
that Newton's method steps in).
Aki, K., Richards, P. G. (2002). Quantitative Seismology, 2nd ed., box 9.9
(Earth flattening).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["first_arrival", "first_arrivals", "flat_depth", "head_wave_legs"]

Floats = npt.NDArray[np.float64]

_SLOWER = 1 - 1e-12
"""Layers closer than this in velocity count as equal: no head wave, no division by zero."""

_LEVEL_KM = 1e-9
"""Ends closer in depth than this are level: the ray parameter could not be told from 1/v."""


@njit(cache=True, error_model="numpy")
def flat_depth(depth: float, radius: float) -> float:
    """Depth (km) after Earth flattening; a radius of 0 is a flat Earth already."""
    return depth if radius <= 0.0 else -radius * math.log((radius - depth) / radius)


@njit(cache=True, error_model="numpy")
def _layer_of(top: Floats, depth: float) -> int:
    """Index of the layer; a depth on an interface belongs to the layer below."""
    layer = 0
    while layer + 1 < top.size and top[layer + 1] <= depth:
        layer += 1
    return layer


@njit(cache=True, error_model="numpy")
def _direct(
    top: Floats, velocity: Floats, upper: float, first: int, lower: float, last: int, distance: float
) -> tuple[float, float]:
    """Time and ray parameter of the direct ray between two depths.

    Newton's method steps in q = tan(i) of the fastest layer on the way.  The
    distance that a ray covers is concave in q, so from a q that is too small
    it closes in from one side and cannot miss.
    """
    fastest = first
    for j in range(first, last + 1):
        if velocity[j] > velocity[fastest]:
            fastest = j
    v = velocity[fastest]
    if lower - upper < _LEVEL_KM:
        return distance / v, 1 / v
    straight = bound = thick = 0.0
    for j in range(first, last + 1):
        above = upper if j == first else top[j]
        below = lower if j == last else top[j + 1]
        a = velocity[j] / v
        straight += (below - above) * a
        if a == 1.0:
            thick += below - above
        else:
            bound += (below - above) * a / math.sqrt(1 - a * a)
    q = distance / straight
    if thick > 0.0 and (distance - bound) / thick > q:
        q = (distance - bound) / thick
    for _ in range(100):
        reached = slope = 0.0
        for j in range(first, last + 1):
            above = upper if j == first else top[j]
            below = lower if j == last else top[j + 1]
            a = velocity[j] / v
            root = math.sqrt(1 + (1 - a * a) * q * q)
            reached += (below - above) * a * q / root
            slope += (below - above) * a / (root * root * root)
        step = (distance - reached) / slope
        q = max(q + step, 0.0)
        if abs(step) <= 1e-13 * (1 + q):
            break
    p = q / (v * math.sqrt(1 + q * q))
    time = p * distance
    for j in range(first, last + 1):
        above = upper if j == first else top[j]
        below = lower if j == last else top[j + 1]
        a = velocity[j] / v
        time += (below - above) / velocity[j] * math.sqrt((1 + (1 - a * a) * q * q) / (1 + q * q))
    return time, p


@njit(cache=True, error_model="numpy")
def head_wave_legs(top: Floats, velocity: Floats) -> Floats:
    """Vertical delays and offsets that head waves gather, summed from the top.

    ``legs[0, k, m]`` and ``legs[1, k, m]`` are the delay (s) and the offset (km)
    of the head wave along layer m in the layers 1 to k - 1, and in the last row
    in the layers 1 to m - 1.
    """
    n = top.size
    legs = np.zeros((2, n + 2, n))
    for m in range(n):
        slowness = 1 / velocity[m]
        for j in range(1, n):
            legs[:, j + 1, m] = legs[:, j, m]
            if j < m and velocity[j] < velocity[m] * _SLOWER:
                eta = math.sqrt((1 / velocity[j] - slowness) * (1 / velocity[j] + slowness))
                legs[0, j + 1, m] += (top[j + 1] - top[j]) * eta
                legs[1, j + 1, m] += (top[j + 1] - top[j]) * slowness / eta
        legs[:, n + 1, m] = legs[:, m, m]
    return legs


@njit(cache=True, error_model="numpy")
def _first(
    top: Floats, velocity: Floats, legs: Floats, source: float, receiver: float, distance: float
) -> tuple[float, float, float]:
    """Time, ray parameter and dt/dz of the first arrival in flat layers."""
    upper, lower = min(source, receiver), max(source, receiver)
    first, last = _layer_of(top, upper), _layer_of(top, lower)
    # A lower end on an interface: the direct ray comes out of the layer above.
    through = last - 1 if last > first and top[last] == lower else last
    time, p = _direct(top, velocity, upper, first, lower, through, distance)
    if source == receiver:
        vertical = 0.0
    elif source < receiver:
        vertical = -math.sqrt(max(1 / (velocity[first] * velocity[first]) - p * p, 0.0))
    else:
        vertical = math.sqrt(max(1 / (velocity[through] * velocity[through]) - p * p, 0.0))
    at_source = velocity[first] if source == upper else velocity[last]
    # Head waves along the top of each deeper layer, and of that on whose top the lower end is.
    fastest = 0.0
    for j in range(first, through + 1):
        fastest = max(fastest, velocity[j])
    whole = top.size + 1
    for m in range(through + 1, top.size):
        v = velocity[m]
        if fastest < v * _SLOWER:
            offset = legs[1, whole, m] - legs[1, first + 1, m]
            if last < m:
                offset += legs[1, whole, m] - legs[1, last + 1, m]
            if offset <= distance:
                slowness = 1 / v
                delay = legs[0, whole, m] - legs[0, first + 1, m]
                eta = math.sqrt((1 / velocity[first] - slowness) * (1 / velocity[first] + slowness))
                delay += (top[first + 1] - upper) * eta
                offset += (top[first + 1] - upper) * slowness / eta
                if last < m:
                    delay += legs[0, whole, m] - legs[0, last + 1, m]
                    eta = math.sqrt((1 / velocity[last] - slowness) * (1 / velocity[last] + slowness))
                    delay += (top[last + 1] - lower) * eta
                    offset += (top[last + 1] - lower) * slowness / eta
                if offset <= distance and slowness * distance + delay < time:
                    time, p = slowness * distance + delay, slowness
                    vertical = -math.sqrt(max(1 / (at_source * at_source) - p * p, 0.0))
        fastest = max(fastest, v)
    # Head waves along the bottom of each shallower layer.
    fastest = 0.0
    for j in range(first, last + 1):
        fastest = max(fastest, velocity[j])
    for m in range(first - 1, -1, -1):
        v = velocity[m]
        if fastest < v * _SLOWER:
            slowness = 1 / v
            delay = offset = 0.0
            for j in range(last, m, -1):
                length = (lower if j == last else top[j + 1]) - top[j]
                length += upper - top[j] if j == first else (length if j < first else 0.0)
                eta = math.sqrt((1 / velocity[j] - slowness) * (1 / velocity[j] + slowness))
                delay += length * eta
                offset += length * slowness / eta
            if offset <= distance and slowness * distance + delay < time:
                time, p = slowness * distance + delay, slowness
                vertical = math.sqrt(max(1 / (at_source * at_source) - p * p, 0.0))
        fastest = max(fastest, v)
    return time, p, vertical


@njit(cache=True, error_model="numpy")
def first_arrival(
    top: Floats,
    velocity: Floats,
    legs: Floats,
    radius: float,
    source_depth: float,
    receiver_depth: float,
    distance: float,
) -> tuple[float, float, float, float]:
    """Trace the first arrival from a source to a receiver.

    Parameters
    ----------
    top, velocity : ndarray, shape (n_layers,)
        Of `workbench.maths.layered.Layers`: tops in km (flattened if `radius` is not 0), km/s.
    legs : ndarray, shape (2, n_layers + 2, n_layers)
        Of `Layers`.
    radius : float
        Of `Layers`: the Earth's radius, or 0 for flat layers.
    source_depth, receiver_depth : float
        Km below sea level.
    distance : float
        Epicentral distance, km.

    Returns
    -------
    time : float
        Seconds.
    dt_dx, dt_dz : float
        Its change with epicentral distance and with the depth of the source, s/km.
    takeoff : float
        Degrees from straight down: 0 down, 180 up.
    """
    source, receiver = flat_depth(source_depth, radius), flat_depth(receiver_depth, radius)
    time, p, vertical = _first(top, velocity, legs, source, receiver, distance)
    takeoff = math.degrees(math.atan2(p, -vertical))
    if radius > 0.0:
        vertical *= radius / (radius - source_depth)
    return time, p, vertical, takeoff


@njit(cache=True, error_model="numpy")
def first_arrivals(
    top: Floats,
    velocity: Floats,
    legs: Floats,
    radius: float,
    source_depth: Floats,
    receiver_depth: Floats,
    distance: Floats,
) -> Floats:
    """Trace many first arrivals: `first_arrival` in rows of the result, shape (4, n)."""
    found = np.empty((4, distance.size))
    for i in range(distance.size):
        found[0, i], found[1, i], found[2, i], found[3, i] = first_arrival(
            top, velocity, legs, radius, source_depth[i], receiver_depth[i], distance[i]
        )
    return found
