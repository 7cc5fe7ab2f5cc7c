import io

import numpy as np
import pytest
from obspy import UTCDateTime, read_events
from obspy.core.event import Catalog, Event, Origin, Pick, ResourceIdentifier, WaveformStreamID
from obspy.core.inventory import Channel, Inventory, Network, Station

from workbench.errors import BadInput, BadVelocityModel, InvalidSetting, NoData
from workbench.kernels import locators
from workbench.maths.geodesy import distance_azimuth
from workbench.maths.layered import Layers
from workbench.notices import listen
from workbench.nouns import Picks, VelocityModel

MODEL = VelocityModel((0.0, 3.0, 18.0, 32.0), (4.8, 5.9, 6.6, 8.0), (2.7, 3.4, 3.8, 4.6))
PLACES = {
    "A": (46.02, 7.05, 1200.0),
    "B": (46.15, 7.20, 600.0),
    "C": (45.90, 7.18, 2100.0),
    "D": (46.10, 6.85, 400.0),
    "E": (45.88, 6.90, 900.0),
    "F": (46.25, 7.02, 1500.0),
}
TRUTH = (46.04, 7.08, 7.5)
ORIGIN = UTCDateTime("2021-03-01T12:00:00.25")


def stations(places=None):
    return Inventory(
        [Network("XX", stations=[Station(code, *place) for code, place in (places or PLACES).items()])]
    )


def rows(truth=TRUTH, origin=ORIGIN, phases=("P", "S"), **columns):
    """Exact picks of an event at all stations."""
    made = []
    for code, (lat, lon, height) in PLACES.items():
        km, _ = distance_azimuth(truth[0], truth[1], lat, lon)
        for phase in phases:
            time = float(Layers.of(MODEL, phase).arrivals(truth[2], -height / 1000, km)[0])
            made.append(
                {"network": "XX", "station": code, "channel": "HHZ", "phase": phase, "time": origin + time}
                | columns
            )
    return made


def locate(data, sites=None, **settings):
    """Locate and return the events and what was said."""
    with listen() as heard:
        events = locators.geiger(data, sites or stations(), **{"velocity_model": MODEL} | settings)
    return events, heard.notices


def quakeml(events):
    out = io.BytesIO()
    events.write(out, format="QUAKEML")
    return out.getvalue()


def assert_truth(origin, truth=TRUTH, time=ORIGIN):
    assert origin.latitude == pytest.approx(truth[0], abs=1e-4)
    assert origin.longitude == pytest.approx(truth[1], abs=1e-4)
    assert origin.depth == pytest.approx(truth[2] * 1000, abs=20)
    assert abs(origin.time - time) < 0.005


def test_truth_comes_back_with_all_that_quakeml_asks():
    events, said = locate(Picks(rows(uncertainty_s=0.05)))
    assert said == []
    event = events[0]
    origin = event.preferred_origin()
    assert_truth(origin)
    assert len(event.picks) == len(origin.arrivals) == 12
    assert {arrival.pick_id.id for arrival in origin.arrivals} == {p.resource_id.id for p in event.picks}
    for arrival in origin.arrivals:
        assert abs(arrival.time_residual) < 0.002
        assert 0 < arrival.time_weight <= 1
        assert 0 <= arrival.takeoff_angle <= 180
        pick = next(p for p in event.picks if p.resource_id == arrival.pick_id)
        place = PLACES[pick.waveform_id.station_code]
        km, azimuth = distance_azimuth(*TRUTH[:2], *place[:2])
        assert arrival.distance == pytest.approx(float(km) / 111.195, rel=1e-3)
        assert abs((arrival.azimuth - float(azimuth) + 180) % 360 - 180) < 0.5
    quality = origin.quality
    assert (quality.used_phase_count, quality.used_station_count, quality.associated_phase_count) == (
        12,
        6,
        12,
    )
    assert 60 < quality.azimuthal_gap < quality.secondary_azimuthal_gap < 200
    assert quality.minimum_distance < quality.median_distance < quality.maximum_distance < 0.4
    assert origin.depth_type == "from location"
    assert origin.method_id.id == "smi:workbench/method/locators.geiger"
    shape = origin.origin_uncertainty
    assert shape.confidence_level == 68
    assert 20 < shape.min_horizontal_uncertainty <= shape.max_horizontal_uncertainty < 2000
    assert (
        shape.confidence_ellipsoid.semi_major_axis_length >= shape.confidence_ellipsoid.semi_minor_axis_length
    )
    assert 100 < origin.depth_errors.uncertainty < 3000
    assert origin.latitude_errors.uncertainty * 111_200 < shape.max_horizontal_uncertainty
    again = read_events(io.BytesIO(quakeml(events)))
    assert again[0].preferred_origin().depth == origin.depth


