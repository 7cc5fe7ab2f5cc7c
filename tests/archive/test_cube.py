"""The archive as a cube: whatever is asked of it, what the reader reads."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime

from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from workbench import wire
from workbench.archive import Archive, Memory, Selection
from workbench.archive.trees import Local, Status
from workbench.cubes import to_stream
from workbench.cubes.grid import DAY_NS
from workbench.errors import BadInput, InvalidSetting, NoData
from workbench.notices import listen

EPOCH = np.datetime64(0, "ns")


def opened(archive: Archive | Sequence[Archive], spec: str = "sds:*.*.*.*", **more: object) -> xr.Dataset:
    return xr.open_dataset(spec, engine="workbench", archive=archive, **more)


def expected(cube: xr.Dataset, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Put the samples of a stream where a cube should have them: at the time nearest to their own."""
    data = np.zeros((cube.sizes["channel"], cube.sizes["time"]), cube.data.dtype)
    valid = np.zeros(data.shape, bool)
    origin = int((cube.time.values[0] - EPOCH).astype(np.int64))
    names = cube.channel.values.tolist()
    for one in stream:
        row = names.index(one.id)
        offset = float(cube.t_offset[row])
        first = round((one.stats.starttime.ns - origin - offset * 1e9) * one.stats.sampling_rate / 1e9)
        assert not valid[row, first : first + len(one)].any()
        data[row, first : first + len(one)] = one.data
        valid[row, first : first + len(one)] = True
    return data, valid


def same(cube: xr.Dataset, data: np.ndarray, valid: np.ndarray) -> None:
    np.testing.assert_array_equal(cube.valid.values, valid)
    np.testing.assert_array_equal(cube.data.values, data)
    assert cube.data.values.dtype == data.dtype


RECORDINGS = [
    ("BW.BGLD.EHE.20080101.gaps.mseed", None, 1),
    ("CH.BALST.LH.20251110.mseed", None, 2),
    ("II.PFO.BHZ.20110311.mseed", 20.0, 1),
    ("II.PFO.BHZ.20110311.mseed", 40.0, 1),
    ("IV.BDI.BH.20140404.mseed", None, 3),
    ("IV.BOB.BH.20110311.mseed", None, 3),
]


@pytest.mark.parametrize(("name", "rate", "channels"), RECORDINGS)
def test_recordings_are_in_the_cube_sample_by_sample(shared, archive, name, rate, channels) -> None:
    archive.write(shared("archive_mixed") / name)
    stream = everything(archive)
    if rate:
        stream = Stream([one for one in stream if one.stats.sampling_rate == rate])
    with listen() as heard:
        cube = opened(archive, sampling_rate=rate, shifts=True)
    assert cube.data.dims == ("channel", "time")
    assert cube.sizes["channel"] == channels
    data, valid = expected(cube, stream)
    same(cube, data, valid)
    assert valid.sum() == sum(len(one) for one in stream)
    # Any part of it is the same part.
    rng = np.random.default_rng(1)
    for _ in range(25):
        a, b = np.sort(rng.integers(0, cube.sizes["time"] + 1, 2))
        row = int(rng.integers(0, channels))
        same(cube.isel(channel=[row], time=slice(a, b)), data[[row], a:b], valid[[row], a:b])
    picked = rng.integers(0, cube.sizes["time"], 40)
    np.testing.assert_array_equal(cube.data.isel(time=picked).values, data[:, picked])
    np.testing.assert_array_equal(cube.data[:, 7:9000:53].values, data[:, 7:9000:53])
    np.testing.assert_array_equal(cube.data[::-1, 9000:7:-5].values, data[::-1, 9000:7:-5])
    assert cube.data[channels - 1, 17].values == data[channels - 1, 17]
    points = xr.DataArray(picked, dims="point")
    np.testing.assert_array_equal(
        cube.data.isel(time=points, channel=points % channels).values, data[picked % channels, picked]
    )
    # And back: the same waveforms, to the bit and to the nanosecond.
    assert wire.fingerprint(to_stream(cube)) == wire.fingerprint(stream)
    clocks = [said for said in heard.notices if "clock changes" in said.problem]
    assert bool(clocks) == bool((cube.t_shift != np.timedelta64(0)).any())
    if not clocks:
        assert wire.fingerprint(to_stream(cube.drop_vars("t_shift"))) == wire.fingerprint(stream)


