"""Selections: what is typed, what a Call holds, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obspy import UTCDateTime

from workbench.archive import Selection, parse_selections
from workbench.archive.selection import matches
from workbench.errors import InvalidSetting

CODES = st.lists(st.text("ABCabc012*?", min_size=1, max_size=5), min_size=1, max_size=3).map(",".join)
LOCATIONS = st.lists(st.sampled_from(["", "--", "00", "1?", "*"]), min_size=1, max_size=3).map(",".join)
TIMES = st.one_of(st.none(), st.integers(-(2**40), 2**61).map(lambda ns: UTCDateTime(ns=max(ns, -(2**60)))))


@given(CODES, CODES, LOCATIONS, CODES, TIMES, TIMES)
def test_text_and_json_give_the_same_selection_back(network, station, location, channel, one, other) -> None:
    if one is not None and other is not None and other < one:
        one, other = other, one
    selection = Selection(network, station, location, channel, one, other)
    assert Selection.parse(str(selection)) == selection
    assert Selection.from_json(json.loads(json.dumps(selection.to_json()))) == selection
    assert Selection.from_json(str(selection)) == selection
    assert hash(Selection.parse(str(selection))) == hash(selection)
    assert parse_selections(f"{selection}+{selection}") == (selection, selection)
    assert parse_selections([str(selection), selection.to_json()]) == (selection, selection)


def test_the_form_of_the_handbook() -> None:
    text = "IU.ANMO.00.BHZ@2018-01-01T00:00:00/2018-01-01T01:00:00"
    selection = Selection.parse(text)
    assert selection.codes == ("IU", "ANMO", "00", "BHZ")
    assert selection.span == (UTCDateTime(2018, 1, 1), UTCDateTime(2018, 1, 1, 1))
    assert str(selection) == text
    assert Selection.parse("GR.FUR.--.HHZ") == Selection.parse("GR.FUR..HHZ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("IU.ANMO.BHZ", "3 codes where four"),
        ("IU.ANMO.00.BHZ@2018-01-01", "start and end"),
        ("IU.ANMO.00.BHZ@2018-01-01/2018-01-02/x", "start and end"),
        ("IU.ANMO.00.BHZ@yesterday/today", "'yesterday' is no time"),
        ("IU.ANMO.00.BHZ@2018-02-30/2018-03-01", "'2018-02-30' is no time"),
        ("IU.ANMO.00.BHZ@2018-01-01T00:00:00+02:00/2018-01-02", "without an offset"),
        ("IU.ANMO.00.BHZ@2018-01-02/2018-01-01", "ends before it starts"),
        ("IU..00.BHZ", "station code is empty"),
        ("IU.ANMO.00.B/Z", "no channel code"),
        ("IU.ANMO.00.../../x", "codes"),
        ("", "codes"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        Selection.parse(text)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"statoin": "A"}, "Did you mean 'station'"),
        ({"station": 5}, "not text"),
        (5, "is int"),
        ([], "empty list"),
    ],
)
def test_wrong_json_is_said(value: object, words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        parse_selections(value)


def test_open_spans_are_for_listing_only() -> None:
    assert Selection.parse("A.B.C.D@/2018-01-01").starttime is None
    with pytest.raises(InvalidSetting, match="no start or no end"):
        _ = Selection.parse("A.B.C.D@2018-01-01/").span


def test_patterns() -> None:
    assert Selection.parse("IU,II.*.--,1?.BH?").matches("II.PFO.10.BHZ")
    assert Selection.parse("IU,II.*.--,1?.BH?").matches("IU.PFO..BHZ")
    assert not Selection.parse("IU,II.*.--,1?.BH?").matches("IU.PFO.00.BHZ")
    assert not Selection().matches("IU.PFO.BHZ")
    assert matches("a", "?")
    assert not matches("", "?")
