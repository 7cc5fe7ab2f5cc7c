"""What goes into an archive comes out of it."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import obspy
import pytest
from obspy import Stream, UTCDateTime
from obspy.clients.filesystem.sds import Client as SdsClient

from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from workbench.archive import Archive
from workbench.archive.layout import day_files, parse, place
from workbench.archive.records import scan
from workbench.archive.selection import Selection
from workbench.errors import BadInput, InvalidSetting, NoData
from workbench.notices import listen


def same(a: Stream, b: Stream) -> None:
    assert [t.id for t in a] == [t.id for t in b]
    for mine, theirs in zip(a, b, strict=True):
        assert mine.stats.starttime == theirs.stats.starttime
        assert mine.stats.sampling_rate == theirs.stats.sampling_rate
        assert mine.data.dtype == theirs.data.dtype
        np.testing.assert_array_equal(mine.data, theirs.data)


RECORDINGS = {
    "BW.BGLD.EHE.20080101.gaps.mseed": [412, 824, 824, 50668],
    "CH.BALST.LH.20251110.mseed": [86343, 86547],
    "II.PFO.BHZ.20110311.mseed": [60000, 120000],
    "IV.BDI.BH.20140404.mseed": [49874, 63220, 49764, 63347, 50090, 63457],
    "IV.BOB.BH.20110311.mseed": [73468, 73555, 73618],
    "TA.C26K.BHZ.2018.224.mseed": [3456001],
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings_come_back_as_obspy_reads_them(shared, archive, name) -> None:
    path = shared("archive_mixed") / name
    written = archive.write(path)
    back, expected = everything(archive), obspy.read(path).sort()
    assert [t.stats.npts for t in back] == RECORDINGS[name]
    assert written.samples == sum(RECORDINGS[name])
    same(back, expected)
    # Each file holds the samples of its own day, and all of the day's.
    for file in archive.files(Selection()):
        one = obspy.read(str(archive.root / file.path), format="MSEED")
        day = UTCDateTime(ns=file.day * 86_400 * 10**9)
        assert min(t.stats.starttime for t in one) >= day
        assert max(t.stats.endtime for t in one) < day + 86400
        assert sum(t.stats.npts for t in one) == sum(
            t.slice(day, day + 86400 - 1e-6, nearest_sample=False).stats.npts
            for t in expected.select(id=file.id)
        )
    # Again: nothing changes.
    before = {f.path: (archive.root / f.path).read_bytes() for f in archive.files(Selection())}
    again = archive.write(path)
    assert (again.samples, again.known, again.files) == (0, written.samples, [])
    assert before == {f.path: (archive.root / f.path).read_bytes() for f in archive.files(Selection())}


def test_obspys_own_client_reads_what_is_written(shared, archive) -> None:
    path = shared("archive_mixed") / "CH.BALST.LH.20251110.mseed"
    archive.write(path)
    client = SdsClient(str(archive.root))
    for channel, start in (("LHE", 0.205), ("LHZ", 0.58)):
        span = UTCDateTime(2025, 11, 10, 23, 59) + start, UTCDateTime(2025, 11, 11, 0, 1) + start
        theirs = client.get_waveforms("CH", "BALST", "", channel, *span)
        same(archive.get_waveforms("CH", "BALST", "", channel, *span), theirs)
        assert [t.stats.npts for t in theirs] == [121]


def test_both_midnights_are_cut_to_the_sample(archive) -> None:
    one = trace(3 * 8640000, MIDNIGHT - 86400 + 0.005, 100.0)
    one.data = one.data[: 2 * 8640000 + 1]
    archive.write(one)
    counts = [
        (
            file.path[-8:],
            scan((archive.root / file.path).read_bytes()).records["n"].sum(),
        )
        for file in archive.files(Selection())
    ]
    assert counts == [("2020.060", 8640000), ("2020.061", 8640000), ("2020.062", 1)]
    same(everything(archive), Stream([one]))
    # A sample at midnight itself is the first of its day.
    at = trace(3, MIDNIGHT - 0.01, 100.0, "XX.B..HHZ")
    archive.write(at)
    assert [file.path[-8:] for file in archive.files(Selection(station="B"))] == ["2020.060", "2020.061"]


def test_a_record_over_midnight_is_cut_and_keeps_its_flags(archive) -> None:
    raw = bytearray(mseed(trace(400, MIDNIGHT - 2), reclen=4096, encoding="STEIM2"))
    raw[0:6], raw[37], raw[38] = b"000042", 0b1, 0b10010
    archive.write(bytes(raw))
    for file, part in zip(archive.files(Selection()), (slice(0, 200), slice(200, 400)), strict=True):
        content = (archive.root / file.path).read_bytes()
        assert (content[0:6], content[37], content[38]) == (b"000042", 0b1, 0b10010)
        np.testing.assert_array_equal(obspy.read(io.BytesIO(content))[0].data, trace(400).data[part])


def test_whole_records_are_kept_byte_by_byte(archive) -> None:
    parts = [
        mseed(trace(3000, MIDNIGHT + 100 * k, seed=k), reclen=length, encoding=encoding, byteorder=order)
        for k, (length, encoding, order) in enumerate(
            [(512, "STEIM1", ">"), (4096, "STEIM2", ">"), (256, "INT32", "<"), (1024, "STEIM2", "<")]
        )
    ]
    archive.write(b"".join(parts[k] for k in (2, 0, 3, 1)))
    (file,) = archive.files(Selection())
    assert (archive.root / file.path).read_bytes() == b"".join(parts)
    same(everything(archive), Stream([trace(3000, MIDNIGHT + 100 * k, seed=k) for k in range(4)]))


def test_late_records_join_what_is_there(archive) -> None:
    one = trace(30000)
    records = mseed(one, reclen=512)
    some = [records[k : k + 512] for k in range(0, len(records), 512)]
    for part in (some[1::2], some[::-2], some):
        archive.write(b"".join(part))
    same(everything(archive), Stream([one]))
    (file,) = archive.files(Selection())
    assert (archive.root / file.path).stat().st_size == len(records)


def test_overlaps_with_the_same_samples_are_stored_once(archive) -> None:
    one = trace(20000)
    first, second = one.slice(endtime=MIDNIGHT + 120), one.slice(starttime=MIDNIGHT + 60)
    archive.write(first)
    written = archive.write(second)
    assert (written.samples, written.known, written.conflicting) == (7999, 6001, 0)
    same(everything(archive), Stream([one]))
    # Packed in another way they are still the same samples.
    assert archive.write(mseed(one, reclen=256, encoding="STEIM1")).samples == 0


def test_a_gap_is_filled_in_the_middle(archive) -> None:
    one = trace(20000)
    archive.write(Stream([one.slice(endtime=MIDNIGHT + 50), one.slice(starttime=MIDNIGHT + 150)]))
    assert len(everything(archive)) == 2
    assert archive.write(one).samples == 9999
    same(everything(archive), Stream([one]))


def test_samples_that_contradict_are_both_kept(archive) -> None:
    one, other = trace(1000), trace(1000, MIDNIGHT + 5, seed=9)
    archive.write(one)
    before = next(iter(archive.files(Selection())))
    old = (archive.root / before.path).read_bytes()
    with listen() as heard:
        written = archive.write(other)
    assert (written.samples, written.conflicting) == (1000, 500)
    assert "500 samples from 2020-03-01T00:00:05.000000Z on differ" in str(heard.notices[0])
    assert (archive.root / before.path).read_bytes().startswith(old)
    same(everything(archive), Stream([one, other]))
    # The second version is known now as well.
    assert archive.write(other).samples == 0


def test_the_window_is_exact(archive) -> None:
    archive.write(trace(100000, MIDNIGHT + 0.003, 100.0))
    for start, end, number in [(0.0, 0.0, 0), (0.003, 0.003, 1), (10.003, 20.003, 1001), (10.0, 20.0, 1000)]:
        found = archive.get_waveforms("XX", "ABC", "", "HHZ", MIDNIGHT + start, MIDNIGHT + end)
        assert sum(t.stats.npts for t in found) == number
        if number:
            assert found[0].stats.starttime >= MIDNIGHT + start
            assert found[0].stats.endtime <= MIDNIGHT + end


def test_only_the_records_that_are_needed_are_taken(archive) -> None:
    archive.write(mseed(trace(500000), reclen=512))
    taken = archive.get_records("XX", "ABC", "", "HHZ", MIDNIGHT + 1000, MIDNIGHT + 1010)
    rows = scan(taken).records
    assert rows["end"][0] >= (MIDNIGHT + 1000).ns
    assert rows["start"][-1] <= (MIDNIGHT + 1010).ns
    assert rows["n"].sum() < 1001 + 2 * rows["n"].max()


@pytest.mark.parametrize(
    ("data", "back"),
    [
        (np.arange(-500, 500, dtype=np.int16), np.int32),
        (np.arange(1000, dtype=np.uint16), np.int32),
        (np.arange(1000, dtype=np.int64), np.int32),
        (np.arange(1000).astype(">i4"), np.int32),
        (np.linspace(-1, 1, 1000, dtype=np.float32), np.float32),
        (np.linspace(-1, 1, 1000), np.float64),
        (np.array([0.0, np.nan, np.inf, -0.0]), np.float64),
    ],
)
def test_types_of_samples(archive, data, back) -> None:
    archive.write(trace(data))
    (found,) = everything(archive)
    assert found.data.dtype == back
    np.testing.assert_array_equal(found.data, data.astype(back))
    assert archive.write(trace(data)).samples == 0


def test_what_an_archive_cannot_hold_is_refused_by_name(archive) -> None:
    bad = {
        "64|2147483648": trace(np.array([2**31], np.int64)),
        "complex": trace(np.array([1j])),
        "codes": trace(10, seed_id="TOO.ABC..HHZ"),
        "sampling rate": trace(10),
        "years": trace(10, UTCDateTime(2200, 1, 1)),
    }
    bad["sampling rate"].stats.sampling_rate = 0
    bad["hold"] = trace(10)
    bad["hold"].stats.station = "../A"
    for words, one in bad.items():
        with pytest.raises(BadInput, match=words):
            archive.write(one)
    # One bad trace does not keep the good ones out.
    with listen() as heard:
        archive.write(Stream([bad["complex"], trace(10, seed_id="XX.OK..HHZ")]))
    assert len(heard.notices) == 1
    assert [t.id for t in everything(archive)] == ["XX.OK..HHZ"]


def test_masked_traces_are_cut_at_their_gaps(archive) -> None:
    data = np.ma.masked_inside(np.arange(1000, dtype=np.int32), 300, 399)
    archive.write(trace(data))
    found = everything(archive)
    assert [(t.data[0], t.data[-1], t.stats.npts) for t in found] == [(0, 299, 300), (400, 999, 600)]
    archive.write(trace(np.ma.masked_all(5, dtype=np.int32), seed_id="XX.NONE..HHZ"))
    assert not everything(archive, "XX.NONE..*")


def test_the_input_is_not_changed(archive) -> None:
    one = trace(np.arange(1000, dtype=np.int64))
    before = one.copy()
    archive.write(Stream([one]))
    assert one == before


def leap_records() -> bytes:
    """Ten seconds before midnight to nine after, with a leap second between: 20 samples at 1 Hz."""
    start = UTCDateTime(2016, 12, 31, 23, 59, 50)
    whole = bytearray(mseed(trace(np.arange(20, dtype=np.int32), start, 1.0), reclen=512))
    whole[36] |= 0x10
    return bytes(whole) + mseed(trace(np.arange(20, 30, dtype=np.int32), start + 19, 1.0), reclen=512)


def test_a_leap_second_is_kept_in_its_own_day(archive) -> None:
    archive.write(leap_records())
    old, new = archive.files(Selection())
    assert (old.path[-8:], new.path[-8:]) == ("2016.366", "2017.001")
    assert scan((archive.root / old.path).read_bytes()).records["n"].tolist() == [11]
    assert scan((archive.root / new.path).read_bytes()).records["n"].tolist() == [9, 10]
    new_year = UTCDateTime(2017, 1, 1)
    found = everything(archive)
    assert [t.data.tolist() for t in found] == [list(range(11)), list(range(11, 30))]
    assert found[1].stats.starttime == new_year
    # The leap second belongs to the old year, whatever its number is.
    assert archive.get_waveforms("XX", "ABC", "", "HHZ", new_year, new_year + 60)[0].data[0] == 11
    before = archive.get_waveforms("XX", "ABC", "", "HHZ", new_year - 60, new_year - 1e-6)
    assert [t.data.tolist() for t in before] == [list(range(11))]
    assert archive.write(leap_records()).samples == 0


def test_a_record_that_begins_in_a_leap_second(archive) -> None:
    raw = bytearray(mseed(trace(np.arange(5, dtype=np.int32), UTCDateTime(2016, 12, 31, 23, 59, 59), 2.0)))
    raw[26] = 60
    archive.write(bytes(raw))
    assert [len(t) for t in everything(archive)] == [2, 3]
    assert [f.path[-8:] for f in archive.files(Selection())] == ["2016.366", "2017.001"]
    assert everything(archive)[1].stats.starttime == UTCDateTime(2017, 1, 1)


def test_damage_costs_one_record_and_is_named(archive) -> None:
    one = trace(30000)
    archive.write(mseed(one, reclen=512))
    (file,) = archive.files(Selection())
    path = archive.root / file.path
    damaged = bytearray(path.read_bytes())
    damaged[5 * 512 + 100 : 5 * 512 + 140] = b"\xaa" * 40
    damaged[9 * 512 : 9 * 512 + 8] = b"\x01" * 8
    path.write_bytes(bytes(damaged)[:-200])
    with listen() as heard:
        found = everything(archive)
    rows = scan(mseed(one, reclen=512)).records
    lost = {5, 9, len(rows) - 1}
    assert sum(t.stats.npts for t in found) == sum(int(n) for k, n in enumerate(rows["n"]) if k not in lost)
    said = " ".join(map(str, heard.notices))
    assert str(path) in said
    assert "XX.ABC..HHZ" in said
    for t in found:
        same(Stream([t]), Stream([one.slice(t.stats.starttime, t.stats.endtime)]))
    # What is lost can be added again, and what is damaged stays where it is.
    archive.write(mseed(one, reclen=512))
    with listen():
        same(everything(archive), Stream([one]))
    theirs = path.read_bytes()
    assert theirs.endswith(bytes(damaged)[:-200][-312:])


def test_a_file_that_cannot_be_used_is_named(archive, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.write_bytes(b"")
    text.write_text("no waveforms at all " * 100)
    with pytest.raises(NoData, match="empty"):
        archive.write(empty)
    with pytest.raises(BadInput, match="text"):
        archive.write(text)
    with pytest.raises(BadInput):
        archive.write(b"MS\x03" + bytes(500))


def test_text_and_timing_records_do_not_get_lost(archive) -> None:
    folder = Path(obspy.__file__).parent / "io/mseed/tests/data"
    archive.write(folder / "rt130_sr0_cropped.mseed")
    kept = [p for p in archive.root.rglob("*") if parse(p.relative_to(archive.root).as_posix())]
    assert [p.name.split(".")[4] for p in kept] == ["L"]
    assert kept[0].read_bytes() == (folder / "rt130_sr0_cropped.mseed").read_bytes()


def test_rare_encodings_are_kept_and_read(archive) -> None:
    folder = Path(obspy.__file__).parent / "io/mseed/tests/data"
    for name in ("CDSN", "SRO", "DWWSSN", "GEOSCOPE16_4"):
        path = folder / f"{name}_encoding.mseed"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = obspy.read(path)
        archive.write(path)
        for one in expected:
            (found,) = everything(archive, one.id)
            np.testing.assert_array_equal(found.data, one.data)


def test_selections_reach_only_what_they_name(archive) -> None:
    ids = ["XX.A..HHZ", "XX.A.00.HHZ", "XX.B.00.HHN", "YY.A..BHZ"]
    archive.write(Stream([trace(10, seed_id=seed_id) for seed_id in ids]))
    asked = {
        "*.*.*.*": ids,
        "XX.*.*.*": ids[:3],
        "X?.A.--.HHZ": ids[:1],
        "*.A,B.00.*": ids[1:3],
        "*.*.--,00.HHZ": ids[:2],
        "YY.A..HH*": [],
    }
    for text, expected in asked.items():
        assert [t.id for t in everything(archive, text)] == sorted(expected)
    with pytest.raises(InvalidSetting):
        archive.get_waveforms("../..", "A", "", "HHZ", MIDNIGHT, MIDNIGHT)


def test_paths_are_those_of_sds() -> None:
    assert place("IU.ANMO.00.BHZ", 17532) == "2018/IU/ANMO/BHZ.D/IU.ANMO.00.BHZ.D.2018.001"
    assert parse("2018/IU/ANMO/BHZ.D/IU.ANMO.00.BHZ.D.2018.001") == ("IU.ANMO.00.BHZ", 17532, "D")
    for wrong in ("2017/IU/ANMO/BHZ.D/IU.ANMO.00.BHZ.D.2018.001", "x", "2018/IU/ANMO/BHZ.D/readme.txt"):
        assert parse(wrong) is None


def test_an_archive_that_is_not_there_is_empty(tmp_path: Path) -> None:
    nowhere = Archive(tmp_path / "nowhere")
    assert not everything(nowhere)
    assert not nowhere.get_stations()
    assert not nowhere.get_events()
    assert not list(day_files(nowhere.root, Selection()))


def test_records_of_the_day_before_are_found_where_others_leave_them(archive) -> None:
    # slarchive writes a record into the file of the day in which it starts.
    path = archive.root / place("XX.ABC..HHZ", (MIDNIGHT - 1).ns // (86_400 * 10**9))
    path.parent.mkdir(parents=True)
    path.write_bytes(mseed(trace(400, MIDNIGHT - 2)))
    found = archive.get_waveforms("XX", "ABC", "", "HHZ", MIDNIGHT, MIDNIGHT + 1)
    np.testing.assert_array_equal(found[0].data, trace(400).data[200:301])


def test_several_rates_and_types_stay_apart(archive) -> None:
    parts = [
        trace(1000),
        trace(1000, MIDNIGHT + 10, 50.0, seed=1),
        trace(np.linspace(0, 1, 1000, dtype=np.float32), MIDNIGHT + 30),
    ]
    archive.write(Stream(parts))
    same(everything(archive), Stream(parts))


def test_low_rates_span_many_days(archive) -> None:
    one = trace(3000, MIDNIGHT, 0.01)
    archive.write(mseed(one))
    assert [f.day for f in archive.files(Selection())] == [18322, 18323, 18324, 18325]
    same(everything(archive), Stream([one]))


def test_records_out_of_order_between_a_first_and_a_last_in_order(archive) -> None:
    """The middle of a file in another order than its times, its ends in order."""
    for number in (0, 2, 3, 1, 4):
        archive.write(trace(500, MIDNIGHT + 5 * number, seed=number))
    (found,) = everything(archive)
    np.testing.assert_array_equal(found.data, np.concatenate([trace(500, seed=k).data for k in range(5)]))
