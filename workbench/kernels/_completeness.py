"""Completeness of channels, as a table of windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.errors import InvalidSetting, NoData
from workbench.kernels._spans import Held
from workbench.kernels._windows import edges, on_time, time_axis
from workbench.maths.availability import availability
from workbench.notices import notice, progress
from workbench.nouns import Dataset

__all__ = ["measured"]

_DAY = 86_400_000_000_000


def measured(kernel: str, found: list[Held], window: int, start: int | None, end: int | None) -> Dataset:
    """Measure all windows of all channels.

    Parameters
    ----------
    kernel : str
        Who asks.
    found : list of Held
        At least one.
    window : int
        Length of a window, ns.
    start, end : int or None
        The span asked for, ns since 1970.
    """
    from xarray import Dataset

    kept = [part for held in found if (part := _slow_left_out(held, window)) is not None]
    if not kept:
        raise InvalidSetting(kernel, "all windows are shorter than a sample", "Take longer windows.")
    first = min(on_time(int(held.start[0]), float(held.rate[0])) for held in kept)
    last = max(on_time(int(held.end.max()), float(held.rate.max())) for held in kept)
    whole = edges(kernel, window, first, last, start, end, len(kept))
    if len(whole) < 2:
        raise NoData("the spans", "lie outside the time asked for", "Check starttime and endtime.")
    inside = whole.copy()
    inside[0] = max(whole[0], start if start is not None else whole[0])
    inside[-1] = min(whole[-1], end if end is not None else whole[-1])
    shape = len(kept), len(whole) - 1
    gaps, overlaps = np.empty((3, *shape), np.int64), np.empty((3, *shape), np.int64)
    samples, records = np.empty(shape, np.int64), np.empty(shape, np.int64)
    for row, held in enumerate(kept):
        progress(row / len(kept), f"measuring {held.id}")
        gaps[:, row], overlaps[:, row], samples[row] = availability(
            held.start, held.end, held.samples, held.rate, inside
        )
        at = np.searchsorted(inside, held.start, side="right") - 1
        mine = (at >= 0) & (at < shape[1])
        records[row] = np.bincount(at[mine], held.records[mine], shape[1])
    length = np.diff(inside)
    columns = {
        "percent_availability": 100.0 * (length - gaps[2]) / length,
        "num_gaps": gaps[0],
        "max_gap": np.where(gaps[2] == length, window, gaps[1]) / 1e9,
        "num_overlaps": overlaps[0],
        "max_overlap": overlaps[1] / 1e9,
        "num_samples": samples,
        "num_records": records,
    }
    return Dataset(
        {name: (("channel", "time"), columns[name], attrs) for name, attrs in _variables(window).items()},
        {"channel": [held.id for held in kept], "time": time_axis(whole, window)},
        {"title": "Completeness"},
    )


def _variables(window: int) -> dict[str, dict[str, Any]]:
    """Return the attributes of each variable; ``absent`` is its value where there are no data.

    The index knows records by the day: within one it could not say where each begins.
    """
    return {
        "percent_availability": {"long_name": "availability", "units": "%", "absent": 0.0},
        "num_gaps": {"long_name": "gaps", "absent": 1},
        "max_gap": {"long_name": "longest gap", "units": "s", "absent": window / 1e9},
        "num_overlaps": {"long_name": "overlaps", "absent": 0},
        "max_overlap": {"long_name": "longest overlap", "units": "s", "absent": 0.0},
        "num_samples": {"long_name": "samples", "absent": 0},
        **({"num_records": {"long_name": "records", "absent": 0}} if window % _DAY == 0 else {}),
    }


def _slow_left_out(held: Held, window: int) -> Held | None:
    """Return the spans whose samples fit into a window, or None."""
    fast = held.rate * window >= 1e9
    if fast.all():
        return held
    notice(
        held.id,
        f"has a sample every {1 / held.rate[~fast].min():g} s, and a window is {window / 1e9:g} s",
        "It is left out; take longer windows.",
    )
    return held.part(fast) if fast.any() else None
