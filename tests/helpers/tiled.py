"""Noise that is the same whichever part of it is asked for."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from obspy import Stream, Trace, UTCDateTime

import workbench as wb
from workbench import wire
from workbench.archive import Archive
from workbench.archive.layout import place
from workbench.calls import Policy, run

DAY = 86_400
T0 = UTCDateTime(2020, 1, 1)
ALL = "*.*.*.*@2020-01-01/2020-01-04T23:59:59"
"""All that the archive of tests/jobs/conftest.py has."""
SOME = "XX.*.*.*@2020-01-01/2020-01-02T23:59:59"
"""Eight days of channels of it."""


def noise(seed_id: str, start: UTCDateTime, seconds: float, rate: float = 1.0, seed: int = 0) -> Trace:
    """Return samples that depend on the channel and on the time alone."""
    network, station, location, channel = seed_id.split(".")
    header = {"network": network, "station": station, "location": location, "channel": channel}
    number = round(seconds * rate)
    first = round((start - T0) * rate)
    rng = np.random.default_rng([seed, *seed_id.encode()])
    data = rng.integers(-1000, 1000, first + number + 10).astype(np.int32)[first : first + number]
    return Trace(data, {**header, "starttime": start, "sampling_rate": rate})


def old(root: Path, seconds: float = 60.0) -> None:
    """Make files a minute old: what was changed just now is looked at again each time."""
    for path in root.rglob("*"):
        if path.is_file() and ".workbench" not in path.parts:
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns - int(seconds * 1e9)))


def year(root: Path, stations: int, days: int = 365) -> Archive:
    """Write many small day files as they are: a record of each channel and day, at 200 samples a day."""
    for day in range(days):
        trace = noise("XX.S000..VHZ", T0, 1.0)
        trace.data = np.arange(200, dtype=np.int32)
        trace.stats.update({"starttime": T0 + day * DAY, "sampling_rate": 200 / DAY})
        out = io.BytesIO()
        Stream([trace]).write(out, format="MSEED", reclen=512)
        for number in range(stations):
            code = f"S{number:03d}"
            record = bytearray(out.getvalue())
            record[8:13] = f"{code} ".encode()
            path = root / place(f"XX.{code}..VHZ", T0.ns // (DAY * 10**9) + day)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(record)
    old(root)
    return Archive(root)


def whole(process: str, archive: Archive, selection: str = ALL, **settings: Any) -> bytes:
    """Return the canonical bytes of the same Call, not cut."""
    call = {"process": process, "inputs": {"waveforms": {"selection": selection}, **settings}}
    return wire.canonical(run(call, Policy(sources=[archive]), key=False).value)


def mapped(process: Any, archive: Archive, store: Any, selection: str = ALL, **more: Any) -> Any:
    """Map a kernel over an archive, with a store of the test's own."""
    return wb.map(process, selection, sources=[archive], store=store, **more)
