"""Instruments taken off and put on: ground motion that is known, recorded, and recovered."""

import numpy as np
import obspy
import pytest
from obspy import Inventory, Stream, Trace, UTCDateTime

from workbench.errors import InvalidSetting, MissingResponse
from workbench.kernel import get
from workbench.kernels._responses import Responses
from workbench.kernels._segments import segments
from workbench.kernels.waveforms import remove_response, wood_anderson
from workbench.notices import listen
from workbench.wire.clip import clip

T0 = UTCDateTime(2020, 1, 1)
SENSORS = ["broadband", "short-period", "accelerometer"]
ID = "XX.A..HHE"
NOISE = np.random.default_rng(7).normal(0, 1e-3, 12_000)
"""Counts; without any, the stretches of silence would be taken for gaps."""


def group(time, frequency, at=60.0):
    """Displacement in m: a wave group of 1 um."""
    return 1e-6 * np.exp(-(((time - at) * frequency / 4) ** 2)) * np.cos(2 * np.pi * frequency * (time - at))


def trace(data, rate=100.0, name=ID, start=T0):
    network, station, location, channel = name.split(".")
    header = {"network": network, "station": station, "location": location, "channel": channel}
    return Trace(np.asarray(data), {**header, "sampling_rate": rate, "starttime": start})


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("frequency", [0.3, 1.0, 5.0, 20.0])
@pytest.mark.parametrize(("output", "derivatives"), [("DISP", 0), ("VEL", 1), ("ACC", 2)])
def test_recorded_ground_motion_is_recovered(inventory, recorded, sensor, frequency, output, derivatives):
    time = np.arange(12_000) / 100.0
    counts = recorded(group(time, frequency), 100.0, sensor) + 7e5 + NOISE[:12_000]
    (found,) = remove_response(Stream([trace(counts)]), inventory(ID, sensor=sensor), output=output)
    fine = np.arange(12_000 * 50) / 5000.0
    want = group(fine, frequency)
    for _ in range(derivatives):
        want = np.gradient(want, 1 / 5000.0)
    want = want[::50]
    assert np.abs(found.data - want).max() < 2e-3 * np.abs(want).max()
    assert found.stats.unit == ("m", "m/s", "m/s**2")[derivatives]


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize(("rate", "tolerance"), [(100.0, 0.003), (40.0, 0.015), (20.0, 0.05)])
def test_wood_anderson_magnitudes_are_exact(inventory, recorded, sensor, rate, tolerance):
    """The largest deflection against the one of the ideal instrument, at 2000 samples a second."""
    fine = np.arange(120 * 2000) / 2000.0
    for frequency in (0.5, 1.25, 2.0, 3.0):
        motion = group(fine, frequency, at=60.003)
        s = 2j * np.pi * np.fft.rfftfreq(4 * len(fine), 1 / 2000.0)
        free = 2 * np.pi / 0.8
        instrument = 2080 * s**2 / (s**2 + 1.4 * free * s + free**2)
        want = 1000 * np.fft.irfft(np.fft.rfft(motion, 4 * len(fine)) * instrument)[: len(fine)]
        counts = recorded(motion, 2000.0, sensor)[:: round(2000 / rate)]
        counts += NOISE[: len(counts)]
        stream, stations = Stream([trace(counts, rate)]), inventory(ID, sensor=sensor, rate=rate)
        (found,) = wood_anderson(stream, stations)
        error = np.log10(np.abs(found.data).max() / np.abs(want).max())
        assert abs(error) < tolerance, frequency
        assert np.abs(found.data - want[:: round(2000 / rate)]).max() < 3e-3 * want.max()


