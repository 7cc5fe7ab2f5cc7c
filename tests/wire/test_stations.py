"""Stations: forms, and what happens when several files know one station."""

from __future__ import annotations

import io

import pytest
from obspy import Inventory, UTCDateTime, read_inventory
from obspy.core.inventory import Channel, Network, Station

from workbench import wire
from workbench.errors import UnreadableFile
from workbench.kernels._sites import SiteMap
from workbench.notices import listen
from workbench.wire import Datum, stations

CSV = """network,station,latitude,longitude,elevation_m
XX,A,46.0,7.0,1000
XX,B,46.5,7.5,-12.5
"""


def channel(code="HHZ", latitude=46.0, longitude=7.0, elevation=1000.0, start=None, end=None) -> Channel:
    start = UTCDateTime(2010, 1, 1) if start is None else start
    return Channel(
        code, "", latitude, longitude, elevation, 0.0, sample_rate=100.0, start_date=start, end_date=end
    )


def inventory(*channels: Channel, code="A", latitude=46.0, longitude=7.0, elevation=1000.0) -> Inventory:
    station = Station(code, latitude, longitude, elevation, channels=list(channels))
    return Inventory(networks=[Network("XX", stations=[station])], source="test")


def merged(*parts: tuple[str, Inventory]):
    with listen() as heard:
        found = wire.merge("Stations", [Datum("Stations", value, name) for name, value in parts])
    return found, [str(said) for said in heard.notices]


def read(text: str):
    with listen() as heard:
        found = wire.read(text.encode(), "Stations", "s.csv")
    return found, heard.notices


def places(found: Inventory) -> list[tuple[str, float, float, float]]:
    return [(s.code, s.latitude, s.longitude, s.elevation) for network in found for s in network]


def test_csv_is_read():
    found, said = read(CSV)
    assert places(found) == [("A", 46.0, 7.0, 1000.0), ("B", 46.5, 7.5, -12.5)]
    assert said == []


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("XX,C,,,", "no coordinates"),
        ("XX,C,46.0,,100", "no coordinates"),
        ("XX,C,nan,7,100", "unreadable coordinates"),
        ("XX,C,north,7,100", "unreadable coordinates"),
        ("XX,C,95,7,100", "impossible coordinates"),
        ("XX,C,46,1000,100", "impossible coordinates"),
        ("XX,C,0,0,0", "coordinates 0, 0"),
        ("XX,C", "no coordinates"),
        ("XX,,46,7,100", "no station code"),
    ],
)
def test_row_without_a_place_is_left_out_and_named(row, word):
    found, said = read(CSV + row + "\n")
    assert [place[0] for place in places(found)] == ["A", "B"]
    assert [word in str(one) and "row 4" in str(one) and "s.csv" in str(one) for one in said] == [True]
    assert not said[0].loss


def test_missing_elevation_is_sea_level_with_a_notice():
    found, said = read(CSV + "XX,C,46,8,\n")
    assert places(found)[-1] == ("C", 46.0, 8.0, 0.0)
    assert "no elevation" in str(said[0])


def test_elevation_in_kilometres_looks_odd_only_where_it_is_impossible():
    _, said = read(CSV + "XX,C,46,8,150000\n")
    assert "150000 m" in str(said[0])


@pytest.mark.parametrize("text", ["network,station,latitude,longitude\nXX,A,1,2,3,4,5,6\n", "\x00\x01", ""])
def test_table_that_is_none_is_refused_by_name(text):
    with pytest.raises(UnreadableFile, match=r"s\.csv"):
        read(text)


def test_fdsn_text_is_read():
    text = (
        "#Network | Station | Latitude | Longitude | Elevation | SiteName | StartTime | EndTime\n"
        "IU|ANMO|34.9459|-106.4572|1850.0|Albuquerque|2002-11-19T21:07:00|2008-06-30T20:00:00\n"
    )
    found, _ = read(text)
    assert places(found) == [("ANMO", 34.9459, -106.4572, 1850.0)]


def test_stationxml_of_obspy_comes_back_as_it_is_and_keeps_its_responses():
    original = read_inventory()
    back = wire.read(stations.canonical(original), "Stations")
    assert stations.canonical(back) == stations.canonical(original)
    assert back.get_response("GR.FUR..BHZ", UTCDateTime(2010, 1, 1)) is not None


def test_canonical_says_nothing_of_who_and_when():
    one, other = read_inventory(), read_inventory()
    other.created, other.source, other.sender, other.module = UTCDateTime(), "me", "you", "obspy"
    other.networks.reverse()
    for network in other:
        network.stations.reverse()
        for station in network:
            station.channels.reverse()
    before = [network.code for network in other]
    assert stations.canonical(one) == stations.canonical(other)
    assert [network.code for network in other] == before


def test_csv_and_geojson_are_written():
    found, _ = read(CSV)
    assert stations.encode(found, "text/csv").decode() == CSV.replace("1000\n", "1000.0\n")
    assert b'"coordinates":[7.0,46.0,1000.0]' in stations.encode(found, "application/geo+json")


def test_csv_fills_what_stationxml_lacks():
    found, said = merged(("a.xml", inventory(channel("HHZ"))), ("s.csv", read(CSV)[0]))
    sites = SiteMap(found)
    assert sites.codes() == ["XX.A", "XX.B"]
    assert said == []


