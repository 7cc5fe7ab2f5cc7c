"""Local magnitude: known ground motion, published cases, and everything that can be wrong."""

import io
from copy import deepcopy

import numpy as np
import obspy
import pytest
from obspy import Inventory, Stream, Trace, UTCDateTime
from obspy.core.event import (
    Arrival,
    Catalog,
    Event,
    Magnitude,
    Origin,
    Pick,
    ResourceIdentifier,
    WaveformStreamID,
)
from obspy.core.inventory import Network, Station

from workbench.errors import InvalidSetting, MissingResponse, NoData
from workbench.kernels.magnitudes import local
from workbench.maths.attenuation import hutton_boore
from workbench.maths.geodesy import distance_azimuth, from_plane
from workbench.notices import listen

T0 = UTCDateTime(2020, 1, 1)
ORIGIN = 40.0
LATITUDE, LONGITUDE, DEPTH = 40.0, 20.0, 8.0
PLACES = {"A": (0.0, 30.0), "B": (40.0, 0.0), "C": (-25.0, -25.0), "D": (10.0, -60.0), "E": (-50.0, 20.0)}
"""East and north of the epicentre, km."""


def event(number=0, time=ORIGIN, **origin):
    values = {"latitude": LATITUDE, "longitude": LONGITUDE, "depth": DEPTH * 1000, "time": T0 + time}
    name = ResourceIdentifier(f"smi:test/origin/{number}")
    return Event(
        resource_id=ResourceIdentifier(f"smi:test/event/{number}"),
        origins=[Origin(resource_id=name, **{**values, **origin})],
    )


def place(name):
    latitude, longitude = from_plane(*PLACES[name], LATITUDE, LONGITUDE)
    return float(latitude), float(longitude)


def away(name, elevation=0.0):
    flat, _ = distance_azimuth(LATITUDE, LONGITUDE, *place(name))
    return float(np.hypot(flat, DEPTH + elevation))


@pytest.fixture(scope="module")
def network(inventory, recorded):
    """Return waveforms and stations of an earthquake of a known ML.

    S is a wave group of 2 Hz, of which the Wood-Anderson would have written as
    many mm as that ML has at that distance; P is a tenth of it.
    """

    def make(magnitude=3.0, names="ABCDE", components="NEZ", at=ORIGIN, rate=100.0, gain=1e9, seconds=150.0):
        rng = np.random.default_rng(5)
        time = np.arange(round(seconds * rate)) / rate
        stream, stations = Stream(), []
        for name in names:
            r = away(name)
            millimetres = 10 ** (magnitude - float(hutton_boore(r)))
            s = 2j * np.pi * 2.0
            free = 2 * np.pi * 1.25
            metres = millimetres / 1000 / abs(2080 * s**2 / (s**2 + 1.4 * free * s + free**2))
            motion = sum(
                share * np.exp(-(((time - onset) / 1.5) ** 2)) * np.cos(2 * np.pi * 2.0 * (time - onset))
                for share, onset in ((0.1, at + r / 6.0 + 1), (1.0, at + r / 3.5 + 3))
            )
            for component in components:
                name_ = f"XX.{name}..HH{component}"
                counts = recorded(metres * motion, rate, "broadband", gain) + rng.normal(0, 3, len(time))
                header = {"network": "XX", "station": name, "channel": f"HH{component}"}
                header |= {"sampling_rate": rate, "starttime": T0}
                stream.append(Trace(np.round(counts).astype(np.int32), header))
                latitude, longitude = place(name)
                stations.append(
                    inventory(name_, gain=gain, latitude=latitude, longitude=longitude, rate=rate)
                )
        return stream, merged(stations)

    return make


def merged(parts):
    """Put channels of one station into one station element."""
    whole = Inventory()
    known = {}
    for part in parts:
        for net in part:
            for station in net:
                key = (net.code, station.code)
                if key in known:
                    known[key].channels.extend(station.channels)
                else:
                    known[key] = station
                    whole.networks.append(net)
    return whole


def measured(stream, stations, events=None, **values):
    with listen() as heard:
        found = local(stream, stations, Catalog([event()]) if events is None else events, **values)
    return found, [(item.subject, item.problem, item.loss) for item in heard.notices]