def test_wood_anderson_says_what_instrument_it_is(inventory):
    noise = np.random.default_rng(0).normal(size=6000) * 100
    stream, stations = Stream([trace(noise)]), inventory(ID)
    (new,) = wood_anderson(stream, stations)
    (old,) = wood_anderson(stream, stations, wa_gain=2800.0)
    assert new.stats.unit == "mm"
    assert "wa_gain=2080, wa_period=0.8, wa_damping=0.7" in new.stats.processing[0]
    assert "wa_gain=2800" in old.stats.processing[0]
    np.testing.assert_allclose(old.data, new.data * 2800 / 2080, rtol=1e-9, atol=1e-12)
    with pytest.raises(InvalidSetting, match="wa_period is 0 s"):
        wood_anderson(stream, stations, wa_period=0.0)


@pytest.mark.shared
@pytest.mark.parametrize("output", ["DISP", "VEL", "ACC"])
@pytest.mark.parametrize(
    ("case", "data", "stations", "freqmin"),
    [
        ("archive_mixed", "II.PFO.BHZ.20110311.mseed", "II.PFO.xml", 0.005),
        ("archive_mixed", "IV.BOB.BH.20110311.mseed", "IV.BOB.xml", 0.01),
        ("livermore2019_nc40191336", "waveforms/BK.CMB*", "stations/BK.CMB.xml", 0.02),
        ("livermore2019_nc40191336", "waveforms/BK.SAO*", "stations/BK.SAO.xml", 0.02),
        ("crl_corinth20100118", "waveforms/CL.ROD.mseed", "stations.xml", 0.1),
        ("crl_corinth20100118", "waveforms/HA.KALE.mseed", "stations.xml", 0.1),
    ],
)
def test_agrees_with_obspy_on_recordings(shared, output, case, data, stations, freqmin):
    """In the middle half, where ObsPy's taper is not seen, and where both bands are flat."""
    stream = obspy.read(str(shared(case) / data))
    inventory = obspy.read_inventory(str(shared(case) / stations))
    with listen():
        found = remove_response(stream, inventory, output=output, freqmin=freqmin, water_level=300.0)
    nyquist = stream[0].stats.sampling_rate / 2
    top = 0.75 * nyquist
    stream.remove_response(
        inventory,
        output=output,
        pre_filt=(freqmin / 2, freqmin, top, 0.9 * nyquist),
        water_level=None,
        taper_fraction=0.1,
        zero_mean=True,
        hide_sensitivity_mismatch_warning=True,
    )
    for ours in found:
        theirs = next(other for other in stream if other.id == ours.id)
        middle = slice(len(ours) // 4, 3 * len(ours) // 4)
        both = Stream([ours.copy(), theirs.copy()])
        both.filter("bandpass", freqmin=4 * freqmin, freqmax=0.5 * top, corners=4, zerophase=True)
        difference = np.abs(both[0].data - both[1].data)[middle].max()
        assert difference < 2e-3 * np.abs(both[1].data[middle]).max(), ours.id


@pytest.mark.shared
def test_recordings_are_cut_as_declared(shared, pieced):
    folder = shared("archive_mixed")
    stream = obspy.read(str(folder / "II.PFO.BHZ.20110311.mseed"))[:1]
    stations = obspy.read_inventory(str(folder / "II.PFO.xml"))
    start = stream[0].stats.starttime
    for name, values in (
        ("remove_response", {"output": "DISP"}),
        ("remove_response", {"output": "ACC"}),
        ("wood_anderson", {}),
    ):
        kernel = get(f"waveforms.{name}")
        whole = kernel(stream, stations, **values)[0]
        edges = [start + 900, start + 1200, start + 1237.7, start + 1800]
        (parts,) = pieced(kernel, stream, edges, stations, **values)
        (theirs,) = clip(Stream([whole]), edges[0].ns, edges[-1].ns)
        assert len(parts) == len(theirs)
        assert np.abs(parts.data - theirs.data).max() < kernel.cut_tolerance * np.abs(whole.data).max()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("case", "stations", "data"),
    [
        ("archive_mixed", "TA.C26K.xml", "TA.C26K.BHZ.2018.224.mseed"),
        ("archive_mixed", "II.PFO.xml", "II.PFO.BHZ.20110311.mseed"),
        ("crl_corinth20100118", "stations.xml", "waveforms/CL.PYR.mseed"),
        ("livermore2019_nc40191336", "stations/BK.SAO.xml", "waveforms/BK.SAO*"),
    ],
)
def test_responses_are_interpolated_exactly(shared, case, stations, data):
    """To 1e-4 of what evalresp gives at each frequency of the band, and to 1e-5 above its flank."""
    inventory = obspy.read_inventory(str(shared(case) / stations))
    for segment in segments(obspy.read(str(shared(case) / data))):
        ((_, response),) = Responses(inventory).parts(segment)
        frequency = np.linspace(0, segment.rate / 2, 20_001)
        ours = response.spectrum(frequency, 0.05 / 16)
        channel = inventory.get_response(segment.id, UTCDateTime(ns=segment.start))
        theirs = channel.get_evalresp_response_for_frequencies(
            frequency, output="DEF", hide_sensitivity_mismatch_warning=True
        )
        inside = (frequency > 0.025) & (frequency < 0.45 * segment.rate)
        assert np.abs(ours[inside] / theirs[inside] - 1).max() < 1e-4
        assert np.abs(ours[inside] / theirs[inside] - 1)[frequency[inside] > 0.1].max() < 1e-5


