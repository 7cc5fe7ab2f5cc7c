"""Pictures of the nouns, as PNG: what a seismologist wants to see first.

Drawn with matplotlib's own renderer, without a display; the same data give
the same bytes with the same version of matplotlib.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.nouns import Events, Picks, Stations, Triggers, Waveforms

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from workbench.nouns import Dataset

__all__ = ["dataset", "events", "picks", "stations", "triggers", "waveforms"]

_P, _S, _OTHER, _INK = "#0b6e99", "#c8442e", "#777777", "#222222"
_MOST_ROWS = 60
"""Channels in one picture: more would be thinner than a line of text."""

_POINTS = 4000
"""Samples drawn of one channel; beyond, the smallest and largest of each bin."""


def waveforms(value: Waveforms) -> bytes:
    """Draw one row a channel, in order of the ids, each on its own scale."""
    ids = sorted({trace.id for trace in value})
    shown = ids[:_MOST_ROWS]
    figure, axes = _rows(len(shown))
    start = min((trace.stats.starttime for trace in value), default=None)
    for row, channel in enumerate(shown):
        axis = axes[row]
        traces = [trace for trace in value if trace.id == channel]
        for trace in traces:
            times, samples = _envelope(trace, start)
            axis.plot(times, samples, color=_INK, linewidth=0.5)
        peak = max((_peak(trace.data) for trace in traces), default=0.0)
        axis.text(
            0.005, 0.92, channel, transform=axis.transAxes, fontsize=8, va="top", fontweight="bold", color=_P
        )
        axis.text(0.995, 0.92, f"±{peak:.4g}", transform=axis.transAxes, fontsize=7, va="top", ha="right")
        axis.set_yticks([])
    title = _count(len(ids), "channel") + (f", the first {_MOST_ROWS} shown" if len(ids) > _MOST_ROWS else "")
    return _finish(figure, axes, title, f"seconds after {start}" if start is not None else "no data")


def picks(value: Picks) -> bytes:
    """Draw picks against time, a row a station, in order of their first pick."""
    figure, axes = _rows(
        1, height=max(3.0, 0.22 * min(len({(r.network, r.station) for r in value}), 100) + 1.2)
    )
    axis = axes[0]
    names = list(dict.fromkeys(f"{row.network}.{row.station}" for row in value))
    start = value.table["time"].min() if len(value) else None
    for phase, color, marker in (("P", _P, "|"), ("S", _S, "|"), ("", _OTHER, ".")):
        rows = [row for row in value if _family(row.phase) == phase]
        if rows:
            seconds = [(row.time - start).total_seconds() for row in rows]
            places = [names.index(f"{row.network}.{row.station}") for row in rows]
            label = f"{phase or 'other'} ({len(rows)})"
            axis.scatter(
                seconds, places, color=color, marker=marker, s=60 if marker == "|" else 12, label=label
            )
    axis.set_yticks(range(len(names)), names, fontsize=7 if len(names) < 60 else 4)
    axis.invert_yaxis()
    if len(value):
        axis.legend(loc="upper right", fontsize=8, framealpha=0.9)
        axis.grid(axis="x", color="#dddddd", linewidth=0.5)
    when = f"seconds after {start.isoformat()}Z" if start is not None else "no picks"
    return _finish(figure, axes, f"{_count(len(value), 'pick')} at {_count(len(names), 'station')}", when)


def triggers(value: Triggers) -> bytes:
    """Draw each trigger as a bar from on to off, as high as it has stations."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _rows(1, height=3.2)
    axis = axes[0]
    start = value.table["time"].min() if len(value) else None
    for row in value:
        seconds = (row.time - start).total_seconds()
        axis.bar(seconds, row.n_stations, width=row.duration_s, align="edge", color=_P, alpha=0.75)
        if len(value) <= 25:
            axis.annotate(f"{row.time:%H:%M:%S}", (seconds, row.n_stations), fontsize=7, va="bottom")
    axis.set_ylabel("stations")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    when = f"seconds after {start.isoformat()}Z" if start is not None else "no triggers"
    return _finish(figure, axes, _count(len(value), "trigger"), when)


def stations(value: Stations) -> bytes:
    """Draw a map of the stations."""
    sites = {
        f"{network.code}.{station.code}": (float(station.longitude), float(station.latitude))
        for network in value
        for station in network
    }
    figure, axes = _rows(1, height=6.0)
    axis = axes[0]
    if sites:
        lon, lat = np.array(list(sites.values())).T
        axis.scatter(lon, lat, marker="^", color=_INK, s=36, zorder=3)
        if len(sites) <= 80:
            for name, (x, y) in sites.items():
                axis.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7)
        _as_map(axis, lat)
    return _finish(figure, axes, _count(len(sites), "station"), "longitude (degrees)")


