"""Filters, against ObsPy's and wherever the data are cut."""

import numpy as np
import obspy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from obspy import Stream, UTCDateTime

from workbench.errors import InvalidSetting, NoData
from workbench.kernel import get
from workbench.kernels.waveforms import filter
from workbench.notices import listen

T0 = UTCDateTime(2020, 1, 1)


@pytest.mark.parametrize("zerophase", [False, True])
def test_filters_as_obspy_does(zerophase):
    """After the start, where ObsPy's filter rings because the raw counts have an offset."""
    stream = obspy.read()
    found = filter(stream, freqmin=1.0, freqmax=10.0, corners=4, zerophase=zerophase)
    stream.filter("bandpass", freqmin=1.0, freqmax=10.0, corners=4, zerophase=zerophase)
    for ours, theirs in zip(found, stream.sort(["channel"]), strict=True):
        assert ours.id == theirs.id
        inside = slice(1000, 2000)
        assert np.abs(ours.data - theirs.data)[inside].max() < 1e-6 * np.abs(theirs.data).max()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=some.lists(some.floats(1, 299), min_size=1, max_size=3),
    low=some.floats(0.2, 2.0),
    width=some.floats(1.3, 10.0),
    corners=some.integers(1, 8),
    kind=some.sampled_from(["band", "high", "low"]),
    zerophase=some.booleans(),
)
def test_parts_of_any_cut_give_what_the_whole_gives(
    pieced, bursts, cut, low, width, corners, kind, zerophase
):
    values = {"corners": corners, "zerophase": zerophase}
    if kind != "low":
        values["freqmin"] = low
    if kind != "high":
        values["freqmax"] = low * width
    stream = bursts([100.0, 150.0], stations=1, offset=1_000_000)
    # A drift, as of temperature.
    stream[0].data = stream[0].data + np.arange(len(stream[0]), dtype=np.int32)
    whole = filter(stream, **values)[0]
    kernel = get("waveforms.filter")
    edges = [T0, *sorted(T0 + round(at, 1) for at in cut), T0 + 300]
    (parts,) = pieced(kernel, stream, edges, **values)
    assert len(parts) == len(whole)
    assert np.abs(parts.data - whole.data).max() <= kernel.cut_tolerance * np.ptp(stream[0].data)


def test_an_offset_makes_no_step(bursts):
    (trace,) = filter(bursts([], stations=1, offset=5_000_000), freqmin=1.0)
    assert np.abs(trace.data).max() < 400


def test_each_stretch_is_filtered_by_itself(bursts):
    trace = bursts([100.0], stations=1)[0]
    left, right = trace.slice(T0, T0 + 100.5), trace.slice(T0 + 110, T0 + 300)
    both = filter(Stream([right, left]), freqmin=1.0, freqmax=10.0, zerophase=True)
    for part, alone in zip(both, (left, right), strict=True):
        (want,) = filter(Stream([alone]), freqmin=1.0, freqmax=10.0, zerophase=True)
        assert part.stats.starttime == want.stats.starttime
        np.testing.assert_array_equal(part.data, want.data)


def test_corners_above_a_channels_nyquist_frequency(bursts):
    fast, slow, slowest = (bursts([100.0], stations=1, rate=rate)[0] for rate in (100.0, 40.0, 4.0))
    slow.stats.station, slowest.stats.station = "SLOW", "SLOWEST"
    with listen() as heard:
        found = filter(Stream([fast, slow, slowest]), freqmin=2.0, freqmax=30.0)
        (high,) = filter(Stream([slow]), freqmin=2.0)
    assert [trace.stats.station for trace in found] == ["S0", "SLOW"]
    np.testing.assert_array_equal(found[1].data, high.data)
    said = {item.subject: (item.problem, item.loss) for item in heard.notices}
    assert said == {
        "XX.SLOW..HHZ": ("has 40 samples a second, so nothing is left to cut above 30 Hz", False),
        "XX.SLOWEST..HHZ": ("has 4 samples a second, too few for the band above 2 Hz", True),
    }
    with listen(), pytest.raises(NoData, match="no channel is sampled fast enough"):
        filter(Stream([slowest]), freqmin=2.0)


def test_says_what_was_done_and_leaves_the_input_alone(bursts):
    stream = bursts([100.0], stations=1)
    before = stream.copy()
    (trace,) = filter(stream, freqmin=0.5, freqmax=8.0, zerophase=True)
    assert trace.stats.processing == ["waveforms.filter(freqmin=0.5, freqmax=8, corners=4, zerophase)"]
    assert stream == before


@pytest.mark.parametrize(
    ("values", "problem"),
    [({}, "there is no corner"), ({"freqmin": 5.0, "freqmax": 5.0}, "freqmin = 5 Hz is not below")],
)
def test_a_filter_without_a_band_is_refused(bursts, values, problem):
    with pytest.raises(InvalidSetting, match=problem):
        filter(bursts([]), **values)


def test_bad_samples_do_not_spread(bursts):
    stream = bursts([100.0], stations=2)
    stream[0].data = stream[0].data.astype(float)
    stream[0].data[5000] = np.nan
    with listen() as heard:
        found = filter(stream, freqmin=1.0)
    assert [len(trace) for trace in found] == [5000, 9999, 15000]
    assert all(np.isfinite(trace.data).all() for trace in found)
    assert [item.subject for item in heard.notices] == ["XX.S0..HHZ"]