def test_the_epoch_of_the_data_counts_and_a_change_cuts(inventory):
    old = inventory(ID, gain=1e9, start="2019-01-01", end="2020-01-01T00:00:30")
    new = inventory(ID, gain=2e9, start="2020-01-01T00:00:30", end="2020-01-01T00:00:50")
    noise = np.random.default_rng(0).normal(size=6000) * 1000
    with listen() as heard:
        found = remove_response(Stream([trace(noise)]), old + new, freqmin=1.0)
    assert [(part.stats.starttime - T0, len(part)) for part in found] == [(0.0, 3000), (30.0, 2000)]
    (reference,) = remove_response(Stream([trace(noise)]), inventory(ID), freqmin=1.0)
    for part, factor in zip(found, (1.0, 2.0), strict=True):
        inside = reference.slice(part.stats.starttime + 5, part.stats.endtime - 5).data
        assert np.abs(part.data[500:-500] * factor - inside).max() < 0.02 * np.abs(inside).max()
    assert "has no response at 2020-01-01T00:00:50" in heard.notices[0].problem


@pytest.mark.parametrize(
    ("given_for", "values", "problem"),
    [
        ("YY.A..HHE", {}, "no station of network XX is given"),
        ("XX.B..HHE", {}, "its station is not among those given"),
        ("XX.A..HHN", {}, "its station is given without this channel"),
        ("XX.A..HHE", {"start": "2021-01-01"}, "has no response at 2020-01-01"),
        ("XX.A..HHE", {"unit": "PA"}, "has a response to PA, not to ground motion"),
        ("XX.A..HHE", {"gain": 0.0}, "its response cannot be evaluated"),
    ],
)
def test_what_has_no_response_is_named_and_the_rest_goes_on(inventory, given_for, values, problem):
    noise = np.random.default_rng(0).normal(size=6000) * 1000
    stations = inventory(given_for, **values)
    both = Stream([trace(noise), trace(noise, name="ZZ.GOOD..HHE")])
    with listen() as heard:
        found = remove_response(both, stations + inventory("ZZ.GOOD..HHE"))
    assert [part.id for part in found] == ["ZZ.GOOD..HHE"]
    assert [item.subject for item in heard.notices] == [ID]
    assert problem in heard.notices[0].problem
    with listen(), pytest.raises(MissingResponse, match=f"^{ID}: no instrument response fits"):
        remove_response(both[:1], stations)


