"""What all pictures have in common: the sheet, the colours, the way to bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from workbench.plots.style import INK as LINES
from workbench.plots.style import PHASES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "INK", "RED", "count", "finish", "rows"]

BLUE, RED, GREY, INK = PHASES["P"], PHASES["S"], "#777777", LINES
"""P and S, the rest, and lines."""


def rows(number: int, height: float | None = None, share: bool = True) -> tuple[Figure, list[Axes]]:
    """Return a sheet with a row of axes for each of a number of things."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    high = height if height is not None else max(2.4, 0.75 * number + 1.0)
    figure = Figure(figsize=(11, high), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(max(number, 1), 1, sharex=share, squeeze=False)
    return figure, [axis for row in grid for axis in row]


def count(number: int, noun: str) -> str:
    """Say how many there are."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def finish(figure: Figure, axes: list[Axes], title: str, below: str) -> bytes:
    """Write title and axis, and return the PNG."""
    axes[0].set_title(title, fontsize=10, loc="left")
    if below:
        axes[-1].set_xlabel(below)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
