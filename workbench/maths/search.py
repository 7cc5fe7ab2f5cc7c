"""A coarse, robust search for where to start a location from.

A grid of epicentres is gone through at a few depths; at each node the origin
time is the median of arrival minus travel time, and the misfit is the sum of
normalised residuals, each counted up to a limit, so that wrong picks cost a
fixed amount and pull nowhere.  The grid grows while its best node lies on the
edge, as an event may well be outside the network, and is then refined around
the best node of each depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.geodesy import from_plane, to_plane
from workbench.maths.layered import Layers

__all__ = ["Start", "depths", "starts"]

Floats = npt.NDArray[np.float64]

_MOST = 30
"""Picks that the search looks at: the earliest, which are the closest and tell the most."""

_ASTRAY, _ASTRAY_KM = 8.0, 300.0
"""Stations farther away than so many times the median are left out: their coordinates may be wrong."""

_NODES = 13
"""Nodes on a side of the coarse grid."""

_LIMIT = 4.0
"""Normalised residual at which a pick counts as wrong."""

_COLUMNS = 300
"""Distances in the table of travel times."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to start from: degrees, km below sea level, seconds; and the misfit there."""

    latitude: float
    longitude: float
    depth_km: float
    time: float
    misfit: float


def depths(bottom_km: float) -> tuple[float, ...]:
    """Return the depths to start from: 0, 4, 8 km, then ever further apart.

    Examples
    --------
    >>> depths(20.0)
    (0.0, 4.0, 8.0, 12.0, 16.8, 20.0)
    """
    found = [0.0, 4.0]
    while found[-1] < bottom_km:
        found.append(found[-1] + max(4.0, 0.4 * found[-1]))
    return tuple(min(depth, bottom_km) for depth in found)


@njit(cache=True, error_model="numpy")
def _scan(
    xs: Floats,
    ys: Floats,
    half: float,
    count: int,
    table: Floats,
    step: float,
    x: Floats,
    y: Floats,
    row: npt.NDArray[np.int64],
    time: Floats,
    sigma: Floats,
) -> Floats:
    """Best node (misfit, x, y, origin time) at each depth, on a square around (xs, ys)."""
    n, n_depth = x.size, table.shape[1]
    best = np.full((n_depth, 4), np.inf)
    origin, ordered = np.empty(n), np.empty(n)
    for k in range(n_depth):
        for a in range(count * count):
            east = xs[k] + half * (2.0 * (a % count) / (count - 1) - 1.0)
            north = ys[k] + half * (2.0 * (a // count) / (count - 1) - 1.0)
            for i in range(n):
                column = min(math.hypot(x[i] - east, y[i] - north) / step, table.shape[2] - 1.000001)
                j = int(column)
                u = column - j
                origin[i] = time[i] - (1 - u) * table[row[i], k, j] - u * table[row[i], k, j + 1]
                at = i
                while at > 0 and ordered[at - 1] > origin[i]:
                    ordered[at] = ordered[at - 1]
                    at -= 1
                ordered[at] = origin[i]
            median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
            misfit = 0.0
            for i in range(n):
                misfit += min(abs(origin[i] - median) / sigma[i], _LIMIT)
            if misfit < best[k, 0]:
                best[k, 0], best[k, 1], best[k, 2], best[k, 3] = misfit, east, north, median
    return best


def starts(
    latitude: Floats,
    longitude: Floats,
    elevation_km: Floats,
    is_s: npt.NDArray[np.bool_],
    time: Floats,
    sigma: Floats,
    layers: tuple[Layers, Layers],
    depths_km: tuple[float, ...],
) -> list[Start]:
    """Return the best epicentre at each depth.

    Parameters
    ----------
    latitude, longitude, elevation_km : ndarray, shape (n_picks,)
        Where each pick was made.
    is_s : ndarray of bool, shape (n_picks,)
    time, sigma : ndarray, shape (n_picks,)
        Arrival times and their standard errors, s.
    layers : tuple of Layers
        For P and for S.
    depths_km : tuple of float
        Depths to try.
    """
    keep = np.argsort(time, kind="stable")
    lat0, lon0 = float(np.median(latitude)), _middle_longitude(longitude)
    away = np.hypot(*to_plane(latitude[keep], longitude[keep], lat0, lon0))
    keep = keep[away <= max(_ASTRAY * float(np.median(away)), _ASTRAY_KM)][:_MOST]
    x, y = to_plane(latitude[keep], longitude[keep], lat0, lon0)
    row = is_s[keep].astype(np.int64)
    # The table is for receivers at sea level; what lies above it is taken as a vertical path.
    surface = np.array([phase.velocity[0] for phase in layers])[row]
    picks = (x, y, row, time[keep] - elevation_km[keep] / surface)
    speed = np.where(row == 1, 3.5, 6.0)

    half = max(30.0, float(np.hypot(x, y).max()))
    centre = np.zeros(len(depths_km))

    def scan(xs: Floats, ys: Floats, side: float, count: int) -> Floats:
        # The square is never left by more than a cell, and this leaves some room.
        reach = _reach(float(np.hypot(x, y).max()) + 1.7 * half)
        table = _table(layers[0], layers[int(row.any())], depths_km, reach)
        # Half the diagonal of a cell is as far as the truth can be from the best node.
        blur = np.hypot(sigma[keep], side / (count - 1) * math.sqrt(2) / speed)
        return _scan(xs, ys, side, count, table, reach / (_COLUMNS - 1), *picks, blur)

    found = scan(centre, centre, half, _NODES)
    for _ in range(3):
        edge = np.abs(found[int(np.argmin(found[:, 0])), 1:3]).max()
        if edge < half * (1 - 1 / _NODES):
            break
        half *= 2
        found = scan(centre, centre, half, _NODES)
    spacing = 2 * half / (_NODES - 1)
    while spacing > 1.0:
        found = scan(found[:, 1].copy(), found[:, 2].copy(), 1.25 * spacing, 7)
        spacing *= 2.5 / 6
    lat, lon = from_plane(found[:, 1], found[:, 2], lat0, lon0)
    return [
        Start(*(float(value) for value in values))
        for values in zip(lat, lon, depths_km, found[:, 3], found[:, 0], strict=True)
    ]


def _reach(distance_km: float) -> float:
    """Round a distance up to one of a few, so that few tables are made."""
    return 100.0 * 1.5 ** max(0, math.ceil(math.log(distance_km / 100.0, 1.5)))


@lru_cache(maxsize=32)
def _table(p: Layers, s: Layers, depths_km: tuple[float, ...], reach_km: float) -> Floats:
    distance = np.linspace(0.0, reach_km, _COLUMNS)
    depth = np.array(depths_km)[:, None]
    return np.stack([phase.arrivals(depth, 0.0, distance)[0] for phase in (p, s)])


def _middle_longitude(longitude: Floats) -> float:
    """Return the median, counted from the mean direction so that the date line does no harm."""
    angle = np.radians(longitude)
    mean = math.degrees(math.atan2(np.sin(angle).mean(), np.cos(angle).mean()))
    return mean + float(np.median((longitude - mean + 180.0) % 360.0 - 180.0))
