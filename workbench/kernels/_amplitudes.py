"""Amplitudes of channels, as a table of windows and their parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.kernels._responses import Responses
from workbench.kernels._rms import Parts, counted
from workbench.kernels._segments import Segment, by_channel, segments
from workbench.kernels._velocity import Bands
from workbench.kernels._windows import edges, on_time, parts_of, time_axis
from workbench.notices import notice, progress
from workbench.nouns import Dataset, Waveforms

__all__ = ["amplitudes", "say_slow", "table", "velocities"]

_DIMS: dict[str, tuple[str, ...]] = {
    "sample_rms": ("channel", "time"),
    "sample_mean": ("channel", "time"),
    "sample_min": ("channel", "time"),
    "sample_max": ("channel", "time"),
    "n": ("channel", "time", "offset"),
    "mean": ("channel", "time", "offset"),
    "m2": ("channel", "time", "offset"),
    "velocity_rms": ("channel", "time", "band"),
    "velocity_part_rms": ("channel", "time", "offset", "band"),
}
_ATTRS: dict[str, dict[str, Any]] = {
    "sample_rms": {"long_name": "RMS about the mean", "units": "counts"},
    "sample_mean": {"long_name": "mean", "units": "counts"},
    "sample_min": {"long_name": "least sample", "units": "counts"},
    "sample_max": {"long_name": "largest sample", "units": "counts"},
    "n": {"long_name": "samples", "absent": 0},
    "mean": {"long_name": "mean", "units": "counts"},
    "m2": {"long_name": "squared distances from the mean, summed", "units": "counts**2"},
    "velocity_rms": {"long_name": "RMS of ground velocity", "units": "m/s"},
    "velocity_part_rms": {"long_name": "RMS of ground velocity", "units": "m/s"},
}


def amplitudes(kernel: str, waveforms: Waveforms, window: int, part: int) -> Dataset:
    """Measure all windows of all channels.

    Parameters
    ----------
    kernel : str
        Who asks.
    waveforms : Waveforms
    window, part : int
        Length of a window and of its sub-windows, ns.
    """
    channels, limits, fine = _grid(kernel, waveforms, window, part)
    rows = {}
    for number, (seed_id, parts) in enumerate(channels.items()):
        progress(number / len(channels), f"measuring {seed_id}")
        say_slow(seed_id, min(one.rate for one in parts), part)
        held = Parts(fine)
        for one in parts:
            held.add(one)
        rows[seed_id] = counted(held, window // part)
    return table(rows, limits, window, part)


def velocities(
    kernel: str, waveforms: Waveforms, responses: Responses, bands: Bands, window: int, part: int
) -> Dataset:
    """Measure the ground velocity of all windows of all channels; as `amplitudes`, in bands."""
    channels, limits, fine = _grid(kernel, waveforms, window, part)
    rows = {}
    for number, (seed_id, parts) in enumerate(channels.items()):
        progress(number / len(channels), f"measuring {seed_id}")
        squares, counts = bands.squares(parts, responses, fine)
        if counts.any():
            rows[seed_id] = _rooted(squares, counts, window // part)
    if not rows:
        raise responses.missing(sorted(channels))
    return table(rows, limits, window, part, bands.names)


def _grid(
    kernel: str, waveforms: Waveforms, window: int, part: int
) -> tuple[dict[str, list[Segment]], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the segments of each channel, and where windows and sub-windows begin and end."""
    channels = by_channel(segments(waveforms, flat=True, least=1))
    whole = [one for parts in channels.values() for one in parts]
    first = min(on_time(one.start, one.rate) for one in whole)
    last = max(on_time(one.end, one.rate) for one in whole)
    limits = edges(kernel, window, first, last, None, None, len(channels) * (window // part))
    return channels, limits, parts_of(limits, part)


def table(
    rows: dict[str, dict[str, npt.NDArray[Any]]],
    limits: npt.NDArray[np.int64],
    window: int,
    part: int,
    bands: list[str] | None = None,
) -> Dataset:
    """Return the dataset of what has been measured.

    Parameters
    ----------
    rows : dict of str to dict
        The variables of each channel.
    limits : ndarray of int
        Where the windows begin, and the last of them ends, ns.
    window, part : int
        Length of a window and of its sub-windows, ns.
    bands : list of str, optional
        What they are called, if there are any.
    """
    from xarray import Dataset

    names = next(iter(rows.values()))
    columns = {name: np.stack([row[name] for row in rows.values()]) for name in names}
    offsets = np.arange(0, window, part) / 1e9
    return Dataset(
        {name: (_DIMS[name], column, _ATTRS[name]) for name, column in columns.items()},
        {
            "channel": list(rows),
            "time": time_axis(limits, window),
            "offset": ("offset", offsets, {"long_name": "after the begin of the window", "units": "s"}),
            **({"band": bands} if bands else {}),
        },
        {"title": "RMS of ground velocity" if bands else "RMS"},
    )


def _rooted(
    squares: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], each: int
) -> dict[str, npt.NDArray[np.float64]]:
    shape = -1, each, squares.shape[1]
    with np.errstate(invalid="ignore"):
        return {
            # NumPy sums a middle axis in its order.
            "velocity_rms": np.sqrt(squares.reshape(shape).sum(axis=1) / counts.reshape(shape).sum(axis=1)),
            "velocity_part_rms": np.sqrt(squares / counts).reshape(shape),
        }


def say_slow(seed_id: str, rate: float, part: int) -> None:
    """Say that a sub-window (ns) is shorter than a sample."""
    if rate * part < 1e9:
        notice(
            seed_id,
            f"has a sample every {1 / rate:g} s, and a sub-window is {part / 1e9:g} s",
            "Some sub-windows have none; take longer ones.",
            loss=False,
        )
