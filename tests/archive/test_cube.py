"""The archive as a cube: whatever is asked of it, what the reader reads."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime

from cubed import expected, opened, opened_quietly, same
from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from workbench import wire
from workbench.archive import Archive, Selection
from workbench.cubes import to_stream
from workbench.errors import NoData
from workbench.notices import listen

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


def test_a_trace_in_the_wrong_file_is_no_other_channel(archive) -> None:
    archive.write(trace(1000))
    (file,) = archive.files(Selection())
    with (archive.root / file.path).open("ab") as stream:
        stream.write(mseed(Trace(np.full(10, 7, np.int32), {"network": "YY", "starttime": MIDNIGHT + 20})))
    cube = opened(archive)
    assert cube.channel.values.tolist() == ["XX.ABC..HHZ"]
    assert cube.valid.values.sum() == 1000