def test_a_known_ground_motion_has_its_magnitude(network):
    (found,), said = measured(*network(3.0))
    (magnitude,) = found.magnitudes
    assert magnitude.mag == pytest.approx(3.0, abs=0.01)
    assert magnitude.mag_errors.uncertainty < 0.02
    assert (magnitude.magnitude_type, magnitude.station_count) == ("ML", 5)
    assert len(found.amplitudes) == len(found.station_magnitudes) == 10
    assert [item.mag for item in found.station_magnitudes] == pytest.approx([3.0] * 10, abs=0.02)
    assert magnitude.azimuthal_gap == pytest.approx(100, abs=20)
    assert said == []


@pytest.mark.parametrize("rate", [20.0, 40.0, 250.0])
def test_the_sampling_rate_does_not_matter(network, rate):
    (found,), _ = measured(*network(3.0, rate=rate))
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.01)


def test_amplitudes_say_what_when_and_where(network):
    stream, stations = network(3.0, names="A")
    (found,), _ = measured(stream, stations)
    amplitude = found.amplitudes[0]
    assert amplitude.waveform_id.get_seed_string() == "XX.A..HHE"
    assert (amplitude.type, amplitude.unit, amplitude.category) == ("AML", "m", "point")
    assert amplitude.generic_amplitude == pytest.approx(
        10 ** (3 - float(hutton_boore(away("A")))) / 1000, rel=0.03
    )
    assert amplitude.period == pytest.approx(0.5, abs=0.05)
    assert amplitude.snr > 100
    peak = T0 + ORIGIN + away("A") / 3.5 + 3
    assert abs(amplitude.scaling_time - peak) < 0.5
    assert amplitude.time_window.reference == amplitude.scaling_time
    assert "gain 2080" in amplitude.comments[0].text


def test_everything_refers_to_everything_and_quakeml_agrees(network):
    stream, stations = network()
    (found,), _ = measured(stream, stations)
    (magnitude,) = found.magnitudes
    amplitudes = {item.resource_id.id for item in found.amplitudes}
    stations_ = {item.resource_id.id: item for item in found.station_magnitudes}
    assert {item.amplitude_id.id for item in stations_.values()} == amplitudes
    assert {item.origin_id.id for item in stations_.values()} == {"smi:test/origin/0"}
    assert {item.station_magnitude_id.id for item in magnitude.station_magnitude_contributions} == set(
        stations_
    )
    for item in magnitude.station_magnitude_contributions:
        assert item.weight == 0.5
        assert item.residual == pytest.approx(stations_[item.station_magnitude_id.id].mag - magnitude.mag)
    assert magnitude.origin_id.id == "smi:test/origin/0"
    assert found.preferred_magnitude_id.id == magnitude.resource_id.id
    assert found.preferred_magnitude() is magnitude
    assert magnitude.method_id.id == "smi:workbench/method/magnitudes.local/HB87"
    every = [*found.amplitudes, *found.station_magnitudes, magnitude, *magnitude.comments]
    assert all(item.resource_id.id.startswith("smi:workbench/") for item in every)
    buffer = io.BytesIO()
    Catalog([found], resource_id="smi:test/catalogue").write(buffer, "QUAKEML", validate=True)


def test_neither_order_nor_a_second_run_change_a_byte(network):
    stream, stations = network()
    before = stream.copy()
    events = Catalog([event()])

    def quakeml(catalogue):
        buffer = io.BytesIO()
        Catalog(catalogue.events, resource_id="smi:test/catalogue").write(buffer, "QUAKEML")
        return buffer.getvalue()

    first, _ = measured(stream, stations, events)
    turned, _ = measured(Stream(stream[::-1]), Inventory(stations.networks[::-1]), events)
    again, _ = measured(stream, stations, first)
    assert quakeml(first) == quakeml(turned) == quakeml(again)
    assert stream == before
    assert events[0] == event()


def test_settings_are_part_of_the_ids(network):
    stream, stations = network()
    (first,), _ = measured(stream, stations)
    (second,), _ = measured(stream, stations, Catalog([first]), wa_gain=2800.0)
    assert len({item.resource_id.id for item in second.magnitudes}) == 2
    assert second.magnitudes[1].mag - second.magnitudes[0].mag == pytest.approx(
        np.log10(2800 / 2080), abs=1e-9
    )


