"""Calls: how they are read, checked and written."""

from __future__ import annotations

import json

import pytest

from workbench.calls import Call
from workbench.errors import InvalidSetting, UnknownKernel, UnreadableFile

DATA = {"selection": "BW.RJOB..EH?@2009-08-24/2009-08-25"}


def test_canonical_call_spells_out_the_defaults_and_does_not_see_how_it_was_written():
    short = Call.of({"process": "triggers.sta_lta", "inputs": {"waveforms": DATA, "sta": 1}})
    long = Call.of(
        {
            "inputs": {"sta": 1.0, "lta": 30, "waveforms": [DATA]},
            "outputs": {"result": {"format": {"mediaType": "application/json"}}},
            "response": "raw",
            "process": "triggers.sta_lta",
        }
    )
    assert short.canonical() == long.canonical()
    assert json.loads(short.canonical())["inputs"]["off"] == 1.5


def test_canonical_call_sees_settings_and_data():
    base = {"process": "triggers.sta_lta", "inputs": {"waveforms": DATA}}
    other = {"process": "triggers.sta_lta", "inputs": {"waveforms": DATA, "on": 4}}
    assert Call.of(base).canonical() != Call.of(other).canonical()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"inputs": {}}, "process"),
        ([], "is no Call"),
        ({"process": "triggers.sta_lta", "inputs": []}, "inputs"),
        ({"process": 5}, "process"),
    ],
)
def test_what_is_no_call_is_refused(content, word):
    with pytest.raises(InvalidSetting, match=word):
        Call.of(content)


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"waveforms": DATA, "stas": 1}, "did you mean 'sta'"),
        ({"waveforms": DATA, "sta": -1}, "greater than or equal to 0"),
        ({"waveforms": DATA, "sta": "long"}, "valid number"),
        ({"waveforms": DATA, "kind": "fast"}, "recursive"),
        ({"waveforms": DATA, "sta": float("nan")}, "finite"),
        ({"waveforms": "a.mseed"}, "selection"),
        ({"waveforms": []}, "empty list"),
        ({"waveforms": {"path": "a", "href": "b"}}, "href"),
        ({"waveforms": {"url": "b"}}, "is given as"),
    ],
)
def test_wrong_inputs_are_named(inputs, word):
    with pytest.raises(InvalidSetting, match=word):
        Call(process="triggers.sta_lta", inputs=inputs).split()


@pytest.mark.parametrize(("name", "value"), [("corners", 2**70), ("sta", 1e400)])
def test_number_that_json_cannot_hold_is_refused(name, value):
    process = "waveforms.filter" if name == "corners" else "triggers.sta_lta"
    with pytest.raises(InvalidSetting):
        Call(process=process, inputs={"waveforms": DATA, "freqmin": 1.0, name: value}).canonical()


def test_unknown_process_names_what_comes_close():
    with pytest.raises(UnknownKernel, match=r"triggers\.sta_lta"):
        Call(process="triggers.stalta").split()


@pytest.mark.parametrize("text", ["", "{", "[1, 2"])
def test_file_that_is_no_json_is_refused_by_name(tmp_path, text):
    path = tmp_path / "call.json"
    path.write_text(text)
    with pytest.raises(UnreadableFile, match=r"call\.json"):
        Call.load(path)
    with pytest.raises(UnreadableFile, match=r"nothere\.json"):
        Call.load(tmp_path / "nothere.json")
