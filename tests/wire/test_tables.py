"""Picks, triggers and spans as CSV and JSON."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import wire
from workbench.errors import BadInput, UnreadableFile
from workbench.notices import listen
from workbench.nouns import Picks, Spans, Triggers

codes = st.text(st.sampled_from("ABCXYZ0129"), min_size=1, max_size=5)
moments = st.integers(0, 4 * 10**18).map(lambda ns: np.datetime64(ns, "ns"))
reals = st.floats(allow_nan=False, allow_infinity=False)
pick_rows = st.fixed_dictionaries(
    {
        "network": codes | st.just(""),
        "station": codes,
        "location": st.sampled_from(["", "00", "10", "01"]),
        "channel": st.sampled_from(["", "HHZ", "EH1"]),
        "phase": st.sampled_from(["P", "S", "Pn", ""]),
        "time": moments,
        "probability": st.floats(0, 1) | st.just(float("nan")),
    },
    optional={
        "snr": reals,
        "polarity": st.sampled_from(["up", "down", ""]),
        "event": st.sampled_from(["1", "007"]),
        "remark": st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=8),
    },
)


@pytest.mark.parametrize(
    "cells", [["0", ""], ["1.50", "2"], ["-0", "7"], ["nan", ""], ["1e5", "x"], ["007", "1"]]
)
def test_text_that_looks_like_numbers_has_one_canonical_form(cells):
    rows = [{"station": "A", "time": np.datetime64(k, "ns"), "remark": cell} for k, cell in enumerate(cells)]
    first = wire.canonical(Picks(rows))
    assert wire.canonical(wire.read(first, "Picks")) == first


@settings(max_examples=60, deadline=None)
@given(st.lists(pick_rows, max_size=6))
def test_picks_come_back_from_csv_and_json(rows):
    picks = Picks(rows)
    for suffix in (".csv", ".json"):
        back = wire.read(wire.encode(picks, suffix), "Picks") if rows or suffix == ".csv" else Picks()
        fixed = list(Picks.columns)
        pd.testing.assert_frame_equal(back.table[fixed], picks.table[fixed])
    assert wire.canonical(wire.read(wire.canonical(picks), "Picks")) == wire.canonical(picks)


@settings(max_examples=30, deadline=None)
@given(st.lists(pick_rows, max_size=5), st.randoms())
def test_order_of_rows_and_further_columns_does_not_matter(rows, random):
    shuffled = [dict(random.sample(list(row.items()), len(row))) for row in random.sample(rows, len(rows))]
    assert wire.fingerprint(Picks(shuffled)) == wire.fingerprint(Picks(rows))


def test_absent_columns_are_empty_and_further_ones_are_kept():
    text = (
        b"network,station,phase,time,probability,amplitude\nIV,T1,P,2016-10-14T00:00:00.01Z,0.300,4.995e-07\n"
    )
    picks = wire.read(text, "Picks")
    row = picks.table.iloc[0]
    assert (row.location, row.channel, row.amplitude) == ("", "", 4.995e-07)
    assert wire.canonical(picks).decode().splitlines() == [
        "network,station,location,channel,phase,time,probability,amplitude",
        "IV,T1,,,P,2016-10-14T00:00:00.010000Z,0.3,4.995e-07",
    ]


def test_recorded_picks_are_all_there(shared):
    picks = wire.read(shared("assoc_centralitaly2016") / "picks.csv", "Picks")
    assert len(picks) == 2907
    assert picks.table["probability"].between(0.3, 1).all()


def test_codes_stay_text_and_two_hyphens_are_no_location():
    text = b"network,station,location,phase,time\n1,007,00,P,2020-01-01T00:00:00\n1,008,--,S,2020-01-01\n"
    picks = wire.read(text, "Picks")
    assert picks.table["station"].tolist() == ["007", "008"]
    assert picks.table["location"].tolist() == ["00", ""]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("station,phase,time\nA,P,\n", "row 1 has no time"),
        ("station,phase,time\nA,P,yesterday\n", "a time cannot be read"),
        ("station,phase,time,probability\nA,P,2020-01-01,high\n", "probability"),
        ("station,phase,time,time\nA,P,2020-01-01,2020-01-01\n", "twice"),
        ("station,phase,time\nA,P,2020-01-01,surplus\n", "4 cells for 3 columns"),
    ],
)
def test_bad_tables_are_refused_by_name_and_place(text, word):
    with pytest.raises((BadInput, UnreadableFile), match=rf"p\.csv.*{word}"):
        wire.read(text.encode(), "Picks", "p.csv")


def test_table_with_windows_line_ends_and_a_byte_order_mark():
    text = "\ufeffnetwork,station,phase,time\r\nXX,A,P,2020-01-01T00:00:00Z\r\n\r\n"
    assert len(wire.read(text.encode(), "Picks")) == 1


def test_empty_tables_stay_tables():
    for table in (Picks(), Triggers(), Spans()):
        back = wire.read(wire.canonical(table), table.noun)
        assert len(back) == 0
        assert wire.canonical(back) == wire.canonical(table)


def test_triggers_come_back():
    rows = [
        {"time": "2010-05-27T16:24:33.21Z", "duration_s": 4.27, "n_stations": 4, "stations": "BW.UH1 BW.UH2"},
        {"time": "2010-05-27T16:27:01.26Z", "duration_s": 3.0, "n_stations": 3, "stations": "BW.UH1"},
    ]
    triggers = Triggers(rows)
    assert wire.canonical(triggers).decode().splitlines()[0] == "time,duration_s,n_stations,stations"
    assert wire.read(wire.encode(triggers, ".csv"), "Triggers") == triggers
    assert wire.read(wire.encode(triggers, ".json"), "Triggers") == triggers


SPAN = {
    "network": "BW", "station": "007", "location": "", "channel": "EHZ",
    "time": "2010-05-27T16:24:33.21Z", "end": "2010-05-27T16:24:43.20Z",
    "sampling_rate": 100.0, "samples": 1000, "records": 3,
}  # fmt: skip


span_rows = st.fixed_dictionaries(
    {
        "network": codes,
        "station": codes,
        "location": st.sampled_from(["", "00"]),
        "channel": st.sampled_from(["HHZ", "EH1"]),
        "time": moments,
        "end": moments,
        "sampling_rate": st.floats(1e-3, 1e3),
        "samples": st.integers(1, 2**40),
        "records": st.integers(0, 2**30),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(span_rows, max_size=6), st.randoms())
def test_spans_come_back_from_csv_and_json_in_any_order(rows, random):
    spans = Spans(rows)
    for suffix in (".csv", ".json"):
        assert wire.read(wire.encode(spans, suffix), "Spans") == spans
    assert wire.fingerprint(Spans(random.sample(rows, len(rows)))) == wire.fingerprint(spans)


def test_spans_are_written_with_all_that_they_say():
    assert wire.canonical(Spans([SPAN])).decode().splitlines() == [
        "time,network,station,location,channel,end,sampling_rate,samples,records",
        "2010-05-27T16:24:33.210000Z,BW,007,,EHZ,2010-05-27T16:24:43.200000Z,100.0,1000,3",
    ]


def test_a_span_that_is_there_twice_stays_there_twice():
    """An overlap may be an exact duplicate, of one file or of two."""
    one, two = Spans([SPAN, SPAN]), Spans([SPAN])
    assert len(one) == 2
    assert len(wire.merge("Spans", [wire.Datum("Spans", one, "a"), wire.Datum("Spans", two, "b")])) == 3
    assert len(wire.read(wire.canonical(one), "Spans")) == 2
    assert wire.fingerprint(one) != wire.fingerprint(two)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"end": None}, "row 1 has no end"),
        ({"end": "soon"}, "cannot be read"),
        ({"sampling_rate": "fast"}, "'sampling_rate' has text"),
    ],
)
def test_a_bad_span_is_named(changed, says):
    with pytest.raises(BadInput, match=says):
        Spans([{**SPAN, **changed}])


def test_rows_that_occur_twice_are_merged_into_one():
    one = wire.Datum("Picks", Picks([{"station": "A", "phase": "P", "time": "2020-01-01"}]), "1.csv")
    with listen():
        assert len(wire.merge("Picks", [one, one])) == 1


@pytest.mark.parametrize("code", ["00", "007", "-01", "1_0", "+1"])
def test_codes_that_look_like_numbers_stay_text(code):
    picks = Picks([{"network": "XX", "station": "A", "phase": "P", "time": "2020-01-01", "remark": code}])
    assert list(wire.read(wire.canonical(picks), "Picks").table.remark) == [code]
