"""The whole chain: against known truth, against recordings, and on noise."""

from __future__ import annotations

from functools import cache

import numpy as np
import obspy
import pandas as pd
import pytest
from obspy import Inventory, Stream, Trace, UTCDateTime
from obspy.core.event import Catalog
from obspy.core.inventory import Network, Station

from workbench import wire
from workbench.demo.network import Sequence, network_sequence
from workbench.errors import BadVelocityModel, MissingCoordinates
from workbench.kernel import get
from workbench.kernels.pipelines import earthquakes
from workbench.maths.geodesy import distance_azimuth
from workbench.maths.synthetic import noise
from workbench.notices import listen
from workbench.nouns import VelocityModel


@cache
def sequence() -> Sequence:
    return network_sequence()


@cache
def catalogue() -> Catalog:
    made = sequence()
    with listen():
        return earthquakes(made.waveforms, made.stations, velocity_model=made.velocity_model)


def away(origin, latitude, longitude) -> float:
    return float(distance_azimuth(origin.latitude, origin.longitude, latitude, longitude)[0])


def nearest(events, time):
    return min(events, key=lambda event: abs(event.preferred_origin().time - time))


# Known truth


def test_hours_that_are_searched_apart_give_what_they_give_together(pieced):
    made = network_sequence(n_stations=5, n_events=10, duration_s=5400, rate=50, start="2024-01-01T00:40")
    with listen():
        whole = earthquakes(made.waveforms, made.stations, velocity_model=made.velocity_model)
    assert len(whole) >= 9
    for hours_of_edges in ([0, 1, 2, 3], [0, 2, 3]):
        edges = [UTCDateTime(2024, 1, 1, hour) for hour in hours_of_edges]
        found = pieced(get("pipelines.earthquakes"), made.waveforms, edges, made.stations,
                       velocity_model=made.velocity_model)  # fmt: skip
        assert wire.canonical(found) == wire.canonical(whole)


def test_a_generated_sequence_is_recovered():
    made, found = sequence(), catalogue()
    assert len(found) == len(made.truth)
    for true in made.truth:
        origin = true.origins[0]
        event = nearest(found, origin.time)
        own = event.preferred_origin()
        assert abs(own.time - origin.time) < 0.15
        assert away(own, origin.latitude, origin.longitude) < 1.0
        assert abs(own.depth - origin.depth) < 2000
        assert event.preferred_magnitude().mag == pytest.approx(true.magnitudes[0].mag, abs=0.25)
        assert len(event.picks) >= 18


def test_everything_refers_to_everything():
    found = catalogue()
    for event in found:
        origin, magnitude = event.preferred_origin(), event.preferred_magnitude()
        assert origin in event.origins
        assert magnitude.origin_id == origin.resource_id
        picks = {pick.resource_id.id for pick in event.picks}
        assert {arrival.pick_id.id for arrival in origin.arrivals} <= picks
        assert len(picks) == len(event.picks)
        amplitudes = {amplitude.resource_id.id for amplitude in event.amplitudes}
        assert all(
            amplitude.pick_id is None or amplitude.pick_id.id in picks for amplitude in event.amplitudes
        )
        stations = {one.resource_id.id: one for one in event.station_magnitudes}
        assert {one.amplitude_id.id for one in stations.values()} <= amplitudes
        assert {c.station_magnitude_id.id for c in magnitude.station_magnitude_contributions} == set(stations)
        assert origin.quality.used_phase_count == len(origin.arrivals)
        assert origin.time_errors.uncertainty > 0
        assert origin.origin_uncertainty.max_horizontal_uncertainty > 0
    times = [event.preferred_origin().time for event in found]
    assert times == sorted(times)


def test_the_same_again_to_the_bit(tmp_path):
    made = sequence()
    with listen():
        again = earthquakes(Stream(made.waveforms[::-1]), made.stations, velocity_model=made.velocity_model)
    catalogue().write(tmp_path / "a.xml", format="QUAKEML")
    again.write(tmp_path / "b.xml", format="QUAKEML")
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()


# Recordings


