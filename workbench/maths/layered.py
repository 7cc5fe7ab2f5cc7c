"""Velocity models as stacks of constant layers, and travel times in them.

`Layers` are made from a `VelocityModel` and a phase; `Layers.arrivals` traces
rays to many stations, exactly for the stack, and `TimeTable` keeps a grid of
times for searches.

Depths are km below sea level, also the receiver's (negative on a hill).  The
first layer goes on upwards for ever, the last one downwards.

Flat or round
-------------
A table of constant layers is a flat Earth, as local location programs take it.
A linear model (``.nd``) and a TauP name are a round one, as TauP takes them:
depths are transformed by the Earth-flattening transformation, and the stack is
cut finely enough that the time of the first arrival stays within 5 ms of TauP
to 300 km and 20 ms to 1000 km, for sources down to 700 km.  A stack of layers
has no core and its stations no far side, so beyond `REACH_KM` a round model
must be asked through TauP itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.errors import BadVelocityModel
from workbench.maths.raytracing import first_arrivals, flat_depth, head_wave_legs
from workbench.velocity import VelocityModel

__all__ = ["EARTH_KM", "REACH_KM", "Layers", "TimeTable", "table_time"]

Floats = npt.NDArray[np.float64]

EARTH_KM = 6371.0
"""Radius of the round Earth."""

REACH_KM = 1100.0
"""Epicentral distance to which the layers of a round model are good."""

_BOTTOM_KM = 800.0
"""Round models are cut off here; first arrivals within `REACH_KM` stay above."""

_JUMP, _APART_KM = 0.02, 0.5
"""What counts as an interface: a relative change of velocity, and a distance from the one above."""


@dataclass(frozen=True, eq=False)
class Layers:
    """Constant layers for one phase.

    Attributes
    ----------
    top_km : ndarray, shape (n_layers,)
        Tops of the layers, growing; flattened depths if the Earth is round.
        The first value has no effect, as the first layer goes on upwards.
    velocity : ndarray, shape (n_layers,)
        Km/s; flattened if the Earth is round.
    legs : ndarray, shape (2, n_layers + 2, n_layers)
        Sums along the legs of head waves, made once as they serve every ray.
    radius_km : float
        Radius of a round Earth, 0 for a flat one.
    bottom_km : float
        Depth below which no source may lie; infinite for a flat Earth.

    Examples
    --------
    >>> model = VelocityModel((0.0, 30.0), (6.0, 8.0), (3.4, 4.5))
    >>> layers = Layers.of(model, "P")
    >>> time, dt_dx, dt_dz, takeoff = layers.arrivals(10.0, 0.0, [0.0, 20.0, 300.0])
    >>> time.round(3).tolist()
    [1.667, 3.727, 43.012]
    """

    top_km: Floats
    velocity: Floats
    legs: Floats
    radius_km: float = 0.0
    bottom_km: float = math.inf

    @classmethod
    def of(cls, model: VelocityModel, phase: Literal["P", "S"]) -> Layers:
        """Cut a model into layers.

        Parameters
        ----------
        model : VelocityModel
        phase : {'P', 'S'}

        Raises
        ------
        BadVelocityModel
            If an S velocity is missing, or is zero (water).
        """
        return _layers(model, phase)

    def arrivals(
        self, source_depth_km: npt.ArrayLike, receiver_depth_km: npt.ArrayLike, distance_km: npt.ArrayLike
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Trace many first arrivals; the arguments broadcast.

        Returns
        -------
        time, dt_dx, dt_dz, takeoff : ndarray
            As `first_arrival` gives them.
        """
        arrays = np.broadcast_arrays(
            *(np.asarray(v, dtype=np.float64) for v in (source_depth_km, receiver_depth_km, distance_km))
        )
        flat = [np.array(array).ravel() for array in arrays]
        found = first_arrivals(self.top_km, self.velocity, self.legs, self.radius_km, *flat)
        time, dt_dx, dt_dz, takeoff = found.reshape((4, *arrays[0].shape))
        return time, dt_dx, dt_dz, takeoff

    def interfaces(self) -> tuple[float, ...]:
        """Return depths where the velocity jumps by more than 2 per cent, at least 0.5 km apart."""
        jump = np.abs(np.diff(np.log(self.velocity))) > _JUMP
        top = self.top_km[1:][jump]
        depth = -self.radius_km * np.expm1(-top / self.radius_km) if self.radius_km else top
        found: list[float] = []
        for z in depth:
            if not found or z - found[-1] >= _APART_KM:
                found.append(float(z))
        return tuple(found)

    def speed(self, depth_km: npt.ArrayLike) -> Floats:
        """Velocity at a depth, km/s (not flattened)."""
        depth = np.asarray(depth_km, dtype=np.float64)
        if not self.radius_km:
            return self.velocity[np.searchsorted(self.top_km[1:], depth, side="right")]
        flat = -self.radius_km * np.log1p(-depth / self.radius_km)
        layer = np.searchsorted(self.top_km[1:], flat, side="right")
        return self.velocity[layer] * (1 - depth / self.radius_km)