def test_same_picks_give_the_same_bytes_in_any_order():
    made = rows(uncertainty_s=0.05)
    shuffled = [made[i] for i in np.random.default_rng(0).permutation(len(made))]
    one, other = (locate(Picks(each))[0] for each in (made, shuffled))
    assert quakeml(one) == quakeml(other)


def test_input_is_not_changed():
    picks = Picks(rows())
    events, _ = locate(picks)
    before = quakeml(events)
    locate(events, fix_depth=3.0)
    assert quakeml(events) == before
    assert picks == Picks(rows())


def test_events_of_a_pick_table():
    later, truth = ORIGIN + 60, (45.97, 7.0, 12.0)
    table = Picks(rows(event="first") + rows(truth, later, event="second"))
    events, said = locate(table)
    assert said == []
    assert len(events) == 2
    assert_truth(events[0].preferred_origin())
    assert_truth(events[1].preferred_origin(), truth, later)
    assert len({event.resource_id.id for event in events}) == 2


def test_picks_of_no_event_are_left_out():
    noise = [row | {"time": row["time"] + 40, "event": ""} for row in rows()[:5]]
    events, said = locate(Picks(rows(event="first") + noise))
    assert len(events) == 1
    assert len(events[0].picks) == 12
    assert [(note.subject, note.loss) for note in said] == [("the picks", False)]


def test_text_where_a_number_belongs():
    with pytest.raises(BadInput, match=r"uncertainty_s.*0\.1 s"):
        locate(Picks(rows(uncertainty_s="0.1 s")))


def test_events_keep_their_ids_and_their_origins():
    events, _ = locate(Picks(rows()))
    old = Origin(
        resource_id=ResourceIdentifier("smi:agency/origin/1"), latitude=10.0, longitude=10.0, depth=0.0
    )
    old.time = ORIGIN - 100
    events[0].origins = [old]
    events[0].preferred_origin_id = old.resource_id
    events[0].resource_id = ResourceIdentifier("smi:agency/event/1")
    found, said = locate(events)
    assert said == []
    assert found[0].resource_id.id == "smi:agency/event/1"
    assert found[0].origins[0].resource_id.id == "smi:agency/origin/1"
    assert [p.resource_id.id for p in found[0].picks] == [p.resource_id.id for p in events[0].picks]
    assert_truth(found[0].preferred_origin())
    twice, _ = locate(found)
    assert len(twice[0].origins) == 2
    assert twice[0].preferred_origin().resource_id == found[0].preferred_origin().resource_id


def test_hypocentre_of_the_input_is_a_start_only_if_asked():
    events, _ = locate(Picks(rows()))
    good = events[0].preferred_origin()
    far = events.copy()
    far[0].preferred_origin().latitude = 47.5
    unasked, _ = locate(far)
    assert unasked[0].origins[-1].latitude == good.latitude
    assert_truth(locate(far, start="input")[0][0].preferred_origin())
    _, said = locate(Picks(rows()), start="input")
    assert ["no hypocentre to start from" in note.problem for note in said] == [True]


def test_names_of_phases():
    made = rows()
    for row, name in zip(
        made, ["Pg", "Sg", "Pn", "Sn", "iP0", "S1", "p", "s", "P*", "S*", "P", "S"], strict=True
    ):
        row["phase"] = name
    noise = [made[0] | {"phase": "PmP", "time": ORIGIN + 30}, made[0] | {"phase": "", "time": ORIGIN + 31}]
    events, said = locate(Picks(made + noise))
    origin = events[0].preferred_origin()
    assert_truth(origin)
    assert {arrival.phase for arrival in origin.arrivals} >= {"Pg", "Sn", "iP0", "P*"}
    assert len(origin.arrivals) == 12
    assert len(events[0].picks) == 14
    assert {note.subject for note in said} == {"phase 'PmP'", "phase ''"}


def test_several_picks_of_one_phase_at_a_station():
    made = rows(uncertainty_s=0.05)
    worse = [row | {"channel": "EHZ", "time": row["time"] + 0.8, "uncertainty_s": 0.4} for row in made]
    split = [made[0] | {"phase": "Pn", "time": made[0]["time"] + 1.0, "uncertainty_s": 0.01}]
    events, said = locate(Picks(made + worse + split))
    assert said == []
    assert_truth(events[0].preferred_origin())
    assert len(events[0].preferred_origin().arrivals) == 12


def test_probability_is_a_weight():
    made = rows(probability=0.99)
    for row in made[:4]:
        row["probability"] = 0.2
        row["time"] += 0.15
    unsure, _ = locate(Picks(made))
    origin = unsure[0].preferred_origin()
    weights = {a.pick_id.id: a.time_weight for a in origin.arrivals}
    ids = {p.resource_id.id: p.waveform_id.station_code for p in unsure[0].picks}
    low = [weight for name, weight in weights.items() if ids[name] == "A"]
    high = [weight for name, weight in weights.items() if ids[name] == "E"]
    assert max(low) < 0.2 * max(high)
    # The probability survives in the QuakeML, and so do the weights.
    again, _ = locate(read_events(io.BytesIO(quakeml(unsure))))
    assert again[0].preferred_origin().latitude == pytest.approx(origin.latitude, abs=1e-5)


