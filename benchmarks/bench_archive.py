"""The archive against ObsPy's SDS client and reader, on the same files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import obspy
from obspy import UTCDateTime
from obspy.clients.filesystem.sds import Client

from benchmarks.harness import Row, alternate
from workbench.archive import Archive, Selection
from workbench.demo.network import network_sequence

TOPIC = "Archive, three channels of a day at 100 Hz"


def measure() -> list[Row]:
    """Measure reads and scans beside ObsPy's."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        archive = Archive(root)
        made = network_sequence(n_stations=1, n_events=3, duration_s=86400.0, magnitudes=(1.0, 2.0))
        archive.write(made.waveforms)
        files = sorted(root.glob("2*/*/*/*/*"))
        for path in files:
            # A file written this very second may change within its time stamp, so it is looked at each time.
            os.utime(path, (path.stat().st_mtime - 60,) * 2)
        peer = Client(folder)
        noon = UTCDateTime("2024-01-01T12:00:00")
        ask = ("XX", "*", "*", "HHZ", noon, noon + 60)
        day = ("XX", "*", "*", "HHZ", noon - 43200, noon + 43199)
        return [
            alternate(
                "get_waveforms, one minute",
                lambda: archive.get_waveforms(*ask),
                lambda: peer.get_waveforms(*ask),
                name="ObsPy SDS client",
            ),
            alternate(
                "get_waveforms, a day",
                lambda: archive.get_waveforms(*day),
                lambda: peer.get_waveforms(*day),
                name="ObsPy SDS client",
            ),
            alternate(
                "scan three day files into a new index",
                lambda: _scan(root),
                lambda: [obspy.read(path, headonly=True) for path in files],
                name="ObsPy read, headers only",
            ),
        ]


def _scan(root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(root, index=Path(folder) / "index.sqlite")
        archive.index.look(archive.files(Selection.parse("XX.*.*.*")))