def test_iaspei_is_hutton_boore_to_0_002_whatever_the_gain(network):
    stream, stations = network()
    (hb87,), _ = measured(stream, stations)
    for gain in (2080.0, 2800.0):
        (iaspei,), _ = measured(stream, stations, scale="IASPEI", wa_gain=gain)
        assert abs(iaspei.magnitudes[0].mag - hb87.magnitudes[0].mag) < 0.002


def test_an_own_table(network):
    stream, stations = network()
    distance = np.arange(1.0, 101.0)
    rows = tuple((float(r), float(hutton_boore(r)) + 1) for r in distance)
    (found,), said = measured(stream, stations, scale="table", table=rows)
    assert found.magnitudes[0].mag == pytest.approx(4.0, abs=0.01)
    (found,), said = measured(stream, stations, scale="table", table=rows[:50])
    assert found.magnitudes[0].station_count == 3
    assert said == [
        ("smi:test/event/0", "is at distances outside the table from XX.D, XX.E", False),
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"scale": "table"}, "scale is 'table', but there is no table"),
        ({"table": ((1.0, 1.0), (2.0, 2.0))}, "scale is 'HB87', but there is a table"),
        ({"scale": "table", "table": ((1.0, 1.0),)}, "does not have two rows"),
        ({"scale": "table", "table": ((2.0, 1.0), (1.0, 2.0))}, "growing distances"),
        ({"freqmin": 3.0, "freqmax": 2.5}, "freqmin = 3 Hz is not below"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(network, values, problem):
    with pytest.raises(InvalidSetting, match=problem):
        local(*network(names="A"), Catalog([event()]), **values)


def test_depth_and_elevation_count(network):
    stream, stations = network(3.0)
    (flat,), _ = measured(stream, stations)
    for net in stations:
        for channel in net[0]:
            channel.elevation = 2000.0
    (high,), _ = measured(stream, stations)
    shifts = {}
    for before, after in zip(flat.station_magnitudes, high.station_magnitudes, strict=True):
        name = before.waveform_id.station_code
        shifts[name] = after.mag - before.mag
        want = float(hutton_boore(away(name, 2.0)) - hutton_boore(away(name)))
        assert shifts[name] == pytest.approx(want, abs=1e-6)
    assert shifts["A"] > 0.009


def test_one_station_that_is_far_off_moves_little(network):
    stream, stations = network(3.0)
    for trace in stream.select(station="C"):
        trace.data = trace.data * 300
    (found,), _ = measured(stream, stations)
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.02)
    residuals = [abs(item.residual) for item in found.magnitudes[0].station_magnitude_contributions]
    assert sorted(residuals)[-2:] == pytest.approx([2.48, 2.48], abs=0.05)


def test_a_station_counts_once_however_many_sensors_it_has(network):
    stream, stations = network(3.0, names="ABC")
    for trace in stream.select(station="B"):
        second = trace.copy()
        second.stats.location = "10"
        second.data = second.data * 10
        stream.append(second)
    for channel in list(stations.networks[1][0]):
        twin = deepcopy(channel)
        twin.location_code = "10"
        stations.networks[1][0].channels.append(twin)
    (found,), _ = measured(stream, stations)
    assert found.magnitudes[0].station_count == 3
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.01)
    weights = {}
    for item, station in zip(
        found.magnitudes[0].station_magnitude_contributions, found.station_magnitudes, strict=True
    ):
        code = station.waveform_id.station_code
        weights[code] = weights.get(code, 0) + item.weight
    assert weights == pytest.approx({"A": 1, "B": 1, "C": 1})


def test_picks_say_where_to_look(network):
    """With a wrong origin time, the S pick finds the wave, and is named."""
    stream, stations = network(3.0, names="A")
    s = Pick(
        resource_id=ResourceIdentifier("smi:test/pick/1"),
        time=T0 + ORIGIN + away("A") / 3.5 + 1,
        phase_hint="Sg",
        waveform_id=WaveformStreamID("XX", "A", None, "HHN"),
    )
    located = event()
    located.picks.append(s)
    located.origins[0].arrivals.append(
        Arrival(resource_id=ResourceIdentifier("smi:test/arrival/1"), pick_id=s.resource_id, phase="S")
    )
    (found,), _ = measured(stream, stations, Catalog([located]))
    assert {item.pick_id.id for item in found.amplitudes} == {"smi:test/pick/1"}
    window = found.amplitudes[0].time_window
    assert abs(window.reference - window.begin - (s.time - 1)) < 0.02
    assert found.picks[0].resource_id.id == "smi:test/pick/1"
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.01)