def events(value: Events) -> bytes:
    """Draw a map of the epicentres with their uncertainty; size is magnitude, colour is depth."""
    from workbench.wire.events import magnitude_of, origin_of

    rows = []
    for event in value:
        origin, magnitude = origin_of(event), magnitude_of(event)
        if origin is None or origin.latitude is None or origin.longitude is None:
            continue
        rows.append(
            (
                origin.longitude,
                origin.latitude,
                math.nan if origin.depth is None else origin.depth / 1000,
                math.nan if magnitude is None else magnitude.mag,
                _radius_km(origin),
                str(origin.time)[:19].replace("T", " "),
            )
        )
    figure, axes = _rows(1, height=6.0)
    axis = axes[0]
    if rows:
        lon, lat, depth, size, radius = (np.array([row[i] for row in rows], dtype=float) for i in range(5))
        area = 30 + 12 * np.nan_to_num(size, nan=1.0).clip(0) ** 2
        for x, y, r in zip(lon, lat, radius, strict=True):
            if math.isfinite(r):
                _circle(axis, x, y, r)
        dots = axis.scatter(
            lon, lat, s=area, c=depth, cmap="viridis_r", edgecolor=_INK, linewidth=0.5, zorder=3
        )
        if np.isfinite(depth).any():
            figure.colorbar(dots, ax=axis, label="depth below sea level (km)", shrink=0.8)
        if len(rows) <= 30:
            for x, y, _, m, _, when in rows:
                text = f"{when}{'' if math.isnan(m) else f'  M {m:.1f}'}"
                axis.annotate(text, (x, y), xytext=(6, 6), textcoords="offset points", fontsize=7)
        _as_map(axis, lat)
    return _finish(
        figure,
        axes,
        _count(len(value), "event") + (", circles: horizontal uncertainty" if rows else ""),
        "longitude (degrees)",
    )


def dataset(value: Dataset) -> bytes:
    """Draw each variable of numbers: a line where it has one dimension, an image where it has two."""
    names = [
        name
        for name, item in value.data_vars.items()
        if item.ndim in (1, 2) and item.dtype.kind in "fiu" and item.size
    ]
    figure, axes = _rows(max(len(names), 1), height=2.6 * max(len(names), 1) + 0.8, share=False)
    for axis, name in zip(axes, names, strict=False):
        item = value[name]
        across = item[item.dims[-1]] if item.dims[-1] in item.coords else np.arange(item.shape[-1])
        unit = item.attrs.get("units", "")
        if item.ndim == 1:
            kind = np.asarray(across).dtype.kind
            marks: dict[str, Any] = {"marker": ".", "linestyle": ""} if kind in "OU" else {}
            axis.plot(np.asarray(across), item.values, color=_P, linewidth=0.8, **marks)
            axis.set_ylabel(f"{name} ({unit})" if unit else str(name), fontsize=8)
        else:
            image = axis.imshow(item.values, aspect="auto", cmap="viridis", interpolation="nearest")
            figure.colorbar(image, ax=axis, label=f"{name} ({unit})" if unit else str(name))
            axis.set_ylabel(str(item.dims[0]), fontsize=8)
        axis.set_xlabel(str(item.dims[-1]), fontsize=8)
    return _finish(figure, axes, ", ".join(f"{dim} {size}" for dim, size in value.sizes.items()), "")


def _rows(count: int, height: float | None = None, share: bool = True) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    high = height if height is not None else max(2.4, 0.75 * count + 1.0)
    figure = Figure(figsize=(11, high), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(max(count, 1), 1, sharex=share, squeeze=False)
    return figure, [axis for row in grid for axis in row]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _finish(figure: Figure, axes: list[Axes], title: str, below: str) -> bytes:
    axes[0].set_title(title, fontsize=10, loc="left")
    if below:
        axes[-1].set_xlabel(below)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _envelope(trace: Any, start: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return at most `_POINTS` points that look like all samples: extremes of each bin."""
    data = np.ma.filled(trace.data.astype(float), math.nan)
    times = (trace.stats.starttime - start) + np.arange(len(data)) * trace.stats.delta
    step = len(data) // (_POINTS // 2)
    if step < 2:
        return times, data
    used = len(data) // step * step
    bins = data[:used].reshape(-1, step)
    finite = np.where(np.isnan(bins), np.nanmean(data) if np.isfinite(data).any() else 0.0, bins)
    extremes = np.stack([finite.min(axis=1), finite.max(axis=1)], axis=1).ravel()
    extremes[np.repeat(np.isnan(bins).all(axis=1), 2)] = math.nan
    return np.repeat(times[:used:step], 2), extremes


def _peak(data: Any) -> float:
    values = np.ma.compressed(data).astype(float)
    values = values[np.isfinite(values)]
    return float(np.abs(values - values.mean()).max()) if len(values) else 0.0


def _family(phase: str) -> str:
    return phase[:1].upper() if phase[:1].upper() in ("P", "S") else ""


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
    axis.plot(x, latitude + radius_km * np.cos(turn) / scale, color=_S, linewidth=0.8)


def _as_map(axis: Axes, latitude: Any) -> None:
    axis.set_aspect(1 / max(math.cos(math.radians(float(np.mean(latitude)))), 0.05), adjustable="datalim")
    axis.margins(0.12)
    axis.grid(color="#dddddd", linewidth=0.5)
    axis.set_ylabel("latitude (degrees)")
    axis.ticklabel_format(useOffset=False)
