"""Completeness of channels, as a table of windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.errors import InvalidSetting, NoData
from workbench.kernels._spans import Held
from workbench.kernels._windows import early, edges, time_axis
from workbench.maths.availability import availability
from workbench.notices import notice, progress
from workbench.nouns import Dataset

__all__ = ["measured"]

_DAY = 86_400_000_000_000
_TOGETHER = 1000
"""Channels that are measured before progress is told."""


def measured(kernel: str, found: Held, window: int, start: int | None, end: int | None) -> Dataset:
    """Measure all windows of all channels.

    Parameters
    ----------
    kernel : str
        Who asks.
    found : Held
        At least one span.
    window : int
        Length of a window, ns.
    start, end : int or None
        The span asked for, ns since 1970.
    """
    from xarray import Dataset

    held = _slow_left_out(found, window)
    if not held.ids:
        raise InvalidSetting(kernel, "all windows are shorter than a sample", "Take longer windows.")
    firsts = held.bounds[:-1]
    # The rate may differ from span to span, and the fastest says how early its samples may be.
    ends, rates = np.maximum.reduceat(held.end, firsts), np.maximum.reduceat(held.rate, firsts)
    first = int((held.start[firsts] + early(held.rate[firsts])).min())
    last = int((ends + early(rates)).max())
    whole = edges(kernel, window, first, last, start, end, len(held.ids))
    if len(whole) < 2:
        raise NoData("the spans", "lie outside the time asked for", "Check starttime and endtime.")
    inside = whole.copy()
    inside[0] = max(whole[0], start if start is not None else whole[0])
    inside[-1] = min(whole[-1], end if end is not None else whole[-1])
    shape = len(held.ids), len(whole) - 1
    gaps, overlaps = np.empty((3, *shape), np.int64), np.empty((3, *shape), np.int64)
    samples = np.empty(shape, np.int64)
    for row in range(0, shape[0], _TOGETHER):
        progress(row / shape[0], f"measuring {held.ids[row]}")
        some = slice(row, row + _TOGETHER)
        gaps[:, some], overlaps[:, some], samples[some] = availability(
            held.bounds[row : row + _TOGETHER + 1], held.start, held.end, held.samples, held.rate, inside
        )
    at = np.searchsorted(inside, held.start, side="right") - 1
    mine = (at >= 0) & (at < shape[1])
    place = (held.number * shape[1] + at)[mine]
    records = np.bincount(place, held.records[mine], shape[0] * shape[1]).astype(np.int64).reshape(shape)
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
        {"channel": held.ids, "time": time_axis(whole, window)},
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


def _slow_left_out(held: Held, window: int) -> Held:
    """Return the spans whose samples fit into a window."""
    fast = held.rate * window >= 1e9
    if fast.all():
        return held
    slow = held.part(~fast)
    slowest = np.minimum.reduceat(slow.rate, slow.bounds[:-1])
    for seed_id, rate in zip(slow.ids, slowest, strict=True):
        notice(
            seed_id,
            f"has a sample every {1 / rate:g} s, and a window is {window / 1e9:g} s",
            "It is left out; take longer windows.",
        )
    return held.part(fast)
