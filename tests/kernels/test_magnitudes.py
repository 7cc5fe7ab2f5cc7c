"""Local magnitude: known ground motion, published cases, and QuakeML that hangs together."""

import io
from copy import deepcopy

import numpy as np
import obspy
import pytest
from obspy import Inventory, Stream, UTCDateTime
from obspy.core.event import Catalog, Event, Origin
from obspy.core.inventory import Network, Station

from workbench.errors import InvalidSetting, MissingResponse
from workbench.kernels.magnitudes import local
from workbench.maths.attenuation import hutton_boore
from workbench.notices import listen


def test_a_known_ground_motion_has_its_magnitude(quakes):
    (found,), said = quakes.measured(*quakes.record(3.0))
    (magnitude,) = found.magnitudes
    assert magnitude.mag == pytest.approx(3.0, abs=0.01)
    assert magnitude.mag_errors.uncertainty < 0.02
    assert (magnitude.magnitude_type, magnitude.station_count) == ("ML", 5)
    assert len(found.amplitudes) == len(found.station_magnitudes) == 10
    assert [item.mag for item in found.station_magnitudes] == pytest.approx([3.0] * 10, abs=0.02)
    assert magnitude.azimuthal_gap == pytest.approx(100, abs=20)
    assert said == []


@pytest.mark.parametrize("rate", [20.0, 40.0, 250.0])
def test_the_sampling_rate_does_not_matter(quakes, rate):
    (found,), _ = quakes.measured(*quakes.record(3.0, rate=rate))
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.01)


def test_amplitudes_say_what_when_and_where(quakes):
    stream, stations = quakes.record(3.0, names="A")
    (found,), _ = quakes.measured(stream, stations)
    amplitude = found.amplitudes[0]
    assert amplitude.waveform_id.get_seed_string() == "XX.A..HHE"
    assert (amplitude.type, amplitude.unit, amplitude.category) == ("AML", "m", "point")
    assert amplitude.generic_amplitude == pytest.approx(
        10 ** (3 - float(hutton_boore(quakes.away("A")))) / 1000, rel=0.03
    )
    assert amplitude.period == pytest.approx(0.5, abs=0.05)
    assert amplitude.snr > 100
    peak = quakes.peak("A")
    assert abs(amplitude.scaling_time - peak) < 0.5
    assert amplitude.time_window.reference == amplitude.scaling_time
    assert "gain 2080" in amplitude.comments[0].text


def test_everything_refers_to_everything_and_quakeml_agrees(quakes):
    stream, stations = quakes.record()
    (found,), _ = quakes.measured(stream, stations)
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


def test_neither_order_nor_a_second_run_change_a_byte(quakes):
    stream, stations = quakes.record()
    before = stream.copy()
    events = Catalog([quakes.event()])

    def quakeml(catalogue):
        buffer = io.BytesIO()
        Catalog(catalogue.events, resource_id="smi:test/catalogue").write(buffer, "QUAKEML")
        return buffer.getvalue()

    first, _ = quakes.measured(stream, stations, events)
    turned, _ = quakes.measured(Stream(stream[::-1]), Inventory(stations.networks[::-1]), events)
    again, _ = quakes.measured(stream, stations, first)
    assert quakeml(first) == quakeml(turned) == quakeml(again)
    assert stream == before
    assert events[0] == quakes.event()


def test_settings_are_part_of_the_ids(quakes):
    stream, stations = quakes.record()
    (first,), _ = quakes.measured(stream, stations)
    (second,), _ = quakes.measured(stream, stations, Catalog([first]), wa_gain=2800.0)
    assert len({item.resource_id.id for item in second.magnitudes}) == 2
    assert second.magnitudes[1].mag - second.magnitudes[0].mag == pytest.approx(
        np.log10(2800 / 2080), abs=1e-9
    )


def test_iaspei_is_hutton_boore_to_0_002_whatever_the_gain(quakes):
    stream, stations = quakes.record()
    (hb87,), _ = quakes.measured(stream, stations)
    for gain in (2080.0, 2800.0):
        (iaspei,), _ = quakes.measured(stream, stations, scale="IASPEI", wa_gain=gain)
        assert abs(iaspei.magnitudes[0].mag - hb87.magnitudes[0].mag) < 0.002


def test_an_own_table(quakes):
    stream, stations = quakes.record()
    distance = np.arange(1.0, 101.0)
    rows = tuple((float(r), float(hutton_boore(r)) + 1) for r in distance)
    (found,), said = quakes.measured(stream, stations, scale="table", table=rows)
    assert found.magnitudes[0].mag == pytest.approx(4.0, abs=0.01)
    (found,), said = quakes.measured(stream, stations, scale="table", table=rows[:50])
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
def test_settings_that_contradict_each_other_are_refused(quakes, values, problem):
    with pytest.raises(InvalidSetting, match=problem):
        local(*quakes.record(names="A"), Catalog([quakes.event()]), **values)


