"""What all figures share: colours, sizes, time axes, and how a notebook shows them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import Unavailable

__all__ = ["PHASES", "envelope", "milliseconds", "new", "notebook", "phase_colour", "show", "widget"]

# Okabe and Ito's palette, which colour-blind readers can tell apart.
INK = "#333333"
STATION = "#0072B2"
EVENT = "#D55E00"
TRUTH = "#009E73"
TRIGGER = "#E69F00"
PHASES = {"P": "#0072B2", "S": "#D55E00"}


def phase_colour(phase: str) -> str:
    """Return the colour of a phase: one for P and its kin, one for S."""
    return PHASES.get(phase[:1].upper(), INK)


def notebook() -> None:
    """Make bokeh draw in this notebook, with its scripts inline.

    Hubs run on closed networks, so nothing is fetched from elsewhere.
    """
    from bokeh.io import output_notebook
    from bokeh.resources import INLINE

    output_notebook(resources=INLINE, hide_banner=True)


def show(figure: Any) -> None:
    """Show a figure in the notebook."""
    import bokeh.io

    bokeh.io.show(figure)


def widget(figure: Any) -> Any:
    """Return a figure as a widget of the notebook: what is tapped in it is heard in Python.

    Raises
    ------
    Unavailable
        If the package that makes widgets of figures is not installed.
    """
    try:
        from jupyter_bokeh import BokehModel  # type: ignore[import-untyped]
    except ImportError as error:
        raise Unavailable(
            "jupyter_bokeh", "is not installed here", "Use the notebooks of the hub, or install it."
        ) from error
    return BokehModel(figure)


def new(title: str, **options: Any) -> Any:
    """Return an empty figure in the house style."""
    from bokeh.plotting import figure

    defaults: dict[str, Any] = {"width": 900, "height": 420, "tools": "xpan,box_zoom,xwheel_zoom,reset,save"}
    made: Any = figure(title=title, **(defaults | options))
    made.toolbar.logo = None
    made.title.text_font_size = "12pt"
    made.grid.grid_line_alpha = 0.4
    made.outline_line_color = None
    return made


def milliseconds(nanoseconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Turn nanoseconds since 1970 into bokeh's milliseconds."""
    return np.asarray(nanoseconds, dtype=np.float64) / 1e6


def envelope(
    data: npt.NDArray[Any], columns: int = 1500
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Thin a trace to the least and largest sample of each column of pixels.

    Parameters
    ----------
    data : ndarray, shape (n_samples,)
    columns : int
        Columns of pixels.

    Returns
    -------
    index : ndarray, shape (n,)
        Samples kept, growing; no peak is lost.
    values : ndarray, shape (n,)

    Examples
    --------
    >>> index, values = envelope(np.arange(10.0), columns=2)
    >>> index.tolist()
    [0, 4, 5, 9]
    """
    if len(data) <= 2 * columns:
        return np.arange(len(data)), np.asarray(data, dtype=np.float64)
    edges = np.linspace(0, len(data), columns + 1).astype(np.int64)
    kept = []
    for first, stop in pairwise(edges):
        part = data[first:stop]
        kept.extend(sorted({first + int(part.argmin()), first + int(part.argmax())}))
    index = np.asarray(kept, dtype=np.int64)
    return index, np.asarray(data[index], dtype=np.float64)