def test_channel_of_stationxml_wins_over_csv_and_csv_over_the_rest():
    csv = CSV.replace("46.0,7.0,1000", "46.0005,7.0,1050")
    found, said = merged(("s.csv", read(csv)[0]), ("a.xml", inventory(channel("HHZ"))))
    sites = SiteMap(found)
    assert said == []
    assert sites.find("XX.A..HHZ", UTCDateTime(2020, 1, 1)).latitude == 46.0
    assert sites.find("XX.A..EHZ", UTCDateTime(2020, 1, 1)).latitude == 46.0005
    assert sites.find("XX.A").latitude == 46.0


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (("46.0,7.0,1000", "46.0008,7.0,1000"), False),
        (("46.0,7.0,1000", "46.0010,7.0,1000"), True),
        (("46.0,7.0,1000", "46.0,7.0014,1000"), True),
        (("46.0,7.0,1000", "46.0,7.0,1099"), False),
        (("46.0,7.0,1000", "46.0,7.0,1101"), True),
        (("46.0,7.0,1000", "46.0,7.0,1"), True),
    ],
)
def test_more_than_100_m_apart_names_both_places_and_both_files(change, differs):
    found, said = merged(("a.xml", inventory(channel())), ("s.csv", read(CSV.replace(*change))[0]))
    assert SiteMap(found).find("XX.A..HHZ").latitude == 46.0
    assert len(said) == differs
    if differs:
        assert "XX.A" in said[0]
        assert "a.xml" in said[0]
        assert "s.csv" in said[0]
        assert "46.00000, 7.00000, 1000 m" in said[0]


def test_station_that_moved_between_epochs_is_no_contradiction():
    old = channel("HHZ", latitude=46.0, end=UTCDateTime(2015, 1, 1))
    new = channel("HHZ", latitude=46.1, start=UTCDateTime(2015, 1, 1))
    found, said = merged(("old.xml", inventory(old)), ("new.xml", inventory(new)))
    assert said == []
    assert SiteMap(found).find("XX.A..HHZ", UTCDateTime(2012, 1, 1)).latitude == 46.0
    assert SiteMap(found).find("XX.A..HHZ", UTCDateTime(2020, 1, 1)).latitude == 46.1


def test_date_line_is_crossed_the_short_way():
    a, b = inventory(channel(longitude=179.9999)), inventory(channel("HHN", longitude=-179.9999))
    assert merged(("a.xml", a), ("b.xml", b))[1] == []


def test_one_file_twice_is_one_station():
    found, said = merged(("a.csv", read(CSV)[0]), ("b.csv", read(CSV)[0]))
    assert [place[0] for place in places(found)] == ["A", "B"]
    assert said == []


def test_order_of_the_files_does_not_matter_and_they_are_not_changed():
    parts = [
        ("a.xml", inventory(channel())),
        ("b.xml", inventory(channel("HHN"), code="C")),
        ("s.csv", read(CSV)[0]),
    ]
    before = [stations.canonical(value) for _, value in parts]
    one, other = merged(*parts)[0], merged(*reversed(parts))[0]
    assert stations.canonical(one) == stations.canonical(other)
    assert [stations.canonical(value) for _, value in parts] == before


def test_network_is_described_the_same_in_whichever_order_the_files_come():
    one, other = inventory(channel()), inventory(channel("HHN"), code="C")
    one[0].description, other[0].description = "B network", "A network"
    found = [merged(("1", first), ("2", second))[0] for first, second in ((one, other), (other, one))]
    assert stations.canonical(found[0]) == stations.canonical(found[1])
    assert [network.description for network in found[0]] == ["A network"]
    assert one[0].description == "B network"


def test_stationxml_given_twice_is_one_station():
    found, _ = merged(("1.xml", inventory(channel())), ("2.xml", inventory(channel())))
    assert stations.canonical(found) == stations.canonical(inventory(channel()))


def test_corinth_reports_what_is_missing_and_what_differs(shared):
    folder = shared("crl_corinth20100118")
    with listen() as heard:
        data = [datum for name in ("stations.xml", "stations.csv") for datum in wire.read_all(folder / name)]
        found = wire.merge("Stations", data)
    said = {one.subject: str(one) for one in heard.notices}
    assert set(said) == {"HP.LTK", "HP.UPR", "CL.AGE", "CL.AIO", "HA.LAKA"}
    assert all("no coordinates" in said[name] for name in ("HP.LTK", "HP.UPR"))
    assert "397 m apart" in said["HA.LAKA"]
    assert "135 m in elevation" in said["CL.AGE"]
    sites = SiteMap(found)
    assert "HP.LTK" not in sites
    assert "HP.UPR" not in sites
    assert sites.find("HP.DSF").latitude == 38.4112


def test_broken_stationxml_is_refused_by_name():
    whole = stations.canonical(read_inventory())
    for content in (whole[: len(whole) // 2], b"<FDSNStationXML/>"):
        with pytest.raises(UnreadableFile, match=r"broken\.xml"):
            wire.read(content, "Stations", "broken.xml")


def test_dataless_seed_is_stations():
    out = io.BytesIO()
    out.write(b"000001V 010009402.3121970,001,00:00:00.0000~".ljust(4096))
    with pytest.raises(UnreadableFile, match="SEED"):
        wire.read(out.getvalue(), "Stations", "dataless.seed")
