"""The command lines that stay as they are, on recordings.

What comes out is judged by the tests of the kernels; here it is that these
lines run, with files and folders as they lie there, and give their noun.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from obspy import UTCDateTime

from workbench import wire


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_coincidence(workbench, shared, here):
    waveforms = shared("coincidence_unterhaching2010") / "waveforms"
    given = {"freqmin": 10, "freqmax": 20, "sta": 0.5, "lta": 10, "on": 3.5, "off": 1, "min-stations": 3}
    settings = [word for name, value in given.items() for word in (f"--{name}", value)]
    done = workbench(
        "run", "subnets.coincidence", *sorted(waveforms.iterdir()), *settings, "-o", "triggers.csv"
    )
    assert (done.code, done.err) == (0, "triggers.csv: 3 triggers\n")
    triggers = wire.read(here / "triggers.csv", "Triggers").table
    expected = ["16:24:33.21", "16:27:01.26", "16:27:30.51"]
    for found, time in zip(triggers["time"], expected, strict=True):
        assert abs(UTCDateTime(found) - UTCDateTime(f"2010-05-27T{time}")) <= 0.3
    assert triggers["n_stations"].tolist() == [4, 3, 4]
    for stations in triggers["stations"]:
        assert len(set(stations.split())) == len(stations.split())


def test_pick_then_locate_then_measure(workbench, shared, here):
    case = shared("livermore2019_nc40191336")
    model = ("--velocity-model", case / "model.csv")
    done = workbench("run", "pickers.picker", case / "waveforms", "-o", "picks.csv")
    assert done.code == 0, done.err
    stations = sorted((case / "stations").iterdir())
    done = workbench("run", "locators.geiger", "picks.csv", *stations, *model, "-o", "events.xml")
    assert done.code == 0, done.err
    done = workbench("run", "locators.geiger", case / "stations", *model, "events.xml", "-o", "again.xml")
    assert done.code == 0, done.err
    # The same picks give the same origin, which is there once.
    assert (here / "again.xml").read_bytes() == (here / "events.xml").read_bytes()
    known = case / "reference" / "event.quakeml.xml"
    done = workbench("run", "magnitudes.local", known, case / "waveforms", case / "stations", "-o", "ml.xml")
    assert done.code == 0, done.err
    local = [
        item.mag for item in wire.read(here / "ml.xml", "Events")[0].magnitudes if item.magnitude_type == "ML"
    ]
    assert np.isclose(local, 4.54, atol=0.1).all()


def test_associate(workbench, shared, here):
    case = shared("assoc_centralitaly2016")
    model = ("--velocity-model", case / "itvel.nd")
    done = workbench(
        "run", "associators.associate", case / "picks.csv", case / "stations.csv", *model, "-o", "events.xml"
    )
    assert done.code == 0, done.err
    events = wire.read(here / "events.xml", "Events")
    assert len(events) >= 25
    picks = wire.read(here / "events.xml", "Picks")
    assert len(set(picks.table["event"])) == len(events)


def test_pipeline_of_files_and_a_csv_beside_stationxml(workbench, shared, here):
    case = shared("crl_corinth20100118")
    done = workbench(
        "run",
        "pipelines.earthquakes",
        case / "waveforms",
        case / "stations.xml",
        case / "stations.csv",
        "--velocity-model",
        case / "model.csv",
        "-o",
        "catalogue.xml",
    )
    assert done.code == 0, done.err
    for name in ("HP.LTK", "HP.UPR", "HA.LAKA"):
        assert name in done.err
    events = wire.read(here / "catalogue.xml", "Events")
    assert len(events) >= 1
    done = workbench(
        "run", "locators.geiger", "catalogue.xml", case / "stations.xml", "--velocity-model", "ak135"
    )
    assert done.code == 0, done.err