@lru_cache(maxsize=64)
def _layers(model: VelocityModel, phase: str) -> Layers:
    if not model.name and phase == "S" and not model.has_vs:
        model.with_vp_vs(None)
    depth, velocity = _taup_rows(model.name, phase) if model.name else _rows(model, phase)
    is_round = bool(model.name) or model.interpolation == "linear"
    fluid = np.flatnonzero((velocity <= 0) & ((depth < _BOTTOM_KM) | (not is_round)))
    if fluid.size:
        at = float(depth[fluid[0]])
        raise BadVelocityModel(
            model.name or "velocity model",
            f"has no S velocity at {at:g} km",
            "A fluid passes no S waves; start the model below it.",
        )
    return _round(depth, velocity) if is_round else Layers(depth, velocity, head_wave_legs(depth, velocity))


def _rows(model: VelocityModel, phase: str) -> tuple[Floats, Floats]:
    values = model.vp_km_s if phase == "P" else model.vs_km_s
    return np.array(model.depth_km, dtype=np.float64), np.array(values, dtype=np.float64)


def _taup_rows(name: str, phase: str) -> tuple[Floats, Floats]:
    """Read a model from the file that TauP itself reads, without importing TauP."""
    import obspy

    path = Path(obspy.__file__).parent / "taup" / "data" / f"{name}.npz"
    with np.load(path) as file:
        layers = file["v_mod.layers"]
    kept = layers[layers["top_depth"] < _BOTTOM_KM]
    letter = phase.lower()
    ends = [(row["top_depth"], row[f"top_{letter}_velocity"]) for row in kept]
    ends += [(row["bot_depth"], row[f"bot_{letter}_velocity"]) for row in kept]
    order = [end for pair in zip(ends[: len(kept)], ends[len(kept) :], strict=True) for end in pair]
    table = np.array(order, dtype=np.float64)
    return table[:, 0], table[:, 1]


def _round(depth: Floats, velocity: Floats) -> Layers:
    """Flatten a model that is linear between its rows, and cut it into thin layers.

    A gradient k (per second, after flattening) that is cut into steps of
    relative size e makes the first arrival late by at most about
    0.35 e^1.5 / k, worst for rays that leave the source nearly level.  Steps
    are chosen to keep this below 2 ms in the upper 100 km and let it grow
    slowly with depth.
    """
    tops: list[float] = []
    speeds: list[float] = []
    if depth[-1] < _BOTTOM_KM:
        # Constant below the last row, which after flattening is a gradient again.
        depth, velocity = np.append(depth, _BOTTOM_KM), np.append(velocity, velocity[-1])
    for z0, z1, v0, v1 in zip(depth, depth[1:], velocity, velocity[1:], strict=False):
        at, end = float(z0), min(float(z1), _BOTTOM_KM)
        slope = (v1 - v0) / (z1 - z0) if z1 > z0 else 0.0
        while at < end - 1e-9:
            v = v0 + slope * (at - z0)
            gradient = max(abs(slope + v / EARTH_KM), 1e-9)
            late = 0.002 * max(1.0, at / 100.0)
            step = (gradient * late / 0.35) ** (2 / 3) * v / gradient
            n = max(1, math.ceil((end - at) / step - 0.2))
            below = end if n == 1 else at + (end - at) / n
            middle = (at + below) / 2
            tops.append(flat_depth(at, EARTH_KM))
            speeds.append(float((v0 + slope * (middle - z0)) * EARTH_KM / (EARTH_KM - middle)))
            at = below
    top, speed = np.array(tops), np.array(speeds)
    return Layers(top, speed, head_wave_legs(top, speed), EARTH_KM, _BOTTOM_KM)