def folder_of(folder) -> tuple[Stream, Inventory, VelocityModel]:
    waveforms, stations = Stream(), Inventory()
    for path in sorted((folder / "waveforms").iterdir()):
        waveforms += obspy.read(path)
    for path in sorted(folder.glob("stations*/*.xml")) + sorted(folder.glob("stations.xml")):
        stations += obspy.read_inventory(path)
    if (folder / "stations.csv").exists():
        rows = pd.read_csv(folder / "stations.csv").dropna()
        known = {f"{net.code}.{sta.code}" for net in stations for sta in net}
        for row in rows.itertuples():
            if f"{row.network}.{row.station}" not in known:
                station = Station(row.station, row.latitude, row.longitude, row.elevation_m)
                stations += Inventory([Network(row.network, stations=[station])])
    rows = pd.read_csv(folder / "model.csv").to_numpy().tolist()
    return waveforms, stations, VelocityModel.from_rows(rows)


def run(folder):
    waveforms, stations, model = folder_of(folder)
    with listen() as heard:
        return earthquakes(waveforms, stations, velocity_model=model), heard.notices


def test_livermore(shared):
    events, _ = run(shared("livermore2019_nc40191336"))
    assert len(events) == 1
    origin = events[0].preferred_origin()
    assert away(origin, 37.8187, -121.7568) < 6
    assert abs(origin.time - UTCDateTime("2019-07-16T20:11:01.47")) < 2
    assert sum(arrival.phase == "P" for arrival in origin.arrivals) >= 10
    # The nearest station is 81 km away: the depth is open, and says so.
    assert origin.depth_errors.uncertainty > 4000
    assert abs(origin.depth - 12_380) < 3 * origin.depth_errors.uncertainty
    assert 4.3 <= events[0].preferred_magnitude().mag <= 4.8


def analysts(folder) -> dict[str, UTCDateTime]:
    minute = UTCDateTime("2010-01-18T17:04:00")
    times = {}
    for line in (folder / "reference" / "2010.01.18-17.03.51.phs").read_text().splitlines():
        if "P" in line[4:7]:
            name = {"TRZ": "TRIZ", "LAKK": "LAKA"}.get(line[:4].strip(), line[:4].strip())
            times[name] = minute + float(line[19:24])
    return times


def test_corinth(shared):
    """Besides the event of the reference the window holds earlier and later ones of the swarm."""
    folder = shared("crl_corinth20100118")
    events, notices = run(folder)
    event = nearest(events, UTCDateTime("2010-01-18T17:04:06.39"))
    origin = event.preferred_origin()
    assert away(origin, 38 + 24.81 / 60, 21 + 54.66 / 60) < 3
    assert abs(origin.depth / 1000 - 7.63) < 4
    assert abs(origin.time - UTCDateTime("2010-01-18T17:04:06.39")) < 0.6
    assert abs(event.preferred_magnitude().mag - 2.16) < 0.5
    picked = {pick.waveform_id.station_code: pick.time for pick in event.picks if pick.phase_hint == "P"}
    true = {name: time for name, time in analysts(folder).items() if name not in ("EFP", "SER5")}
    errors = np.array([picked[name] - time for name, time in true.items() if name in picked])
    assert len(errors) >= 0.8 * len(true)
    assert np.median(np.abs(errors)) <= 0.10
    without = {said.subject for said in notices if "no coordinates" in said.problem}
    assert without == {"HP.LTK", "HP.UPR"}


def test_holuhraun(shared):
    folder = shared("holuhraun2014")
    events, _ = run(folder)
    reference = pd.concat(pd.read_csv(path) for path in sorted((folder / "reference").glob("*.event")))
    hits = []
    for row in reference.itertuples():
        origin = nearest(events, UTCDateTime(row.DT)).preferred_origin()
        if abs(origin.time - UTCDateTime(row.DT)) < 2:
            hits.append((away(origin, row.Y, row.X), abs(origin.depth / 1000 - row.Z), origin.time.ns))
    assert len(hits) >= 0.8 * len(reference)
    assert len(events) - len({time for _, _, time in hits}) <= 0.2 * len(reference)
    assert np.median([km for km, _, _ in hits]) <= 2.0
    assert np.median([km for _, km, _ in hits]) <= 2.5


# Noise


