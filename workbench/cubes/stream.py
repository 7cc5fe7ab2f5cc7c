"""Cubes taken apart into traces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from obspy import Trace, UTCDateTime

from workbench.errors import BadInput, NoData
from workbench.nouns import Waveforms

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["to_stream"]

_REMEDY = "Open one with engine='workbench', or make one with cubes.from_stream."


def to_stream(cube: Dataset, name: str = "the dataset") -> Waveforms:
    """Return the traces of a cube, one for each stretch without a gap.

    Channel by channel, so that no more than one of them is in memory beside
    the result.

    Parameters
    ----------
    cube : Dataset
        With ``data`` over channel and time, and as far as they are there
        ``valid``, ``t_offset``, ``t_shift`` and ``sampling_rate``.
    name : str
        What to call it in errors.

    Raises
    ------
    BadInput
        If it is no cube.
    NoData
        If it has no channel or no time.

    Examples
    --------
    >>> import obspy
    >>> from workbench.cubes import from_stream
    >>> [trace.id for trace in to_stream(from_stream(obspy.read()))]
    ['BW.RJOB..EHE', 'BW.RJOB..EHN', 'BW.RJOB..EHZ']
    """
    cube = _checked(cube, name)
    stream = Waveforms()
    times = _Times(cube)
    for place, seed_id in enumerate(cube["channel"].values.tolist()):
        row = cube.isel(channel=place)
        stream.extend(list(_traces(str(seed_id), row, times)))
    return stream


def _checked(cube: Dataset, name: str) -> Dataset:
    if "data" not in cube or "channel" not in cube.coords or "time" not in cube.coords:
        raise BadInput(name, "is no cube of waveforms", _REMEDY)
    offset = cube.get("t_offset")
    cube = cube[[part for part in ("data", "valid", "t_shift") if part in cube]]
    for dim in ("channel", "time"):
        if dim not in cube.dims and cube[dim].ndim == 0:
            cube = cube.expand_dims(dim)
    if set(cube["data"].dims) != {"channel", "time"}:
        said = ", ".join(map(str, cube["data"].dims))
        raise BadInput(
            name,
            f"has 'data' over {said}, where a cube has channel and time",
            "Select one of what is more.",
        )
    if offset is not None:
        if offset.dims not in ((), ("channel",)):
            raise BadInput(name, "has 't_offset' over more than channel", "Select one of what is more.")
        cube = cube.assign(t_offset=("channel", np.atleast_1d(offset.values)))
    if cube["data"].dtype.kind not in "iuf":
        raise BadInput(name, f"has data of type {cube['data'].dtype}", _REMEDY)
    if 0 in (cube.sizes["channel"], cube.sizes["time"]):
        raise NoData(name, "has no samples", "Select a span that has some.")
    for channel in cube["channel"].values.tolist():
        if str(channel).count(".") != 3:
            raise BadInput(name, f"has a channel {channel!r}", "Name channels NET.STA.LOC.CHA.")
    return cube


class _Times:
    """The times of a cube's places: from its grid, or from its table of labels."""

    def __init__(self, cube: Dataset) -> None:
        from workbench.cubes.times import grid_of

        grid = grid_of(cube.xindexes.get("time"))
        self.uneven: npt.NDArray[np.bool_] | None = None
        self.step: float | None
        if grid is not None:
            self._at: Callable[[int], int] = lambda place: grid.time(grid.first + place * grid.stride)
            self.step = grid.step * grid.stride
            return
        labels = cube["time"].values.astype("datetime64[ns]").astype(np.int64)
        self._at = lambda place: int(labels[place])
        steps = np.diff(labels)
        self.step = float(np.median(steps)) if len(steps) else None
        if self.step is not None:
            if not (steps > 0).all():
                raise BadInput("the dataset", "has times that do not go forward", "Sort it by time.")
            self.uneven = np.abs(steps - self.step) > self.step / 2

    def at(self, place: int) -> int:
        """Return a time, ns since 1970."""
        return self._at(place)

    def spans(self, valid: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """Go through the stretches without a gap: first place, and the one after the last."""
        goes_on = valid[1:] & valid[:-1]
        if self.uneven is not None:
            goes_on &= ~self.uneven
        starts = np.flatnonzero(valid & ~np.concatenate(([False], goes_on)))
        stops = np.flatnonzero(valid & ~np.concatenate((goes_on, [False]))) + 1
        return zip(starts.tolist(), stops.tolist(), strict=True)


def _traces(seed_id: str, row: Dataset, times: _Times) -> Iterator[Trace]:
    rate = _rate(seed_id, row, times)
    # Both at once: they come from the same records.
    loaded = row[[name for name in ("data", "valid") if name in row]].load()
    data = loaded["data"].values
    valid = loaded["valid"].values.astype(bool) if "valid" in loaded else np.ones(len(data), bool)
    offset = round(float(row["t_offset"]) * 1e9) if "t_offset" in row else 0
    network, station, location, channel = seed_id.split(".")
    for first, stop in times.spans(valid):
        start = times.at(first) + offset
        if "t_shift" in row:
            start += int(row["t_shift"][first].values.astype("timedelta64[ns]").astype(np.int64))
        header = {
            "network": network,
            "station": station,
            "location": location,
            "channel": channel,
            "starttime": UTCDateTime(ns=start),
            "sampling_rate": rate,
        }
        yield Trace(np.require(data[first:stop], requirements=["C", "W", "O"]), header)


def _rate(seed_id: str, row: Dataset, times: _Times) -> float:
    said = float(row["sampling_rate"]) if "sampling_rate" in row.coords else None
    if times.step is None:
        if said is None:
            raise BadInput(
                seed_id,
                "has one sample and no sampling_rate",
                "Give the dataset the coordinate sampling_rate.",
            )
        return said
    found = 1e9 / times.step
    if said is None:
        # Labels are whole nanoseconds: 33.333333 Hz is meant as a third of 100.
        return float(np.round(found, 6))
    if abs(1 - said / found) > 1e-3:
        raise BadInput(
            seed_id,
            f"has samples {times.step / 1e9:g} s apart and a sampling_rate of {said:g} Hz",
            "Give the dataset the sampling_rate that it has now.",
        )
    return said
