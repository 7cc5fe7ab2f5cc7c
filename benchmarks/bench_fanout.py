"""Fan-out against a plain loop over the same hours, over a cluster, and its growth with the data."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
from distributed import Client, LocalCluster
from obspy import Stream, Trace, UTCDateTime

import workbench as wb
from benchmarks import simulated
from benchmarks.harness import Row, alternate, clock
from workbench.archive import Archive
from workbench.calls import Policy
from workbench.jobs.planning import plan
from workbench.jobs.tilestore import TileStore
from workbench.kernel import get
from workbench.kernels.triggers import sta_lta
from workbench.nouns import Triggers

TOPIC = "Fan-out over an archive at 100 Hz, one process"

_BEGIN = UTCDateTime(2024, 1, 1)
_HOUR = 3600
_SETTINGS: dict[str, Any] = {"kind": "classic", "freqmin": None, "freqmax": None}
_stores = itertools.count()


def measure() -> list[Row]:
    """Measure tiles of an hour beside a loop, small ones on a worker, growth, and planning."""
    with tempfile.TemporaryDirectory() as folder:
        archive = _archive(Path(folder) / "archive", channels=16)
        some = _ids(7)
        assert _mapped(archive, folder, some, 3, "1h") == _loop(archive, some, 3)
        rows = [
            alternate(
                "504 tiles of an hour, an STA/LTA of each",
                partial(_mapped, archive, folder, some, 3, "1h"),
                partial(_loop, archive, some, 3),
                name="plain loop",
                rounds=5,
                target="overhead < 15 %",
            )
        ]
        assert rows[0].peer_s is not None
        each = (rows[0].ours_s - rows[0].peer_s) / 504
        rows.append(Row("overhead of each of them", each, target="< 0.005 s"))
        rows += _on_a_worker(archive, folder, some)
        rows += [_growth(archive, number) for number in (1, 4, 16)]
        rows.append(_planning(Path(folder)))
        return rows


def _planning(folder: Path) -> Row:
    """Plan a year of 274 channels in tiles of a day: files listed and index read, nothing computed."""
    archive = simulated.year(folder / "year", channels=274, days=365)

    def tiles() -> int:
        store, policy = TileStore(folder / "x"), Policy(sources=[archive])
        return len(plan("triggers.sta_lta", "*.*.*.*", {}, policy=policy, store=store))

    assert tiles() == 100_010
    return Row("plan of 100,010 tiles, from the index", clock(tiles), target="seconds")


def _ids(number: int) -> list[str]:
    return [f"XX.S{one:02d}..HHZ" for one in range(number)]


def _selection(ids: list[str], days: int) -> str:
    end = str(_BEGIN + days * 86400 - 0.001).rstrip("Z")
    return "+".join(f"{one}@2024-01-01/{end}" for one in ids)


def _mapped(archive: Archive, folder: str, ids: list[str], days: int, tile: str, **more: Any) -> Any:
    store = TileStore(Path(folder) / f"store{next(_stores)}")
    selection = _selection(ids, days)
    more |= {"sources": [archive], "store": store, "tile": tile, **_SETTINGS}
    return wb.map("triggers.sta_lta", selection, **more).value


def _loop(archive: Archive, ids: list[str], days: int) -> Triggers:
    """What one writes without the workbench: an hour of a channel after the other."""
    kernel = get("triggers.sta_lta")
    settings = kernel.validate(_SETTINGS)
    # Without what comes before and after, it is blind at the begin of each hour, and deaf at its end.
    lead, trail = kernel.lead(settings), kernel.trail(settings)
    found = []
    for one in ids:
        for hour in range(days * 24):
            start = _BEGIN + hour * _HOUR
            first, last = max(start - lead, _BEGIN), start + _HOUR + trail
            hits = sta_lta(archive.get_waveforms(*one.split("."), first, last), **_SETTINGS)
            times = hits.table["time"].to_numpy("datetime64[ns]").astype(np.int64)
            inside = (times >= start.ns) & (times < (start + _HOUR).ns)
            found.append(Triggers(hits.table[inside]))
    return Triggers.concat(found)


def _on_a_worker(archive: Archive, folder: str, ids: list[str]) -> list[Row]:
    """Compare one worker with this process, on tiles that are quick: what is left is the way there."""
    with (
        # A nanny has its worker give memory back at once, which makes all that numpy does slower.
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        small = partial(_mapped, archive, folder, ids[:1], 1, "2min")
        row = alternate(
            "720 tiles of 2 minutes, by a worker of a Dask cluster",
            partial(small, client=client),
            small,
            name="here",
            rounds=3,
        )
    assert row.peer_s is not None
    each = (row.ours_s - row.peer_s) / 720
    return [row, Row("more for each of them, on a worker", each, target="< 0.005 s")]


def _growth(archive: Archive, number: int) -> Row:
    """Measure so many tiles in a process of their own, whose memory nobody else has grown."""
    code = f"from benchmarks.bench_fanout import grow; grow({str(archive.root)!r}, {number})"
    root = Path(__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(said.stdout.splitlines()[-1])
    words = f"{number} channel-day{'' if number == 1 else 's'}, a tile each"
    return Row(words, seconds, memory_mib=peak, target="linear, memory flat")


def grow(root: str, number: int) -> None:
    """Say how long so many channel-days take, and the most memory that this process had."""
    with tempfile.TemporaryDirectory() as folder:
        run = partial(_mapped, Archive(root), folder, _ids(number), 1, "1D")
        run()
        seconds = statistics.median(clock(run) for _ in range(3))
    status = Path("/proc/self/status").read_text()
    print(json.dumps([seconds, int(status.partition("VmHWM:")[2].split()[0]) / 1024]))


def _archive(root: Path, channels: int) -> Archive:
    """Three days of seven channels, and one of the others: noise with a burst each hour."""
    archive = Archive(root)
    rng = np.random.default_rng(0)
    for number in range(channels):
        for day in range(3 if number < 7 else 1):
            data = rng.normal(0, 100, 8_640_000)
            for hour in range(24):
                begin = hour * 360_000 + int(rng.integers(10_000, 300_000))
                data[begin : begin + 300] *= 20
            header = {"network": "XX", "station": f"S{number:02d}", "channel": "HHZ", "sampling_rate": 100.0}
            header["starttime"] = _BEGIN + day * 86400
            archive.write(Stream([Trace(np.round(data).astype(np.int32), header)]))
    for path in root.rglob("*.D.*"):
        # A file written this very second may change within its time stamp, so it is looked at each time.
        if path.is_file():
            os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return archive
