"""Stations by epoch, and events by publicID: added to, and never lost."""

from __future__ import annotations

import pytest
from obspy import Catalog, Inventory, UTCDateTime, read_events, read_inventory
from obspy.core.event import Event, Magnitude, Origin, ResourceIdentifier
from obspy.core.inventory import Channel, Network, Station

from workbench.archive import Selection
from workbench.archive.stations import overlapping
from workbench.errors import BadInput, InvalidSetting
from workbench.notices import listen


@pytest.fixture
def bob(shared) -> Inventory:
    return read_inventory(shared("archive_mixed") / "IV.BOB.xml")


def channels(inventory: Inventory) -> list[tuple[str, str, str | None]]:
    return [
        (channel.code, str(channel.start_date), channel.end_date and str(channel.end_date))
        for network in inventory
        for station in network
        for channel in station
    ]


def test_stations_come_back_as_they_were(archive, bob) -> None:
    assert archive.stations.add(bob) == ["IV.BOB"]
    back = archive.get_stations(level="response")
    assert sorted(channels(back)) == sorted(channels(bob))
    for network in bob:
        for station in network:
            for channel in station:
                time = channel.start_date + 1
                name = f"{network.code}.{station.code}.{channel.location_code}.{channel.code}"
                assert back.get_response(name, time) == bob.get_response(name, time)
    assert archive.stations.add(bob) == []
    assert not (archive.root / "stations" / "history").exists()


def test_epochs_are_added_and_closed_and_none_is_lost(archive, bob) -> None:
    change = UTCDateTime(2015, 6, 1)
    early, late = bob.copy(), bob.copy()
    for station in (s for n in early for s in n):
        station.channels = [c for c in station.channels if c.code.startswith("BH")]
        for channel in station:
            channel.start_date, channel.end_date = UTCDateTime(2005, 1, 1), None
    for station in (s for n in late for s in n):
        station.channels = [c for c in station.channels if c.code.startswith("BH")]
        for channel in station:
            channel.start_date, channel.end_date = change, None
            channel.response.instrument_sensitivity.value *= 2
    archive.stations.add(early)
    with listen() as heard:
        archive.stations.add(late)
    assert {said.subject for said in heard.notices} == {"IV.BOB..BHE", "IV.BOB..BHN", "IV.BOB..BHZ"}
    assert len(overlapping(archive.get_stations())) == 3
    for channel in (c for n in early for s in n for c in s):
        channel.end_date = change
    archive.stations.add(early)
    back = archive.get_stations("IV", "BOB", "", "BHZ")
    assert channels(back) == [
        ("BHZ", "2005-01-01T00:00:00.000000Z", str(change)),
        ("BHZ", str(change), None),
    ]
    gains = [c.response.instrument_sensitivity.value for n in back for s in n for c in s]
    assert gains[1] == 2 * gains[0]
    assert not overlapping(archive.get_stations())
    assert len(list((archive.root / "stations" / "history").iterdir())) == 2
    at = UTCDateTime(2010, 1, 1)
    assert len(channels(archive.get_stations(channel="BHZ", starttime=at, endtime=at))) == 1


def test_channel_level_does_not_wipe_out_responses(archive, bob) -> None:
    archive.stations.add(bob)
    bare = bob.copy()
    for channel in (c for n in bare for s in n for c in s):
        channel.response = None
        channel.azimuth = 12.0
    archive.stations.add(bare)
    for channel in (c for n in archive.get_stations() for s in n for c in s):
        assert channel.response is not None
        assert channel.azimuth == 12.0


def test_what_contradicts_is_said_and_the_old_is_kept(archive, bob) -> None:
    archive.stations.add(bob)
    before = (archive.root / "stations" / "IV.BOB.xml").read_bytes()
    other = bob.copy()
    for station in (s for n in other for s in n):
        station.latitude = float(station.latitude) + 0.01
        next(c for c in station if c.code == "BHZ").response.instrument_sensitivity.value *= 2
    with listen() as heard:
        archive.stations.add(other)
    said = " ".join(map(str, heard.notices))
    assert "IV.BOB: has moved 1112 m" in said
    assert "another response" in said
    (kept,) = (archive.root / "stations" / "history").iterdir()
    assert kept.read_bytes() == before


def test_two_epochs_at_one_time_are_said(archive) -> None:
    station = Station("A", 1.0, 2.0, 3.0, start_date=UTCDateTime(2000, 1, 1))
    for start in (2000, 2010):
        station.channels.append(Channel("HHZ", "", 1.0, 2.0, 3.0, 0.0, start_date=UTCDateTime(start, 1, 1)))
    with listen() as heard:
        archive.stations.add(Inventory(networks=[Network("XX", stations=[station])]))
    assert [said.subject for said in heard.notices] == ["XX.A..HHZ"]


@pytest.mark.parametrize(
    ("level", "stations", "some_channels", "stages"),
    [
        ("network", 0, False, False),
        ("station", 1, False, False),
        ("channel", 1, True, False),
        ("response", 1, True, True),
    ],
)
def test_levels(archive, bob, level, stations, some_channels, stages) -> None:
    archive.stations.add(bob)
    (network,) = archive.get_stations(level=level)
    assert len(network) == stations
    found = [c for s in network for c in s]
    assert bool(found) == some_channels
    assert any(c.response and c.response.response_stages for c in found) == stages
    assert all(c.response.instrument_sensitivity for c in found)


