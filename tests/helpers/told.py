"""Kernels that count, and that fail when they are told to."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from workbench.kernel import kernel
from workbench.notices import notice
from workbench.nouns import Dataset, Stations, Triggers, Waveforms
from workbench.units import Seconds


def _tell(waveforms):
    """Leave a mark for each run, and do what is asked in a file beside it."""
    folder = Path(os.environ["TOLD"])
    name = "+".join(sorted({trace.id for trace in waveforms})) + "@" + str(waveforms[0].stats.starttime)
    with (folder / "runs").open("a") as file:
        file.write(f"{os.getpid()} {name}\n")
    return folder, name


@kernel(per="channel")
def peaks(waveforms: Waveforms, *, least: int = 0, pause: Seconds = 0.0) -> Triggers:
    """Find samples that are larger than all before them in their minute."""
    folder, name = _tell(waveforms)
    if (folder / "fail").exists():
        for line in (folder / "fail").read_text().split():
            if line in name:
                raise ZeroDivisionError(f"told to fail at {line}")
    if (folder / "once").exists():
        (folder / "once").unlink()
        raise OSError("told to fail once")
    if (folder / "kill").exists():
        whom = (folder / "kill").read_text()
        if not whom:
            (folder / "kill").unlink()
        if whom in name:
            os.kill(os.getpid(), 9)
    if pause:
        time.sleep(pause)
    rows = []
    for trace in waveforms:
        step = 1e9 / trace.stats.sampling_rate
        times = trace.stats.starttime.ns + np.round(np.arange(len(trace)) * step).astype(np.int64)
        edges = np.flatnonzero(np.diff(times // 60_000_000_000)) + 1
        for part, at in zip(np.split(trace.data, edges), [0, *edges.tolist()], strict=True):
            best = int(np.argmax(part))
            if part[best] >= least:
                rows.append((int(times[at + best]), trace.id, float(part[best])))
    times, ids, values = zip(*rows, strict=True) if rows else ((), (), ())
    return Triggers(
        pd.DataFrame(
            {
                "time": np.array(times, "datetime64[ns]"),
                "duration_s": np.zeros(len(rows)),
                "n_stations": np.ones(len(rows), int),
                "stations": [".".join(name.split(".")[:2]) for name in ids],
                "channel": ids,
                "peak": np.array(values, float),
            }
        )
    )


@kernel(per="channel", grid=lambda settings: settings.window)
def energy(waveforms: Waveforms, *, window: Seconds = 3600.0) -> Dataset:
    """Measure the largest and the mean square in windows."""
    _tell(waveforms)
    ids = sorted({trace.id for trace in waveforms})
    length = round(window * 1e9)
    found = {}
    for trace in waveforms:
        step = 1e9 / trace.stats.sampling_rate
        times = trace.stats.starttime.ns + np.round(np.arange(len(trace)) * step).astype(np.int64)
        for number in np.unique(times // length):
            part = trace.data[times // length == number].astype(np.int64)
            old = found.get((trace.id, number), (0, 0, 0))
            found[trace.id, number] = max(old[0], part.max()), old[1] + (part**2).sum(), old[2] + len(part)
    first, last = min(key[1] for key in found), max(key[1] for key in found)
    shape = len(ids), last - first + 1
    largest, square, count = np.zeros(shape), np.full(shape, np.nan), np.zeros(shape, np.int64)
    for (name, number), (top, total, n) in found.items():
        at = ids.index(name), number - first
        largest[at], square[at], count[at] = top, total / n, n
    times = (np.arange(first, last + 1) * length).view("datetime64[ns]")
    return xr.Dataset(
        {
            "largest": (("channel", "time"), largest, {"absent": 0.0}),
            "square": (("channel", "time"), square),
            "count": (("channel", "time"), count, {"absent": 0}),
        },
        {"channel": ("channel", np.array(ids, object)), "time": times},
    )


@kernel(per="archive", cut=False)
def everything(waveforms: Waveforms) -> Triggers:
    """Look at all of it at once."""
    return peaks(waveforms)


@kernel(per="channel")
def located(waveforms: Waveforms, stations: Stations) -> Triggers:
    """Give the elevation of the station as the peak."""
    _tell(waveforms)
    rows = []
    for trace in waveforms:
        (station,) = [one for network in stations for one in network if one.code == trace.stats.station]
        row = {"time": trace.stats.starttime, "duration_s": 0.0, "stations": station.code}
        rows.append({**row, "peak": station.elevation})
    return Triggers(rows)


@kernel(per="channel")
def sited(waveforms: Waveforms, stations: Stations | None = None) -> Triggers:
    """Give the elevation of the station as the peak, where it is known."""
    return peaks(waveforms) if stations is None else located(waveforms, stations)


@kernel(per="station", lead=30.0, trail=20.0)
def smooth(waveforms: Waveforms) -> Waveforms:
    """Average over the 10 s before and after."""
    _tell(waveforms)
    out = waveforms.copy()
    for trace in out:
        reach = round(10 * trace.stats.sampling_rate)
        if len(trace) <= 2 * reach:
            notice(trace.id, "is shorter than 20 s")
        padded = np.pad(trace.data.astype(np.int64), reach)
        sums = np.concatenate([[0], np.cumsum(padded)])
        trace.data = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]).astype(np.int32)
    return out
