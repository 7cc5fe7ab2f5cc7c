"""Headers and samples of records, beside ObsPy and libmseed."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy import Stream, Trace, UTCDateTime

from workbench.archive.records import RECORD, concat, record_blocks, scan, scan_file
from workbench.archive.samples import decode, encode
from workbench.archive.spans import successions
from workbench.archive.stretches import stretches
from workbench.errors import BadInput

OBSPY = Path(obspy.__file__).parent / "io" / "mseed"
FILES = sorted(
    path
    for folder in ("tests/data", "tests/data/encoding", "src/libmseed/test/data")
    for path in (OBSPY / folder).iterdir()
    if path.is_file() and path.stat().st_size >= 128
)
CORRUPT = {
    # ObsPy raises on these, or stops at the first bad record.
    "infinite-loop.mseed",
    "invalid-blockette-offset.mseed",
    "corrupt-blockettes-wrongnext.mseed",
    "not.mseed",
    "not4.mseed",
    # A location code that is not ASCII: named as a fault here.
    "gecko_non_ascii_header.ms",
}


def obspy_read(source: object, **kwargs: object) -> Stream:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return obspy.read(source, format="MSEED", **kwargs)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_headers_and_samples_are_those_of_libmseed(path: Path) -> None:
    if path.name in CORRUPT:
        found = scan(path.read_bytes())
        decoded = decode(path.read_bytes(), found.records)
        assert found.faults or decoded.bad or not len(found.records)
        return
    buffer = path.read_bytes()
    found = scan(buffer)
    decoded = decode(buffer, found.records)
    stream = obspy_read(path)
    filled = found.records["n"] > 0
    assert sorted({found.ids[k] for k in found.records["channel"][filled]}) == sorted(
        {trace.id for trace in stream if trace.stats.npts}
    )
    for seed_id in {trace.id for trace in stream if trace.stats.npts}:
        theirs = [trace for trace in stream if trace.id == seed_id and trace.stats.npts]
        mine = np.flatnonzero(filled & (found.records["channel"] == found.ids.index(seed_id)))
        rows = found.records[mine]
        assert rows["start"].min() == min(trace.stats.starttime.ns for trace in theirs)
        if set(rows["encoding"]) == {0}:
            continue  # log messages: no samples, and often no rate
        step = 1e9 / rows["rate"][0]
        assert abs(rows["end"].max() - max(trace.stats.endtime.ns for trace in theirs)) < step
        np.testing.assert_allclose(sorted(set(rows["rate"])), sorted({t.stats.sampling_rate for t in theirs}))
        samples = np.concatenate([decoded.samples[k] for k in mine])
        expected = np.concatenate([trace.data for trace in theirs])
        assert samples.dtype == expected.dtype
        np.testing.assert_array_equal(samples, expected)


def test_counts_and_gaps_of_the_recordings_are_exact(shared) -> None:
    counts = {
        "BW.BGLD.EHE.20080101.gaps.mseed": [412, 824, 824, 50668],
        "TA.C26K.BHZ.2018.224.mseed": [3456001],
        "II.PFO.BHZ.20110311.mseed": [60000, 120000],
    }
    for name, expected in counts.items():
        buffer = (shared("archive_mixed") / name).read_bytes()
        found = scan(buffer)
        rows = found.records
        step = 1e9 / rows["rate"]
        jump = (rows["start"][1:] - rows["end"][:-1]) / step[1:]
        breaks = np.flatnonzero((np.abs(jump - 1) > 0.5) | (np.diff(rows["channel"]) != 0)) + 1
        assert [int(part["n"].sum()) for part in np.split(rows, breaks)] == expected
        assert not found.faults


def records(n: int = 3000, length: int = 512, **header: object) -> bytes:
    data = np.random.default_rng(1).integers(-1000, 1000, n).astype(np.int32)
    trace = Trace(data, {"network": "XX", "station": "A", "channel": "HHZ", "sampling_rate": 100.0, **header})
    out = io.BytesIO()
    Stream([trace]).write(out, format="MSEED", reclen=length)
    return out.getvalue()


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_both_byte_orders(byteorder: str) -> None:
    out = io.BytesIO()
    start = UTCDateTime(2020, 2, 29, 23, 59, 59, 123456)
    header = {"network": "XX", "station": "A", "channel": "HHZ", "starttime": start}
    Stream([Trace(np.arange(5000, dtype=np.int32), header)]).write(
        out, format="MSEED", reclen=256, byteorder=byteorder
    )
    found = scan(out.getvalue())
    assert not found.faults
    assert found.records["start"][0] == start.ns
    assert np.concatenate(decode(out.getvalue(), found.records).samples).tolist() == list(range(5000))


def test_several_record_lengths_in_one_file() -> None:
    parts = [records(700, length, station=f"S{length}") for length in (256, 4096, 512, 128 * 8)]
    found = scan(b"".join(parts))
    assert [len(scan(part).records) for part in parts] == [
        int((found.records["channel"] == k).sum()) for k in range(4)
    ]
    assert not found.faults


def test_damage_is_named_and_the_rest_is_read() -> None:
    good = records()
    torn = good[:1024] + b"\x07" * 300 + good[1024:]
    found = scan(torn)
    assert len(found.records) == len(good) // 512
    assert [(fault.offset, fault.length) for fault in found.faults] == [(1024, 300)]
    assert "no miniSEED" in found.faults[0].problem

    cut = scan(good[:-100])
    assert len(cut.records) == len(good) // 512 - 1
    assert "cut off: 412 of 512" in cut.faults[0].problem

    flipped = bytearray(good)
    flipped[512 + 64 + 20] ^= 0xFF
    assert list(decode(bytes(flipped), scan(bytes(flipped)).records).bad) == [1]


def test_a_header_that_promises_too_much_is_refused() -> None:
    good = bytearray(records(100))
    struct.pack_into(">H", good, 30, 60000)
    found = scan(bytes(good))
    assert not len(found.records)
    assert "more samples than fit" in found.faults[0].problem


def test_miniseed_3_is_named() -> None:
    found = scan(b"MS\x03" + bytes(200))
    assert "miniSEED 3" in found.faults[0].problem


def test_random_bytes_never_crash() -> None:
    random = np.random.default_rng(2)
    good = np.frombuffer(records(), np.uint8)
    for _ in range(60):
        damaged = good.copy()
        where = random.integers(0, len(good), 40)
        damaged[where] = random.integers(0, 256, 40)
        found = scan(damaged)
        decode(damaged, found.records)
        covered = found.records["length"].sum() + sum(fault.length for fault in found.faults)
        assert covered <= len(good)


def test_a_file_in_blocks_gives_the_same_as_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.mseed"
    body = records(40_000) + b"\x01" * 700 + records(40_000, 4096, station="B")
    path.write_bytes(body * 48)
    whole = scan(path.read_bytes())
    with path.open("rb") as file:
        found = scan_file(file)
    assert whole.ids == found.ids
    np.testing.assert_array_equal(whole.records, found.records)
    assert whole.faults == found.faults
    for block in (1, 2_500_000, 3_333_333):
        with path.open("rb") as file:
            parts = list(record_blocks(file, block=block))
        assert b"".join(parts) == path.read_bytes()
        assert len(parts) > 2
        assert sum(len(scan(part).records) for part in parts) == len(whole.records)
    assert concat([]).records.dtype == RECORD


@pytest.mark.parametrize("length", [256, 512, 4096, 2**18, 2**20])
@pytest.mark.parametrize("named", [True, False])
def test_long_files_are_swept_whatever_their_records(length: int, named: bool) -> None:
    """Longer than what is looked at together, with and without blockette 1000, of many channels."""
    content = bytearray(b"".join(records(25_000, length, station=f"S{number}") for number in range(20)))
    if not named:
        for at in range(0, len(content), length):
            content[at + 39] = 0
            content[at + 46 : at + 48] = b"\0\0"
    whole = scan(bytes(content))
    found = scan_file(io.BytesIO(bytes(content)))
    assert len(found.ids) == 20
    assert (found.ids, found.faults) == (whole.ids, whole.faults)
    np.testing.assert_array_equal(found.records, whole.records)
    assert found.records["n"].sum() == 500_000


@pytest.mark.parametrize("at", [0, 100, 511, 512, 2**18 - 1, 2**18, 2**18 + 700])
def test_what_is_no_record_is_named_wherever_it_lies(at: int) -> None:
    content = records(400_000)
    for damage in (b"\x01" * 300, b"\xff" * 5000, b"\0" * 600):
        damaged = content[:at] + damage + content[at:]
        for cut in (len(damaged), len(damaged) - 100):
            whole, found = scan(damaged[:cut]), scan_file(io.BytesIO(damaged[:cut]))
            assert found.ids == whole.ids
            np.testing.assert_array_equal(found.records, whole.records)
            assert found.faults == whole.faults


def _messy(random: np.random.Generator) -> bytes:
    """Records of several channels over midnight, with gaps, a leap second, and bytes that are none."""
    parts = []
    for _ in range(8):
        start = UTCDateTime(2016, 12, 31, 23, 59, 30) + float(random.integers(-40, 40))
        parts.append(
            records(
                int(random.integers(2, 20_000)),
                int(random.choice([256, 512, 4096])),
                station=f"S{random.integers(0, 2)}",
                starttime=start,
                sampling_rate=float(random.choice([1, 100])),
            )
        )
    whole = bytearray(b"".join(parts))
    if random.integers(0, 2):
        found = scan(bytes(whole)).records
        order = np.arange(len(found))
        # Some are gone, some stand in another's place, and some say something else than they did.
        order = np.delete(order, random.integers(0, len(order), 3))
        swap = random.integers(0, len(order), 2)
        order[swap] = order[swap[::-1]]
        whole = bytearray(
            b"".join(whole[row["offset"] : row["offset"] + row["length"]] for row in found[order])
        )
        for row in scan(bytes(whole)).records[random.integers(0, len(order), 4)]:
            whole[int(row["offset"] + random.integers(0, 64))] = random.integers(0, 256)
    return bytes(whole)


def test_records_that_share_a_row_say_the_same() -> None:
    random = np.random.default_rng(5)
    shared = 0
    for _ in range(300):
        content = _messy(random)
        alone, found = scan(content), scan_file(io.BytesIO(content), together=True)
        assert (found.ids, found.faults) == (alone.ids, alone.faults)
        assert found.records["records"].sum() == len(alone.records)
        assert found.records["n"].sum() == alone.records["n"].sum()
        assert stretches("", found) == stretches("", alone)
        assert successions(found) == successions(alone)
        shared += len(found.records) < len(alone.records) / 4
    assert shared > 50


@pytest.mark.parametrize("length", [256, 512, 2**18])
def test_rows_are_shared_within_a_part_of_the_file(length: int, tmp_path: Path) -> None:
    content = records(2_000_000, length)
    alone = scan(content)
    path = tmp_path / "file"
    path.write_bytes(content)
    with path.open("rb", buffering=0) as file:
        found = scan_file(file, together=True)
    assert stretches("", found) == stretches("", alone)
    assert successions(found) == successions(alone)
    assert len(found.records) == -(-len(content) // max(length, 2**18))
    # A file that grows keeps the stretches that it had, but for the last.
    less = stretches("", scan(content[: len(content) // 2 // length * length]))
    assert stretches("", found)[: len(less) - 1] == less[:-1]


def test_a_file_that_cannot_be_read_says_so() -> None:
    with open("/proc/self/mem", "rb", buffering=0) as file:  # nothing lies at its beginning
        for together in (False, True):
            with pytest.raises(OSError, match="Input/output error"):
                scan_file(file, together=together)


def test_a_leap_second_by_its_number_and_by_the_flag() -> None:
    start = UTCDateTime(2016, 12, 31, 23, 59, 50)
    record = bytearray(records(15, station="L", starttime=start, sampling_rate=1.0))
    assert not scan(bytes(record)).records["leap"][0]
    record[36] |= 0x10
    row = scan(bytes(record)).records[0]
    assert row["leap"]
    assert row["end"] == (start + 13).ns  # one second has no number of its own
    inside = bytearray(records(1, station="L", starttime=UTCDateTime(2016, 12, 31, 23, 59, 59)))
    inside[26] = 60
    row = scan(bytes(inside)).records[0]
    assert row["leap"]
    assert row["start"] == UTCDateTime(2017, 1, 1).ns
    assert row["end"] == UTCDateTime(2017, 1, 1).ns - 1


@pytest.mark.parametrize(
    ("data", "wish", "stored"),
    [
        (np.array([1, -2, 3], np.int32), None, 11),
        (np.array([1, -2, 3], np.int32), 10, 10),
        (np.array([1, -2, 3], np.int32), 1, 1),
        (np.array([1, 40000, 3], np.int32), 1, 11),
        (np.array([2**31 - 1, -(2**31), 0], np.int32), 11, 3),
        (np.array([0.5, np.nan], np.float32), 11, 4),
        (np.array([0.1, 1e300, -np.inf], np.float64), None, 5),
    ],
)
def test_encodings_are_kept_where_the_samples_fit(data: np.ndarray, wish: int | None, stored: int) -> None:
    made = encode("XX.A..HHZ", 0, 100.0, data, encoding=wish)
    found = scan(made)
    assert set(found.records["encoding"]) == {stored}
    np.testing.assert_array_equal(np.concatenate(decode(made, found.records).samples), data)


def test_codes_that_would_be_cut_are_refused() -> None:
    with pytest.raises(BadInput, match="TOOLONG"):
        encode("XX.TOOLONG..HHZ", 0, 100.0, np.arange(5, dtype=np.int32))
