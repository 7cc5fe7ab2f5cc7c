"""Picks to QuakeML and back."""

import io

import numpy as np
import pytest
from obspy import UTCDateTime, read_events
from obspy.core.event import Arrival, Catalog, Event, Origin, Pick, QuantityError, WaveformStreamID

from workbench.kernels import _quakeml
from workbench.kernels._phases import phase_of, sigma_of
from workbench.nouns import Picks, VelocityModel

ROW = {
    "network": "GR",
    "station": "FUR",
    "location": "00",
    "channel": "HHZ",
    "phase": "Pg",
    "time": "2020-01-01T00:00:01.123456789",
    "probability": 0.875,
    "uncertainty_s": 0.04,
    "polarity": "up",
    "onset": "emergent",
    "mode": "manual",
}


def event(*rows):
    return Event(resource_id="smi:abc/event", picks=[_quakeml.pick(row) for row in Picks(rows)])


def test_row_to_pick_and_back_through_a_file():
    out = io.BytesIO()
    Catalog([event(ROW)]).write(out, format="QUAKEML")
    back = _quakeml.flatten(read_events(io.BytesIO(out.getvalue())))
    row = next(iter(back))
    assert (row.network, row.station, row.location, row.channel) == ("GR", "FUR", "00", "HHZ")
    # QuakeML as ObsPy writes it holds microseconds.
    assert abs(row.time.value - np.datetime64(ROW["time"], "ns").astype(int)) < 1000
    assert (row.phase, row.probability, row.uncertainty_s) == ("Pg", 0.875, 0.04)
    assert (row.polarity, row.onset, row.mode, row.event) == (
        "positive",
        "emergent",
        "manual",
        "smi:abc/event",
    )
    assert row.pick == event(ROW).picks[0].resource_id.id


def test_ids_follow_from_the_content():
    one, same, other = event(ROW, ROW, ROW | {"phase": "Sg"}).picks
    assert one.resource_id == same.resource_id != other.resource_id
    assert event(ROW | {"pick": "smi:agency/1"}).picks[0].resource_id.id == "smi:agency/1"


def test_bare_row():
    pick = event({"station": "FUR", "phase": "P", "time": ROW["time"]}).picks[0]
    assert pick.waveform_id.network_code == ""
    assert pick.waveform_id.channel_code is None
    assert (pick.polarity, pick.onset, pick.comments) == (None, None, [])
    assert pick.time_errors.uncertainty is None
    assert pick.evaluation_mode == "automatic"


def test_uncertainty_to_two_sides_and_phase_of_the_arrival():
    pick = Pick(
        resource_id="smi:abc/pick",
        time=UTCDateTime(0),
        waveform_id=WaveformStreamID("XX", "A"),
        time_errors=QuantityError(lower_uncertainty=0.1, upper_uncertainty=0.3),
    )
    origin = Origin(arrivals=[Arrival(pick_id=pick.resource_id, phase="Sn")])
    row = next(iter(_quakeml.flatten(Catalog([Event(picks=[pick], origins=[origin])]))))
    assert (row.uncertainty_s, row.phase) == (pytest.approx(0.2), "Sn")


def test_earth_models_have_names():
    one, other = (VelocityModel((0.0,), (v,), (3.0,)) for v in (6.0, 6.1))
    assert _quakeml.earth_model(one) != _quakeml.earth_model(other)
    assert _quakeml.earth_model(VelocityModel.taup("ak135")).id == "smi:workbench/earth_model/ak135"


@pytest.mark.parametrize(
    "name", ["PKP", "PKiKP", "pP", "PP", "PcP", "Lg", "Rg", "SKS", "SS", "T", "X", "amplitude"]
)
def test_later_phases_are_no_first_arrivals(name):
    assert phase_of(name) is None


@pytest.mark.parametrize(
    ("columns", "sigma"),
    [
        ({"uncertainty_s": 0.03, "probability": 0.5}, 0.03),
        ({"uncertainty_s": 0.0, "probability": 0.5}, 0.2),
        ({"uncertainty_s": np.nan, "probability": 0.01}, 1.0),
        ({"uncertainty_s": 1e-6}, 0.01),
        ({}, 0.1),
    ],
)
def test_standard_error_of_a_pick(columns, sigma):
    row = next(iter(Picks([{"station": "A", "phase": "P", "time": ROW["time"]} | columns])))
    assert sigma_of(row, 0.1) == pytest.approx(sigma)