def test_the_next_event_is_kept_out(network):
    """A larger one 18 s later falls into the window of the first, but not into its amplitude."""
    small, stations = network(2.0)
    large, _ = network(4.0, at=ORIGIN + 18)
    for trace, other in zip(small, large, strict=True):
        trace.data = trace.data + other.data
    alone, _ = measured(small, stations)
    assert alone[0].magnitudes[0].mag > 2.5
    both, _ = measured(small, stations, Catalog([event(), event(1, ORIGIN + 18)]))
    assert both[0].magnitudes[0].mag == pytest.approx(2.0, abs=0.05)
    assert both[1].magnitudes[0].mag == pytest.approx(4.0, abs=0.01)


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(network):
    stream, stations = network(3.0)
    stream.select(station="A", component="N")[0].data[:] = 0
    clipped = stream.select(station="A", component="E")[0]
    limit = round(0.3 * np.abs(clipped.data).max())
    clipped.data = clipped.data.clip(-limit, limit)
    peak = T0 + ORIGIN + away("B") / 3.5 + 3
    gappy = stream.select(station="B", component="N")[0]
    stream.remove(gappy)
    stream += Stream([gappy.slice(T0, peak - 1), gappy.slice(peak + 1, T0 + 150)])
    broken = stream.select(station="B", component="E")[0]
    broken.data = broken.data.astype(float)
    broken.data[round((peak - T0) * 100)] = np.nan
    noisy = stream.select(station="C", component="N")[0]
    noisy.data = np.random.default_rng(1).normal(0, 1e5, len(noisy.data)).astype(np.int32)
    stations.networks[3][0][0].response = None
    (found,), said = measured(stream, stations)
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


def test_stations_without_coordinates_horizontals_or_speed_are_named(network):
    stream, stations = network(3.0)
    for channel in stream.select(station="A", channel="HH[NE]"):
        stream.remove(channel)
    for channel in stream.select(station="B"):
        channel.stats.station = "NOWHERE"
    for channel in stream.select(station="C"):
        channel.decimate(25, no_filter=True)
    (found,), said = measured(stream, stations)
    assert found.magnitudes[0].station_count == 2
    assert ("XX.A", "has no horizontal channel", False) in said
    assert ("XX.NOWHERE", "has data but no coordinates", True) in said
    assert ("XX.C..HHN", "has 4 samples a second, too few for a Wood-Anderson", False) in said


def test_stations_that_are_far_away_give_nothing(network):
    stream, stations = network(3.0)
    (found,), said = measured(stream, stations, max_distance=45.0)
    assert found.magnitudes[0].station_count == 3
    assert said == []


def test_too_few_stations_give_no_magnitude(network):
    stream, stations = network(3.0, names="AB")
    (found,), said = measured(stream, stations, min_stations=3)
    assert found.magnitudes == []
    assert found.preferred_magnitude_id is None
    assert len(found.station_magnitudes) == 4
    assert said == [("smi:test/event/0", "has amplitudes at 2 stations", False)]
    (found,), _ = measured(*network(3.0, names="A"))
    assert found.magnitudes[0].station_count == 1
    assert found.magnitudes[0].mag_errors.uncertainty is None


def test_an_event_outside_the_data_gets_no_magnitude(network):
    (found,), said = measured(*network(), Catalog([event(0, 5000.0)]))
    assert found.magnitudes == found.amplitudes == []
    assert said == [("smi:test/event/0", "has amplitudes at 0 stations", False)]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (Event(resource_id=ResourceIdentifier("smi:test/event/9")), "has no origin"),
        (event(9, latitude=None), "has an origin without time or epicentre"),
    ],
)
def test_an_event_that_is_not_located_is_named(network, bad, problem):
    found, said = measured(*network(), Catalog([bad, event()]))
    assert said == [("smi:test/event/9", problem, True)]
    assert found[0].magnitudes == []
    assert found[1].magnitudes[0].mag == pytest.approx(3.0, abs=0.01)


def test_an_origin_without_a_depth_is_taken_at_10_km(network):
    (found,), said = measured(*network(), Catalog([event(depth=None)]))
    assert said == [("smi:test/event/0", "has an origin without a depth", False)]
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.02)


