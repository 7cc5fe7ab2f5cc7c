"""Local magnitude: where it is read, and everything that can be wrong with data and events."""

import numpy as np
import pytest
from obspy import Stream
from obspy.core.event import Arrival, Catalog, Event, Magnitude, Pick, ResourceIdentifier, WaveformStreamID

from workbench.errors import MissingResponse, NoData
from workbench.kernels.magnitudes import local
from workbench.notices import listen


def test_picks_say_where_to_look(quakes):
    """With a wrong origin time, the S pick finds the wave, and is named."""
    stream, stations = quakes.record(3.0, names="A")
    s = Pick(
        resource_id=ResourceIdentifier("smi:test/pick/1"),
        time=quakes.peak("A") - 2,
        phase_hint="Sg",
        waveform_id=WaveformStreamID("XX", "A", None, "HHN"),
    )
    located = quakes.event()
    located.picks.append(s)
    located.origins[0].arrivals.append(
        Arrival(resource_id=ResourceIdentifier("smi:test/arrival/1"), pick_id=s.resource_id, phase="S")
    )
    (found,), _ = quakes.measured(stream, stations, Catalog([located]))
    assert {item.pick_id.id for item in found.amplitudes} == {"smi:test/pick/1"}
    window = found.amplitudes[0].time_window
    assert abs(window.reference - window.begin - (s.time - 1)) < 0.02
    assert found.picks[0].resource_id.id == "smi:test/pick/1"
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.01)


def test_the_next_event_is_kept_out(quakes):
    """A larger one 18 s later falls into the window of the first, but not into its amplitude."""
    small, stations = quakes.record(2.0)
    large, _ = quakes.record(4.0, after=18)
    for trace, other in zip(small, large, strict=True):
        trace.data = trace.data + other.data
    alone, _ = quakes.measured(small, stations)
    assert alone[0].magnitudes[0].mag > 2.5
    both, _ = quakes.measured(small, stations, Catalog([quakes.event(), quakes.event(1, 18)]))
    assert both[0].magnitudes[0].mag == pytest.approx(2.0, abs=0.05)
    assert both[1].magnitudes[0].mag == pytest.approx(4.0, abs=0.01)


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(quakes):
    stream, stations = quakes.record(3.0)
    stream.select(station="A", component="N")[0].data[:] = 0
    clipped = stream.select(station="A", component="E")[0]
    limit = round(0.3 * np.abs(clipped.data).max())
    clipped.data = clipped.data.clip(-limit, limit)
    peak = quakes.peak("B")
    gappy = stream.select(station="B", component="N")[0]
    stream.remove(gappy)
    stream += Stream([gappy.slice(endtime=peak - 1), gappy.slice(peak + 1)])
    broken = stream.select(station="B", component="E")[0]
    broken.data = broken.data.astype(float)
    broken.data[round((peak - broken.stats.starttime) * 100)] = np.nan
    noisy = stream.select(station="C", component="N")[0]
    noisy.data = np.random.default_rng(1).normal(0, 1e5, len(noisy.data)).astype(np.int32)
    stations.networks[3][0][0].response = None
    (found,), said = quakes.measured(stream, stations)
    assert [item.waveform_id.get_seed_string() for item in found.amplitudes] == [
        "XX.C..HHE",
        "XX.D..HHE",
        "XX.E..HHE",
        "XX.E..HHN",
    ]
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.02)
    problems = {subject: problem for subject, problem, _ in said if not subject.startswith("smi")}
    assert "keeps one value (0)" in problems["XX.A..HHN"]
    assert "is clipped after" in problems["XX.A..HHE"]
    assert "has a gap between" in problems["XX.B..HHN"]
    assert "has a gap between" in problems["XX.B..HHE"]
    assert "is given without a response" in problems["XX.D..HHN"]
    assert ("smi:test/event/0", "does not stand out of the noise on XX.C..HHN", False) in said


