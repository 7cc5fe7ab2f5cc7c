"""Noise of a channel: how often which level is met at which period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import BadInput, NoData
from workbench.maths.noise import probability
from workbench.plots import style

if TYPE_CHECKING:
    from workbench.nouns import Dataset

__all__ = ["noise"]

_LEVELS = np.arange(-200.0, -49.0)
"""Edges of the levels, dB."""

_OFTEN = 0.3
"""Share at which the colours end, as is usual for these figures."""


def noise(dataset: Dataset, channel: str = "", *, title: str = "") -> Any:
    """Draw the probability density of noise spectra, with Peterson's low and high noise models.

    Parameters
    ----------
    dataset : Dataset
        As `quality.psd` returns it.
    channel : str
        SEED id; by default the first one.
    title : str

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    BadInput
        If it holds no noise spectra, or not that channel.
    NoData
        If the channel has no spectrum.
    """
    from bokeh.models import LinearColorMapper
    from bokeh.models.annotations import ColorBar
    from obspy.signal.spectral_estimation import get_nhnm, get_nlnm

    if "psd" not in dataset or set(dataset["psd"].dims) != {"channel", "time", "period"}:
        raise BadInput("the dataset", "holds no noise spectra", "Give what quality.psd returns.")
    names = [str(name) for name in dataset["channel"].values]
    if (channel or names[0]) not in names:
        raise BadInput(channel, "is not in the dataset", f"There are: {', '.join(names)}.")
    own = dataset["psd"].sel(channel=channel or names[0]).transpose("time", "period")
    levels = own.values
    number = int(np.isfinite(levels).any(axis=1).sum())
    if not number:
        raise NoData(channel or names[0], "has no spectrum", "See what was said when it was measured.")
    periods = own["period"].values
    share = probability(levels, _LEVELS)
    row, column = np.nonzero(np.nan_to_num(share) > 0)
    half = 2 ** (1 / 16)
    figure = style.new(
        title or f"{channel or names[0]}: {number} spectra",
        x_axis_type="log",
        x_range=(float(periods[0] / half), float(periods[-1] * half)),
        y_range=(_LEVELS[0], _LEVELS[-1]),
        tools="box_zoom,reset,save",
    )
    mapper = LinearColorMapper(palette="Viridis256", low=0, high=_OFTEN)
    figure.quad(
        left="left",
        right="right",
        bottom="bottom",
        top="top",
        source={
            "left": periods[column] / half,
            "right": periods[column] * half,
            "bottom": _LEVELS[row],
            "top": _LEVELS[row + 1],
            "share": share[row, column],
        },
        fill_color={"field": "share", "transform": mapper},
        line_color=None,
    )
    for model, values in (("low", get_nlnm()), ("high", get_nhnm())):
        figure.line(*values, line_color=style.INK, line_width=2, legend_label=f"{model} noise model")
    figure.line(periods, _medians(levels), line_color=style.EVENT, line_width=2, legend_label="median")
    figure.xaxis.axis_label = "period (s)"
    figure.yaxis.axis_label = "dB rel. 1 (m/s²)²/Hz"
    figure.add_layout(ColorBar(color_mapper=mapper, title="share", width=14), "right")
    figure.legend.location = "top_left"
    return figure


def _medians(levels: Any) -> Any:
    """Return the median of each period, NaN for those without a spectrum."""
    return np.array(
        [
            np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan
            for column in levels.T
        ]
    )