def test_a_day_of_a_recording_is_the_day_that_the_reader_reads(shared, archive) -> None:
    archive.write(shared("archive_mixed") / "TA.C26K.BHZ.2018.224.mseed")
    cube = opened(archive, "sds:TA.C26K..BHZ@2018-08-12T14:00:00/2018-08-12T15:00:00")
    stream = archive.get_waveforms(
        "TA", "C26K", "", "BHZ", UTCDateTime(2018, 8, 12, 14), UTCDateTime(2018, 8, 12, 15)
    )
    assert wire.fingerprint(to_stream(cube)) == wire.fingerprint(stream)
    quake = cube.sel(time=slice("2018-08-12T14:58:00", "2018-08-12T14:59:59"))
    assert (
        int(abs(quake.data).max())
        == abs(
            stream.slice(UTCDateTime(2018, 8, 12, 14, 58), UTCDateTime(2018, 8, 12, 15) - 0.02)[0].data
        ).max()
    )
    assert (cube.data.units, cube.t_offset.units, cube.sampling_rate.values.tolist()) == (
        "counts",
        "s",
        [40.0],
    )
    assert [str(cube[name].values[0]) for name in ("network", "station", "location", "code", "channel")] == [
        "TA",
        "C26K",
        "",
        "BHZ",
        "TA.C26K..BHZ",
    ]