def test_picks_that_cannot_be_used_are_named_and_kept():
    made = [*rows(), {"network": "XX", "station": "NOWHERE", "phase": "P", "time": ORIGIN + 3}]
    events, said = locate(Picks(made))
    assert [(note.subject, note.loss) for note in said] == [("XX.NOWHERE", True)]
    assert len(events[0].picks) == 13
    assert events[0].preferred_origin().quality.associated_phase_count == 13
    assert_truth(events[0].preferred_origin())


@pytest.mark.parametrize("count", [1, 3])
def test_event_with_too_few_picks_is_named_and_kept(count):
    few = rows(event="poor", phases=("P",))[:count]
    events, said = locate(Picks(rows(event="rich") + [r | {"time": r["time"] + 100} for r in few]))
    assert len(events) == 2
    assert events[1].origins == []
    assert len(events[1].picks) == count
    assert [note.subject for note in said] == ["poor"]
    assert "cannot be located" in said[0].problem


def test_event_without_picks_is_kept():
    events, said = locate(locate(Picks(rows()))[0] + Catalog([Event(resource_id="smi:abc/b")]))
    assert [note.subject for note in said] == ["smi:abc/b"]
    assert len(events) == 2


def test_no_picks_at_all():
    with pytest.raises(NoData, match="Pick first"):
        locate(Picks())


def test_s_velocities_are_asked_for_only_if_there_is_an_s():
    bare = VelocityModel(MODEL.depth_km, MODEL.vp_km_s, (None,) * 4)
    events, _ = locate(Picks(rows(phases=("P",))), velocity_model=bare)
    assert_truth(events[0].preferred_origin())
    with pytest.raises(BadVelocityModel, match="vp_vs"):
        locate(Picks(rows()), velocity_model=bare)
    events, _ = locate(Picks(rows()), velocity_model=bare, vp_vs=1.74)
    assert events[0].preferred_origin().depth == pytest.approx(7500, abs=1500)


def test_station_with_wrong_coordinates_does_no_harm():
    sites = stations(PLACES | {"E": (0.0, 0.0, 0.0)})
    events, _ = locate(Picks(rows()), sites)
    origin = events[0].preferred_origin()
    assert_truth(origin)
    wrong = {p.resource_id.id for p in events[0].picks if p.waveform_id.station_code == "E"}
    assert {a.time_weight for a in origin.arrivals if a.pick_id.id in wrong} == {0.0}
    assert origin.quality.used_station_count == 5


def test_codes_without_a_network_and_sensors_with_their_own_place():
    inventory = stations()
    hidden = inventory[0][0]
    lat, lon, height = PLACES["A"]
    hidden.channels = [Channel("HHZ", "", lat, lon, height, 0.0)]
    hidden.latitude, hidden.longitude = lat + 0.3, lon  # the vault; the sensor stands elsewhere
    made = [row | {"network": ""} for row in rows()]
    events, said = locate(Picks(made), inventory)
    assert said == []
    assert_truth(events[0].preferred_origin())


@pytest.mark.parametrize("name", ["fix_depth", "default_depth", "max_depth"])
def test_depths_in_metres_are_refused(name):
    with pytest.raises(InvalidSetting, match=name):
        locate(Picks(rows()), velocity_model=VelocityModel.taup("ak135"), **{name: 5000.0})


def test_greatest_depth_is_kept_to():
    events, _ = locate(Picks(rows()), max_depth=4.0)
    assert events[0].preferred_origin().depth == pytest.approx(4000, abs=2)
    events, _ = locate(Picks(rows()), max_depth=-3.0)
    assert events[0].preferred_origin().depth == -3000


def test_held_depth_says_so():
    events, _ = locate(Picks(rows()), fix_depth=7.5)
    origin = events[0].preferred_origin()
    assert (origin.depth, origin.depth_type) == (7500.0, "operator assigned")
    assert origin.depth_errors.uncertainty is None
    assert origin.origin_uncertainty.preferred_description == "uncertainty ellipse"
    assert_truth(origin)


def test_picks_of_obspy_without_a_phase_take_it_from_the_arrival():
    events, _ = locate(Picks(rows()))
    for pick in events[0].picks:
        pick.phase_hint = None
    found, said = locate(events)
    assert said == []
    assert_truth(found[0].preferred_origin())


def test_picks_of_other_programs_with_little_in_them():
    event = Event(
        resource_id="smi:abc/b",
        picks=[Pick(time=ORIGIN, waveform_id=WaveformStreamID("XX", "A")), Pick()],
    )
    _, said = locate(Catalog([event]))
    assert {note.subject for note in said} == {"phase ''", "smi:abc/b"}