def noisy(kind: str, seed: int, minutes: float) -> Stream:
    random, rate = np.random.default_rng(seed), 100.0
    n = int(minutes * 60 * rate)
    stream = Stream()
    for code in [f"GEN{number:02d}" for number in range(1, 13)]:
        own = np.array([noise(n, rate, 100.0, 3000.0, random) for _ in "ZNE"])
        if kind == "white":
            own = random.standard_normal((3, n)) * 100
        for _ in range(int(minutes) if kind in ("spikes", "bursts") else 0):
            at = int(random.integers(0, n - 4000))
            if kind == "spikes":
                own[:, at : at + random.integers(1, 4)] += 10 ** random.uniform(3, 5, (3, 1))
            else:
                length = int(rate * 10 ** random.uniform(-0.5, 1))
                shape = np.exp(-np.arange(3 * length) / length) * 10 ** random.uniform(2.3, 4)
                own[:, at : at + 3 * length] += random.standard_normal((3, 3 * length)) * shape
        for component, data in zip("ZNE", own, strict=True):
            header = {"network": "XX", "station": code, "location": "00", "channel": f"HH{component}"}
            stream.append(
                Trace(data, {**header, "sampling_rate": rate, "starttime": UTCDateTime(2024, 1, 1)})
            )
    return stream


@pytest.mark.parametrize("kind", ["white", "microseism", "spikes", "bursts"])
def test_noise_holds_no_earthquake(kind):
    made = sequence()
    with listen():
        assert len(earthquakes(noisy(kind, 1, 20.0), made.stations, velocity_model=made.velocity_model)) == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("kind", "most"), [("white", 0), ("microseism", 0), ("spikes", 0), ("bursts", 1)])
def test_an_hour_of_noise_holds_no_earthquake(kind, most, seed):
    """Where twelve stations each have sixty bursts an hour of their own, eight may once fit an event."""
    made = sequence()
    with listen():
        found = earthquakes(noisy(kind, seed, 60.0), made.stations, velocity_model=made.velocity_model)
    assert len(found) <= most


# Bad input


def test_what_is_missing_is_named_once():
    made = sequence()
    short = made.waveforms.slice(made.waveforms[0].stats.starttime, made.waveforms[0].stats.starttime + 20)
    waveforms = Stream(trace for trace in short if trace.stats.station != "GEN01")
    stations = made.stations.select(station="GEN0*")
    with listen() as heard:
        assert len(earthquakes(waveforms, stations, velocity_model=made.velocity_model)) == 0
    said = [(one.subject, one.problem) for one in heard.notices]
    assert ("XX.GEN01", "has coordinates but no waveforms") in said
    assert {subject for subject, problem in said if "no coordinates" in problem} == {
        "XX.GEN10",
        "XX.GEN11",
        "XX.GEN12",
    }
    assert len(said) == len(set(said)) == 4


def test_without_responses_there_are_no_magnitudes():
    made = sequence()
    start = made.truth[0].origins[0].time
    stations = made.stations.copy()
    for station in stations[0]:
        station.channels = []
    with listen() as heard:
        (event,) = earthquakes(
            made.waveforms.slice(start - 20, start + 40), stations, velocity_model=made.velocity_model
        )
    assert event.preferred_origin() is not None
    assert event.magnitudes == []
    assert [one.subject for one in heard.notices] == ["the stations"]


def test_no_station_in_common():
    made = sequence()
    other = Inventory([Network("YY", stations=[Station("A", 10.0, 10.0, 0.0)])])
    with listen(), pytest.raises(MissingCoordinates, match="GEN01"):
        earthquakes(made.waveforms, other, velocity_model=made.velocity_model)


def test_a_misplaced_station_is_left_out_and_spoils_nothing():
    made = sequence()
    start = made.truth[0].origins[0].time
    stations = made.stations.copy()
    stations[0][3].latitude = stations[0][3].longitude = 0.0
    for channel in stations[0][3]:
        channel.latitude = channel.longitude = 0.0
    with listen() as heard:
        (event,) = earthquakes(
            made.waveforms.slice(start - 20, start + 40), stations, velocity_model=made.velocity_model
        )
    assert [one.subject for one in heard.notices if one.loss] == ["XX.GEN04"]
    origin = made.truth[0].origins[0]
    assert away(event.preferred_origin(), origin.latitude, origin.longitude) < 1.0


def test_a_model_without_s_needs_a_ratio():
    made = sequence()
    model = VelocityModel(made.velocity_model.depth_km, made.velocity_model.vp_km_s, (None,) * 5)
    with pytest.raises(BadVelocityModel, match="vp_vs"):
        earthquakes(made.waveforms, made.stations, velocity_model=model)