N = 2000
windows = st.lists(st.tuples(st.integers(0, N), st.integers(0, N)), min_size=1, max_size=4)
pieces = st.lists(st.tuples(st.integers(0, N - 1), st.integers(1, 700)), min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(
    pieces,
    windows,
    st.sampled_from([100.0, 40.0, 100 / 3, 1.0]),
    st.integers(0, 999_999),
    st.sampled_from([256, 4096]),
    st.sampled_from([np.int32, np.float32, np.float64]),
)
def test_any_window_is_what_get_waveforms_gives(parts, asked, rate, micros, record, kind) -> None:
    """Random pieces about a midnight, at any offset; random windows, limits of samples and others."""
    whole = np.random.default_rng(0).integers(-9999, 9999, N).astype(kind)
    start = MIDNIGHT + micros / 1e6 - N // 2 / rate
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        for first, length in parts:
            archive.write(
                trace(whole[first : first + length], start + first / rate, rate), record_length=record
            )
        for one, other in asked:
            begin = UTCDateTime(ns=start.ns + round((min(one, other) - 0.3) * 1e9 / rate))
            end = UTCDateTime(ns=start.ns + round((max(one, other) + 0.3) * 1e9 / rate))
            stream = archive.get_waveforms("XX", "ABC", "", "HHZ", begin, end)
            spec = str(Selection("XX", "ABC", "", "HHZ", begin, end))
            if not stream:
                with listen() as heard:
                    try:
                        cube = opened(archive, spec)
                    except NoData:
                        continue
                # There is a record that reaches into the window, with no sample in it.
                assert not cube.valid.any()
                assert not heard.notices
                continue
            cube = opened(archive, spec)
            same(cube, *expected(cube, stream))
            back = to_stream(cube)
            assert [len(one) for one in back] == [len(one) for one in stream]
            for mine, its in zip(back, stream, strict=True):
                np.testing.assert_array_equal(mine.data, its.data)
                assert mine.data.dtype == its.data.dtype == kind
                # Headers count microseconds, and a third of a second is none.
                assert abs(mine.stats.starttime.ns - its.stats.starttime.ns) <= (
                    2000 if rate == 100 / 3 else 0
                )
                assert mine.stats.sampling_rate == its.stats.sampling_rate


def test_offsets_are_kept_and_no_sample_moves(archive) -> None:
    archive.write(
        Stream(
            [
                trace(1000, MIDNIGHT + shift, 100.0, f"XX.A{k}..HHZ", k)
                for k, shift in enumerate((0.0, 0.003, 0.0049, 0.007, 0.004999))
            ]
        )
    )
    cube = opened(archive)
    assert cube.t_offset.values.tolist() == [0.0, 0.003, 0.0049, -0.003, 0.004999]
    assert cube.time.values[0] == np.datetime64(MIDNIGHT.ns, "ns")
    for row, one in enumerate(everything(archive)):
        first = int(cube.valid[row].values.argmax())
        time = int(cube.time.values[first].astype(np.int64)) + round(float(cube.t_offset[row]) * 1e9)
        assert time == one.stats.starttime.ns
        np.testing.assert_array_equal(cube.data[row, first : first + 1000].values, one.data)


def test_a_clock_that_changes_is_told_and_kept(archive) -> None:
    parts = [trace(500, MIDNIGHT + 10 * k + k * 0.0031, seed=k) for k in range(3)]
    archive.write(Stream(parts))
    with listen() as heard:
        cube = opened(archive, shifts=True)
    (said,) = heard.notices
    assert (said.loss, "up to 3.8 ms" in said.problem or "up to 3.1 ms" in said.problem) == (False, True)
    assert wire.fingerprint(to_stream(cube)) == wire.fingerprint(Stream(parts))
    plain = opened_quietly(archive)
    assert "t_shift" not in plain
    np.testing.assert_array_equal(plain.data.values, cube.data.values)
    for mine, its in zip(to_stream(plain), parts, strict=True):
        np.testing.assert_array_equal(mine.data, its.data)
        assert abs(mine.stats.starttime - its.stats.starttime) <= 0.005


def opened_quietly(archive: Archive, **more: object) -> xr.Dataset:
    with listen():
        return opened(archive, **more)


def test_a_clock_half_a_sample_off_loses_nothing(archive) -> None:
    """Header times that are rounded may lie now on this side of the middle and now on that."""
    rng = np.random.default_rng(5)
    archive.write(trace(300, MIDNIGHT - 100, 100.0))
    whole = rng.integers(-99, 99, 30_000).astype(np.int32)
    for k in range(100):
        start = MIDNIGHT - 90 + 3 * k + 0.005 + rng.choice([-0.0003, 0.0003])
        archive.write(mseed(trace(whole[300 * k : 300 * k + 300], start), reclen=4096))
    cube = opened_quietly(archive)
    assert cube.valid.values.sum() == 30_300
    later = to_stream(cube.isel(time=slice(500, None)))
    assert [len(one) for one in later] == [30_000]
    np.testing.assert_array_equal(later[0].data, whole)


def test_a_clock_that_drifts_stays_within_a_sample(archive) -> None:
    whole = np.arange(200_000, dtype=np.int32)
    slow = 100.0 * (1 - 2e-5)
    for k in range(20):
        part = trace(whole[10_000 * k : 10_000 * k + 10_000], MIDNIGHT + k * 10_000 / slow, 100.0)
        archive.write(mseed(part, reclen=512, encoding="INT32"))
    with listen() as heard:
        cube = opened(archive)
    assert any("clock changes" in said.problem for said in heard.notices)
    data, valid = cube.data.values[0], cube.valid.values[0]
    assert abs(valid.sum() - 200_000) <= 8
    times = (cube.time.values - EPOCH).astype(np.int64)[valid]
    true = MIDNIGHT.ns + data[valid] * 1e9 / slow
    # 0.6 of a sample where a stretch of records begins, and what its clock does within 256 KiB.
    assert np.abs(times - true).max() < 1.9e7


def test_where_versions_differ_nothing_is_valid(archive) -> None:
    good = trace(1000)
    other = good.copy()
    other.data = good.data.copy()
    other.data[[400, 401, 700]] += 1
    archive.write(good)
    with listen():
        archive.write(other)
    archive.write(good)
    cube = opened_quietly(archive)
    with listen() as heard:
        valid = cube.valid.values[0]
    assert np.flatnonzero(~valid).tolist() == [400, 401, 700]
    (said,) = heard.notices
    assert "3 samples from here on are there in versions that differ" in said.problem
    assert (cube.data.values[0][~valid] == 0).all()
    # Cut anywhere, it is the same.
    with listen():
        for a, b in ((399, 401), (400, 401), (401, 402), (0, 400), (650, 1000)):
            np.testing.assert_array_equal(cube.valid[0, a:b].values, valid[a:b])


def test_records_that_are_there_twice_are_there_once(archive) -> None:
    one = trace(3000)
    body = mseed(one, reclen=512)
    path = archive.root / "2020/XX/ABC/HHZ.D/XX.ABC..HHZ.D.2020.061"
    path.parent.mkdir(parents=True)
    path.write_bytes(body + body[512:2048] + body[::1])
    cube = opened(archive)
    same(cube, one.data[None, :], np.ones((1, 3000), bool))


def test_damage_costs_what_is_damaged(archive) -> None:
    one = trace(20_000)
    archive.write(one, record_length=512)
    (file,) = archive.files(Selection())
    path = archive.root / file.path
    body = bytearray(path.read_bytes())
    body[512 * 9 + 200 : 512 * 9 + 260] = b"\x55" * 60  # samples of the tenth record
    body[512 * 20 : 512 * 21] = b"\xff" * 512  # all of another
    path.write_bytes(body)
    with listen():
        stream = everything(archive)
        cube = opened(archive)
    with listen() as heard:
        same(cube, *expected(cube, stream))
    assert len(stream) == 3
    assert {said.problem.split(",")[0].split(" (")[0] for said in heard.notices} == {
        "512 bytes cannot be read",
        "the compressed samples do not end at the value the record names",
    }


def test_a_leap_second_is_left_out_by_name(archive) -> None:
    start = UTCDateTime(2016, 12, 31, 23, 59, 50)
    raw = bytearray(mseed(trace(1100, start), reclen=4096, encoding="STEIM2"))
    assert len(raw) == 4096
    raw[36] |= 0b10000
    archive.write(bytes(raw))
    archive.write(trace(500, UTCDateTime(2017, 1, 1), seed=2))
    assert [len(one) for one in everything(archive)] == [1100, 500]
    cube = opened_quietly(archive)
    with listen() as heard:
        valid = cube.valid.values[0]
    assert valid.all()
    assert valid.size == 1500
    np.testing.assert_array_equal(cube.data.values[0, 1000:], trace(500, seed=2).data)
    assert any("leap second" in said.problem for said in heard.notices)


def test_the_first_archive_that_has_a_sample_gives_it(tmp_path) -> None:
    one, other = Archive(tmp_path / "1"), Archive(tmp_path / "2")
    whole = np.arange(3000, dtype=np.int32)
    one.write(Stream([trace(whole[:1000], MIDNIGHT), trace(whole[2000:], MIDNIGHT + 20)]))
    other.write(trace(whole[500:2500] + 7, MIDNIGHT + 5))
    other.write(trace(300, MIDNIGHT, seed_id="XX.B..HHZ"))
    cube = opened([one, other])
    both = whole.copy()
    both[1000:2000] += 7
    same(cube.isel(channel=[0]), both[None, :], np.ones((1, 3000), bool))
    np.testing.assert_array_equal(cube.data[0, 900:2100].values, both[900:2100])
    assert cube.valid.values[1].sum() == 300


def test_types_hold_every_sample(tmp_path) -> None:
    big = np.array([2**31 - 1, -(2**31), 16_777_217], dtype=np.int32)
    small = np.array([0.1, -np.inf, np.nan], dtype=np.float32)
    for k, (parts, kind) in enumerate(
        [
            ([big], np.int32),
            ([small], np.float32),
            ([big, small], np.float64),
            ([small, small.astype(np.float64)], np.float64),
        ]
    ):
        archive = Archive(tmp_path / str(k))
        archive.write(Stream([trace(part, MIDNIGHT + 100 * n) for n, part in enumerate(parts)]))
        cube = opened(archive)
        assert cube.data.dtype == cube.data.values.dtype == kind
        for n, part in enumerate(parts):
            np.testing.assert_array_equal(cube.data.values[0, 10_000 * n : 10_000 * n + 3], part.astype(kind))


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


def test_years_open_at_once_and_take_little(archive) -> None:
    whole = np.arange(366 * 864, dtype=np.int32) % 1000
    archive.write(trace(whole, MIDNIGHT, 0.01))
    for file in archive.files(Selection()):
        # What has just been written is looked at each time.
        path = archive.root / file.path
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    cube = opened(archive)
    tracemalloc.start()
    try:
        cube = opened(archive, sampling_rate=0.01)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert cube.valid.values.all()
    assert cube.attrs["selection"] == "*.*.*.*"


@pytest.mark.parametrize(
    "spec",
    [
        "sds:{root}?net=XX&sta=A&loc=--&cha=HH?&start=2020-03-01&end=2020-03-01T00:00:05",
        "sds:{root}?network=XX&station=A&location=&channel=HHZ&starttime=2020-03-01&endtime=2020-03-01T00:00:05",
        "sds://{root}?sta=A&start=2020-03-01T00%3A00%3A00&end=2020-03-01T00:00:05",
    ],
)
def test_a_root_is_named_with_what_to_select(archive, spec) -> None:
    archive.write(Stream([trace(1000, seed_id="XX.A..HHZ"), trace(1000, seed_id="XX.B..HHZ")]))
    cube = xr.open_dataset(spec.format(root=archive.root), engine="workbench")
    assert cube.channel.values.tolist() == ["XX.A..HHZ"]
    assert cube.sizes["time"] == 501
    assert cube.valid.values.all()
    assert xr.open_dataset(f"sds:{archive.root}", drop_variables="valid").sizes["channel"] == 2
    assert xr.open_dataset(archive.root, engine="workbench").sizes["channel"] == 2
    assert opened(archive, Selection("XX", "B")).channel.values.tolist() == ["XX.B..HHZ"]
    assert opened(archive, "sds:XX.A..HHZ+XX.B..HHZ").sizes["channel"] == 2


def test_without_an_archive_those_of_the_settings_are_searched(tmp_path, monkeypatch) -> None:
    shared, own = Archive(tmp_path / "shared"), Archive(tmp_path / "own")
    shared.write(trace(1000, seed=1))
    own.write(trace(1000, MIDNIGHT + 10, seed=2))
    monkeypatch.setenv("WORKBENCH_ARCHIVE", str(shared.root))
    monkeypatch.setenv("WORKBENCH_HOME_ARCHIVE", str(own.root))
    cube = xr.open_dataset("sds:XX.ABC..HHZ@2020-03-01/2020-03-01T00:01:00", engine="workbench")
    assert cube.valid.values.sum() == 2000


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("sds:", InvalidSetting, "names nothing"),
        ("sds:s3://bucket/archive", InvalidSetting, "no archive on this machine"),
        ("sds:https://host/archive?net=XX", InvalidSetting, r"archive=Remote\(url\)"),
        ("sds://host/archive", InvalidSetting, "no archive on this machine"),
        ("sds:{root}?net=XX&statoin=A", InvalidSetting, "Did you mean 'station'"),
        ("sds:{root}?net=XX&network=YY", InvalidSetting, "twice"),
        ("sds:{root}?net=X%20X", InvalidSetting, "is no network code"),
        ("sds:{root}?start=yesterday", InvalidSetting, "is no time"),
        ("sds:{root}?start=2020-03-02&end=2020-03-01", InvalidSetting, "ends before it starts"),
        ("sds:{root}?net=QQ", NoData, "no archive holds waveforms"),
        ("sds:{root}?start=2021-01-01&end=2021-01-02", NoData, "no archive holds waveforms"),
        ("sds:{root}/nowhere", NoData, "no archive holds waveforms"),
        ("sds:{root}", InvalidSetting, "several sampling rates.*100 Hz: XX.A..HHZ; 1 Hz: XX.B..LHZ"),
    ],
)
def test_what_is_asked_wrongly_is_told(archive, spec, error, said) -> None:
    archive.write(Stream([trace(seed_id="XX.A..HHZ"), trace(rate=1.0, seed_id="XX.B..LHZ")]))
    with pytest.raises(error, match=said):
        xr.open_dataset(spec.format(root=archive.root), engine="workbench")


