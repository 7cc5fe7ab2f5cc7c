"""Maps of stations and of epicentres, as PNG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.nouns import Events, Stations
from workbench.plots.sheet import INK, RED, count, finish, rows
from workbench.preferred import preferred_magnitude, preferred_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["events", "stations"]


def stations(value: Stations) -> bytes:
    """Draw a map of the stations."""
    sites = {
        f"{network.code}.{station.code}": (float(station.longitude), float(station.latitude))
        for network in value
        for station in network
    }
    figure, axes = rows(1, height=6.0)
    axis = axes[0]
    if sites:
        lon, lat = np.array(list(sites.values())).T
        axis.scatter(lon, lat, marker="^", color=INK, s=36, zorder=3)
        if len(sites) <= 80:
            for name, (x, y) in sites.items():
                axis.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
        _as_map(axis, lat)
    return finish(figure, axes, count(len(sites), "station"), "longitude (degrees)")


def events(value: Events) -> bytes:
    """Draw a map of the epicentres with their uncertainty; size is magnitude, colour is depth."""
    found = []
    for event in value:
        origin, magnitude = preferred_origin(event), preferred_magnitude(event)
        if origin is None or origin.latitude is None or origin.longitude is None:
            continue
        found.append(
            (
                origin.longitude,
                origin.latitude,
                math.nan if origin.depth is None else origin.depth / 1000,
                math.nan if magnitude is None else magnitude.mag,
                _radius_km(origin),
                str(origin.time)[:19].replace("T", " "),
            )
        )
    figure, axes = rows(1, height=6.0)
    axis = axes[0]
    if found:
        lon, lat, depth, size, radius = (np.array([row[i] for row in found], dtype=float) for i in range(5))
        area = 30 + 12 * np.nan_to_num(size, nan=1.0).clip(0) ** 2
        for x, y, r in zip(lon, lat, radius, strict=True):
            if math.isfinite(r):
                _circle(axis, x, y, r)
        dots = axis.scatter(
            lon, lat, s=area, c=depth, cmap="viridis_r", edgecolor=INK, linewidth=0.5, zorder=3
        )
        if np.isfinite(depth).any():
            figure.colorbar(dots, ax=axis, label="depth below sea level (km)", shrink=0.8)
        if len(found) <= 30:
            for x, y, _, m, _, when in found:
                text = f"{when}{'' if math.isnan(m) else f'  M {m:.1f}'}"
                axis.annotate(text, (x, y), xytext=(6, 6), textcoords="offset points", fontsize=7)
        _as_map(axis, lat)
    return finish(
        figure,
        axes,
        count(len(value), "event") + (", circles: horizontal uncertainty" if found else ""),
        "longitude (degrees)",
    )


def _radius_km(origin: Any) -> float:
    shape = origin.origin_uncertainty
    if shape is None:
        return math.nan
    found = shape.horizontal_uncertainty
    found = shape.max_horizontal_uncertainty if found is None else found
    return math.nan if found is None else found / 1000


def _circle(axis: Axes, longitude: float, latitude: float, radius_km: float) -> None:
    turn = np.linspace(0, 2 * math.pi, 73)
    scale = 111.195
    x = longitude + radius_km * np.sin(turn) / (scale * max(math.cos(math.radians(latitude)), 0.01))
    axis.plot(x, latitude + radius_km * np.cos(turn) / scale, color=RED, linewidth=0.8)


def _as_map(axis: Axes, latitude: Any) -> None:
    axis.set_aspect(1 / max(math.cos(math.radians(float(np.mean(latitude)))), 0.05), adjustable="datalim")
    axis.margins(0.12)
    axis.grid(color="#dddddd", linewidth=0.5)
    axis.set_ylabel("latitude (degrees)")
    axis.ticklabel_format(useOffset=False)
