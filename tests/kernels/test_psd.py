"""Noise spectra: ObsPy's, the level that is known, and the same however the time is cut."""

from __future__ import annotations

import warnings

import numpy as np
import obspy
import pytest
from obspy import Stream, Trace, UTCDateTime
from obspy.signal import PPSD

from workbench import wire
from workbench.errors import InvalidSetting, MissingResponse, NoData
from workbench.kernel import get
from workbench.kernels.quality import psd
from workbench.notices import listen

T0 = UTCDateTime(2020, 3, 1)


def trace(n=4000, start=0.0, rate=20.0, station="A", seed=0, size=1000.0):
    data = np.random.default_rng(seed).normal(0, size, n).astype(np.int32)
    header = {"network": "XX", "station": station, "channel": "HHZ"}
    return Trace(data, {**header, "sampling_rate": rate, "starttime": T0 + start})


def obspys(trace, stations, periods, length):
    """Return times (ns) and levels by ObsPy, at the same periods."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = PPSD(trace.stats, stations, ppsd_length=length, period_limits=(periods[0], periods[-1]))
        found.add(trace)
        np.testing.assert_allclose(found.period_bin_centers[: len(periods)], periods, rtol=1e-6)
        return [time.ns for time in found.times_processed], np.array(found.psd_values)[:, : len(periods)]


@pytest.mark.parametrize(
    ("name", "start", "length", "windows"),
    [
        ("TA.C26K.BHZ.2018.224", "2018-08-12T00:00:00", 3600.0, 9),
        ("IV.BOB.BH.20110311", "2011-03-11T05:54:00", 600.0, 8),
    ],
)
def test_agrees_with_obspy_on_recorded_data(shared, name, start, length, windows):
    folder = shared("archive_mixed")
    stream = obspy.read(str(folder / f"{name}.mseed"))
    stations = obspy.read_inventory(str(folder / f"{'.'.join(name.split('.')[:2])}.xml"))
    begin = UTCDateTime(-(-UTCDateTime(start).timestamp // (length / 2)) * (length / 2))
    stream.trim(begin, begin + length / 2 * (windows + 1))
    with listen():
        found = psd(stream, stations, length=length)
    for one in stream:
        mine = found["psd"].sel(channel=one.id)
        times, levels = obspys(one, stations, found["period"].values, length)
        assert len(times) >= windows
        half = round(length / 2 * 1e9)
        # ObsPy names a window after its first sample.
        begins = [(time + half // 2) // half * half for time in times]
        ours = mine.sel(time=np.array(begins, "M8[ns]")).values
        assert np.abs(ours - levels).max() < 1e-3


def test_level_of_white_ground_noise(inventory):
    """Noise of 1000 counts from a sensor that counts acceleration evenly, 1e6 counts for 1 m/s**2."""
    stations = inventory("XX.A..HHZ", sensor="accelerometer", gain=1e6, rate=20.0)
    found = psd(Stream([trace(40_000)]), stations, length=400.0)
    want = 10 * np.log10(2 / 20.0 * 1000.0**2 / 1e12)
    middle = found["psd"].sel(period=slice(0.2, 2.0)).mean(("time", "period")).item()
    assert middle == pytest.approx(want, abs=0.5)
    assert found["psd"].attrs["units"] == "dB"


def test_parts_of_any_cut_give_what_the_whole_gives(pieced, inventory):
    stream = Stream(
        [trace(20_000), trace(9000, 1050, seed=1), trace(9000, 40, rate=10.0, station="B", seed=2)]
    )
    stations = inventory("XX.A..HHZ", rate=20.0) + inventory("XX.B..HHZ", rate=10.0)
    edges = [T0 + at for at in (0, 100, 450, 1000, 1600)]
    with listen():
        whole = psd(stream, stations, length=100.0)
        merged = pieced(get("quality.psd"), stream, edges, stations, length=100.0)
    assert whole.sizes["channel"] == 2
    assert wire.canonical(merged) == wire.canonical(whole)


def test_windows_begin_at_multiples_and_have_no_gap(inventory):
    stations = inventory("XX.A..HHZ", rate=20.0)
    stream = Stream([trace(5000, 30.0), trace(5000, 300.0, seed=1)])
    found = psd(stream, stations, length=100.0)
    there = np.isfinite(found["psd"].values[0]).any(axis=1)
    seconds = (found["time"].values - np.datetime64(T0.ns, "ns")) / np.timedelta64(1, "s")
    assert seconds[there].tolist() == [50.0, 100.0, 150.0, 300.0, 350.0, 400.0, 450.0]
    assert np.diff(seconds).tolist() == [50.0] * (len(seconds) - 1)


def test_windows_begin_with_the_first_sample_on_the_way(inventory):
    """The grid of the samples lies anywhere between the seconds."""
    stations = inventory("XX.A..HHZ", rate=20.0)
    found = psd(Stream([trace(4100, -0.013)]), stations, length=100.0)
    assert found["time"].values[0] == np.datetime64(T0.ns, "ns")
    found = psd(Stream([trace(4100, 0.06)]), stations, length=100.0)
    assert found["time"].values[0] == np.datetime64((T0 + 50).ns, "ns")


def test_a_dead_sensor_makes_no_noise(inventory):
    stations = inventory("XX.A..HHZ", rate=20.0)
    one = trace(8000)
    one.data[3000:3100] = 5
    with listen() as heard:
        found = psd(Stream([one]), stations, length=100.0, overlap=0.0)
    assert np.isfinite(found["psd"].values[0]).all(axis=1).tolist() == [True, False, True, True]
    assert "keeps one value" in heard.notices[0].problem


def test_what_is_missing_is_said(inventory):
    with listen(), pytest.raises(MissingResponse):
        psd(Stream([trace()]), inventory("XX.B..HHZ"), length=100.0)
    with listen() as heard:
        found = psd(Stream([trace(), trace(station="B")]), inventory("XX.B..HHZ", rate=20.0), length=100.0)
    assert found["channel"].values.tolist() == ["XX.B..HHZ"]
    assert heard.notices[0].subject == "XX.A..HHZ"
    with listen(), pytest.raises(NoData, match="without a gap"):
        psd(Stream([trace(1000)]), inventory("XX.A..HHZ", rate=20.0), length=100.0)
    with listen() as heard, pytest.raises(NoData):
        psd(Stream([trace(100, rate=0.1)]), inventory("XX.A..HHZ", rate=0.1), length=100.0)
    assert "a sample every 10 s, and a window is 100 s" in heard.notices[0].problem
    with listen(), pytest.raises(NoData):
        psd(Stream(), inventory("XX.A..HHZ"))
    with pytest.raises(InvalidSetting, match="whole number"):
        psd(Stream([trace()]), inventory("XX.A..HHZ"), length=1.000000001, overlap=0.3333)


def test_nan_is_a_gap_and_floats_are_taken(inventory):
    stations = inventory("XX.A..HHZ", rate=20.0)
    one = trace(8000)
    want = psd(Stream([one]), stations, length=100.0, overlap=0.0)
    one.data = one.data.astype(float)
    one.data[3000] = np.nan
    with listen() as heard:
        found = psd(Stream([one]), stations, length=100.0, overlap=0.0)
    there = np.isfinite(found["psd"].values[0]).all(axis=1)
    assert there.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(found["psd"].values[0][there], want["psd"].values[0][there])
    assert "NaN" in heard.notices[0].problem


def test_comes_back_from_every_form(inventory):
    found = psd(Stream([trace()]), inventory("XX.A..HHZ", rate=20.0), length=100.0)
    for suffix in (".nc", ".zarr"):
        assert wire.canonical(wire.read(wire.encode(found, suffix), "Dataset")) == wire.canonical(found)
    assert wire.encode(found, ".png").startswith(b"\x89PNG")