def test_other_arguments_are_checked(archive) -> None:
    archive.write(Stream([trace(seed_id="XX.A..HHZ"), trace(rate=1.0, seed_id="XX.B..LHZ")]))
    with pytest.raises(TypeError, match="sampling_rat"):
        opened(archive, sampling_rat=100)
    with pytest.raises(InvalidSetting, match="Give samples a second"):
        opened(archive, sampling_rate=-1)
    with pytest.raises(NoData, match="has nothing at 50 Hz"):
        opened(archive, sampling_rate=50)
    with pytest.raises(InvalidSetting, match="names a root"):
        opened(archive, f"sds:{archive.root}")
    with pytest.raises(InvalidSetting, match="is a URL"):
        opened("s3://bucket/archive")
    with pytest.raises(InvalidSetting, match="no index"):
        opened(Memory())
    with pytest.raises(InvalidSetting, match="several time spans"):
        opened(archive, "sds:XX.A..HHZ@2020-03-01/2020-03-02+XX.A..HHZ@2020-03-05/2020-03-06")
    assert opened(archive, sampling_rate=1).channel.values.tolist() == ["XX.B..LHZ"]


def test_a_channel_of_two_rates_is_told(archive) -> None:
    archive.write(Stream([trace(1000, rate=100.0), trace(1000, MIDNIGHT + 60, rate=50.0)]))
    with pytest.raises(InvalidSetting, match="several sampling rates"):
        opened(archive)
    with listen() as heard:
        cube = opened(archive, sampling_rate=50)
    assert [said.subject for said in heard.notices] == ["XX.ABC..HHZ"]
    assert cube.valid.values.sum() == 1000
    assert int((cube.time.values[0] - EPOCH).astype(np.int64)) == MIDNIGHT.ns + 60 * 10**9
    assert DAY_NS == 86400 * 10**9


def test_a_trace_in_the_wrong_file_is_no_other_channel(archive) -> None:
    archive.write(trace(1000))
    (file,) = archive.files(Selection())
    with (archive.root / file.path).open("ab") as stream:
        stream.write(mseed(Trace(np.full(10, 7, np.int32), {"network": "YY", "starttime": MIDNIGHT + 20})))
    cube = opened(archive)
    assert cube.channel.values.tolist() == ["XX.ABC..HHZ"]
    assert cube.valid.values.sum() == 1000
