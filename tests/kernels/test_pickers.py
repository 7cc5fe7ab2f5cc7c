"""Pickers: against analysts' picks, against known onsets, and on what is no onset."""

from __future__ import annotations

import csv
from functools import cache

import numpy as np
import obspy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime

from workbench import kernel
from workbench.demo.network import Sequence, network_sequence
from workbench.errors import InvalidSetting, NoData
from workbench.kernels.pickers import aic, picker
from workbench.maths.synthetic import noise
from workbench.notices import listen
from workbench.nouns import Picks


@cache
def sequence() -> Sequence:
    return network_sequence(n_stations=4, n_events=3, duration_s=420.0)


def residuals(picks: Picks, made: Sequence, phase: str) -> np.ndarray:
    """Time from each true arrival to the nearest pick of its phase, s."""
    out = []
    for event in made.truth:
        for true in event.picks:
            if true.phase_hint != phase:
                continue
            same = picks.table[
                (picks.table.station == true.waveform_id.station_code) & (picks.table.phase == phase)
            ]
            offsets = (same.time - np.datetime64(true.time.ns, "ns")).dt.total_seconds().to_numpy()
            out.append(min(offsets, key=abs, default=np.inf))
    return np.array(out)


def seconds(times, of: UTCDateTime) -> np.ndarray:
    return (times - np.datetime64(of.ns, "ns")).dt.total_seconds().to_numpy()


def quiet(n_stations=2, minutes=10.0, rate=100.0, seed=1, microseism=3000.0) -> Stream:
    random = np.random.default_rng(seed)
    stream = Stream()
    for number in range(n_stations):
        for component in "ZNE":
            data = noise(int(minutes * 60 * rate), rate, 100.0, microseism, random)
            header = {"network": "XX", "station": f"N{number}", "channel": f"HH{component}"}
            stream.append(
                Trace(data, {**header, "sampling_rate": rate, "starttime": UTCDateTime(2020, 1, 1)})
            )
    return stream


# Known truth


def test_generated_onsets_are_found_and_exact():
    made = sequence()
    picks = picker(made.waveforms)
    p, s = residuals(picks, made, "P"), residuals(picks, made, "S")
    assert (np.abs(p) < 0.05).mean() >= 0.9
    assert (np.abs(s) < 0.15).mean() >= 0.8
    assert abs(np.median(p)) <= 0.01
    assert abs(np.median(s)) <= 0.05
    assert len(picks) <= 1.3 * 2 * len(p)


def test_rows_say_where_and_how_sure():
    table = picker(sequence().waveforms).table
    assert list(table.columns[-3:]) == ["uncertainty_s", "snr", "polarity"]
    assert set(table.phase) == {"P", "S"}
    assert set(table[table.phase == "P"].channel) == {"HHZ"}
    assert set(table[table.phase == "S"].channel) <= {"HHN", "HHE"}
    assert table.probability.between(0.5, 1).all()
    assert table.uncertainty_s.between(0.005, 1).all()
    assert set(table.polarity) <= {"positive", "negative", ""}


def test_first_motions_are_those_of_the_source():
    made = sequence()
    turned = made.waveforms.copy()
    for trace in turned:
        trace.data = -trace.data
    straight, reverse = picker(made.waveforms).table, picker(turned).table
    assert (straight.time == reverse.time).all()
    swap = {"positive": "negative", "negative": "positive", "": ""}
    assert list(reverse.polarity) == [swap[sense] for sense in straight.polarity]
    assert (straight[straight.phase == "P"].polarity != "").mean() > 0.8


def test_neither_unit_nor_order_matter_and_the_input_stays():
    made = sequence()
    before = made.waveforms.copy()
    picks = picker(made.waveforms)
    assert made.waveforms == before
    assert picker(Stream(made.waveforms[::-1])) == picks
    scaled = made.waveforms.copy()
    for trace in scaled:
        trace.data = trace.data * 2.0**-40
    other = picker(scaled)
    assert (other.table.time == picks.table.time).all()
    assert np.allclose(other.table.probability, picks.table.probability)


@pytest.mark.parametrize("rate", [20.0, 40.0, 125.0, 250.0])
def test_any_sampling_rate(rate):
    made = network_sequence(n_stations=3, n_events=1, duration_s=150.0, rate=rate)
    picks = picker(made.waveforms)
    tolerance = 0.05 + 1.5 / rate
    assert (np.abs(residuals(picks, made, "P")) < tolerance).sum() >= 2
    assert (np.abs(residuals(picks, made, "S")) < 0.1 + tolerance).sum() >= 2


# What stations have