def test_no_responses_at_all_say_which_networks_are_there(inventory):
    noise = np.random.default_rng(0).normal(size=6000)
    stream = Stream([trace(noise), trace(noise, name="XX.B..HHE")])
    with listen(), pytest.raises(MissingResponse) as error:
        wood_anderson(stream, inventory("YY.A..HHE"))
    assert str(error.value) == (
        "all 2 channels: no instrument response fits. The stations given are of YY; "
        "give StationXML with responses of XX."
    )
    with listen(), pytest.raises(MissingResponse, match="are of no network"):
        wood_anderson(stream, Inventory())


@pytest.mark.parametrize(("unit", "factor"), [("NM/S", 1e9), ("cm/s", 1e2), ("M/SEC", 1.0)])
def test_units_other_than_metres_are_converted(inventory, unit, factor):
    noise = np.random.default_rng(0).normal(size=6000)
    (want,) = remove_response(Stream([trace(noise)]), inventory(ID))
    (found,) = remove_response(Stream([trace(noise)]), inventory(ID, unit=unit, gain=1e9 / factor))
    np.testing.assert_allclose(found.data, want.data, rtol=1e-6, atol=1e-12 * np.abs(want.data).max())


def test_a_blank_location_finds_the_only_response_there_is(inventory):
    noise = np.random.default_rng(0).normal(size=6000)
    stations = inventory("XX.A.00.HHE")
    with listen() as heard:
        (found,) = remove_response(Stream([trace(noise)]), stations)
    assert found.id == ID
    assert [(item.problem, item.loss) for item in heard.notices] == [
        ("has no response of its own; that of XX.A.00.HHE is used", False)
    ]
    with listen(), pytest.raises(MissingResponse):
        remove_response(Stream([trace(noise)]), inventory("XX.A.00.HHE", "XX.A.10.HHE"))
    with listen(), pytest.raises(MissingResponse):
        remove_response(Stream([trace(noise, name="XX.A.10.HHE")]), stations)


def test_a_sensitivity_alone_is_taken_as_even(inventory):
    noise = np.random.default_rng(0).normal(size=6000)
    stations = inventory(ID)
    stations[0][0][0].response.response_stages = []
    with listen() as heard:
        (found,) = remove_response(Stream([trace(noise)]), stations)
    assert "has a sensitivity but no response stages" in heard.notices[0].problem
    assert found.data.std() == pytest.approx(1e-9, rel=0.25)
    stations[0][0][0].response = None
    with listen() as heard, pytest.raises(MissingResponse):
        remove_response(Stream([trace(noise)]), stations)
    assert "is given without a response" in heard.notices[0].problem


def test_a_response_that_contradicts_itself_is_named(inventory):
    noise = np.random.default_rng(0).normal(size=6000)
    stations = inventory(ID)
    stations[0][0][0].response.instrument_sensitivity.value = 3e9
    with listen() as heard:
        remove_response(Stream([trace(noise)]), stations)
    assert "stages that make 1e+09 at 5 Hz, but states 3e+09" in heard.notices[0].problem


def test_a_response_that_cannot_be_evaluated_is_named(inventory):
    noise = np.random.default_rng(0).normal(size=6000)
    stations = inventory(ID)
    stages = stations[0][0][0].response.response_stages
    stages.append(stages[0])
    with listen() as heard, pytest.raises(MissingResponse):
        remove_response(Stream([trace(noise)]), stations)
    assert "its response cannot be evaluated (Each stage can only appear once.)" in heard.notices[0].problem


