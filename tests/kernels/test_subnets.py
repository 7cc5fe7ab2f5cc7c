"""Coincidence triggers of a network: each station once, wherever the data are cut."""

import numpy as np
import obspy
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from obspy import Stream, UTCDateTime
from obspy.signal.trigger import coincidence_trigger

from workbench.errors import InvalidSetting, NoData
from workbench.kernel import get
from workbench.kernels.subnets import coincidence
from workbench.notices import listen

T0 = UTCDateTime(2020, 1, 1)
README = {
    "freqmin": 10.0,
    "freqmax": 20.0,
    "sta": 0.5,
    "lta": 10.0,
    "on": 3.5,
    "off": 1.0,
    "min_stations": 3,
}


@pytest.fixture(scope="module")
def unterhaching(shared):
    stream = Stream()
    for path in sorted((shared("coincidence_unterhaching2010") / "waveforms").iterdir()):
        stream += obspy.read(str(path))
    return stream


@pytest.mark.shared
def test_unterhaching_gives_its_three_events(unterhaching):
    found = coincidence(unterhaching, **README)
    want = ["16:24:33.21", "16:27:01.26", "16:27:30.51"]
    assert len(found) == 3
    for row, time in zip(found, want, strict=True):
        assert abs(UTCDateTime(ns=row.time.value) - UTCDateTime(f"2010-05-27T{time}")) < 0.02
        names = row.stations.split()
        assert len(set(names)) == len(names) == row.n_stations
    assert list(found.table["n_stations"]) == [4, 3, 4]
    assert found.table["stations"][1] == "BW.UH1 BW.UH2 BW.UH3"


@pytest.mark.shared
def test_three_components_of_one_station_are_one_station(unterhaching):
    alone = unterhaching.select(station="UH3")
    with listen() as heard:
        assert len(coincidence(alone, **README)) == 0
    assert "only 1 stations have usable data" in str(heard.notices[0])
    assert len(coincidence(alone, **{**README, "min_stations": 1})) > 0


@pytest.mark.shared
@pytest.mark.parametrize(("off", "min_stations"), [(1.0, 2), (1.5, 2), (1.0, 3), (2.5, 3), (1.0, 4)])
def test_one_channel_a_station_is_obspys_rule(unterhaching, off, min_stations):
    stream = unterhaching.select(component="Z")
    found = coincidence(stream, **{**README, "off": off, "min_stations": min_stations})
    filtered = stream.copy().filter("bandpass", freqmin=10, freqmax=20)
    theirs = coincidence_trigger("recstalta", 3.5, off, filtered, min_stations, sta=0.5, lta=10)
    # ObsPy reports an event again, later by a moment, when its stations trigger again.
    for row in found:
        near = min(theirs, key=lambda event: abs(event["time"].ns - row.time.value))
        assert abs(near["time"].ns - row.time.value) < 3e7
        assert set(near["stations"]) == {name.split(".")[1] for name in row.stations.split()}
    spans = [(row.time.value - 1e9, row.time.value + row.duration_s * 1e9 + 1e9) for row in found]
    for event in theirs:
        assert any(start <= event["time"].ns <= end for start, end in spans)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=some.lists(some.floats(1, 599), min_size=1, max_size=3), seed=some.integers(0, 9))
def test_parts_of_any_cut_give_what_the_whole_gives(pieced, bursts, cut, seed):
    """Network triggers straddle the edges: one event begins within 2 s of a cut."""
    values = {"max_duration": 20.0}
    stream = bursts([100.0, 107.0, 300.0, 450.0, cut[0] + 0.3], seconds=600.0, seed=seed)
    edges = [T0, *sorted(T0 + round(at, 3) for at in cut), T0 + 601]
    whole = coincidence(stream, **values)
    assert len(whole) >= 3
    assert pieced(get("subnets.coincidence"), stream, edges, **values) == whole


def test_retriggers_do_not_count_twice_and_can_begin_the_next_event(bursts):
    found = coincidence(bursts([100.0, 104.0], delay=0.2), off=2.5)
    assert list(found.table["n_stations"]) == [4, 4]
    times = (found.table["time"] - pd.Timestamp("2020-01-01")).dt.total_seconds()
    assert list(times) == pytest.approx([100.0, 104.0], abs=0.3)


def test_hold_bridges_the_time_between_stations(bursts):
    stream = bursts([100.0], delay=6.0, stations=3)
    assert len(coincidence(stream)) == 0
    found = coincidence(stream, hold=5.0)
    assert list(found.table["stations"]) == ["XX.S0 XX.S1 XX.S2"]


def test_neither_order_nor_further_channels_matter(bursts):
    stream = bursts([100.0, 200.0], components="Z")
    more = Stream(stream[::-1])
    for trace in stream:
        again = trace.copy()
        again.stats.location = "10"
        more.append(again)
    assert coincidence(more) == coincidence(stream)


def test_mixed_rates_and_bad_channels_spoil_nothing(bursts):
    stream = bursts([100.0], rate=100.0, stations=6)
    stream[0].decimate(2)
    stream[1].data = np.zeros_like(stream[1].data)
    stream[2].data = stream[2].data.astype(float)
    stream[2].data[::7] = np.inf
    with listen() as heard:
        found = coincidence(stream)
    assert list(found.table["stations"]) == ["XX.S0 XX.S3 XX.S4 XX.S5"]
    assert {item.subject for item in heard.notices} == {"XX.S1..HHZ", "XX.S2..HHZ"}


def test_noise_triggers_nothing(bursts):
    assert len(coincidence(bursts([], seconds=1800.0, stations=6, rate=40.0, seed=4), freqmax=15.0)) == 0


def test_an_empty_result_has_the_columns(bursts):
    assert list(coincidence(bursts([])).table) == ["time", "duration_s", "n_stations", "stations"]


def test_contradictory_settings_and_no_data_are_refused(bursts):
    with pytest.raises(InvalidSetting, match=r"subnets.coincidence: sta = 20 s"):
        coincidence(bursts([]), sta=20.0)
    with pytest.raises(NoData):
        coincidence(Stream())
