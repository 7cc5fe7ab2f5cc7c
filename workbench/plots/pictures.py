"""Pictures of the nouns, as PNG: what a seismologist wants to see first.

Drawn with matplotlib's own renderer, without a display; the same data give
the same bytes with the same version of matplotlib.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.nouns import Picks, Spans, Triggers, Waveforms
from workbench.plots.sheet import BLUE, GREY, INK, RED, count, finish, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from workbench.nouns import Dataset

__all__ = ["dataset", "picks", "spans", "triggers", "waveforms"]

_MOST_ROWS = 60
"""Channels in one picture: more would be thinner than a line of text."""

_FEW = 6
"""Rows of a dataset that are still drawn as lines."""

_COLOURS = (BLUE, RED, INK, GREY, "#7a5195", "#2e8b57")

_POINTS = 4000
"""Samples drawn of one channel; beyond, the smallest and largest of each bin."""


def waveforms(value: Waveforms) -> bytes:
    """Draw one row a channel, in order of the ids, each on its own scale."""
    ids = sorted({trace.id for trace in value})
    shown = ids[:_MOST_ROWS]
    figure, axes = rows(len(shown))
    start = min((trace.stats.starttime for trace in value), default=None)
    for row, channel in enumerate(shown):
        axis = axes[row]
        traces = [trace for trace in value if trace.id == channel]
        for trace in traces:
            times, samples = _envelope(trace, start)
            axis.plot(times, samples, color=INK, linewidth=0.5)
        peak = max((_peak(trace.data) for trace in traces), default=0.0)
        corner: dict[str, Any] = {"transform": axis.transAxes, "va": "top"}
        axis.text(0.005, 0.92, channel, fontsize=8, fontweight="bold", color=BLUE, **corner)
        axis.text(0.995, 0.92, f"±{peak:.4g}", fontsize=7, ha="right", **corner)
        axis.set_yticks([])
    title = count(len(ids), "channel") + (f", the first {_MOST_ROWS} shown" if len(ids) > _MOST_ROWS else "")
    return finish(figure, axes, title, f"seconds after {start}" if start is not None else "no data")


def picks(value: Picks) -> bytes:
    """Draw picks against time, a row a station, in order of their first pick."""
    names = list(dict.fromkeys(f"{row.network}.{row.station}" for row in value))
    figure, axes = rows(1, height=max(3.0, 0.22 * min(len(names), 100) + 1.2))
    axis = axes[0]
    start = value.table["time"].min() if len(value) else None
    for phase, color, marker, size in (("P", BLUE, "|", 60), ("S", RED, "|", 60), ("", GREY, ".", 12)):
        found = [row for row in value if _family(row.phase) == phase]
        if found:
            seconds = [(row.time - start).total_seconds() for row in found]
            places = [names.index(f"{row.network}.{row.station}") for row in found]
            label = f"{phase or 'other'} ({len(found)})"
            axis.scatter(seconds, places, color=color, marker=marker, s=size, label=label)
    axis.set_yticks(range(len(names)), names, fontsize=7 if len(names) < _MOST_ROWS else 4)
    axis.invert_yaxis()
    if len(value):
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
        axis.grid(axis="x", color="#dddddd", linewidth=0.5)
    when = f"seconds after {start.isoformat()}Z" if start is not None else "no picks"
    return finish(figure, axes, f"{count(len(value), 'pick')} at {count(len(names), 'station')}", when)


def triggers(value: Triggers) -> bytes:
    """Draw each trigger as a bar from on to off, as high as it has stations."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = rows(1, height=3.2)
    axis = axes[0]
    start = value.table["time"].min() if len(value) else None
    for row in value:
        seconds = (row.time - start).total_seconds()
        axis.bar(seconds, row.n_stations, width=row.duration_s, align="edge", color=BLUE, alpha=0.75)
        if len(value) <= 25:
            axis.annotate(f"{row.time:%H:%M:%S}", (seconds, row.n_stations), fontsize=7, va="bottom")
    axis.set_ylabel("stations")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    when = f"seconds after {start.isoformat()}Z" if start is not None else "no triggers"
    return finish(figure, axes, count(len(value), "trigger"), when)


def spans(value: Spans) -> bytes:
    """Draw a bar for each span, a row a channel; where two overlap it is darker."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    table = value.table
    codes = table["network"] + "." + table["station"] + "." + table["location"] + "." + table["channel"]
    names = sorted(set(codes))
    figure, axes = rows(1, height=max(2.4, 0.25 * min(len(names), 100) + 1.2))
    axis = axes[0]
    begin = table["time"].to_numpy()
    # A span lasts until the sample after its last one is due.
    width = table["end"].to_numpy() - begin + (1e9 / table["sampling_rate"].to_numpy()).astype("m8[ns]")
    for row, name in enumerate(names):
        mine = (codes == name).to_numpy()
        bars = list(zip(begin[mine], width[mine], strict=True))
        axis.broken_barh(bars, (row - 0.35, 0.7), facecolors=BLUE, alpha=0.6)
    axis.set_yticks(range(len(names)), names, fontsize=7 if len(names) < _MOST_ROWS else 4)
    axis.invert_yaxis()
    if names:
        locator = AutoDateLocator()  # type: ignore[no-untyped-call]
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axis.grid(axis="x", color="#dddddd", linewidth=0.5)
    title = f"{count(len(value), 'span')} of {count(len(names), 'channel')}"
    return finish(figure, axes, title, "time (UTC)" if names else "no data")


def _envelope(trace: Any, start: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return at most `_POINTS` points that look like all samples: extremes of each bin."""
    data = np.ma.filled(trace.data.astype(float), np.nan)
    times = (trace.stats.starttime - start) + np.arange(len(data)) * trace.stats.delta
    step = len(data) // (_POINTS // 2)
    if step < 2:
        return times, data
    used = len(data) // step * step
    bins = data[:used].reshape(-1, step)
    finite = np.where(np.isnan(bins), np.nanmean(data) if np.isfinite(data).any() else 0.0, bins)
    extremes = np.stack([finite.min(axis=1), finite.max(axis=1)], axis=1).ravel()
    extremes[np.repeat(np.isnan(bins).all(axis=1), 2)] = np.nan
    return np.repeat(times[:used:step], 2), extremes