def test_one_component_is_enough_for_p():
    made = sequence()
    assert (np.abs(residuals(picker(made.waveforms.select(component="Z")), made, "P")) < 0.05).mean() >= 0.9


def test_a_deaf_vertical_component_hides_nothing():
    made = network_sequence(n_stations=4, n_events=1, duration_s=150.0)
    deaf = made.waveforms.copy()
    random = np.random.default_rng(5)
    for trace in deaf.select(component="Z"):
        trace.data = random.standard_normal(trace.stats.npts)
    picks = picker(deaf)
    assert set(picks.table.channel) <= {"HHN", "HHE"}
    assert (np.abs(residuals(picks, made, "P")) < 0.1).sum() >= 3


def test_of_two_instruments_the_better_one_is_read():
    made = network_sequence(n_stations=1, n_events=1, duration_s=150.0)
    both, random = made.waveforms.copy(), np.random.default_rng(2)
    for trace in made.waveforms:
        other = trace.copy()
        other.stats.channel = "HN" + trace.stats.channel[-1]
        other.data = trace.data / 100 + random.standard_normal(trace.stats.npts) * 30
        both.append(other)
    alone = picker(made.waveforms)
    assert [pick.channel[:2] for pick in picker(both)] == ["HH"] * len(alone)


def test_components_named_by_number():
    made = network_sequence(n_stations=2, n_events=1, duration_s=150.0)
    numbered = made.waveforms.copy()
    for trace in numbered:
        trace.stats.channel = "BH" + {"Z": "3", "N": "1", "E": "2"}[trace.stats.channel[-1]]
    table = picker(numbered).table
    assert set(table[table.phase == "P"].channel) == {"BH3"}
    assert set(table[table.phase == "S"].channel) <= {"BH1", "BH2"}


def test_other_channels_are_left_out_and_named():
    made = network_sequence(n_stations=1, n_events=1, duration_s=150.0)
    with_more = made.waveforms.copy()
    extra = made.waveforms[0].copy()
    extra.stats.channel = "BDF"
    slow = made.waveforms[0].copy()
    slow.stats.channel, slow.stats.sampling_rate = "LHZ", 1.0
    with listen() as heard:
        picks = picker(with_more + Stream([extra, slow]))
    assert picks == picker(made.waveforms)
    assert {said.subject for said in heard.notices} == {"XX.GEN01.00.BDF", "XX.GEN01.00.LHZ"}


# What is no onset


def test_gaussian_noise_holds_no_onset():
    assert len(picker(quiet())) == 0


def test_spikes_and_steps_of_the_digitiser_are_no_onsets():
    stream, random = quiet(seed=3), np.random.default_rng(4)
    for number, sample in enumerate(range(3000, 57000, 3000)):
        for trace in stream:
            trace.data[sample : sample + 1 + number % 2] += 10 ** random.uniform(3, 5)
    # Of 38, each on three components, some larger than the noise a thousand times.
    assert len(picker(stream)) <= 7


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_the_beginning_and_the_end_of_a_gap_are_no_onsets(offset):
    stream = quiet(minutes=5.0)
    for trace in stream:
        trace.data += offset
        trace.data[6000:9000] = np.nan
        trace.data[15000:18000] = 0.0
    with listen() as heard:
        assert len(picker(stream)) == 0
    assert len(heard.notices) >= 6


def test_little_noise_before_an_onset_is_enough():
    made = network_sequence(n_stations=3, n_events=1, duration_s=150.0)
    for true in made.truth[0].picks[::2]:
        one = made.waveforms.select(station=true.waveform_id.station_code)
        picks = picker(one.slice(true.time - 4, true.time + 20))
        assert np.abs(seconds(picks.table[picks.table.phase == "P"].time, true.time)).min() < 0.05


# Bad input


def test_bad_settings_are_refused():
    with pytest.raises(InvalidSetting, match="freqmin"):
        picker(quiet(minutes=0.2), freqmin=10.0, freqmax=5.0)
    with pytest.raises(InvalidSetting, match="window"):
        aic(quiet(minutes=0.2), window=0.01)


@pytest.mark.parametrize("samples", [0, 1, 5, 50])
def test_too_short_a_record(samples):
    stream = Stream(
        [Trace(np.arange(samples, dtype=float), {"station": "A", "channel": "HHZ", "sampling_rate": 100})]
    )
    with listen():
        try:
            found = len(picker(stream))
        except NoData as error:
            assert error.remedy  # noqa: PT017
        else:
            assert found == 0


