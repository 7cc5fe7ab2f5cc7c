"""Velocity models: the forms, and the holes."""

from __future__ import annotations

import pytest

from workbench import wire
from workbench.errors import BadVelocityModel
from workbench.nouns import VelocityModel
from workbench.wire import velocity

CSV = "depth_km,vp_km_s,vs_km_s\n-1,1.5,0.8\n0,5.0,2.9\n10,6.0,\n"


def load(tmp_path, text: str, name: str = "m.csv") -> VelocityModel:
    path = tmp_path / name
    path.write_text(text)
    return velocity.load(path)


def test_csv_rows_are_constant_layers_and_vs_may_be_empty(tmp_path):
    model = load(tmp_path, CSV)
    assert model == VelocityModel((-1.0, 0.0, 10.0), (1.5, 5.0, 6.0), (0.8, 2.9, None))
    assert not model.has_vs


def test_csv_without_a_column_of_vs(tmp_path):
    assert load(tmp_path, "depth_km,vp_km_s\n0,5\n").vs_km_s == (None,)


def test_nd_is_linear_and_may_have_steps_comments_and_boundaries(tmp_path):
    text = "# a crust\n0.0 5.8 3.36 2.6\n20.0 5.8 3.36\nmoho\n20 6.5 3.75 // step\n\n35.0 6.5 3.75\n"
    model = load(tmp_path, text, "model.nd")
    assert model.interpolation == "linear"
    assert model.depth_km == (0.0, 20.0, 20.0, 35.0)


def test_recorded_models_are_read(shared):
    assert len(velocity.load(shared("assoc_centralitaly2016") / "itvel.nd").depth_km) > 5
    for case in (
        "crl_corinth20100118",
        "holuhraun2014",
        "livermore2019_nc40191336",
        "hypoinverse_laquila2009",
    ):
        assert velocity.load(shared(case) / "model.csv").has_vs


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("depth_km,vp_km_s,vs_km_s\n0,5,2.9\n10,,3\n", "row 2 has a hole"),
        ("depth_km,vp_km_s,vs_km_s\n0,5,2.9\n10,six,3\n", "row 2 has 'six'"),
        ("depth_km,vp_km_s,vs_km_s\n10,5,2.9\n0,6,3\n", "row 2"),
        ("depth_km,vp_km_s,vs_km_s\n0,5000,2900\n", "km/s"),
        ("depth_km,vp_km_s,vs_km_s\n0,5,6\n", "Vs"),
        ("depth_km,vp_km_s,vs_km_s\n", "empty"),
        ("0 5.0\n10 6.0\n", "no velocity model"),
        ("10 5.0 2.9\n0 6.0 3.4\n", "row 2"),
        ("<xml/>", "no velocity model"),
        ("", "no velocity model"),
    ],
)
def test_model_with_a_hole_names_file_and_row(tmp_path, text, word):
    with pytest.raises(BadVelocityModel, match=word) as caught:
        load(tmp_path, text)
    assert "m.csv" in caught.value.subject


@pytest.mark.parametrize(
    "model", [VelocityModel.taup("ak135"), VelocityModel((0.0, 5.0), (5.0, 6.0), (2.9, None))]
)
def test_canonical_json_comes_back(model):
    back = VelocityModel.from_json(__import__("json").loads(velocity.canonical(model)))
    assert back == model
    assert velocity.fingerprint(back) == velocity.fingerprint(model)


def test_csv_is_written_where_rows_are_layers(tmp_path):
    model = load(tmp_path, CSV)
    assert load(tmp_path, velocity.encode(model, "text/csv").decode()) == model


def test_other_tables_of_numbers_are_no_model():
    for text in (b"1985 125 33.4\n1985 126 1.2\n", b"-122.3 38.2 0\n-122.4 38.3 1\n", b"1 2 3\n"):
        noun = "?"
        try:
            noun, _ = wire.sniff(text)
        except wire.UnreadableFile:
            noun = "unknown"
        assert noun != "VelocityModel"
