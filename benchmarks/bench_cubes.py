"""Cubes of an archive against the reader that they are read by, and an archive on the web."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from obspy import Stream, Trace, UTCDateTime

from benchmarks.harness import Row, alternate, clock
from workbench.archive import Archive, Remote, Selection

TOPIC = "Cubes: 30 channels of 30 days at 1 Hz, and a day of 3 channels at 100 Hz"

START = UTCDateTime(2024, 1, 1)
DAYS, CHANNELS, DAY = 30, 30, 86_400
NOON = START + 43_200
ROUNDS = 5

_MEMORY = """
import pathlib, re, sys, dask, numpy as np, xarray as xr
cube = xr.open_dataset("sds:SL.*.*.*", engine="workbench", archive=sys.argv[1], chunks={})
with dask.config.set(scheduler="threads", num_workers=2):
    squares = (cube.data.astype(np.int64) ** 2).where(cube.valid, 0).drop_vars("time")
    squares.coarsen(time=86400).sum().compute()
print(re.search("VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
"""


def measure() -> list[Row]:
    """Measure opening, slices and arithmetic."""
    with tempfile.TemporaryDirectory() as folder:
        archive = _made(Path(folder) / "archive")
        fast = xr.open_dataset("sds:FA.*.*.*", engine="workbench", archive=archive)
        slow = xr.open_dataset("sds:SL.*.*.*", engine="workbench", archive=archive, chunks={})
        hour = slice(NOON, NOON + 3600)
        ask = ("FA", "S0", "", "HHZ", NOON, NOON + 3600)
        day = ("FA", "S0", "", "HHZ", START, START + DAY - 0.01)
        return [
            Row(
                f"open {CHANNELS} channels of {DAYS} days",
                _median(lambda: xr.open_dataset("sds:SL.*.*.*", engine="workbench", archive=archive)),
                target="1 s",
            ),
            alternate(
                "an hour of a channel at 100 Hz, samples and mask",
                lambda: _parts(fast.isel(channel=0).sel(time=hour)),
                lambda: archive.get_waveforms(*ask),
                name="get_waveforms",
                rounds=ROUNDS,
            ),
            alternate(
                "a day of a channel at 100 Hz, samples and mask",
                lambda: _parts(fast.isel(channel=0)),
                lambda: archive.get_waveforms(*day),
                name="get_waveforms",
                rounds=ROUNDS,
            ),
            alternate(
                "sum of squares by channel and day, Dask's threads",
                lambda: _by_cube(slow),
                lambda: _by_stream(archive),
                name="a loop over get_waveforms",
                rounds=3,
            ),
            _memory(archive),
            _remote(archive, ask),
        ]


def _made(root: Path) -> Archive:
    archive = Archive(root)
    rng = np.random.default_rng(0)
    for number in range(CHANNELS):
        archive.write(_trace(rng, "SL", f"S{number}", "LHZ", DAYS * DAY, 1.0))
    archive.write(Stream([_trace(rng, "FA", f"S{number}", "HHZ", DAY * 100, 100.0) for number in range(3)]))
    for file in archive.files(Selection()):
        # What was written this very second is looked at each time.
        path = root / file.path
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    archive.index.look(archive.files(Selection()))
    return archive


def _trace(
    rng: np.random.Generator, network: str, station: str, channel: str, size: int, rate: float
) -> Trace:
    data = np.cumsum(rng.integers(-300, 301, size)).astype(np.int32)
    header = {"network": network, "station": station, "channel": channel, "starttime": START}
    return Trace(data, {**header, "sampling_rate": rate})


def _parts(row: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    return row.data.values, row.valid.values


def _by_cube(cube: xr.Dataset) -> np.ndarray:
    squares = (cube.data.astype(np.int64) ** 2).where(cube.valid, 0).drop_vars("time")
    return squares.coarsen(time=DAY).sum().compute(scheduler="threads", num_workers=2).values


def _by_stream(archive: Archive) -> np.ndarray:
    found = np.zeros((CHANNELS, DAYS), np.int64)
    for channel in range(CHANNELS):
        for day in range(DAYS):
            begin = START + day * DAY
            for trace in archive.get_waveforms("SL", f"S{channel}", "", "LHZ", begin, begin + DAY - 1):
                found[channel, day] += (trace.data.astype(np.int64) ** 2).sum()
    return found


def _memory(archive: Archive) -> Row:
    command = [sys.executable, "-c", _MEMORY, str(archive.root)]
    said: list[str] = []

    def work() -> None:
        said.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    size = CHANNELS * DAYS * DAY * 5 / 2**20
    return Row(
        f"the same in a new process; the cube has {size:.0f} MiB",
        _median(work, rounds=2),
        memory_mib=int(said[-1]) / 1024,
    )


def _remote(archive: Archive, ask: tuple[object, ...]) -> Row:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
    from webfolder import web_folder

    with web_folder(archive.root) as web, tempfile.TemporaryDirectory() as folder:
        remote = Remote(web.url, index=Path(folder) / "index.sqlite")
        return alternate(
            "an hour at 100 Hz from a web server of this machine, headers known",
            lambda: remote.get_waveforms(*ask),
            lambda: archive.get_waveforms(*ask),
            name="the same from its folder",
            rounds=ROUNDS,
        )


def _median(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    work()
    return float(np.median([clock(work) for _ in range(rounds)]))
