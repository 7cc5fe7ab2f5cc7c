"""Cubes are read lazily, by threads and by clusters."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream

from cubed import opened
from tests.archive.conftest import MIDNIGHT, trace
from workbench.archive.trees import Local, Status
from workbench.errors import BadInput


class Counting(Local):
    """A folder that counts the bytes that are read of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.count = 0

    def ranges(self, path: str, status: Status, wanted: Sequence[tuple[int, int]]) -> list[bytes] | None:
        self.count += sum(length for _, length in wanted)
        return super().ranges(path, status, wanted)


def test_no_more_is_read_than_is_asked_for(archive) -> None:
    rng = np.random.default_rng(2)
    data = np.cumsum(rng.integers(-3000, 3000, 5 * 864_000)).astype(np.int32)
    archive.write(trace(data, MIDNIGHT, 10.0))
    archive.write(trace(data, MIDNIGHT, 10.0, "XX.B..HHZ"))
    archive.index.tree = tree = Counting(archive.root)
    cube = opened(archive)
    assert tree.count == 0
    minute = cube.sel(channel="XX.B..HHZ", time="2020-03-03T07:01").data
    assert tree.count == 0
    assert minute.values.tolist() == data[2 * 864_000 + 252_600 :][:600].tolist()
    assert 0 < tree.count <= 2 * 256 * 1024
    size = tree.count
    # The mask came from the same records.
    assert cube.sel(channel="XX.B..HHZ", time="2020-03-03T07:01").valid.values.all()
    assert tree.count == size
    # Samples far apart do not drag in what is between.
    found = cube.data.isel(channel=0, time=[5, 3_000_000]).values
    assert found.tolist() == data[[5, 3_000_000]].tolist()
    assert tree.count - size <= 2 * 256 * 1024


def test_what_is_there_now_is_read(archive) -> None:
    archive.write(trace(1000, seed=1))
    cube = opened(archive, f"sds:XX.ABC..HHZ@{MIDNIGHT.date}/{(MIDNIGHT + 86400).date}")
    assert cube.sizes["time"] == 8_640_001
    assert cube.valid[0, :3000].values.sum() == 1000
    archive.write(trace(1000, MIDNIGHT + 20, seed=2))
    assert cube.valid[0, :3000].values.sum() == 2000
    np.testing.assert_array_equal(cube.data[0, 2000:3000].values, trace(1000, seed=2).data)
    archive.write(trace(np.ones(5, np.float32), MIDNIGHT + 50))
    with pytest.raises(BadInput, match="has float32 samples now"):
        cube.data[0, 5000:5010].load()
    shutil.rmtree(archive.root / "2020")
    assert not cube.valid[0, :3000].values.any()


def test_threads_and_processes_share_it(archive) -> None:
    data = np.random.default_rng(3).integers(-9999, 9999, 3 * 86_400).astype(np.int32)
    archive.write(Stream([trace(data, MIDNIGHT, 1.0, f"XX.A{k}..LHZ") for k in range(4)]))
    cube = opened(archive, chunks={})
    assert cube.chunks == {"channel": (1,) * 4, "time": (86_400,) * 3}
    again = pickle.loads(pickle.dumps(opened(archive)))

    def read(k: int) -> bool:
        a = 977 * k
        row = again.isel(channel=k % 4, time=slice(a, a + 5000))
        part = ("data", "valid")[k % 2]
        wanted = data[a : a + 5000] if part == "data" else np.ones(5000, bool)
        return bool((row[part].values == wanted[: row.sizes["time"]]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(80)))
    assert (cube.data.values == data).all()


def test_dask_counts_as_numpy_does(archive, dask) -> None:
    """RMS by channel and day on a cluster, exactly: integers are added, whatever the order."""
    rng = np.random.default_rng(4)
    day, days = 86_400, 6
    for k in range(3):
        data = rng.integers(-(10**6), 10**6, days * day).astype(np.int32)
        kept = np.ones(days * day, bool)
        for first in rng.integers(0, days * day - 5000, 4).tolist():
            kept[first : first + 4000] = False
        kept[3 * day : 4 * day] &= k != 1
        archive.write(trace(np.ma.masked_array(data, ~kept), MIDNIGHT, 1.0, f"XX.A{k}..LHZ"))
    cube = opened(archive, chunks={})
    squares = (cube.data.astype(np.int64) ** 2).where(cube.valid, 0).drop_vars("time").coarsen(time=day).sum()
    counts = cube.valid.drop_vars("time").coarsen(time=day).sum()
    with np.errstate(invalid="ignore"):
        rms = np.sqrt(squares / counts).compute(scheduler=dask)
    assert rms.shape == (3, days)
    for k in range(3):
        stream = archive.get_waveforms("XX", f"A{k}", "", "LHZ", MIDNIGHT, MIDNIGHT + days * day)
        for number in range(days):
            of_day = stream.slice(MIDNIGHT + number * day, MIDNIGHT + (number + 1) * day - 1)
            samples = np.concatenate([np.zeros(0, np.int32), *(one.data for one in of_day)])
            if not len(samples):
                assert np.isnan(rms[k, number])
                continue
            assert float(rms[k, number]) == np.sqrt((samples.astype(np.int64) ** 2).sum() / len(samples))
    assert np.isnan(rms.values).sum() == 1