def _peak(data: Any) -> float:
    values = np.ma.compressed(data).astype(float)
    values = values[np.isfinite(values)]
    return float(np.abs(values - values.mean()).max()) if len(values) else 0.0


def _family(phase: str) -> str:
    return phase[:1].upper() if phase[:1].upper() in ("P", "S") else ""


def dataset(value: Dataset) -> bytes:
    """Draw each variable of numbers: by channel and time a heat map, else lines where it has few rows,
    an image where it has many.  Where all have three dimensions, the middle in time is drawn.
    """  # noqa: D205
    value = _flattened(value)
    names = [
        name
        for name, item in value.data_vars.items()
        if item.ndim in (1, 2) and item.dtype.kind in "fiu" and item.size
    ]
    figure, axes = rows(max(len(names), 1), height=2.4 * max(len(names), 1) + 0.8, share=False)
    for axis, name in zip(axes, names, strict=False):
        item = value[name]
        unit = item.attrs.get("units", "")
        label = f"{name} ({unit})" if unit else str(name)
        if item.dims == ("channel", "time") and value["time"].dtype.kind == "M":
            _heat(axis, item, label)
            continue
        if item.ndim == 2 and min(item.shape) > _FEW:
            image = axis.imshow(item.values, aspect="auto", cmap="viridis", interpolation="nearest")
            axis.figure.colorbar(image, ax=axis, label=label)
            for side, dim in ((axis.yaxis, item.dims[0]), (axis.xaxis, item.dims[1])):
                _label(side, value, dim)
            continue
        # The longer dimension goes along the axis, the other becomes a few lines.
        along = item.dims[0] if item.ndim == 1 or item.shape[0] >= item.shape[1] else item.dims[1]
        _lines(axis, value, item.transpose(along, ...), along)
        axis.set_ylabel(label, fontsize=8)
    return finish(figure, axes, ", ".join(f"{dim} {size}" for dim, size in value.sizes.items()), "")


def _flattened(value: Dataset) -> Dataset:
    """Take the median in time of variables that have a third dimension, if there are no others."""
    kinds = {item.ndim for item in value.data_vars.values() if item.dtype.kind in "fiu"}
    if kinds != {3} or "time" not in value.dims:
        return value
    with warnings.catch_warnings():
        # A channel may have nothing at some period, at any time.
        warnings.simplefilter("ignore", RuntimeWarning)
        return value.median("time", keep_attrs=True)


def _heat(axis: Axes, item: Any, label: str) -> None:
    """Draw cells by channel and window."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    from workbench.plots.heatmap import cells

    found = cells(item)
    rows, columns = found.values.shape
    edges = (found.start + np.arange(columns + 1) * found.step).astype("M8[ns]")
    mesh = axis.pcolormesh(edges, np.arange(rows + 1) - 0.5, found.values, cmap="viridis", rasterized=True)
    axis.figure.colorbar(mesh, ax=axis, label=label)
    axis.invert_yaxis()
    if rows <= _MOST_ROWS:
        axis.set_yticks(range(rows), found.channels, fontsize=7 if rows <= 12 else 4)
    else:
        axis.set_ylabel(f"{rows} channels", fontsize=8)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _lines(axis: Axes, value: Dataset, item: Any, along: Any) -> None:
    places = value[along].values if along in value.coords else np.arange(item.shape[0])
    is_text = places.dtype.kind in "OUS"
    form: dict[str, Any] = {"linewidth": 0.8}
    if is_text:
        form = {"marker": "o", "markersize": 4, "linestyle": ""}
    columns = item.values.reshape(item.shape[0], -1)
    names = [""] * columns.shape[1]
    if item.ndim == 2:
        other = item.dims[1]
        names = [str(name) for name in value[other].values] if other in value.coords else names
    for column, name, color in zip(columns.T, names, _COLOURS, strict=False):
        axis.plot(np.arange(len(column)) if is_text else places, column, color=color, label=name, **form)
    if item.ndim == 2:
        axis.legend(fontsize=8)
    if is_text:
        axis.grid(axis="x", color="#dddddd", linewidth=0.5)
    if along in ("period", "frequency"):
        axis.set_xscale("log")
    _label(axis.xaxis, value, along)


def _label(side: Any, value: Dataset, dim: Any) -> None:
    """Write the name of a dimension, and its labels where they are words and not too many."""
    side.set_label_text(str(dim), fontsize=8)
    names = value[dim].values if dim in value.coords else np.arange(0)
    if names.dtype.kind in "OUS" and len(names) <= _MOST_ROWS:
        turned = {"rotation": 90} if side.axis_name == "x" and len(names) > 8 else {}
        side.set_ticks(range(len(names)), [str(name) for name in names], fontsize=7, **turned)
