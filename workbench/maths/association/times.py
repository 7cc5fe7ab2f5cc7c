"""Travel times from anywhere to every station, and how well they are known."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.layered import Layers, TimeTable

__all__ = ["Spread", "Times", "spread", "travel"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Times(NamedTuple):
    """Stations on a plane, and tables of first arrivals for all of them.

    Attributes
    ----------
    slowness : ndarray, shape (2, n_receiver_depths, n_depths, n_distances)
        Mean slowness of P and of S, s/km, as `TimeTable` keeps it.
    top, spacing, step : float
        First depth, and spacing of depths and of distances, km.
    x, y, depth : ndarray, shape (n_stations,)
        East and north on the plane, and depth below sea level, km.
    sheet : ndarray of int, shape (n_stations,)
        The receiver depth of the tables that lies above the station,
    share : ndarray, shape (n_stations,)
        and how far, 0 to 1, the station lies towards the next.
    delay : ndarray, shape (n_stations, 2)
        How much later than in the model P and S come, s.
    """

    slowness: npt.NDArray[np.float64]
    top: float
    spacing: float
    step: float
    x: Floats
    y: Floats
    depth: Floats
    sheet: Ints
    share: Floats
    delay: Floats

    @classmethod
    def build(
        cls,
        layers: tuple[Layers, Layers],
        x: Floats,
        y: Floats,
        depth: Floats,
        *,
        distance_km: float,
        depth_km: tuple[float, float],
    ) -> Times:
        """Fill the tables.

        Parameters
        ----------
        layers : tuple of Layers
            For P and for S.
        x, y, depth : ndarray, shape (n_stations,)
        distance_km : float
            Largest distance that will be asked for.
        depth_km : tuple of float
            Shallowest and deepest source.
        """
        # 400 columns and 80 rows keep the error of a look-up near 10 ms at any scale.
        step = min(max(distance_km / 400.0, 0.2), 2.0)
        spacing = min(max((depth_km[1] - depth_km[0]) / 80.0, 0.2), 1.0)
        tables = [
            TimeTable.build(
                phase,
                distance_km=distance_km,
                depth_km=depth_km,
                receiver_km=(float(depth.min()), float(depth.max())),
                step_km=step,
                spacing_km=spacing,
            )
            for phase in layers
        ]
        known = tables[0].receiver_km
        sheet = np.zeros(x.size, np.int64)
        share = np.zeros(x.size)
        if known.size > 1:
            sheet = np.clip(np.searchsorted(known, depth, side="right") - 1, 0, known.size - 2)
            share = np.clip((depth - known[sheet]) / (known[sheet + 1] - known[sheet]), 0.0, 1.0)
        slowness = np.ascontiguousarray(np.stack([table.slowness for table in tables]))
        delay = np.zeros((x.size, 2))
        return cls(slowness, tables[0].top_km, spacing, step, x, y, depth, sheet, share, delay)


class Spread(NamedTuple):
    """How far arrivals scatter about the model's times: s^2 = f^2 (reading^2 + path^2 t + scale^2 t^2).

    Attributes
    ----------
    reading : float
        Error of a pick, s.
    path : float
        What uneven rock adds, s after one second of travel.  It adds up as the
        root of the path, as errors that are independent along it do.
    scale : float
        Error of the model's velocities as a whole, as a fraction of travel time.
    p, s : float
        The factor f for P and for S.
    """

    reading: float
    path: float
    scale: float
    p: float = 1.0
    s: float = 1.0


@njit(cache=True, error_model="numpy")
def spread(of: Spread, phase: int, travel_time: float) -> float:
    """Return the standard error of an arrival after that travel time, s."""
    return (of.p if phase == 0 else of.s) * math.sqrt(
        of.reading * of.reading
        + of.path * of.path * travel_time
        + of.scale * of.scale * travel_time * travel_time
    )


@njit(cache=True, error_model="numpy")
def travel(times: Times, station: int, phase: int, distance: float, depth: float) -> float:
    """Look up a travel time, s.

    Parameters
    ----------
    times : Times
    station : int
    phase : int
        0 for P, 1 for S.
    distance : float
        From the epicentre to the station, km.
    depth : float
        Of the source, km below sea level.
    """
    table = times.slowness
    row = min(max((depth - times.top) / times.spacing, 0.0), table.shape[2] - 1.000001)
    column = min(max(distance / times.step, 0.0), table.shape[3] - 1.000001)
    i, j = int(row), int(column)
    u, v = row - i, column - j
    k = times.sheet[station]
    mean = (1 - u) * ((1 - v) * table[phase, k, i, j] + v * table[phase, k, i, j + 1]) + u * (
        (1 - v) * table[phase, k, i + 1, j] + v * table[phase, k, i + 1, j + 1]
    )
    share = times.share[station]
    if share > 0.0:
        deeper = (1 - u) * ((1 - v) * table[phase, k + 1, i, j] + v * table[phase, k + 1, i, j + 1]) + u * (
            (1 - v) * table[phase, k + 1, i + 1, j] + v * table[phase, k + 1, i + 1, j + 1]
        )
        mean = (1 - share) * mean + share * deeper
    height = depth - times.depth[station]
    return mean * math.sqrt(distance * distance + height * height) + times.delay[station, phase]
