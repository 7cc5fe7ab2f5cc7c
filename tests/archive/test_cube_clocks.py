"""Cubes of channels whose clocks stand beside the grid, jump or drift."""

from __future__ import annotations

import numpy as np
from obspy import Stream, UTCDateTime

from cubed import EPOCH, opened, opened_quietly
from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from workbench import wire
from workbench.cubes import to_stream
from workbench.notices import listen


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
