"""A heat map by channel and window, of what `quality` measures: each cell can be asked what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.errors import BadInput, NoData
from workbench.plots import style

if TYPE_CHECKING:
    from workbench.nouns import Dataset

__all__ = ["Cell", "Cells", "cells", "heatmap"]

_LABELS = 60
"""Most channels that are named on the axis; of more, every second, third and so on."""

_WIDE = 30.0
"""Ratio of the largest to the least value above which colours follow the logarithm."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a heat map.

    Attributes
    ----------
    channel : str
        SEED id.
    start, end : UTCDateTime
        Of the window.
    value : float
        NaN where there is none.
    """

    channel: str
    start: UTCDateTime
    end: UTCDateTime
    value: float


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """Values by channel and window.

    Attributes
    ----------
    name, unit : str
        What is measured, in which unit.
    channels : list of str
        SEED ids, from above to below.
    start, step : int
        Begin of the first window, and from one to the next, ns since 1970.
    values : ndarray, shape (n_channels, n_windows)
    """

    name: str
    unit: str
    channels: list[str]
    start: int
    step: int
    values: npt.NDArray[np.float64]

    def at(self, x: float, y: float) -> Cell | None:
        """Return the cell at a time in milliseconds since 1970 and a height, as bokeh counts them."""
        column = int((x * 1e6 - self.start) // self.step)
        row = len(self.channels) - 1 - int(np.floor(y + 0.5))
        if not (0 <= column < self.values.shape[1] and 0 <= row < len(self.channels)):
            return None
        begin = self.start + column * self.step
        return Cell(
            self.channels[row],
            UTCDateTime(ns=begin),
            UTCDateTime(ns=begin + self.step),
            float(self.values[row, column]),
        )


def cells(dataset: Dataset | Any, variable: str = "") -> Cells:
    """Return the cells of a variable.

    Parameters
    ----------
    dataset : Dataset or DataArray
    variable : str
        By default the first one by channel and time; one by ``offset`` too is
        shown sub-window by sub-window.

    Raises
    ------
    BadInput
        If there is no such variable, or it has other dimensions.
    NoData
        If it has no cells.
    """
    item = _chosen(dataset, variable)
    name = str(item.name or "value")
    if not item.size:
        raise NoData(name, "has no cells", "Check what was measured.")
    times = item["time"].values.astype("M8[ns]").astype(np.int64)
    values = item.transpose("channel", "time", ...).values.astype(np.float64)
    length = round(float(item["time"].attrs.get("window_s", 0)) * 1e9)
    if "offset" in item.dims:
        offsets = np.rint(item["offset"].values * 1e9).astype(np.int64)
        times = (times[:, None] + offsets).ravel()
        values = values.reshape(len(values), -1)
        length = length // len(offsets) or length
    gaps = np.diff(times)
    step = int(gaps.min()) if len(gaps) else length or 86_400_000_000_000
    if step <= 0:
        raise BadInput(name, "has times that do not grow", "Sort it by time.")
    # Windows that are not there are cells without a value.
    at = (times - times[0]) // step
    grid = np.full((len(values), int(at[-1]) + 1), np.nan)
    grid[:, at] = values
    channels = [str(channel) for channel in item["channel"].values]
    return Cells(name, str(item.attrs.get("units", "")), channels, int(times[0]), step, grid)


def heatmap(
    dataset: Dataset | Any,
    variable: str = "",
    *,
    on_tap: Callable[[Cell], object] | None = None,
    title: str = "",
) -> Any:
    """Draw a variable by channel and window.

    A tap on a cell frames it and writes above what it is.

    Parameters
    ----------
    dataset : Dataset or DataArray
        By ``channel`` and ``time``, as `quality.completeness` and
        `quality.rms` return it; of more dimensions choose first:
        ``psd["psd"].sel(period=1.0)``.
    variable : str
        By default the first one by channel and time.
    on_tap : callable, optional
        Called with the `Cell` that is tapped, in a notebook where the figure
        is shown by `widget`.
    title : str
        By default the name of the variable.

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    BadInput
        If there is no such variable, or it has other dimensions.
    NoData
        If it has no cells.
    """
    from bokeh.models import HoverTool
    from bokeh.models.annotations import ColorBar

    found = cells(dataset, variable)
    rows, columns = found.values.shape
    label = found.name.replace("_", " ") + (f" ({found.unit})" if found.unit else "")
    figure = style.new(
        title or label,
        x_axis_type="datetime",
        height=int(min(140 + max(14, 26 - rows // 10) * rows, 1100)),
        tools="xpan,box_zoom,xwheel_zoom,reset,save",
        y_range=(-0.5, rows - 0.5),
    )
    mapper = _mapper(found.values)
    image = figure.image(
        # The first channel is the uppermost row.
        image=[found.values[::-1]],
        x=style.milliseconds(found.start),
        y=-0.5,
        dw=style.milliseconds(columns * found.step),
        dh=rows,
        color_mapper=mapper,
    )
    every = -(-rows // _LABELS)
    named = {rows - 1 - row: name for row, name in enumerate(found.channels) if row % every == 0}
    figure.yaxis.ticker = sorted(named)
    figure.yaxis.major_label_overrides = named
    figure.yaxis.axis_label = "channel"
    figure.xaxis.axis_label = "time (UTC)"
    figure.grid.grid_line_color = None
    figure.add_layout(ColorBar(color_mapper=mapper, title=found.unit or None, width=14), "right")
    tips = [("time", "$x{%F %T}"), (label, "@image")]
    figure.add_tools(HoverTool(renderers=[image], tooltips=tips, formatters={"$x": "datetime"}))
    _frame(figure, found, label)
    if on_tap is not None:
        from bokeh.events import Tap

        def tapped(event: Any) -> None:
            cell = found.at(event.x, event.y)
            if cell is not None:
                on_tap(cell)

        figure.on_event(Tap, tapped)
    return figure


def _chosen(dataset: Any, variable: str) -> Any:
    """Return the variable as a DataArray by channel and time."""
    if hasattr(dataset, "data_vars"):
        flat = [
            str(name) for name, item in dataset.data_vars.items() if set(item.dims) == {"channel", "time"}
        ]
        name = variable or (flat[0] if flat else "")
        if name not in dataset.data_vars:
            listed = ", ".join(map(str, dataset.data_vars)) or "none"
            raise BadInput(
                name or "the dataset", "is no variable by channel and time", f"There are: {listed}."
            )
        dataset = dataset[name]
    dims = set(dataset.dims)
    if not {"channel", "time"} <= dims <= {"channel", "time", "offset"} or dataset["time"].dtype.kind != "M":
        raise BadInput(
            str(dataset.name or "value"),
            f"has the dimensions {', '.join(map(str, dataset.dims))}, not channel and time",
            'Choose along the others first: dataset["psd"].sel(period=1.0).',
        )
    return dataset


def _mapper(values: npt.NDArray[np.float64]) -> Any:
    from bokeh.models import LinearColorMapper, LogColorMapper

    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if low > 0 and high / low > _WIDE:
        return LogColorMapper(palette="Viridis256", low=low, high=high, nan_color="white")
    if low == high:
        low, high = (low - 1.0, high) if low else (0.0, 1.0)
    return LinearColorMapper(palette="Viridis256", low=low, high=high, nan_color="white")


def _frame(figure: Any, found: Cells, label: str) -> None:
    """Frame a cell that is tapped, and write above what it is: in the page, without Python."""
    from bokeh.models import ColumnDataSource, CustomJS

    mark = ColumnDataSource({"x": [], "y": []})
    figure.rect(
        "x",
        "y",
        source=mark,
        width=style.milliseconds(found.step),
        height=1,
        fill_color=None,
        line_color=style.EVENT,
        line_width=2,
        name="tapped",
    )
    figure.js_on_event(
        "tap",
        CustomJS(
            args={
                "mark": mark,
                "title": figure.title,
                "names": found.channels[::-1],
                "image": figure.renderers[0].data_source,
                "start": float(style.milliseconds(found.start)),
                "step": float(style.milliseconds(found.step)),
                "columns": found.values.shape[1],
                "label": label,
            },
            code="""
const column = Math.floor((cb_obj.x - start) / step)
const row = Math.floor(cb_obj.y + 0.5)
if (column < 0 || column >= columns || row < 0 || row >= names.length) return
mark.data = {x: [start + (column + 0.5) * step], y: [row]}
const begin = new Date(start + column * step).toISOString().slice(0, 19)
const value = image.data.image[0][row * columns + column]
const said = Number.isNaN(value) ? "no value" : value.toPrecision(5).replace(/\\.?0+$/, "")
title.text = `${names[row]}   ${begin}   ${label}: ${said}`
""",
        ),
    )