@pytest.mark.shared
def test_reversed_filter_coefficients_are_named_and_mended(shared):
    """Five stations of this case list their symmetric filters from the middle outwards."""
    folder = shared("livermore2019_nc40191336")
    stream = obspy.read(str(folder / "waveforms" / "BK.WELL*BHE*"))
    stations = obspy.read_inventory(str(folder / "stations" / "BK.WELL.xml"))
    with listen() as heard:
        (as_given,) = wood_anderson(stream, stations)
    assert [item.subject for item in heard.notices] == ["BK.WELL.00.BHE"]
    assert "as if its coefficients stood in reverse" in heard.notices[0].problem
    assert "digital_filters" in heard.notices[0].remedy
    with listen() as heard:
        (mended,) = wood_anderson(stream, stations, digital_filters="mended")
    assert "such filters: 3 turned round" in heard.notices[0].problem
    for channel in stations[0][0]:
        # The sensor and the digitiser alone: what is right well below the Nyquist frequency.
        channel.response.response_stages = channel.response.response_stages[:2]
    with listen():
        (plain,) = wood_anderson(stream, stations)
    assert np.abs(plain.data).max() == pytest.approx(np.abs(mended.data).max(), rel=0.01)
    assert np.abs(as_given.data).max() > 10 * np.abs(mended.data).max()


def test_a_filter_that_is_wrong_otherwise_is_left_out(inventory):
    from obspy.core.inventory.response import FIRResponseStage

    noise = np.random.default_rng(0).normal(size=6000)
    stations = inventory(ID)
    (want,) = remove_response(Stream([trace(noise)]), stations)
    stations[0][0][0].response.response_stages.append(
        FIRResponseStage(
            2,
            1.0,
            5.0,
            "COUNTS",
            "COUNTS",
            symmetry="NONE",
            coefficients=[1.0, -1.0],
            decimation_input_sample_rate=100.0,
            decimation_factor=1,
            decimation_offset=0,
            decimation_delay=0.01,
            decimation_correction=0.01,
        )
    )
    with listen() as heard:
        (found,) = remove_response(Stream([trace(noise)]), stations, digital_filters="mended")
    assert "lets 0 % through at 0 Hz; such filters: 1 left out" in heard.notices[0].problem
    np.testing.assert_allclose(found.data, want.data, rtol=1e-6, atol=1e-6 * np.abs(want.data).max())


def test_a_band_that_data_cannot_give_is_narrowed_and_said(inventory):
    noise = np.random.default_rng(0).normal(size=1000)
    short = Stream([trace(noise)])
    with listen() as heard:
        (found,) = remove_response(short, inventory(ID, rate=50.0), freqmax=90.0)
    assert len(found) == 1000
    assert [item.problem for item in heard.notices] == [
        "has 100 samples a second, but its response is for 50",
        "has a stretch of only 10 s at 2020-01-01T00:00:00.000000Z",
        "has 50 samples a second, too few for 90 Hz",
    ]
    assert not any(item.loss for item in heard.notices)
    with listen() as heard, pytest.raises(MissingResponse):
        remove_response(Stream([trace(noise[:4])]), inventory(ID))
    assert "no band is left above 50 Hz" in heard.notices[-1].problem
    with pytest.raises(InvalidSetting, match="freqmin = 5 Hz is not below freqmax = 4 Hz"):
        remove_response(short, inventory(ID), freqmin=5.0, freqmax=4.0)


def test_the_water_level_keeps_noise_down(inventory):
    """Far below its corner a short-period sensor hears nothing; its noise is not made into drift."""
    noise = np.random.default_rng(0).normal(size=60_000)
    stream, stations = Stream([trace(noise)]), inventory(ID, sensor="short-period")
    low, high = (
        np.abs(
            remove_response(stream, stations, output="DISP", freqmin=0.01, water_level=level)[0].data
        ).max()
        for level in (40.0, 200.0)
    )
    assert low < 0.2 * high


def test_neither_waveforms_nor_stations_are_changed(inventory):
    noise = np.random.default_rng(0).normal(size=6000)
    stream, stations = Stream([trace(noise)]), inventory(ID)
    before, known = stream.copy(), str(stations[0][0][0].response)
    wood_anderson(stream, stations, digital_filters="mended")
    assert stream == before
    assert str(stations[0][0][0].response) == known