def test_selecting_stations(archive, bob, shared) -> None:
    archive.stations.add(bob)
    archive.stations.add(read_inventory(shared("archive_mixed") / "II.PFO.xml"))
    assert {n.code for n in archive.get_stations("I?", "*")} == {"IV", "II"}
    assert {c for c, _, _ in channels(archive.get_stations(channel="BHZ"))} == {"BHZ"}
    at = UTCDateTime(2011, 3, 11)
    assert {c for c, _, _ in channels(archive.get_stations("IV", "BOB", "--", "BH?", at, at))} == {
        "BHE",
        "BHN",
        "BHZ",
    }
    assert not archive.get_stations("IV", starttime=UTCDateTime(1960, 1, 1), endtime=UTCDateTime(1961, 1, 1))
    assert not archive.get_stations("XX")
    with pytest.raises(InvalidSetting):
        archive.get_stations("../etc")


def test_a_broken_station_file_does_not_hide_the_others(archive, bob) -> None:
    archive.stations.add(bob)
    (archive.root / "stations" / "XX.BAD.xml").write_text("<FDSNStationXML><broken")
    (archive.root / "stations" / "whole-network.xml").write_bytes(
        (archive.root / "stations" / "IV.BOB.xml").read_bytes().replace(b"BOB", b"BOC")
    )
    with listen() as heard:
        found = archive.get_stations()
    assert {s.code for n in found for s in n} == {"BOB", "BOC"}
    assert "XX.BAD.xml" in heard.notices[0].subject
    with pytest.raises(BadInput, match="BAD"):
        archive.stations.add(Inventory(networks=[Network("XX", stations=[Station("BAD", 0.0, 0.0, 0.0)])]))


def test_station_codes_that_are_paths_are_refused(archive) -> None:
    bad = Inventory(networks=[Network("XX", stations=[Station("../../A", 0.0, 0.0, 0.0)])])
    with pytest.raises(BadInput, match="no SEED codes"):
        archive.stations.add(bad)
    assert not archive.root.exists()


def event(name: str, time: UTCDateTime, magnitude: float, **where: float) -> Event:
    where = {"latitude": 10.0, "longitude": 20.0, "depth": 5000.0, **where}
    origin = Origin(resource_id=ResourceIdentifier(f"smi:test/origin/{name}"), time=time, **where)
    size = Magnitude(resource_id=ResourceIdentifier(f"smi:test/magnitude/{name}"), mag=magnitude)
    return Event(
        resource_id=ResourceIdentifier(f"smi:test/event/{name}"), origins=[origin], magnitudes=[size]
    )


def test_events_are_kept_one_by_one_and_found_again(archive) -> None:
    catalog = Catalog(
        [
            event("b", UTCDateTime(2020, 1, 2), 4.0, depth=20000.0),
            event("a", UTCDateTime(2020, 1, 1), 2.0, longitude=179.0),
            Event(resource_id=ResourceIdentifier("smi:test/event/none")),
        ]
    )
    names = archive.events.add(catalog)
    assert [name[:8] for name in names] == ["20200102", "20200101", "undated_"]
    assert archive.events.add(catalog) == []
    found = archive.get_events()
    assert [e.resource_id.id[-4:] for e in found] == ["none", "nt/a", "nt/b"]
    assert found[2] == catalog[0]
    for limits, expected in [
        ({"minmagnitude": 3}, ["b"]),
        ({"maxmagnitude": 3}, ["a"]),
        ({"starttime": UTCDateTime(2020, 1, 1), "endtime": UTCDateTime(2020, 1, 1)}, ["a"]),
        ({"mindepth": 10}, ["b"]),
        ({"maxdepth": 10}, ["a"]),
        ({"minlongitude": 170, "maxlongitude": -170}, ["a"]),
        ({"latitude": 10, "longitude": 21, "maxradius": 2}, ["b"]),
        ({"latitude": 10, "longitude": 21, "minradius": 2}, ["a"]),
        ({"minlatitude": 11}, []),
    ]:
        assert [e.resource_id.id[-1] for e in archive.get_events(**limits)] == expected


def test_a_new_version_of_an_event_keeps_the_old_one(archive) -> None:
    first = Catalog([event("a", UTCDateTime(2020, 1, 1), 2.0)])
    (name,) = archive.events.add(first)
    second = Catalog([event("a", UTCDateTime(2020, 1, 1, 0, 0, 1), 2.1)])
    assert archive.events.add(second) == [name]
    (found,) = archive.get_events()
    assert found.magnitudes[0].mag == 2.1
    (old,) = (archive.root / "events" / "history").iterdir()
    assert read_events(str(old))[0].magnitudes[0].mag == 2.0


def test_a_broken_event_file_is_a_notice(archive) -> None:
    archive.events.add(Catalog([event("a", UTCDateTime(2020, 1, 1), 2.0)]))
    (archive.root / "events" / "bad.xml").write_text("not XML")
    with listen() as heard:
        assert len(archive.get_events()) == 1
    assert "bad.xml" in heard.notices[0].subject
    assert archive.files(Selection()) == []
