"""The associator: a published catalogue, earthquakes that were generated, chance, and bad lists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Inventory, UTCDateTime, read_events
from obspy.core.inventory import Network, Station

from swarms import MODEL, START, hits, noise, swarm
from workbench import kernel
from workbench.errors import BadInput, BadVelocityModel, InvalidSetting, MissingCoordinates, NoData
from workbench.kernels.associators import associate
from workbench.maths.geodesy import distance_azimuth
from workbench.notices import listen
from workbench.nouns import Picks, VelocityModel
from workbench.wire import velocity


def found(made, **more):
    with listen():
        return associate(made.picks, made.inventory, velocity_model=more.pop("model", MODEL), **more)


def content(events):
    """All that was found, to the bit."""
    return [
        (
            event.resource_id.id,
            event.preferred_origin().time.ns,
            event.preferred_origin().latitude,
            event.preferred_origin().longitude,
            event.preferred_origin().depth,
            [(pick.resource_id.id, pick.time.ns) for pick in event.picks],
        )
        for event in events
    ]


# Published


def matched(events, reference):
    """Pair each event of a catalogue with the nearest in time, each once."""
    origins = [event.preferred_origin() for event in events]
    free, pairs = set(range(len(origins))), []
    for row in reference.itertuples():
        time = UTCDateTime(row.origin_time)
        near = min(free, key=lambda i: abs(origins[i].time - time))
        if abs(origins[near].time - time) <= 1.5:
            free.remove(near)
            km, _ = distance_azimuth(
                row.latitude, row.longitude, origins[near].latitude, origins[near].longitude
            )
            pairs.append((float(km), abs(origins[near].depth / 1000 - row.depth_km)))
    return np.array(pairs)


def test_central_italy(shared, tmp_path):
    """2907 picks of a learning picker in 25 minutes, by the command line."""
    folder = shared("assoc_centralitaly2016")
    out = tmp_path / "events.xml"
    command = [Path(sys.executable).with_name("workbench"), "run", "associators.associate"]
    command += [folder / "picks.csv", folder / "stations.csv"]
    command += ["--velocity-model", folder / "itvel.nd", "-o", out]
    subprocess.run(command, check=True)
    events = read_events(out)
    strict = pd.read_csv(folder / "reference" / "hypoinverse.csv")
    strict = strict[strict.n_consistent_picks >= 20]
    many = pd.read_csv(folder / "reference" / "hypoinverse_with_station_corrections.csv")
    for reference, recall in ((strict, 0.90), (many, 0.75)):
        pairs = matched(events, reference)
        assert len(pairs) >= recall * len(reference)
        assert np.median(pairs[:, 0]) <= 2.0
        assert np.median(pairs[:, 1]) <= 4.0
    assert len(events) - len(pairs) <= 0.5 * len(many)


# Known truth


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "spoiled",
    [
        {},
        {"false": 0.3},
        {"false": 0.5},
        {"missing": 0.4},
        {"mislabelled": 0.1},
        {"repeated": 0.3},
        {"missing": 0.3, "false": 0.3, "mislabelled": 0.05, "repeated": 0.1},
    ],
    ids=lambda spoiled: ",".join(spoiled) or "nothing",
)
def test_generated_earthquakes_are_found_and_no_others(spoiled, seed):
    made = swarm(12, seed=seed, **spoiled)
    events = found(made)
    pairs = hits(events, made)
    seen = [quake for quake in made.quakes if len(quake.picks) >= 10]
    assert len(seen) >= 8
    assert sum(quake in seen for quake, _ in pairs) >= len(seen) - 1
    assert len(events) - len(pairs) <= 1
    right = wrong = 0
    for quake, event in pairs:
        true = {(code, time) for code, _, time in quake.picks}
        own = {(pick.waveform_id.station_code, pick.time.ns) for pick in event.picks}
        right, wrong = right + len(own & true), wrong + len(own - true)
    # A repetition is of the earthquake as well, under a time of its own.
    assert wrong <= (0.1 + spoiled.get("repeated", 0.0)) * right
    assert right >= 0.85 * sum(len(quake.picks) for quake, _ in pairs)


def test_places_are_as_good_as_the_picks():
    made = swarm(12, noise=0.03, missing=0.0, seen=(1.1, 1.2))
    pairs = hits(found(made), made)
    assert len(pairs) == 12
    away = [
        float(distance_azimuth(o.latitude, o.longitude, *quake.place)[0])
        for quake, o in ((quake, event.preferred_origin()) for quake, event in pairs)
    ]
    assert np.median(away) < 0.5
    assert max(away) < 2.5


@pytest.mark.parametrize("apart", [2.0, 4.0])
def test_earthquakes_seconds_apart(apart):
    """Their picks mingle: at some stations the second P comes before the first S."""
    from swarms import Quake

    both = [Quake(-14.0, 8.0, 8.0, 60.0), Quake(12.0, -9.0, 6.0, 60.0 + apart)]
    made = swarm(2, quakes=both, noise=0.05, missing=0.1, seen=(1.1, 1.2))
    events = found(made)
    assert len(events) == 2
    assert len(hits(events, made)) == 2


def test_picks_without_a_phase():
    made = swarm(6, seed=4)
    for row in made.rows:
        row["phase"] = ""
    events = found(made)
    assert len(hits(events, made)) >= 5
    assert {arrival.phase for event in events for arrival in event.preferred_origin().arrivals} == {"P", "S"}


def test_p_alone_needs_no_model_of_s():
    made = swarm(6, seed=5, missing=0.05, seen=(1.1, 1.2))
    made.rows = [row for row in made.rows if row["phase"] == "P"]
    bare = VelocityModel(MODEL.depth_km, MODEL.vp_km_s, (None,) * 4)
    events = found(made, model=bare)
    assert len(hits(events, made)) >= 5


def test_the_name_of_a_phase_is_put_right():
    made = swarm(8, mislabelled=0.15, missing=0.0, seen=(1.1, 1.2))
    named = {(row["station"], row["time"].ns): row["phase"] for row in made.rows}
    corrected = 0
    for quake, event in hits(found(made), made):
        true = {(code, time): phase for code, phase, time in quake.picks}
        for arrival in event.preferred_origin().arrivals:
            pick = arrival.pick_id.get_referred_object()
            at = pick.waveform_id.station_code, pick.time.ns
            if at in true and named[at] != true[at]:
                corrected += arrival.phase == true[at]
    assert corrected >= 10


# Properties


@settings(max_examples=6, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_picks_and_stations_does_not_matter(random):
    made = swarm(4, false=0.3, duration=300.0)
    rows, stations = list(made.rows), list(made.stations.items())
    random.shuffle(rows)
    random.shuffle(stations)
    whole = content(found(made))
    made.rows, made.stations = rows, dict(stations)
    assert content(found(made)) == whole


def test_time_shifts_all_alike():
    made = swarm(4, false=0.2, duration=300.0)
    before = found(made)
    for row in made.rows:
        row["time"] += 86400 * 400
    after = found(made)
    assert [e.preferred_origin().time + 86400 * 400 for e in before] == [
        e.preferred_origin().time for e in after
    ]
    assert [e.preferred_origin().depth for e in before] == [e.preferred_origin().depth for e in after]


def test_events_hours_apart_do_not_know_of_each_other():
    made = swarm(5, seed=7, false=0.1)
    later = [row | {"time": row["time"] + 6 * 3600} for row in made.rows]
    once = found(made)
    made.rows += later
    twice = found(made)
    times = [event.preferred_origin().time - START for event in twice]
    assert len(twice) == 2 * len(once)
    first = [event.preferred_origin().time - START for event in once]
    assert np.allclose(times, first + [time + 6 * 3600 for time in first], atol=0.3)


def test_everything_refers_to_what_there_is():
    made = swarm(5, false=0.2)
    events = found(made)
    assert len({event.resource_id.id for event in events}) == len(events) > 0
    for event in events:
        origin = event.preferred_origin()
        picks = {pick.resource_id.id for pick in event.picks}
        assert {arrival.pick_id.id for arrival in origin.arrivals} <= picks
        assert len(picks) >= 6
        assert "likelihood ratio" in event.comments[0].text
    taken = [pick.resource_id.id for event in events for pick in event.picks]
    assert len(taken) == len(set(taken))


# Chance


@pytest.mark.parametrize("rate", [5, 30, 120, 400])
def test_picks_that_belong_to_nothing_make_no_event(rate):
    assert len(found(noise(rate, seed=rate))) == 0


@pytest.mark.long
@pytest.mark.parametrize("rate", [5, 30, 120, 400])
def test_days_of_chance_bring_as_few_events_as_promised(rate):
    """One a day by default: five in five days, give or take the chance in that itself."""
    assert sum(len(found(noise(rate, seed=seed, hours=24.0))) for seed in range(5)) <= 10


def test_a_station_that_goes_wild_spoils_nothing():
    made = swarm(6, seed=2)
    random = np.random.default_rng(1)
    for at in random.uniform(0, made.duration, 3000):
        made.add("S00", "P", float(at))
    events = found(made)
    pairs = hits(events, made)
    assert len(pairs) >= 5
    assert len(events) - len(pairs) <= 1


@pytest.mark.parametrize("span", [(0.0, 600.0), (200.0, 230.0)])
def test_thousands_of_picks_at_one_station_hide_no_earthquake(span):
    """Its rate is its own, and does not make picks at the other stations more likely by chance."""
    made = swarm(10, seed=5)
    random = np.random.default_rng(3)
    for at in random.uniform(*span, 5000):
        made.add("S03", "PS"[random.integers(2)], float(at))
    events = found(made)
    assert len(hits(events, made)) == len(events) == 10


# Bad input


def test_a_pick_without_a_time_is_refused():
    with pytest.raises(BadInput, match="row 2 has no time"):
        Picks([{"station": "S00", "phase": "P", "time": START}, {"station": "S01", "phase": "P"}])


def test_a_station_without_coordinates_is_named():
    made = swarm(3, seed=3)
    made.stations = {code: place for code, place in made.stations.items() if code != "S04"}
    with listen() as heard:
        events = associate(made.picks, made.inventory, velocity_model=MODEL)
    assert len(hits(events, made)) == 3
    assert [one.subject for one in heard.notices] == ["XX.S04"]
    assert "coordinates" in heard.notices[0].remedy
    codes = {pick.waveform_id.station_code for event in events for pick in event.picks}
    assert codes <= set(made.stations)


def test_no_station_in_common():
    made = swarm(2)
    other = Inventory([Network("YY", stations=[Station("A", 10.0, 10.0, 0.0)])])
    with listen(), pytest.raises(MissingCoordinates):
        associate(made.picks, other, velocity_model=MODEL)


def test_no_picks():
    with pytest.raises(NoData):
        associate(Picks([]), swarm(1).inventory, velocity_model=MODEL)


def test_s_needs_a_model_of_s():
    made = swarm(2)
    bare = VelocityModel(MODEL.depth_km, MODEL.vp_km_s, (None,) * 4)
    with listen(), pytest.raises(BadVelocityModel, match="vp_vs"):
        associate(made.picks, made.inventory, velocity_model=bare)
    events = found(made, model=bare, vp_vs=1.74)
    assert len(hits(events, made)) == 2


def test_three_stations_are_too_few():
    made = swarm(3, n_stations=3, missing=0.0)
    assert len(found(made)) == 0


def test_a_probability_may_be_absent():
    made = swarm(4, false=0.2)
    random = np.random.default_rng(1)
    for row in made.rows:
        if random.random() < 0.5:
            row["probability"] = float(random.uniform(0.3, 1.0))
    assert len(hits(found(made), made)) >= 3


def test_unsure_picks_are_left_out_on_demand():
    made = swarm(4)
    for number, row in enumerate(made.rows):
        row["probability"] = 0.9 if number % 2 else 0.2
    events = found(made, min_probability=0.5)
    sure = {(row["station"], row["time"].ns) for row in made.rows if row["probability"] > 0.5}
    assert {(p.waveform_id.station_code, p.time.ns) for e in events for p in e.picks} <= sure


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_picks": 3},
        {"min_stations": 2},
        {"false_per_day": 0.0},
        {"mislabelled": 0.5},
        {"model_error": 1.5},
        {"margin": -1.0},
    ],
)
def test_bad_settings_are_refused(wrong):
    with pytest.raises(InvalidSetting, match=next(iter(wrong))):
        kernel.get("associators.associate").validate({"velocity_model": MODEL} | wrong)


def test_a_model_as_a_file(shared):
    model = velocity.load(shared("assoc_centralitaly2016") / "itvel.nd")
    made = swarm(3, model=model)
    assert len(hits(found(made, model=model), made)) == 3
