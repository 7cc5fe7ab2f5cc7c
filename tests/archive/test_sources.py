"""One protocol, several sources: the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from obspy import Catalog, Stream, read_inventory

from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from tests.archive.test_metadata import event
from workbench.archive import Archive, Directory, Fdsn, Memory, Source, Sources, default_sources
from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable
from workbench.notices import listen
from workbench.settings import Settings


@pytest.fixture
def data(shared) -> tuple[Stream, object, Catalog]:
    stream = Stream(
        [
            trace(5000, MIDNIGHT - 20, seed_id="IV.BOB..BHZ", seed=1),
            trace(5000, MIDNIGHT - 20, seed_id="IV.BOB..BHN", seed=2),
            trace(500, MIDNIGHT + 40, seed_id="IV.BOB..BHN", seed=3),
        ]
    )
    events = Catalog([event("a", MIDNIGHT - 86400, 3.0), event("b", MIDNIGHT, 4.0)])
    return stream, read_inventory(shared("archive_mixed") / "IV.BOB.xml"), events


@pytest.fixture(params=["archive", "memory", "directory", "fdsn", "sources"])
def source(request, data, server, tmp_path) -> Source:
    stream, stations, events = data
    if request.param == "memory":
        return Memory(stream, stations, events)
    if request.param == "directory":
        (tmp_path / "files" / "deep").mkdir(parents=True)
        stream[0].write(str(tmp_path / "files" / "z.sac"), format="SAC")
        Stream(stream[1:]).write(str(tmp_path / "files" / "deep" / "n"), format="MSEED")
        stations.write(str(tmp_path / "files" / "deep" / "s"), format="STATIONXML")
        events.write(str(tmp_path / "files" / "e.dat"), format="QUAKEML")
        return Directory(tmp_path / "files")
    target = server.source if request.param == "fdsn" else Archive(tmp_path / "one")
    target.write(stream)
    target.stations.add(stations)
    target.events.add(events)
    return {"fdsn": Fdsn(server.url), "archive": target, "sources": Sources([target])}[request.param]


def test_all_sources_answer_alike(source, data) -> None:
    assert isinstance(source, Source)
    stream, stations, _ = data
    for codes, channels in [("IV.BOB..BHZ", "Z"), ("I?.*.*.BH?", "NZ"), ("IV.BOB.--.BHN,BHZ", "NZ")]:
        found = source.get_waveforms(*codes.split("."), MIDNIGHT - 10, MIDNIGHT + 42)
        assert [t.stats.channel[-1] for t in found.sort()] == [
            c for c in channels for _ in range(2 if c == "N" else 1)
        ]
        for one in found:
            whole = next(
                t
                for t in stream
                if t.id == one.id and t.stats.starttime <= one.stats.starttime <= t.stats.endtime
            )
            np.testing.assert_array_equal(
                one.data, whole.slice(MIDNIGHT - 10, MIDNIGHT + 42).data.astype(one.data.dtype)
            )
    assert not source.get_waveforms("XX", "BOB", "", "BHZ", MIDNIGHT, MIDNIGHT + 1)
    assert not source.get_waveforms("IV", "BOB", "", "BHZ", MIDNIGHT + 9999, MIDNIGHT + 99999)

    found = source.get_stations("IV", "BOB", "*", "BHZ", MIDNIGHT, MIDNIGHT, level="response")
    expected = stations.select(channel="BHZ", time=MIDNIGHT)
    assert [c.response for n in found for s in n for c in s] == [
        c.response for n in expected for s in n for c in s
    ]
    assert not source.get_stations("XX")

    assert [e.resource_id.id[-1] for e in source.get_events(MIDNIGHT - 1, MIDNIGHT + 1)] == ["b"]
    assert not source.get_events(MIDNIGHT + 1, MIDNIGHT + 2)


def test_the_first_source_wins_and_the_next_ones_fill(tmp_path) -> None:
    shared, own = Archive(tmp_path / "shared"), Archive(tmp_path / "own")
    one, other = trace(1000), trace(1000, seed=5)
    shared.write(Stream([one.slice(endtime=MIDNIGHT + 2.99), one.slice(starttime=MIDNIGHT + 5)]))
    own.write(Stream([other, trace(100, seed_id="XX.OWN..HHZ")]))
    sources = Sources([shared, own])
    with listen() as heard:
        found = everything(sources)
    assert [t.id for t in found] == ["XX.ABC..HHZ", "XX.OWN..HHZ"]
    expected = np.concatenate([one.data[:300], other.data[300:500], one.data[500:]])
    np.testing.assert_array_equal(found[0].data, expected)
    assert [said.loss for said in heard.notices] == [False]
    assert "800 samples" in str(heard.notices[0])
    assert [len(everything(source)) for source in sources] == [2, 2]
    assert len(sources[:1]) == 1


def test_stations_and_events_of_several_sources(tmp_path, shared) -> None:
    archives = [Archive(tmp_path / name) for name in "ab"]
    bob = read_inventory(shared("archive_mixed") / "IV.BOB.xml")
    for archive in archives:
        archive.stations.add(bob)
        archive.events.add(Catalog([event("a", MIDNIGHT, 3.0)]))
    archives[1].stations.add(read_inventory(shared("archive_mixed") / "II.PFO.xml"))
    archives[1].events.add(Catalog([event("b", MIDNIGHT - 1, 3.0)]))
    sources = Sources(archives)
    both = sources.get_stations()
    assert sorted(s.code for n in both for s in n) == ["BOB", "PFO"]
    assert sum(len(s) for n in both for s in n if s.code == "BOB") == sum(len(s) for n in bob for s in n)
    assert len(sources.get_events()) == 2


def test_a_source_that_is_down_is_a_notice_unless_all_are(tmp_path) -> None:
    archive = Archive(tmp_path)
    archive.write(trace(100))
    down = Directory(tmp_path / "nowhere")
    with listen() as heard:
        assert len(everything(Sources([down, archive]))) == 1
    assert "nowhere" in heard.notices[0].subject
    with pytest.raises(Unavailable):
        everything(Sources([down]))


def test_the_default_is_the_shared_archive_then_ones_own(tmp_path, monkeypatch) -> None:
    settings = Settings(archive=tmp_path / "shared", home_archive=tmp_path / "own")
    assert [source.root.name for source in default_sources(settings)] == ["shared", "own"]
    monkeypatch.setenv("WORKBENCH_ARCHIVE", str(tmp_path / "one"))
    monkeypatch.setenv("WORKBENCH_HOME_ARCHIVE", str(tmp_path / "one"))
    assert [source.root.name for source in default_sources()] == ["one"]


def test_a_directory_names_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(mseed(trace(100)))
    (tmp_path / "cut").write_bytes(mseed(trace(30000, seed_id="XX.C..HHZ"), reclen=512)[:-100])
    (tmp_path / "notes.txt").write_text("nothing of interest")
    (tmp_path / "bad.xml").write_text("<?xml version='1.0'?><FDSNStationXML><oops")
    directory = Directory(tmp_path)
    with listen() as heard:
        assert {t.id for t in everything(directory)} == {"XX.ABC..HHZ", "XX.C..HHZ"}
        assert not directory.get_stations()
    said = " ".join(map(str, heard.notices))
    assert "cut" in said
    assert "bad.xml" in said
    assert "notes.txt" not in said
    # A file that changes is looked at again.
    (tmp_path / "good").write_bytes(mseed(trace(200)))
    assert len(everything(directory, "XX.ABC.*.*")[0]) == 200


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("500", Unavailable, "Internal server error|does not answer"),
        ("503", Unavailable, "does not answer"),
        ("413", ResourceExceeded, "too large"),
        ("400", InvalidSetting, "refuses"),
        ("cut", Unavailable, "does not answer|no miniSEED"),
    ],
)
def test_faults_of_a_data_centre_are_errors_of_ours(server, fault, error, words) -> None:
    server.source.write(trace(50000))
    server.fail = lambda service, query: fault
    with pytest.raises(error, match=words):
        everything(Fdsn(server.url))


def test_a_data_centre_that_is_not_there(tmp_path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        everything(Fdsn("http://127.0.0.1:19999"))
    with pytest.raises(InvalidSetting, match="no address"):
        everything(Fdsn("http://127.0.0.1:port"))
    with pytest.raises(InvalidSetting, match="GEOFON"):
        Fdsn("NOSUCH")
    with pytest.raises(InvalidSetting):
        Fdsn("file:///etc")
    assert Fdsn("geofon").name == "GEOFON"
