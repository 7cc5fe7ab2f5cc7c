"""Completeness, RMS and noise of generated archives, beside ObsPy on the same files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import obspy
from obspy import UTCDateTime
from obspy.signal import PPSD

from benchmarks.harness import Row, alternate
from workbench.archive import Archive, Selection, survey
from workbench.archive.records import scan_file
from workbench.demo.known import known
from workbench.demo.network import network_sequence
from workbench.kernels.quality import completeness, psd, rms

TOPIC = "Quality: completeness, RMS and noise"

HEADERS = "ObsPy read, headers only, and get_gaps"
SAMPLES = "ObsPy read, and NumPy"


@dataclass(frozen=True)
class Held:
    """An archive, how it is called, and how long it is."""

    name: str
    root: Path
    files: list[Path]
    start: UTCDateTime
    days: int

    @property
    def asked(self) -> tuple[Any, ...]:
        return "XX", "*", "*", "*", self.start, self.start + self.days * 86400 - 0.001

    @contextmanager
    def new(self) -> Iterator[Archive]:
        """Open it with an index that knows nothing yet."""
        with tempfile.TemporaryDirectory() as folder:
            yield Archive(self.root, index=Path(folder) / "index.sqlite")

    def warm(self) -> Archive:
        archive = Archive(self.root)
        archive.get_spans(*self.asked)
        return archive


def measure() -> list[Row]:
    """Measure each beside what a script with ObsPy does."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        many = [
            _made(root / "1", "8 channels, 30 days at 1 Hz", channels=8, days=30, rate=1),
            _made(root / "20", "4 channels, 10 days at 20 Hz", channels=4, days=10, rate=20),
        ]
        day = {"channels": 3, "days": 1, "rate": 100}
        long = [
            _made(root / "512", "3 channels, a day at 100 Hz, records of 512 bytes", **day),
            _made(root / "4096", "the same, records of 4096 bytes", record_length=4096, **day),
        ]
        rows = [row for held in many for row in _by_header(held)]
        rows += [row for held in (*many, *long) for row in _by_sample(held)]
        return [*rows, _noise()]


def _by_header(held: Held) -> list[Row]:
    warm = held.warm()
    return [
        alternate(
            f"completeness, new index, {held.name}",
            lambda: _cold(held),
            lambda: _gaps(held.files),
            name=HEADERS,
        ),
        alternate(
            f"completeness from the index, {held.name}",
            lambda: completeness(warm.get_spans(*held.asked)),
            lambda: _gaps(held.files),
            name=HEADERS,
        ),
    ]


def _by_sample(held: Held) -> list[Row]:
    warm = held.warm()
    return [
        alternate(
            f"headers, {held.name}",
            lambda: _scan(held.files),
            lambda: [obspy.read(path, headonly=True) for path in held.files],
            name="ObsPy read, headers only",
            target="20 times",
        ),
        alternate(
            f"RMS by day and hour, {held.name}",
            lambda: rms(warm.get_waveforms(*held.asked)),
            lambda: _spreads(held.files),
            name=SAMPLES,
        ),
        alternate(
            f"new index, completeness and RMS in one pass, {held.name}",
            lambda: _all(held),
            lambda: [obspy.read(path) for path in held.files],
            name="ObsPy read alone",
            target="2 times",
        ),
    ]


def _made(root: Path, name: str, **options: Any) -> Held:
    made = known(root, **options)
    files = sorted(path for path in root.rglob("*.D.*") if path.is_file())
    return Held(name, root, files, UTCDateTime(ns=made.start * 86400 * 10**9), made.days)


def _scan(files: list[Path]) -> None:
    for path in files:
        with path.open("rb", buffering=0) as file:
            scan_file(file)


def _cold(held: Held) -> None:
    with held.new() as archive:
        completeness(archive.get_spans(*held.asked))


def _all(held: Held) -> None:
    with held.new() as archive:
        survey(archive, Selection(*held.asked))


def _gaps(files: list[Path]) -> list[float]:
    """Availability by file, as a script has it."""
    found = []
    for path in files:
        stream = obspy.read(path, headonly=True)
        gone = sum(gap[6] for gap in stream.get_gaps() if gap[6] > 0)
        first, last = min(t.stats.starttime for t in stream), max(t.stats.endtime for t in stream)
        found.append(100 * (last - first - gone) / 86400)
    return found


def _spreads(files: list[Path]) -> list[float]:
    """Standard deviation by file and by hour, as a script has it."""
    found = []
    for path in files:
        stream = obspy.read(path)
        for trace in stream:
            hour = round(3600 * trace.stats.sampling_rate)
            data = trace.data.astype(np.float64)
            found += [data.std(), *(data[k : k + hour].std() for k in range(0, len(data), hour))]
    return found


def _noise() -> Row:
    made = network_sequence(n_stations=1, n_events=2, duration_s=21600.0, magnitudes=(1.0, 2.0))
    stream = made.waveforms.select(channel="HHZ")

    def theirs() -> None:
        found = PPSD(stream[0].stats, made.stations)
        found.add(stream.copy())

    return alternate(
        "noise spectra of six hours at 100 Hz",
        lambda: psd(stream, made.stations),
        theirs,
        name="ObsPy PPSD",
    )