def test_one_bad_channel_spoils_nothing():
    made = sequence()
    spoilt = made.waveforms.copy()
    spoilt.select(station="GEN02", component="Z")[0].data = np.full(42000, np.nan)
    with listen():
        picks = picker(spoilt)
    others = picker(made.waveforms).table
    kept = picks.table[picks.table.station != "GEN02"].reset_index(drop=True)
    assert kept.equals(others[others.station != "GEN02"].reset_index(drop=True))


# Cutting


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shift=st.integers(0, 400))
def test_windows_put_together_give_the_whole(pieced, shift):
    """Each window has the lead and trail that the kernel declares."""
    made = sequence()
    declared = kernel.get("pickers.picker")
    whole = picker(made.waveforms, max_sp=15.0)
    begin = made.waveforms[0].stats.starttime
    edges = [begin + at for at in (-1.0, *(shift / 4 + step for step in (20.0, 130.0, 240.0)), 500.0)]
    joined = pieced(declared, made.waveforms, edges, max_sp=15.0).table
    assert list(joined.time) == list(whole.table.time)
    assert list(joined.channel) == list(whole.table.channel)
    assert np.allclose(joined.probability, whole.table.probability, rtol=declared.cut_tolerance)
    assert np.allclose(joined.snr, whole.table.snr, rtol=declared.cut_tolerance)


# Analysts' picks


def labelled(folder):
    with (folder / "reference" / "picks.csv").open() as file:
        for row in csv.DictReader(file):
            yield obspy.read(folder / "waveforms" / row["file"]), int(row["s_sample"])


def test_labelled_records(shared):
    """The window begins at a random sample, as P always lies at the same one."""
    folder, random = shared("picks_ncedc_labelled"), np.random.default_rng(1)
    p, s, extra, calm = [], [], 0, 0
    for stream, s_sample in labelled(folder):
        begin = stream[0].stats.starttime
        true_p, true_s = begin + 30.0, begin + s_sample / 100
        begin += int(random.integers(0, 2000)) / 100
        with listen():
            table = picker(stream.slice(begin)).table
            calm += len(picker(stream.slice(begin, true_p - 0.5))) == 0
        at_p = seconds(table[table.phase == "P"].time, true_p)
        at_s = seconds(table[table.phase == "S"].time, true_s)
        p.append(min(at_p, key=abs, default=np.inf))
        extra += (np.abs(at_p) > 0.2).sum()
        if len(stream) == 3:
            s.append(min(at_s, key=abs, default=np.inf))
    p, s = np.abs(p), np.abs(s)
    assert (p <= 0.2).mean() >= 0.92
    assert np.median(p[p <= 0.2]) <= 0.02
    assert (s <= 0.4).mean() >= 0.8
    assert extra / len(p) <= 0.6
    assert calm / len(p) >= 0.8


# Akaike's criterion alone


def test_aic_brings_rough_picks_to_the_onset():
    made = sequence()
    true = [pick for event in made.truth for pick in event.picks if pick.phase_hint == "P"]
    shifts = np.random.default_rng(3).uniform(-0.6, 0.6, len(true))
    rows = [
        {
            "network": "XX",
            "station": pick.waveform_id.station_code,
            "phase": "P",
            "time": pick.time + shift,
            "event": f"e{number}",
        }
        for number, (pick, shift) in enumerate(zip(true, shifts, strict=True))
    ]
    refined = aic(made.waveforms, Picks(rows)).table.set_index("event")
    errors = [seconds(refined.time[[f"e{n}"]], pick.time)[0] for n, pick in enumerate(true)]
    assert np.median(np.abs(errors)) <= 0.02
    assert (np.abs(errors) < 0.1).mean() >= 0.9
    assert set(refined.channel) == {"HHZ"}
    assert (refined.snr > 1).all()


def test_aic_finds_the_onset_of_each_cut_window():
    made = network_sequence(n_stations=3, n_events=1, duration_s=150.0)
    for true in made.truth[0].picks[::2]:
        one = made.waveforms.select(station=true.waveform_id.station_code, component="Z")
        found = aic(one.slice(true.time - 5, true.time + 1.5)).table
        assert len(found) == 1
        assert abs(seconds(found.time, true.time)[0]) < 0.05
        assert found.phase[0] == ""


def test_aic_leaves_a_pick_without_data_and_says_so():
    made = sequence()
    row = {"network": "XX", "station": "GEN99", "phase": "P", "time": UTCDateTime(2024, 1, 1), "weight": 3}
    with listen() as heard:
        same = aic(made.waveforms, Picks([row]))
    assert same.table.time[0] == np.datetime64("2024-01-01")
    assert same.table.weight[0] == 3
    assert [said.subject for said in heard.notices] == ["XX.GEN99.."]
