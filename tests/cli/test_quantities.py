"""Text of a command line into settings."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from annotated_types import Le
from hypothesis import given
from hypothesis import strategies as st

from workbench.cli.quantities import parse
from workbench.errors import BadVelocityModel, InvalidSetting
from workbench.nouns import VelocityModel
from workbench.units import (
    Count,
    Degrees,
    Fraction,
    Hertz,
    Kilometres,
    Magnitude,
    Ratio,
    Seconds,
    SignedSeconds,
)


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (Seconds, "2", 2.0),
        (Seconds, "2 s", 2.0),
        (Seconds, "500 ms", 0.5),
        (Seconds, "1.5min", 90.0),
        (Seconds, "2 h", 7200.0),
        (Seconds, "1e-3", 0.001),
        (SignedSeconds, "-0.5 s", -0.5),
        (Hertz, "250 mHz", 0.25),
        (Hertz, "1 kHz", 1000.0),
        (Kilometres, "1500 m", 1.5),
        (Fraction, "30 %", 0.3),
        (Degrees, "-12.5 deg", -12.5),
        (Hertz | None, "none", None),
        (Hertz | None, "3", 3.0),
        (Annotated[Hertz, Le(50)], "3 Hz", 3.0),
        (Count, "3", 3),
        (bool, "true", True),
        (str, "P*", "P*"),
        (Literal["P", "S"], "s", "S"),
        (Literal["p", "P"], "P", "P"),
        (Literal[1, 2], "2", 2),
        (tuple[Hertz, ...], "1, 2.5 ,3 kHz", [1.0, 2.5, 3000.0]),
        (tuple[Hertz, ...], "", []),
        (tuple[Hertz, Hertz], "1,2", [1.0, 2.0]),
        (tuple[Hertz, Hertz], "1:2", [1.0, 2.0]),
        (tuple[tuple[Kilometres, Magnitude], ...] | None, "0:-1.3, 60:-2.8", [[0.0, -1.3], [60.0, -2.8]]),
        (tuple[str, ...] | None, "P,S", ["P", "S"]),
        (VelocityModel, "iasp91", "iasp91"),
        (Ratio, "1.73", 1.73),
    ],
)
def test_text_becomes_plain_json(hint, text, value):
    assert parse(hint, text, "name") == value


@pytest.mark.parametrize(
    ("hint", "text", "word"),
    [
        (Seconds, "", "no number"),
        (Seconds, "s", "no number"),
        (Seconds, "5 Hz", "unit 'hz'"),
        (Seconds, "1,2", "no number"),
        (Ratio, "3 s", "unit"),
        (Count, "2.5", "whole number"),
        (Literal["P", "S"], "PS", "Choose from P, S"),
        (tuple[Hertz, Hertz], "1", "2 are needed"),
        (Hertz | None, "fast", "no number"),
    ],
)
def test_what_does_not_fit_names_the_option(hint, text, word):
    with pytest.raises(InvalidSetting, match=word) as caught:
        parse(hint, text, "some_name")
    assert caught.value.subject == "--some-name"


@given(st.decimals(-1e6, 1e6, places=6))
def test_milliseconds_are_the_float_that_one_would_write_in_seconds(number):
    assert parse(SignedSeconds, f"{number} ms", "x") == float(number / 1000)


def test_velocity_model_is_read_from_a_file_or_a_name(tmp_path):
    path = tmp_path / "model.csv"
    path.write_text("depth_km,vp_km_s,vs_km_s\n0,5,\n")
    assert parse(VelocityModel, str(path), "m")["vs_km_s"] == [None]
    with pytest.raises(BadVelocityModel, match="iasp91"):
        parse(VelocityModel, "nothing", "m")
