"""RMS: ObsPy's numbers, the truth to the bit, and the same however the time is cut."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import obspy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from obspy import Stream, Trace, UTCDateTime
from obspy.signal.quality_control import MSEEDMetadata

from workbench import wire
from workbench.archive import Archive
from workbench.calls import Call, Policy
from workbench.demo.known import known
from workbench.errors import InvalidSetting, MissingResponse, NoData
from workbench.kernel import get
from workbench.kernels.quality import completeness, ground_rms, rms
from workbench.notices import listen

T0 = UTCDateTime(2020, 3, 1)
FIXTURES_STAY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def trace(data, start=0.0, rate=1.0, station="A"):
    header = {"network": "XX", "station": station, "channel": "HHZ"}
    return Trace(np.asanyarray(data), {**header, "sampling_rate": rate, "starttime": T0 + start})


def spread(values) -> float:
    """Return the standard deviation about the mean by fractions, rounded twice."""
    mean = Fraction(sum(values), len(values))
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def test_agrees_with_obspy_on_recorded_data(shared):
    for name in ("BW.BGLD.EHE.20080101.gaps", "II.PFO.BHZ.20110311"):
        path = shared("archive_mixed") / f"{name}.mseed"
        stream = obspy.read(str(path))
        for seed_id in sorted({one.id for one in stream}):
            own = Stream([one for one in stream if one.id == seed_id])
            found = rms(own, window=864000.0)
            samples = np.concatenate([one.data for one in own])
            assert found["n"].sum() == len(samples)
            for key, value in (
                ("sample_rms", samples.std()),
                ("sample_mean", samples.mean()),
                ("sample_min", samples.min()),
                ("sample_max", samples.max()),
            ):
                assert found[key].item() == pytest.approx(float(value), rel=1e-12), (name, key)


def test_agrees_with_obspy_hour_by_hour(shared):
    path = shared("archive_mixed") / "TA.C26K.BHZ.2018.224.mseed"
    found = rms(obspy.read(str(path)), window=3600.0)
    for hour in (0, 13, 23):
        start = UTCDateTime("2018-08-12") + 3600 * hour
        meta = MSEEDMetadata([str(path)], starttime=start, endtime=start + 3600, add_c_segments=False).meta
        at = {"time": np.datetime64(start.ns, "ns")}
        for ours, theirs in (("rms", "stdev"), ("mean", "mean"), ("min", "min"), ("max", "max")):
            value = found[f"sample_{ours}"].sel(at).item()
            assert value == pytest.approx(meta[f"sample_{theirs}"], rel=1e-9)
        assert found["n"].sel(at).item() == meta["num_samples"]


@pytest.mark.parametrize("options", [{"channels": 4, "days": 12}, {"channels": 1, "days": 1, "rate": 100}])
def test_a_generated_archive_is_measured_to_the_bit(tmp_path, options):
    truth = known(tmp_path, **options).truth()
    policy = Policy(sources=[Archive(tmp_path)])
    span = f"XX.*.*.*@2024-01-01/2024-01-{options['days'] + 1:02d}"
    inputs = {"spans": {"selection": span}, "starttime": "2024-01-01", "endtime": span[-10:]}
    complete = Call(process="quality.completeness", inputs=inputs).run(policy).value
    size = Call(process="quality.rms", inputs={"waveforms": {"selection": span}}).run(policy).value
    size = size.reindex(time=truth["time"])
    for name in truth.data_vars:
        found = (complete if name in complete else size)[name]
        np.testing.assert_array_equal(found.values, truth[name].values, err_msg=str(name))
    assert (truth["num_gaps"] > 0).any() == (options["days"] > 1)


def test_gaps_weigh_nothing():
    data = np.arange(100, dtype=np.int32) ** 2
    found = rms(Stream([trace(data[:30]), trace(data[70:], 70)]), window=100.0, subwindow=50.0)
    assert found["sample_rms"].item() == spread([*data[:30].tolist(), *data[70:].tolist()])
    assert found["n"].values.tolist() == [[[30, 30]]]
    mean = found["mean"].values[0, 0]
    assert mean.tolist() == [data[:30].mean(), data[70:].mean()]
    np.testing.assert_allclose(found["m2"].values[0, 0], 30 * np.array([data[:30].var(), data[70:].var()]))


def test_samples_that_are_there_twice_count_once_and_two_versions_not_at_all():
    data = np.arange(100, dtype=np.int32)
    twice = rms(Stream([trace(data), trace(data[20:40], 20)]), window=100.0, subwindow=100.0)
    assert twice.equals(rms(Stream([trace(data)]), window=100.0, subwindow=100.0))
    with listen() as heard:
        other = rms(Stream([trace(data), trace(data[20:40] + 1, 20)]), window=100.0, subwindow=100.0)
    assert other["n"].item() == 80
    assert "different versions of 20 samples" in heard.notices[0].problem


@FIXTURES_STAY
@given(
    pieces=some.lists(some.tuples(some.integers(0, 500), some.integers(1, 200)), min_size=1, max_size=6),
    cuts=some.sets(some.integers(0, 9), max_size=4),
    kind=some.sampled_from([np.int32, np.float64, np.float32]),
    large=some.booleans(),
    seed=some.integers(0, 9),
)
def test_parts_of_any_cut_give_what_the_whole_gives(pieced, pieces, cuts, kind, large, seed):
    """To the bit, for whole numbers of any size and for floats, with gaps and overlaps."""
    random = np.random.default_rng(seed)
    data = random.integers(-(2**31), 2**31, 700) if large else random.integers(-999, 999, 700)
    data = data.astype(np.float64) / (3.0 if kind != np.int32 else 1.0)
    stream = Stream(
        [trace(data[first : first + n].astype(kind), first, station="AB"[n % 2]) for first, n in pieces]
    )
    edges = [T0 + 80 * cut for cut in sorted({0, 9, *cuts})]
    values = {"window": 80.0, "subwindow": 20.0}
    with listen():
        whole = rms(stream, **values)
        merged = pieced(get("quality.rms"), stream, edges, **values)
    assert wire.canonical(merged) == wire.canonical(whole)


@pytest.mark.parametrize("rate", [20.0, 50.0])
def test_ground_velocity_of_a_known_motion(inventory, recorded, rate):
    """Two tones, 1 um/s at 0.5 Hz and 4 um/s at 3 Hz, each in a band of its own."""
    time = np.arange(int(600 * rate)) / rate
    tones = ((1e-6, 0.5), (4e-6, 3.0))
    moved = sum(size / (2 * np.pi * f) * np.sin(2 * np.pi * f * time) for size, f in tones)
    stream = Stream([trace(np.round(recorded(moved, rate, gain=1e10)).astype(np.int32), rate=rate)])
    stations = inventory("XX.A..HHZ", gain=1e10, rate=rate)
    found = ground_rms(stream, stations, window=300.0, subwindow=100.0, bands=(0.2, 1.0, 6.0))
    assert found["band"].values.tolist() == ["0.2-1 Hz", "1-6 Hz"]
    want = [size / math.sqrt(2) for size, _ in tones]
    # The ends of a record are less certain.
    np.testing.assert_allclose(found["velocity_part_rms"].values[0, 0, 1], want, rtol=0.01)
    np.testing.assert_allclose(found["velocity_rms"].values[0].mean(axis=0), want, rtol=0.05)
    assert found["velocity_rms"].attrs["units"] == "m/s"


def test_ground_velocity_is_the_same_to_the_bit_in_parts(pieced, inventory):
    random = np.random.default_rng(3)
    data = random.integers(-9999, 9999, 20 * 900).astype(np.int32)
    stream = Stream([trace(data[:9000], rate=20.0), trace(data[10000:], 500, rate=20.0)])
    stations = inventory("XX.A..HHZ", rate=20.0)
    values = {"window": 100.0, "subwindow": 50.0, "bands": (0.5, 2.0, 8.0)}
    with listen():
        whole = ground_rms(stream, stations, **values)
        merged = pieced(
            get("quality.ground_rms"), stream, [T0 + at for at in (0, 200, 500, 900)], stations, **values
        )
    assert np.isfinite(whole["velocity_rms"].values).all()
    assert wire.canonical(merged) == wire.canonical(whole)


def test_what_bands_need_is_said(inventory):
    stream = Stream([trace(np.arange(1000, dtype=np.int32) % 77, rate=20.0)])
    stations, minute = inventory("XX.A..HHZ", rate=20.0), {"window": 60.0, "subwindow": 60.0}
    with listen(), pytest.raises(MissingResponse, match="no instrument response"):
        ground_rms(stream, inventory("XX.B..HHZ"), bands=(1.0, 5.0))
    with listen() as heard:
        found = ground_rms(stream, stations, **minute, bands=(1.0, 5.0, 12.0))
    assert np.isfinite(found["velocity_rms"].values).tolist() == [[[True, False]]]
    assert "too few for 5-12 Hz" in heard.notices[0].problem
    with listen() as heard:
        found = ground_rms(stream, stations, **minute, bands=(0.01, 1.0, 5.0))
    assert np.isfinite(found["velocity_rms"].values).tolist() == [[[False, True]]]
    assert "shorter than two periods of 0.01 Hz" in heard.notices[0].problem


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"window": 100.0, "subwindow": 30.0}, "no multiple"),
        ({"bands": (1.0,)}, "two or more"),
        ({"bands": ()}, "none Hz"),
        ({"bands": (2.0, 1.0)}, "growing"),
    ],
)
def test_bad_settings_are_refused(values, says, inventory):
    stream = Stream([trace(np.arange(9))])
    with pytest.raises(InvalidSetting, match=says):
        ground_rms(stream, inventory("XX.A..HHZ"), **values)
    if "window" in values:
        with pytest.raises(InvalidSetting, match=says):
            rms(stream, **values)


def test_bad_samples_are_gaps_and_are_named():
    data = np.arange(100.0)
    data[[5, 6]] = np.nan, np.inf
    masked = np.ma.masked_array(np.arange(100), mask=[False] * 60 + [True] * 40)
    with listen() as heard:
        found = rms(Stream([trace(data), trace(masked, station="B")]), window=100.0, subwindow=100.0)
    assert found["n"].values.ravel().tolist() == [98, 60]
    assert found["sample_max"].values.ravel().tolist() == [99.0, 59.0]
    assert ["2 samples that are NaN" in item.problem for item in heard.notices] == [True]


@pytest.mark.parametrize("stream", [Stream(), Stream([trace(np.array([], np.int32))])])
def test_nothing_is_no_data(stream):
    with listen(), pytest.raises(NoData):
        rms(stream)


def test_several_rates_and_slow_channels_are_named():
    with listen() as heard:
        found = rms(
            Stream([trace(np.arange(50)), trace(np.arange(500), 50, 10.0)]), window=100.0, subwindow=100.0
        )
    assert found["n"].item() == 550
    assert "several sampling rates" in heard.notices[0].problem
    with listen() as heard:
        found = rms(Stream([trace(np.arange(50), rate=0.1)]), window=100.0, subwindow=5.0)
    assert "a sample every 10 s, and a sub-window is 5 s" in heard.notices[0].problem
    assert found["sample_mean"].values.ravel().tolist() == [4.5, 14.5, 24.5, 34.5, 44.5]


def test_years_of_windows_are_all_there():
    stream = Stream([trace(np.array([1, 2, 3])), trace(np.array([4, 6]), 3000 * 86400.0)])
    found = rms(stream)
    assert found.sizes["time"] == 3001
    assert found["sample_mean"].values[0, [0, -1]].tolist() == [2.0, 5.0]


def test_one_sample_is_enough():
    found = rms(Stream([trace(np.array([7]))]), window=60.0, subwindow=60.0)
    assert (found["sample_rms"].item(), found["sample_mean"].item(), found["n"].item()) == (0.0, 7.0, 1)


def test_comes_back_from_every_form_and_fits_beside_completeness():
    stream = Stream([trace(np.arange(300)), trace(np.arange(50), 400)])
    found = rms(stream, window=60.0, subwindow=30.0)
    for suffix in (".nc", ".zarr"):
        assert wire.canonical(wire.read(wire.encode(found, suffix), "Dataset")) == wire.canonical(found)
    both = found.merge(completeness(stream, window=60.0))
    assert both["percent_availability"].shape == both["sample_rms"].shape