def test_stations_without_coordinates_horizontals_or_speed_are_named(quakes):
    stream, stations = quakes.record(3.0)
    for channel in stream.select(station="A", channel="HH[NE]"):
        stream.remove(channel)
    for channel in stream.select(station="B"):
        channel.stats.station = "NOWHERE"
    for channel in stream.select(station="C"):
        channel.decimate(25, no_filter=True)
    (found,), said = quakes.measured(stream, stations)
    assert found.magnitudes[0].station_count == 2
    assert ("XX.A", "has no horizontal channel", False) in said
    assert ("XX.NOWHERE", "has data but no coordinates", True) in said
    assert ("XX.C..HHN", "has 4 samples a second, too few for a Wood-Anderson", False) in said


def test_stations_that_are_far_away_give_nothing(quakes):
    stream, stations = quakes.record(3.0)
    (found,), said = quakes.measured(stream, stations, max_distance=45.0)
    assert found.magnitudes[0].station_count == 3
    assert said == []


def test_too_few_stations_give_no_magnitude(quakes):
    stream, stations = quakes.record(3.0, names="AB")
    (found,), said = quakes.measured(stream, stations, min_stations=3)
    assert found.magnitudes == []
    assert found.preferred_magnitude_id is None
    assert len(found.station_magnitudes) == 4
    assert said == [("smi:test/event/0", "has amplitudes at 2 stations", False)]
    (found,), _ = quakes.measured(*quakes.record(3.0, names="A"))
    assert found.magnitudes[0].station_count == 1
    assert found.magnitudes[0].mag_errors.uncertainty is None


def test_an_event_outside_the_data_gets_no_magnitude(quakes):
    (found,), said = quakes.measured(*quakes.record(), Catalog([quakes.event(0, 5000.0)]))
    assert found.magnitudes == found.amplitudes == []
    assert said == [("smi:test/event/0", "has amplitudes at 0 stations", False)]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (lambda _: Event(resource_id=ResourceIdentifier("smi:test/event/9")), "has no origin"),
        (lambda quakes: quakes.event(9, latitude=None), "has an origin without time or epicentre"),
    ],
)
def test_an_event_that_is_not_located_is_named(quakes, bad, problem):
    found, said = quakes.measured(*quakes.record(), Catalog([bad(quakes), quakes.event()]))
    assert said == [("smi:test/event/9", problem, True)]
    assert found[0].magnitudes == []
    assert found[1].magnitudes[0].mag == pytest.approx(3.0, abs=0.01)


def test_an_origin_without_a_depth_is_taken_at_10_km(quakes):
    (found,), said = quakes.measured(*quakes.record(), Catalog([quakes.event(depth=None)]))
    assert said == [("smi:test/event/0", "has an origin without a depth", False)]
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.02)


def test_data_that_begin_after_p_are_measured_without_a_noise_check(quakes):
    stream, stations = quakes.record(3.0, names="A")
    (found,), _ = quakes.measured(stream.slice(quakes.p("A")), stations)
    assert found.amplitudes[0].snr is None
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    ("values", "stays"),
    [({"evaluation_mode": "manual"}, True), ({"evaluation_status": "final"}, True), ({}, False)],
)
def test_a_reviewed_magnitude_stays_preferred(quakes, values, stays):
    name = ResourceIdentifier("smi:test/magnitude/1")
    located = quakes.event()
    located.magnitudes.append(Magnitude(resource_id=name, mag=3.3, magnitude_type="Mw", **values))
    located.preferred_magnitude_id = ResourceIdentifier(name.id)
    (found,), _ = quakes.measured(*quakes.record(), Catalog([located]))
    assert [item.magnitude_type for item in found.magnitudes] == ["Mw", "ML"]
    assert (found.preferred_magnitude().magnitude_type == "Mw") is stays


def test_no_responses_no_data_and_no_events(quakes):
    stream, stations = quakes.record()
    with listen(), pytest.raises(NoData):
        local(Stream(), stations, Catalog([quakes.event()]))
    assert len(quakes.measured(stream, stations, Catalog())[0]) == 0
    for net in stations:
        for channel in net[0]:
            channel.response = None
    with listen(), pytest.raises(MissingResponse, match="all 10 channels: no instrument response fits"):
        local(stream, stations, Catalog([quakes.event()]))
