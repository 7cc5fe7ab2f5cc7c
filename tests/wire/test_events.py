"""Events and picks as QuakeML, and as tables."""

from __future__ import annotations

import io
import json

import pytest
from obspy import UTCDateTime, read_events
from obspy.core.event import Catalog, Event, Magnitude, Origin, Pick, ResourceIdentifier, WaveformStreamID

from workbench import wire
from workbench.errors import UnreadableFile
from workbench.notices import listen
from workbench.nouns import Picks
from workbench.wire import Datum, events


def event(name: str, time: float = 0.0, picks: int = 2) -> Event:
    def own(kind: str) -> ResourceIdentifier:
        return ResourceIdentifier(f"smi:test/{kind}/{name}")

    origin = Origin(
        resource_id=own("origin"),
        time=UTCDateTime(1_500_000_000 + time),
        latitude=46.0,
        longitude=7.0,
        depth=5000.0,
    )
    magnitude = Magnitude(
        resource_id=own("magnitude"), mag=2.5, magnitude_type="ML", origin_id=origin.resource_id
    )
    found = [
        Pick(
            resource_id=ResourceIdentifier(f"smi:test/pick/{name}{number}"),
            time=origin.time + 1 + number,
            waveform_id=WaveformStreamID("XX", f"S{number}", None, "HHZ"),
            phase_hint="P",
        )
        for number in range(picks)
    ]
    return Event(
        resource_id=own("event"),
        origins=[origin],
        magnitudes=[magnitude],
        picks=found,
        preferred_origin_id=origin.resource_id.id,
        preferred_magnitude_id=magnitude.resource_id.id,
    )


def test_canonical_depends_on_the_events_alone():
    one = Catalog([event("a"), event("b", 10.0)])
    other = Catalog([event("b", 10.0), event("a")])
    assert events.canonical(one) == events.canonical(other)
    back = wire.read(events.canonical(one), "Events")
    assert events.canonical(back) == events.canonical(one)
    assert [item.resource_id.id for item in other] == ["smi:test/event/b", "smi:test/event/a"]


def test_real_quakeml_comes_back(shared):
    path = shared("livermore2019_nc40191336") / "reference" / "event.quakeml.xml"
    found = wire.read(path, "Events")
    again = wire.read(events.canonical(found), "Events")
    assert events.canonical(again) == events.canonical(found)
    assert again[0] == found[0]


@pytest.mark.parametrize("form", ["ZMAP", "NORDIC", "NLLOC_OBS", "SC3ML"])
def test_what_obspy_ships_as_an_example_is_canonical_at_once(form):
    assert events.canonical(read_events()) == events.canonical(read_events())


def test_merge_keeps_each_event_once_and_names_a_clash():
    clash = event("a")
    clash.event_type = "explosion"
    with listen() as heard:
        parts = [Datum("Events", Catalog([event("a"), event("b")]), "1.xml")]
        parts += [Datum("Events", Catalog([event("b")]), "2.xml"), Datum("Events", Catalog([clash]), "3.xml")]
        found = wire.merge("Events", parts)
    assert [item.resource_id.id for item in found] == ["smi:test/event/a", "smi:test/event/b"]
    assert [said.subject for said in heard.notices] == ["smi:test/event/a"]
    assert "3.xml" in str(heard.notices[0])


def test_flattened_picks_name_their_event_and_their_id():
    picks = wire.read(events.canonical(Catalog([event("a"), event("b", 60.0)])), "Picks")
    assert isinstance(picks, Picks)
    assert len(picks) == 4
    assert set(picks.table["event"]) == {"smi:test/event/a", "smi:test/event/b"}
    assert set(picks.table["pick"]) == {f"smi:test/pick/{name}{n}" for name in "ab" for n in range(2)}


def test_picks_written_as_quakeml_come_back():
    original = events.to_picks(Catalog([event("a"), event("b", 60.0)]))
    back = wire.read(wire.encode(original, "application/xml"), "Picks")
    kept = [*Picks.columns, "event", "pick"]
    assert back.table[kept].equals(original.table[kept])


def test_picks_without_an_event_become_one_event_of_their_own():
    rows = [
        {"network": "XX", "station": "A", "phase": "P", "time": "2020-01-01T00:00:00Z", "probability": 0.5}
    ]
    data = wire.encode(Picks(rows), ".xml")
    assert data == wire.encode(Picks(rows), ".xml")
    back = wire.read(data, "Picks")
    assert back.table[["station", "phase", "probability"]].values.tolist() == [["A", "P", 0.5]]


def test_table_and_geojson_hold_the_preferred_values():
    catalogue = Catalog([event("b", 10.0), event("a")])
    lines = wire.encode(catalogue, ".csv").decode().splitlines()
    assert lines[1].startswith("2017-07-14T02:40:00.000000Z,46.0,7.0,5.0,2.5,ML,")
    features = json.loads(wire.encode(catalogue, ".json"))["features"]
    assert features[0]["geometry"]["coordinates"] == [7.0, 46.0, -5000.0]
    assert [item["id"] for item in features] == ["smi:test/event/a", "smi:test/event/b"]


def test_event_without_origin_and_empty_catalogue_are_written():
    bare = Event(resource_id=ResourceIdentifier("smi:test/event/bare"))
    for catalogue in (Catalog([bare]), Catalog()):
        for media in events.MEDIA:
            assert events.encode(catalogue, media)
    assert len(wire.read(events.canonical(Catalog()), "Events")) == 0


def test_other_event_forms_are_known_by_their_content():
    out = io.BytesIO()
    Catalog([event("a")]).write(out, format="ZMAP")
    noun, _ = wire.sniff(events.canonical(Catalog([event("a")])).replace(b"q:quakeml", b"bed:quakeml"))
    assert noun == "Events"


def test_broken_quakeml_is_refused_by_name():
    whole = events.canonical(Catalog([event("a")]))
    with pytest.raises(UnreadableFile, match=r"broken\.xml"):
        wire.read(whole[: len(whole) // 2], "Events", "broken.xml")
