"""A coarse, robust search for where to start a location from.

A grid of epicentres at a few depths is gone through; at each node the origin
time is the median of arrival minus travel time, and the misfit is the sum of
normalised residuals, each counted up to a limit, so that wrong picks cost a
fixed amount and pull nowhere.  The grid grows while its best node lies on the
edge, as an event may well be outside the network, and is then refined around
the best node of each depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.geodesy import from_plane, to_plane
from workbench.maths.layered import Layers

__all__ = ["Start", "starts"]

Floats = npt.NDArray[np.float64]

_MOST = 40
"""Picks that the search looks at: the earliest, which are the closest and tell the most."""

_NODES = 17
_LIMIT = 4.0
"""Normalised residual at which a pick counts as wrong."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to start from: degrees, km below sea level, and the misfit there."""

    latitude: float
    longitude: float
    depth_km: float
    time: float
    misfit: float


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
    """Best node (misfit, x, y, origin time) at each depth, on square grids around (xs, ys)."""
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
    depths_km: Floats,
) -> list[Start]:
    """Return up to three places to start from, the best first.

    The second and third lie at other depths, because travel times often have
    a minimum of misfit above and another below an interface.

    Parameters
    ----------
    latitude, longitude, elevation_km : ndarray, shape (n_picks,)
        Where each pick was made.
    is_s : ndarray of bool, shape (n_picks,)
    time, sigma : ndarray, shape (n_picks,)
        Arrival times and their standard errors, s.
    layers : tuple of Layers
        For P and for S.
    depths_km : ndarray, shape (n_depths,)
        Depths to try.
    """
    keep = np.argsort(time, kind="stable")[:_MOST]
    lat0, lon0 = float(np.mean(latitude[keep])), _mean_longitude(longitude[keep])
    x, y = to_plane(latitude[keep], longitude[keep], lat0, lon0)
    row = is_s[keep].astype(np.int64)
    half = max(30.0, float(np.hypot(x, y).max()))
    receiver = -float(np.mean(elevation_km[keep]))
    xs, ys = np.zeros(depths_km.size), np.zeros(depths_km.size)
    found = np.empty((depths_km.size, 4))
    for _ in range(4):
        grid = _Grid(
            layers, depths_km, receiver, 2 * half * math.sqrt(2) + 1, x, y, row, time[keep], sigma[keep]
        )
        found = grid.scan(xs, ys, half, _NODES)
        edge = np.abs(found[int(np.argmin(found[:, 0])), 1:3]).max()
        if edge < half * (1 - 1 / _NODES):
            break
        half *= 2
    spacing = 2 * half / (_NODES - 1)
    while spacing > 2.0:
        found = grid.scan(found[:, 1].copy(), found[:, 2].copy(), 1.25 * spacing, 9)
        spacing *= 1.25 / 4
    order = _spread(found[:, 0])
    lat, lon = from_plane(found[order, 1], found[order, 2], lat0, lon0)
    return [
        Start(float(lat[i]), float(lon[i]), float(depths_km[k]), float(found[k, 3]), float(found[k, 0]))
        for i, k in enumerate(order)
    ]


class _Grid:
    """Travel times at the depths to try, and the picks to compare them with."""

    def __init__(
        self,
        layers: tuple[Layers, Layers],
        depths_km: Floats,
        receiver_km: float,
        reach_km: float,
        x: Floats,
        y: Floats,
        row: npt.NDArray[np.int64],
        time: Floats,
        sigma: Floats,
    ) -> None:
        self.step = reach_km / 300
        distance = np.arange(301) * self.step
        used = [layers[0], layers[1] if row.any() else layers[0]]
        self.table = np.stack(
            [phase.arrivals(depths_km[:, None], receiver_km, distance)[0] for phase in used]
        )
        self.picks = (x, y, row, time)
        self.sigma = sigma
        self.speed = np.where(row == 1, 3.5, 6.0)

    def scan(self, xs: Floats, ys: Floats, half: float, count: int) -> Floats:
        # Half the diagonal of a cell is as far as the truth can be from the best node.
        cell = half / (count - 1) * math.sqrt(2) / self.speed
        return _scan(xs, ys, half, count, self.table, self.step, *self.picks, np.hypot(self.sigma, cell))


def _spread(misfit: Floats) -> list[int]:
    """Return the best depth, then the best well above and the best well below it."""
    best = int(np.argmin(misfit))
    order = [best]
    if best >= 2:
        order.append(int(np.argmin(misfit[: best - 1])))
    if best + 2 < misfit.size:
        order.append(best + 2 + int(np.argmin(misfit[best + 2 :])))
    return order


def _mean_longitude(longitude: Floats) -> float:
    angle = np.radians(longitude)
    return math.degrees(math.atan2(np.sin(angle).mean(), np.cos(angle).mean()))
