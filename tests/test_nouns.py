"""Tables, velocity models and notices."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obspy import UTCDateTime

from workbench.errors import BadInput, BadVelocityModel
from workbench.notices import WorkbenchWarning, listen, notice, progress
from workbench.nouns import NOUNS, Picks, Spans, Triggers, VelocityModel, Waveforms, noun_of


def test_absent_columns_are_empty_and_others_are_kept():
    picks = Picks([{"station": "FUR", "time": "2018-01-01T00:00:00.123456Z", "snr": 4.5}])
    row = picks.table.iloc[0]
    assert list(picks.table.columns)[:7] == [
        "network", "station", "location", "channel", "phase", "time", "probability",
    ]  # fmt: skip
    assert (row.network, row.phase, row.snr) == ("", "", 4.5)
    assert np.isnan(row.probability)
    assert picks.table.time.dtype == "datetime64[ns]"


@given(st.permutations(range(6)))
def test_rows_are_sorted_whatever_their_order(order):
    rows = [{"station": f"S{i}", "time": f"2018-01-01T00:00:0{i // 2}Z"} for i in range(6)]
    assert Picks([rows[i] for i in order]) == Picks(rows)


@pytest.mark.parametrize(
    "time",
    [
        UTCDateTime("2018-01-01T00:00:01.5"),
        "2018-01-01T00:00:01.5",
        "2018-01-01T02:00:01.500+02:00",
        np.datetime64("2018-01-01T00:00:01.5"),
        pd.Timestamp("2018-01-01T00:00:01.5"),
    ],
)
def test_any_form_of_a_time_is_read_as_utc(time):
    assert Triggers([{"time": time}]).table.time[0] == pd.Timestamp("2018-01-01T00:00:01.5")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"station": "FUR"}], "no column 'time'"),
        ([{"time": "yesterday"}], "cannot be read"),
        ([{"time": "2018-01-01"}, {"time": None}], "no time"),
        ([{"time": "2018-01-01", "probability": "high"}], "probability"),
    ],
)
def test_bad_rows_are_named(rows, says):
    with pytest.raises(BadInput, match=says):
        Picks(rows)


def test_concat_drops_what_occurs_twice():
    one = Picks([{"station": "A", "time": "2018-01-01"}])
    two = Picks([{"station": "A", "time": "2018-01-01"}, {"station": "B", "time": "2017-01-01"}])
    assert list(Picks.concat([one, two, Picks()]).table.station) == ["B", "A"]
    assert len(Picks.concat([])) == 0


def test_spans_keep_what_occurs_twice():
    row = {"station": "A", "time": "2018-01-01", "end": "2018-01-02"}
    assert len(Spans.concat([Spans([row, row]), Spans([row]), Spans()])) == 3
    assert len(Spans.concat([])) == 0


@pytest.mark.parametrize("asked", [False, True], ids=["columns alone", "with its table"])
def test_spans_of_columns_are_those_of_their_table(asked):
    rows = [
        {"station": "A", "time": "2024-01-01", "end": "2024-01-02", "sampling_rate": 1, "samples": 9},
        {"station": "B", "time": "2024-01-03", "end": "2024-01-04", "sampling_rate": 2.5, "records": 3},
    ]
    spans = Spans(rows)
    made = Spans.of_columns({name: spans.column(name) for name in Spans.columns})
    if asked:
        pd.testing.assert_frame_equal(made.table, spans.table)
    for one in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert len(one) == 2
        for name in Spans.columns:
            np.testing.assert_array_equal(one.column(name), spans.table[name].to_numpy())
        pd.testing.assert_frame_equal(one.table, spans.table)
        assert one == spans
    made.table["samples"] = [5, 6]
    assert made.column("samples").tolist() == [5, 6], "what was changed in the table counts"
    assert not hasattr(made, "other")


def test_every_noun_is_known_by_its_class():
    import xarray as xr

    assert noun_of(Waveforms) == "Waveforms"
    assert noun_of(xr.Dataset) == "Dataset"
    assert noun_of(Picks) == "Picks"
    assert noun_of(int) is None
    assert {noun_of(Picks), noun_of(Triggers), noun_of(Spans)} <= set(NOUNS)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda: VelocityModel(), "empty"),
        (lambda: VelocityModel.taup("earth"), "TauP"),
        (lambda: VelocityModel.from_rows([(0, 5, 3), (10, None, 3)]), "row 2 has a hole"),
        (lambda: VelocityModel.from_rows([(0, 5, 3), (float("nan"), 6, 3)]), "row 2 has a hole"),
        (lambda: VelocityModel.from_rows([(10, 5, 3), (0, 6, 3)]), "not below row 1"),
        (lambda: VelocityModel.from_rows([(0, 5, 3), (0, 6, 3)]), "not below row 1"),
        (lambda: VelocityModel.from_rows([(0, 5000, 3000)]), "km/s"),
        (lambda: VelocityModel.from_rows([(0, 5, 6)]), "below Vp"),
        (lambda: VelocityModel.from_rows([(35000, 8, 4)]), "look like metres"),
        (lambda: VelocityModel.from_json({"depth_km": [0], "vp_km_s": [5, 6]}), "differ in length"),
        (lambda: VelocityModel.from_json({"depth_km": [0], "vp_km_s": ["fast"]}), "not a number"),
        (lambda: VelocityModel.from_json({"vp": [5]}), "unknown members: vp"),
        (lambda: VelocityModel.from_json(3), "cannot be read"),
        (lambda: VelocityModel.from_rows([(0, 5)]).with_vp_vs(None), "no S velocity"),
    ],
)
def test_bad_models_are_named(model, says):
    with pytest.raises(BadVelocityModel, match=says):
        model()


def test_a_model_comes_back_from_json():
    for model in (VelocityModel.taup("ak135"), VelocityModel.from_rows([(-1, 5), (3, 6, 3.5)], "linear")):
        assert VelocityModel.from_json(model.to_json()) == model


def test_missing_s_velocities_are_filled_and_given_ones_kept():
    model = VelocityModel.from_rows([(0, 5.2, None), (3, 6, 3.5)]).with_vp_vs(2.0)
    assert model.vs_km_s == (2.6, 3.5)


def test_a_notice_is_a_warning_in_a_notebook():
    with pytest.warns(WorkbenchWarning, match="GR.FUR..HHZ: is dead. Revive it"):
        notice("GR.FUR..HHZ", "is dead", "Revive it.")


def test_two_threads_never_hear_each_other():
    heard = {}
    barrier = threading.Barrier(2)

    def work(name):
        steps = []
        with listen(on_progress=lambda fraction, doing: steps.append((fraction, doing))) as listener:
            barrier.wait(10)
            for _ in range(50):
                notice(name, "speaks")
                progress(0.5, name)
            barrier.wait(10)
        heard[name] = (listener.notices, set(steps))

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {name: [n.subject for n in said] for name, (said, _) in heard.items()} == {"a": ["a"], "b": ["b"]}
    assert heard["a"][1] == {(0.5, "a")}
