"""Rays of one event to its stations, and the epicentre that fits at a given depth."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.geodesy import inverse
from workbench.maths.layered import Layers
from workbench.maths.raytracing import first_arrival

__all__ = ["Model", "Picks", "bisquare", "degrees_per_km", "model", "rays", "settle"]

Floats = npt.NDArray[np.float64]

_BISQUARE, _HUBER = 4.685, 1.345
"""Tuning constants: 95 % efficiency where the errors are normal."""

_A, _E2 = 6378.137, 0.00669437999014
"""Equatorial radius (km) and squared eccentricity of WGS84."""


class Model(NamedTuple):
    """The arrays of `Layers` for P and for S, as compiled code takes them."""

    p_top: Floats
    p_velocity: Floats
    p_legs: Floats
    s_top: Floats
    s_velocity: Floats
    s_legs: Floats
    radius: float


class Picks(NamedTuple):
    """Stations and times of the arrivals, the first `n_p` of them P, the others S."""

    latitude: Floats
    longitude: Floats
    elevation: Floats
    time: Floats
    n_p: int


def model(layers: tuple[Layers, Layers]) -> Model:
    """Return the arrays of the layers."""
    p, s = layers
    return Model(p.top_km, p.velocity, p.legs, s.top_km, s.velocity, s.legs, p.radius_km)


@njit(cache=True, error_model="numpy")
def degrees_per_km(latitude: float) -> tuple[float, float]:
    """Degrees of longitude and of latitude to a kilometre."""
    sine = math.sin(math.radians(latitude))
    bent = 1 - _E2 * sine * sine
    north = math.degrees(bent**1.5 / (_A * (1 - _E2)))
    east = math.degrees(math.sqrt(bent) / (_A * max(math.cos(math.radians(latitude)), 1e-6)))
    return east, north


@njit(cache=True, error_model="numpy")
def rays(picks: Picks, model: Model, latitude: float, longitude: float, depth: float) -> Floats:
    """Trace the first arrivals at all stations.

    Returns
    -------
    ndarray, shape (6, n_picks)
        Epicentral distance (km), azimuth at the epicentre (degrees), travel
        time (s), its change with distance and with depth (s/km), take-off
        angle (degrees from straight down).
    """
    found = np.empty((6, picks.time.size))
    for i in range(picks.time.size):
        distance, azimuth = inverse(latitude, longitude, picks.latitude[i], picks.longitude[i])
        found[0, i], found[1, i] = distance, azimuth
        if i < picks.n_p:
            found[2, i], found[3, i], found[4, i], found[5, i] = first_arrival(
                model.p_top,
                model.p_velocity,
                model.p_legs,
                model.radius,
                depth,
                -picks.elevation[i],
                distance,
            )
        else:
            found[2, i], found[3, i], found[4, i], found[5, i] = first_arrival(
                model.s_top,
                model.s_velocity,
                model.s_legs,
                model.radius,
                depth,
                -picks.elevation[i],
                distance,
            )
    return found


@njit(cache=True, error_model="numpy")
def _weight_loss(size: float, tukey: bool) -> tuple[float, float]:
    """Weight and loss of a residual of that many standard errors."""
    if tukey:
        inside = max(1 - (size / _BISQUARE) ** 2, 0.0) if size < _BISQUARE else 0.0
        return inside * inside, (1 - inside * inside * inside) * _BISQUARE * _BISQUARE / 3
    if size <= _HUBER:
        return 1.0, size * size
    return _HUBER / size, _HUBER * (2 * size - _HUBER)


def bisquare(size: Floats) -> Floats:
    """Weights (0 to 1) of residuals of that many standard errors, after Tukey."""
    return (1 - np.minimum(size / _BISQUARE, 1.0) ** 2) ** 2


@njit(cache=True, error_model="numpy")
def settle(
    picks: Picks,
    model: Model,
    sigma: Floats,
    tukey: bool,
    latitude: float,
    longitude: float,
    depth: float,
    time: float,
    settled: float,
) -> tuple[float, float, float, float]:
    """Find the epicentre and origin time that fit best at a depth.

    Parameters
    ----------
    picks, model : Picks, Model
    sigma : ndarray, shape (n_picks,)
        Standard error of each arrival, s; infinite to leave it out.
    tukey : bool
        Tukey's bisquare, or Huber's function.
    latitude, longitude, depth, time : float
        Where to start from.
    settled : float
        A step shorter than this, km, ends it.

    Returns
    -------
    latitude, longitude, time, loss : float
        The loss is a sum of squares of residuals in standard errors, bounded
        for large ones.
    """
    east_degrees, north_degrees = degrees_per_km(latitude)
    damping = 1e-4
    traced = rays(picks, model, latitude, longitude, depth)
    loss = _loss(picks, traced, sigma, tukey, time)
    for _ in range(30):
        a = np.zeros((3, 4))
        for i in range(picks.time.size):
            residual = picks.time[i] - time - traced[2, i]
            weight = _weight_loss(abs(residual) / sigma[i], tukey)[0] / sigma[i] ** 2
            x = -traced[3, i] * math.sin(math.radians(traced[1, i]))
            y = -traced[3, i] * math.cos(math.radians(traced[1, i]))
            a[0, 0] += weight * x * x
            a[0, 1] += weight * x * y
            a[0, 2] += weight * x
            a[1, 1] += weight * y * y
            a[1, 2] += weight * y
            a[2, 2] += weight
            a[0, 3] += weight * x * residual
            a[1, 3] += weight * y * residual
            a[2, 3] += weight * residual
        moved = False
        east = north = shift = 0.0
        while damping < 1e5:
            east, north, shift = _solve(a, damping)
            next_latitude = min(max(latitude + north * north_degrees, -90.0), 90.0)
            next_longitude = longitude + east * east_degrees
            next_traced = rays(picks, model, next_latitude, next_longitude, depth)
            next_loss = _loss(picks, next_traced, sigma, tukey, time + shift)
            if next_loss <= loss:
                latitude, longitude, time = next_latitude, next_longitude, time + shift
                traced, loss, moved = next_traced, next_loss, True
                damping = max(damping / 10, 1e-9)
                break
            damping *= 8
            if abs(east) < settled and abs(north) < settled and abs(shift) < settled / 6:
                break
        if not moved or (abs(east) < settled and abs(north) < settled and abs(shift) < settled / 6):
            break
        east_degrees, north_degrees = degrees_per_km(latitude)
    return latitude, longitude, time, loss


@njit(cache=True, error_model="numpy")
def _loss(picks: Picks, traced: Floats, sigma: Floats, tukey: bool, time: float) -> float:
    loss = 0.0
    for i in range(picks.time.size):
        loss += _weight_loss(abs(picks.time[i] - time - traced[2, i]) / sigma[i], tukey)[1]
    return loss


@njit(cache=True, error_model="numpy")
def _solve(a: Floats, damping: float) -> tuple[float, float, float]:
    """Solve the damped normal equations (upper triangle and right-hand side)."""
    floor = 1e-12 * (a[0, 0] + a[1, 1] + a[2, 2])
    d0 = a[0, 0] * (1 + damping) + floor
    d1 = a[1, 1] * (1 + damping) + floor
    d2 = a[2, 2] * (1 + damping) + floor
    c00 = d1 * d2 - a[1, 2] * a[1, 2]
    c01 = a[0, 2] * a[1, 2] - a[0, 1] * d2
    c02 = a[0, 1] * a[1, 2] - a[0, 2] * d1
    c11 = d0 * d2 - a[0, 2] * a[0, 2]
    c12 = a[0, 1] * a[0, 2] - d0 * a[1, 2]
    c22 = d0 * d1 - a[0, 1] * a[0, 1]
    size = d0 * c00 + a[0, 1] * c01 + a[0, 2] * c02
    if size <= 0.0:
        return 0.0, 0.0, 0.0
    b0, b1, b2 = a[0, 3], a[1, 3], a[2, 3]
    return (
        (c00 * b0 + c01 * b1 + c02 * b2) / size,
        (c01 * b0 + c11 * b1 + c12 * b2) / size,
        (c02 * b0 + c12 * b1 + c22 * b2) / size,
    )