@njit(cache=True, error_model="numpy")
def table_time(
    slowness: Floats,
    top: float,
    spacing: float,
    step: float,
    source_depth: float,
    receiver_depth: float,
    distance: float,
) -> float:
    """Look a travel time up in a sheet of `TimeTable.sheet`.

    Parameters
    ----------
    slowness : ndarray, shape (n_depths, n_distances)
        Mean slowness, s/km, for this receiver's depth.
    top, spacing, step : float
        Of the table: first depth, and spacing of depths and of distances, km.
    source_depth, receiver_depth, distance : float
        Km.

    Returns
    -------
    float
        Seconds.  Outside the table the slowness at its edge is used.
    """
    row = min(max((source_depth - top) / spacing, 0.0), slowness.shape[0] - 1.000001)
    column = min(max(distance / step, 0.0), slowness.shape[1] - 1.000001)
    i, j = int(row), int(column)
    u, v = row - i, column - j
    mean = (1 - u) * ((1 - v) * slowness[i, j] + v * slowness[i, j + 1]) + u * (
        (1 - v) * slowness[i + 1, j] + v * slowness[i + 1, j + 1]
    )
    depth = source_depth - receiver_depth
    return mean * math.sqrt(distance * distance + depth * depth)


@dataclass(frozen=True, eq=False)
class TimeTable:
    """First-arrival times on a regular grid of distance and depth, for searches.

    What is kept is the mean slowness, time over straight distance: it is
    constant in a half-space and smooth near the source, where time itself has a
    cusp, so that a coarse grid is enough.  With the spacing of `build` 99 % of the
    times in a crust are within 10 ms; where the first arrival changes from one
    branch to another close to the surface the error may come to 50 ms.

    Attributes
    ----------
    slowness : ndarray, shape (n_receiver_depths, n_depths, n_distances)
        S/km.
    receiver_km : ndarray, shape (n_receiver_depths,)
        Depths of the receivers that the sheets are for, growing.
    top_km, spacing_km, step_km : float
        First depth, and spacing of depths and of distances.

    Examples
    --------
    >>> layers = Layers.of(VelocityModel((0.0, 30.0), (6.0, 8.0), (3.4, 4.5)), "P")
    >>> table = TimeTable.build(layers, distance_km=100.0, depth_km=(0.0, 30.0), receiver_km=(-1.0, 0.0))
    >>> round(float(table.time(10.0, -0.5, 20.0)), 3)
    3.765
    """

    slowness: Floats
    receiver_km: Floats
    top_km: float
    spacing_km: float
    step_km: float

    @classmethod
    def build(
        cls,
        layers: Layers,
        *,
        distance_km: float,
        depth_km: tuple[float, float],
        receiver_km: tuple[float, float] = (0.0, 0.0),
        step_km: float = 1.0,
        spacing_km: float = 0.5,
    ) -> TimeTable:
        """Fill a table.

        Parameters
        ----------
        layers : Layers
        distance_km : float
            Largest epicentral distance.
        depth_km : tuple of float
            Shallowest and deepest source.
        receiver_km : tuple of float
            Shallowest and deepest receiver (highest and lowest station); a
            sheet is made for about each km of the difference.
        step_km, spacing_km : float
            Spacing of distances and of depths.
        """
        distance = np.arange(max(2, math.ceil(distance_km / step_km) + 1)) * step_km
        n_depth = max(2, math.ceil((depth_km[1] - depth_km[0]) / spacing_km) + 1)
        depth = depth_km[0] + np.arange(n_depth) * spacing_km
        shallow, deep = min(receiver_km), max(receiver_km)
        receiver = np.linspace(shallow, deep, 1 if shallow == deep else 1 + math.ceil(deep - shallow))
        time = layers.arrivals(depth[:, None], receiver[:, None, None], distance)[0]
        straight = np.hypot(distance, depth[:, None] - receiver[:, None, None])
        at_source = 1 / layers.speed(depth)
        slowness = np.where(straight > 0, time / np.where(straight > 0, straight, 1.0), at_source[:, None])
        return cls(slowness, receiver, float(depth[0]), spacing_km, step_km)

    def sheet(self, receiver_depth_km: float) -> Floats:
        """Return the table for one receiver, for `table_time`.

        Returns
        -------
        ndarray, shape (n_depths, n_distances)
        """
        known = self.receiver_km
        if known.size == 1:
            return self.slowness[0]
        i = int(np.clip(np.searchsorted(known, receiver_depth_km) - 1, 0, known.size - 2))
        u = float(np.clip((receiver_depth_km - known[i]) / (known[i + 1] - known[i]), 0.0, 1.0))
        return np.ascontiguousarray((1 - u) * self.slowness[i] + u * self.slowness[i + 1])

    def time(self, source_depth_km: float, receiver_depth_km: float, distance_km: float) -> float:
        """Look one travel time up, in seconds."""
        return table_time(
            self.sheet(receiver_depth_km),
            self.top_km,
            self.spacing_km,
            self.step_km,
            source_depth_km,
            receiver_depth_km,
            distance_km,
        )