def test_data_that_begin_after_p_are_measured_without_a_noise_check(network):
    stream, stations = network(3.0, names="A")
    (found,), _ = measured(stream.slice(T0 + ORIGIN + away("A") / 6.0), stations)
    assert found.amplitudes[0].snr is None
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    ("values", "stays"),
    [({"evaluation_mode": "manual"}, True), ({"evaluation_status": "final"}, True), ({}, False)],
)
def test_a_reviewed_magnitude_stays_preferred(network, values, stays):
    name = ResourceIdentifier("smi:test/magnitude/1")
    located = event()
    located.magnitudes.append(Magnitude(resource_id=name, mag=3.3, magnitude_type="Mw", **values))
    located.preferred_magnitude_id = ResourceIdentifier(name.id)
    (found,), _ = measured(*network(), Catalog([located]))
    assert [item.magnitude_type for item in found.magnitudes] == ["Mw", "ML"]
    assert (found.preferred_magnitude().magnitude_type == "Mw") is stays


def test_no_responses_no_data_and_no_events(network):
    stream, stations = network()
    with listen(), pytest.raises(NoData):
        local(Stream(), stations, Catalog([event()]))
    assert len(measured(stream, stations, Catalog())[0]) == 0
    for net in stations:
        for channel in net[0]:
            channel.response = None
    with listen(), pytest.raises(MissingResponse, match="all 10 channels: no instrument response fits"):
        local(stream, stations, Catalog([event()]))


def recordings(folder):
    stream, stations = Stream(), Inventory()
    for path in sorted((folder / "waveforms").iterdir()):
        stream += obspy.read(str(path))
    for path in sorted([*folder.glob("stations/*.xml"), *folder.glob("stations.xml")]):
        stations += obspy.read_inventory(str(path))
    return stream, stations


@pytest.mark.shared
def test_livermore(shared):
    """The plain run of the README takes the responses as given, of which 5 of 12 are wrong."""
    folder = shared("livermore2019_nc40191336")
    stream, stations = recordings(folder)
    events = obspy.read_events(str(folder / "reference" / "event.quakeml.xml"))
    (found,), said = measured(stream, stations, events)
    magnitude = found.preferred_magnitude()
    assert magnitude.mag == pytest.approx(4.54, abs=0.1)
    every = [item.mag for item in found.station_magnitudes]
    assert len(every) == 24
    assert np.median(every) == pytest.approx(4.54, abs=0.1)
    suspects = {subject.split(".")[1] for subject, problem, _ in said if "digital filter" in problem}
    assert suspects == {"BUCR", "OAKV", "QRDG", "RUSS", "WELL"}
    (mended,), _ = measured(stream, stations, events, digital_filters="mended")
    assert mended.preferred_magnitude().mag == pytest.approx(4.02, abs=0.05)
    spreads = [item.preferred_magnitude().mag_errors.uncertainty for item in (found, mended)]
    assert spreads[1] < 0.5 * spreads[0]


@pytest.mark.shared
def test_corinth(shared):
    stream, stations = recordings(shared("crl_corinth20100118"))
    origin = Origin(
        time=UTCDateTime("2010-01-18T17:04:06.39"),
        latitude=38 + 24.81 / 60,
        longitude=21 + 54.66 / 60,
        depth=7630.0,
    )
    (found,), said = measured(stream, stations, Catalog([Event(origins=[origin])]))
    assert found.magnitudes[0].mag == pytest.approx(2.16, abs=0.5)
    assert found.magnitudes[0].station_count >= 10
    subjects = {subject for subject, _, _ in said}
    assert {"CL.TRIZ.00.HH2", "HP.LTK", "HP.UPR", "HA.LAKA"} <= subjects


@pytest.mark.shared
def test_holuhraun_has_no_responses(shared):
    folder = shared("holuhraun2014")
    stream = obspy.read(str(folder / "waveforms" / "Z7.FLUR.mseed"))
    rows = [line.split(",") for line in (folder / "stations.csv").read_text().splitlines()[1:]]
    sites = [Station(code, *(float(value) for value in where)) for _, code, *where in rows]
    with listen(), pytest.raises(MissingResponse, match="no instrument response fits"):
        local(stream, Inventory([Network("Z7", sites)]), Catalog([event()]))