def test_depth_and_elevation_count(quakes):
    stream, stations = quakes.record(3.0)
    (flat,), _ = quakes.measured(stream, stations)
    for net in stations:
        for channel in net[0]:
            channel.elevation = 2000.0
    (high,), _ = quakes.measured(stream, stations)
    shifts = {}
    for before, after in zip(flat.station_magnitudes, high.station_magnitudes, strict=True):
        name = before.waveform_id.station_code
        shifts[name] = after.mag - before.mag
        want = float(hutton_boore(quakes.away(name, 2.0)) - hutton_boore(quakes.away(name)))
        assert shifts[name] == pytest.approx(want, abs=1e-6)
    assert shifts["A"] > 0.009


def test_one_station_that_is_far_off_moves_little(quakes):
    stream, stations = quakes.record(3.0)
    for trace in stream.select(station="C"):
        trace.data = trace.data * 300
    (found,), _ = quakes.measured(stream, stations)
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.02)
    residuals = [abs(item.residual) for item in found.magnitudes[0].station_magnitude_contributions]
    assert sorted(residuals)[-2:] == pytest.approx([2.48, 2.48], abs=0.05)


def test_a_station_counts_once_however_many_sensors_it_has(quakes):
    stream, stations = quakes.record(3.0, names="ABC")
    for trace in stream.select(station="B"):
        second = trace.copy()
        second.stats.location = "10"
        second.data = second.data * 10
        stream.append(second)
    for channel in list(stations.networks[1][0]):
        twin = deepcopy(channel)
        twin.location_code = "10"
        stations.networks[1][0].channels.append(twin)
    (found,), _ = quakes.measured(stream, stations)
    assert found.magnitudes[0].station_count == 3
    assert found.magnitudes[0].mag == pytest.approx(3.0, abs=0.01)
    weights = {}
    for item, station in zip(
        found.magnitudes[0].station_magnitude_contributions, found.station_magnitudes, strict=True
    ):
        code = station.waveform_id.station_code
        weights[code] = weights.get(code, 0) + item.weight
    assert weights == pytest.approx({"A": 1, "B": 1, "C": 1})


def recordings(folder):
    stream, stations = Stream(), Inventory()
    for path in sorted((folder / "waveforms").iterdir()):
        stream += obspy.read(str(path))
    for path in sorted([*folder.glob("stations/*.xml"), *folder.glob("stations.xml")]):
        stations += obspy.read_inventory(str(path))
    return stream, stations


@pytest.mark.shared
def test_livermore(quakes, shared):
    """The plain run of the README takes the responses as given, of which 5 of 12 are wrong."""
    folder = shared("livermore2019_nc40191336")
    stream, stations = recordings(folder)
    events = obspy.read_events(str(folder / "reference" / "event.quakeml.xml"))
    (found,), said = quakes.measured(stream, stations, events)
    magnitude = found.preferred_magnitude()
    assert magnitude.mag == pytest.approx(4.54, abs=0.1)
    every = [item.mag for item in found.station_magnitudes]
    assert len(every) == 24
    assert np.median(every) == pytest.approx(4.54, abs=0.1)
    suspects = {subject.split(".")[1] for subject, problem, _ in said if "digital filter" in problem}
    assert suspects == {"BUCR", "OAKV", "QRDG", "RUSS", "WELL"}
    (mended,), _ = quakes.measured(stream, stations, events, digital_filters="mended")
    assert mended.preferred_magnitude().mag == pytest.approx(4.02, abs=0.05)
    spreads = [item.preferred_magnitude().mag_errors.uncertainty for item in (found, mended)]
    assert spreads[1] < 0.5 * spreads[0]


@pytest.mark.shared
def test_corinth(quakes, shared):
    stream, stations = recordings(shared("crl_corinth20100118"))
    origin = Origin(
        time=UTCDateTime("2010-01-18T17:04:06.39"),
        latitude=38 + 24.81 / 60,
        longitude=21 + 54.66 / 60,
        depth=7630.0,
    )
    (found,), said = quakes.measured(stream, stations, Catalog([Event(origins=[origin])]))
    assert found.magnitudes[0].mag == pytest.approx(2.16, abs=0.5)
    assert found.magnitudes[0].station_count >= 10
    subjects = {subject for subject, _, _ in said}
    assert {"CL.TRIZ.00.HH2", "HP.LTK", "HP.UPR", "HA.LAKA"} <= subjects


@pytest.mark.shared
def test_holuhraun_has_no_responses(quakes, shared):
    folder = shared("holuhraun2014")
    stream = obspy.read(str(folder / "waveforms" / "Z7.FLUR.mseed"))
    rows = [line.split(",") for line in (folder / "stations.csv").read_text().splitlines()[1:]]
    sites = [Station(code, *(float(value) for value in where)) for _, code, *where in rows]
    with listen(), pytest.raises(MissingResponse, match="no instrument response fits"):
        local(stream, Inventory([Network("Z7", sites)]), Catalog([quakes.event()]))
