"""STA/LTA triggers of channels: ObsPy's, wherever the data are cut."""

import numpy as np
import obspy
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from obspy import Stream, UTCDateTime
from obspy.signal.trigger import classic_sta_lta, recursive_sta_lta, trigger_onset

from workbench.errors import InvalidSetting, NoData
from workbench.kernel import get
from workbench.kernels.triggers import sta_lta
from workbench.notices import listen

T0 = UTCDateTime(2020, 1, 1)
FIXTURES_STAY = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def seconds(times):
    return [(UTCDateTime(ns=int(time.value)) - T0) for time in times]


@pytest.mark.parametrize("kind", ["recursive", "classic"])
def test_agrees_with_obspy_on_its_example(kind):
    stream = obspy.read()
    found = sta_lta(stream, kind=kind, sta=0.5, lta=4.0, on=3.0, off=1.5, freqmin=1.0, freqmax=20.0)
    averages = {"recursive": recursive_sta_lta, "classic": classic_sta_lta}[kind]
    stream.filter("bandpass", freqmin=1.0, freqmax=20.0, corners=4)
    want = []
    for trace in stream:
        ratio = averages(trace.data, 50, 400)
        for first, last in trigger_onset(ratio, 3.0, 1.5):
            start = trace.stats.starttime + first * trace.stats.delta
            want.append((start.ns, (last - first) * 0.01, trace.id, ratio[first : last + 1].max()))
    got = list(zip(*(found.table[name] for name in ("time", "duration_s", "channel", "peak")), strict=True))
    assert len(got) == len(want) >= 3
    for (time, duration, channel, peak), expected in zip(sorted(got), sorted(want), strict=True):
        assert (time.value, channel) == expected[::2]
        assert duration == pytest.approx(expected[1])
        # ObsPy's filter starts from rest at the offset of the raw counts, ours in its steady state.
        assert peak == pytest.approx(expected[3], rel=1e-3)


def test_columns_are_those_of_channel_triggers(bursts):
    found = sta_lta(bursts([100.0], stations=2), lta=10.0)
    assert list(found.table) == ["time", "duration_s", "n_stations", "stations", "channel", "peak"]
    assert list(found.table["channel"]) == ["XX.S0..HHZ", "XX.S1..HHZ"]
    assert list(found.table["stations"]) == ["XX.S0", "XX.S1"]
    assert set(found.table["n_stations"]) == {1}
    assert seconds(found.table["time"]) == pytest.approx([100.0, 100.4], abs=0.2)
    quiet = sta_lta(bursts([], stations=1), lta=10.0)
    assert len(quiet) == 0
    assert list(quiet.table) == list(found.table)


@FIXTURES_STAY
@given(cut=some.lists(some.floats(1, 299), min_size=1, max_size=2), seed=some.integers(0, 9))
@pytest.mark.parametrize("kind", ["recursive", "classic"])
def test_parts_of_any_cut_give_what_the_whole_gives(pieced, bursts, kind, cut, seed):
    """Triggers straddle the edges: some cuts fall into a burst or just before its onset."""
    values = {"kind": kind, "sta": 0.5, "lta": 8.0, "max_duration": 20.0}
    stream = bursts([60.0, 62.5, 150.0, cut[0]], seed=seed, stations=2)
    edges = [T0, *sorted(T0 + round(at, 3) for at in cut), T0 + 301]
    whole = sta_lta(stream, **values)
    parts = pieced(get("triggers.sta_lta"), stream, edges, **values)
    assert len(whole) >= 4
    rows = whole.table.sort_values(["time", "stations"])
    for name in ("time", "duration_s", "channel"):
        assert list(parts.table[name]) == list(rows[name])
    np.testing.assert_allclose(parts.table["peak"], rows["peak"], rtol=1e-5)


def test_classic_without_a_filter_is_cut_to_the_bit(pieced, bursts):
    stream = bursts([60.0, 62.5, 150.0], offset=0)
    values = {"kind": "classic", "sta": 0.5, "lta": 8.0, "freqmin": None, "freqmax": None}
    edges = [T0 + at for at in (0, 59.99, 60.3, 61.7, 150.01, 301)]
    assert pieced(get("triggers.sta_lta"), stream, edges, **values) == sta_lta(stream, **values)


def test_an_offset_and_the_order_of_traces_change_nothing(bursts):
    low, high = bursts([100.0], offset=0), bursts([100.0], offset=2_000_000)
    first, second = sta_lta(low), sta_lta(Stream(high[::-1]))
    pd.testing.assert_frame_equal(first.table, second.table, rtol=1e-6)


def test_a_long_trigger_is_ended_and_not_begun_again():
    """The amplitude grows for 90 s, so the ratio stays up as long."""
    rng = np.random.default_rng(3)
    data = rng.normal(0, 1, 30_000) * np.exp(np.clip(np.arange(30_000) - 6000, 0, 9000) / 600)
    stream = Stream([obspy.Trace(data, {"sampling_rate": 100.0, "station": "A"})])
    values = {"sta": 4.0, "lta": 20.0, "on": 2.0, "off": 1.1}
    (long,) = sta_lta(stream, **values)
    assert long.duration_s > 80
    (ended,) = sta_lta(stream, **values, max_duration=15.0)
    assert (ended.time, ended.duration_s) == (long.time, 15.0)
    assert ended.peak <= long.peak


def test_nothing_is_triggered_before_the_long_average_has_filled(bursts):
    assert len(sta_lta(bursts([20.0], delay=0.0), lta=30.0)) == 0


def test_each_side_of_a_gap_begins_anew(bursts):
    trace = bursts([100.0], stations=1)[0]

    def found(before):
        gappy = Stream([trace.slice(T0, T0 + before - 1), trace.slice(T0 + before, T0 + 300)])
        return len(sta_lta(gappy, lta=10.0))

    assert found(before=85.0) == 1
    assert found(before=95.0) == 0


def test_bad_channels_are_named_and_the_others_go_on(bursts):
    stream = bursts([100.0], stations=5)
    stream[0].data = np.zeros_like(stream[0].data)
    stream[1].data = stream[1].data.astype(float)
    stream[1].data[3000:3010] = np.nan
    stream[2].data = stream[2].data[:1]
    stream[3].decimate(25, no_filter=True)
    with listen() as heard:
        found = sta_lta(stream, lta=10.0)
    assert set(found.table["stations"]) == {"XX.S1", "XX.S4"}
    said = {item.subject: item.problem for item in heard.notices}
    assert "keeps one value (0)" in said["XX.S0..HHZ"]
    assert "has 10 samples that are NaN" in said["XX.S1..HHZ"]
    assert "1 sample" in said["XX.S2..HHZ"]
    assert "has 2 samples a second, too few" in said["XX.S3..HHZ"]


def test_too_short_for_the_long_average_is_said(bursts):
    with listen() as heard:
        assert len(sta_lta(bursts([], seconds=20.0, stations=1))) == 0
    assert heard.notices[0].problem == "has only 20 s without a gap"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"sta": 30.0, "lta": 30.0}, "sta = 30 s"),
        ({"sta": 0.0}, "sta = 0 s"),
        ({"on": 2.0, "off": 3.0}, "off = 3 is above on = 2"),
        ({"freqmin": 10.0, "freqmax": 5.0}, "freqmin = 10 Hz is not below"),
    ],
)
def test_contradictory_settings_are_refused(bursts, values, problem):
    with pytest.raises(InvalidSetting, match=problem):
        sta_lta(bursts([], stations=1), **values)


def test_no_waveforms_are_no_data():
    with pytest.raises(NoData):
        sta_lta(Stream())
