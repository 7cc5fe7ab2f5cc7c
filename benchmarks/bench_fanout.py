"""Fan-out against a plain loop over the same hours, over a cluster, and its growth with the data."""

from __future__ import annotations

import io
import itertools
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
from distributed import Client, LocalCluster
from obspy import Stream, Trace, UTCDateTime

import workbench as wb
from benchmarks.harness import Row, alternate, clock
from workbench.archive import Archive
from workbench.archive.layout import place
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
        for number in (1, 4, 16):
            run = partial(_mapped, archive, folder, _ids(number), 1, "1D")
            run()
            rows.append(_growth(number, run))
        rows.append(_planning(Path(folder)))
        return rows


def _planning(folder: Path) -> Row:
    """Plan a year of 274 channels in tiles of a day: files listed and index read, nothing computed."""
    root = folder / "year"
    out = io.BytesIO()
    for day in range(365):
        trace = Trace(np.arange(200, dtype=np.int32), {"network": "XX", "channel": "VHZ", "station": "S000"})
        trace.stats.update({"starttime": _BEGIN + day * 86400, "sampling_rate": 200 / 86400})
        out.seek(0)
        Stream([trace]).write(out, format="MSEED", reclen=512)
        for number in range(274):
            record = bytearray(out.getvalue())
            record[8:13] = b"S%03d " % number
            path = root / place(f"XX.S{number:03d}..VHZ", _BEGIN.ns // (86400 * 10**9) + day)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(record)
            os.utime(path, (path.stat().st_mtime - 60,) * 2)
    archive = Archive(root)

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


def _growth(number: int, run: Callable[[], Any]) -> Row:
    seconds = statistics.median(clock(run) for _ in range(3))
    words = f"{number} channel-day{'' if number == 1 else 's'}, a tile each"
    return Row(words, seconds, target="linear")


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
