"""What `check` and `ls` say."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from obspy import Inventory, Stream, UTCDateTime, read_inventory
from obspy.core.inventory import Channel, Network, Station

from tests.archive.conftest import MIDNIGHT, mseed, trace
from tests.archive.test_sds import leap_records
from workbench.archive import Archive, Selection
from workbench.archive.check import Finding, check
from workbench.archive.holdings import breaks, holdings
from workbench.archive.layout import place
from workbench.notices import listen


def found(archive: Archive, kind: str, **more: object) -> list[Finding]:
    return [one for one in check(archive, **more) if one.kind == kind]  # type: ignore[arg-type]


def listed(archive: Archive) -> list[tuple[str, int, int, int]]:
    found = archive.index.look(archive.files(Selection())).stretches
    return [(h.id, h.samples, h.gaps, h.overlaps) for h in holdings(found)]


def test_the_recordings_and_their_gaps(archive, shared) -> None:
    for path in sorted(shared("archive_mixed").glob("*.mseed")):
        archive.write(path)
    assert listed(archive) == [
        ("BW.BGLD..EHE", 412 + 824 + 824 + 50668, 3, 0),
        ("CH.BALST..LHE", 86343, 0, 0),
        ("CH.BALST..LHZ", 86547, 0, 0),
        ("II.PFO.00.BHZ", 60000, 0, 0),
        ("II.PFO.10.BHZ", 120000, 0, 0),
        ("IV.BDI..BHE", 49874 + 63220, 1, 0),
        ("IV.BDI..BHN", 49764 + 63347, 1, 0),
        ("IV.BDI..BHZ", 50090 + 63457, 1, 0),
        ("IV.BOB..BHE", 73468, 0, 0),
        ("IV.BOB..BHN", 73555, 0, 0),
        ("IV.BOB..BHZ", 73618, 0, 0),
        ("TA.C26K..BHZ", 3456001, 0, 0),
    ]
    lengths = [
        (one.end - one.start) / 1e9
        for one in breaks(archive.index.look(archive.files(Selection())).stretches)
    ]
    # BDI: "one 13-10 s gap a component near 02:15".
    assert [round(length, 3) for length in lengths] == [2.065, 2.065, 4.125, 12.84, 10.6, 12.83]
    assert not [one for one in check(archive) if one.severity == "error"]


def test_windows_count_to_the_sample(archive) -> None:
    archive.write(trace(100_000, MIDNIGHT + 0.004, 100.0))
    parts = archive.index.look(archive.files(Selection())).stretches
    for start, end in [(0, 10), (0.004, 10.004), (100.123, 200.456), (999.5, 2000), (0, 0.003)]:
        window = (MIDNIGHT + start).ns, (MIDNIGHT + end).ns
        expected = archive.get_waveforms("XX", "ABC", "", "HHZ", MIDNIGHT + start, MIDNIGHT + end)
        counted = holdings(parts, *window)
        assert [h.samples for h in counted] == [t.stats.npts for t in expected]
        assert [h.start for h in counted] == [t.stats.starttime.ns for t in expected]


def test_overlaps_and_conflicts_are_told_apart(archive) -> None:
    one = trace(2000)
    (path,) = [archive.root / place("XX.ABC..HHZ", MIDNIGHT.ns // (86_400 * 10**9))]
    path.parent.mkdir(parents=True)
    same = one.slice(MIDNIGHT + 5, MIDNIGHT + 12)
    other = trace(300, MIDNIGHT + 15, seed=9)
    path.write_bytes(b"".join(mseed(t, reclen=512) for t in (one, same, other)))
    assert listed(archive) == [("XX.ABC..HHZ", 2000, 0, 2)]
    (overlap,) = found(archive, "overlap")
    assert (overlap.severity, overlap.detail[:25]) == ("info", "701 samples are there twi")
    (conflict,) = found(archive, "conflict")
    assert conflict.severity == "error"
    assert conflict.detail.startswith("two versions of 300 samples, 2020-03-01T00:00:15")
    assert not found(archive, "conflict", quick=True)


def test_damage_is_named_by_file_and_place(archive) -> None:
    archive.write(mseed(trace(20000), reclen=512))
    (file,) = archive.files(Selection())
    content = bytearray((archive.root / file.path).read_bytes())
    content[512 * 2 : 512 * 3] = b"\x55" * 512
    content[512 * 5 + 80] ^= 0xFF
    struct.pack_into(">H", content, 512 * 7 + 30, 65000)
    (archive.root / file.path).write_bytes(bytes(content[:-1]))
    faults = found(archive, "corrupt")
    assert {one.subject for one in faults} == {file.path}
    assert all(one.severity == "error" and one.remedy for one in faults)
    details = " ".join(one.detail for one in faults)
    for words in (
        "bytes 1024 to 1535: these bytes are no",
        "bytes 3584 to 4095: the header promises",
        "cut off",
    ):
        assert words in details
    assert len(faults) == 4
    assert len(found(archive, "corrupt", quick=True)) == 3


def test_what_lies_in_the_wrong_place_is_named(archive) -> None:
    archive.write(trace(100))
    (file,) = archive.files(Selection())
    body = mseed(trace(100))
    for name in (
        place("XX.ABC..HHN", file.day),  # another channel's name
        place("XX.ABC..HHZ", file.day + 5),  # another day's
        "2020/XX/ABC/notes.txt",
        "2020/XX/ABC/HHZ.D/.x.12345678.part",
    ):
        (archive.root / name).parent.mkdir(parents=True, exist_ok=True)
        (archive.root / name).write_bytes(body)
    found_there = {(one.severity, one.subject.rsplit("/")[-1]) for one in found(archive, "misplaced")}
    assert found_there == {
        ("error", "XX.ABC..HHN.D.2020.061"),
        ("error", "XX.ABC..HHZ.D.2020.066"),
        ("error", "notes.txt"),
    }
    assert [one.severity for one in found(archive, "left over")] == ["info"]


def test_missing_metadata_and_missing_data(archive, shared) -> None:
    bob = read_inventory(shared("archive_mixed") / "IV.BOB.xml")
    archive.stations.add(bob)
    (none,) = found(archive, "no data")
    assert none.subject == "IV.BOB"
    for seed_id, start in [
        ("IV.BOB..BHZ", MIDNIGHT),
        ("IV.BOB..HHZ", MIDNIGHT),
        ("IV.BOB..BHN", UTCDateTime(1999, 1, 1)),
        ("XX.NEW..HHZ", MIDNIGHT),
        ("XX.BARE..HHZ", MIDNIGHT),
    ]:
        archive.write(trace(100, start, seed_id=seed_id))
    site = Station("BARE", 0.0, 0.0, 0.0, channels=[Channel("HHZ", "", 0.0, 0.0, 0.0, 0.0)])
    archive.stations.add(Inventory(networks=[Network("XX", stations=[site])]))
    warned = {one.subject: one.detail for one in check(archive) if one.severity == "warning"}
    assert {name: words.split(" 1999")[0] for name, words in warned.items()} == {
        "IV.BOB..HHZ": "its StationXML lacks the channel",
        "IV.BOB..BHN": "no epoch covers all of",
        "XX.NEW..HHZ": "the station has no StationXML",
        "XX.BARE..HHZ": "an epoch has no instrument response",
    }
    (archive.root / "stations" / "IV.BOB.xml").write_text("broken")
    assert "IV.BOB.xml" in found(archive, "corrupt")[0].subject


def test_a_leap_second_is_neither_gap_nor_overlap(archive) -> None:
    archive.write(leap_records())
    assert listed(archive) == [("XX.ABC..HHZ", 30, 0, 0)]
    assert not [one for one in check(archive) if one.kind in ("gap", "overlap", "conflict", "misplaced")]


def test_only_what_is_selected_is_looked_at(archive) -> None:
    archive.write(Stream([trace(100, seed_id="XX.A..HHZ"), trace(100, seed_id="XX.B..HHZ")]))
    (archive.root / "2020" / "junk").write_text("x")
    assert {one.subject for one in check(archive, Selection(station="A"))} == {"XX.A..HHZ"}


def test_shifted_grids_are_conflicts(archive) -> None:
    archive.write(trace(1000))
    with listen() as heard:
        archive.write(trace(1000, MIDNIGHT + 0.004))
    assert len(heard.notices) == 1
    assert len(found(archive, "conflict")) == 1


@pytest.mark.parametrize("rate", [100.0, 1.0, 200.0])
def test_a_file_in_any_order_has_the_same_holdings(archive, rate) -> None:
    one = trace(20000, MIDNIGHT, rate)
    records = mseed(one, reclen=256)
    parts = [records[k : k + 256] for k in range(0, len(records), 256)]
    order = np.random.default_rng(1).permutation(len(parts))
    path = archive.root / place("XX.ABC..HHZ", MIDNIGHT.ns // (86_400 * 10**9))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(parts[k] for k in order))
    assert listed(archive) == [("XX.ABC..HHZ", 20000, 0, 0)]
