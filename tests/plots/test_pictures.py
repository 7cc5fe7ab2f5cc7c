"""Pictures: each noun has one, full or empty, the same bytes each time."""

from __future__ import annotations

import struct

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy.core.event import Catalog, Event, Origin, OriginUncertainty, ResourceIdentifier

from workbench import wire
from workbench.nouns import Picks, Spans, Triggers


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def stream() -> obspy.Stream:
    whole = obspy.read()
    data = whole[0].data.astype(float)
    data[100:200] = np.nan
    whole[0].data = np.ma.array(data, mask=[False] * 2900 + [True] * 100)
    long = whole[1].copy()
    long.data = np.tile(long.data, 40)
    long.stats.station = "LONG"
    return whole + obspy.Stream([long])


def located(number: int) -> Catalog:
    events = []
    for i in range(number):
        origin = Origin(
            resource_id=ResourceIdentifier(f"smi:test/origin/{i}"),
            time=obspy.UTCDateTime(2020, 1, 1) + i,
            latitude=46 + i / 10,
            longitude=7 + i / 10,
            depth=1000.0 * i if i % 2 else None,
            origin_uncertainty=OriginUncertainty(horizontal_uncertainty=2000.0),
        )
        events.append(Event(resource_id=ResourceIdentifier(f"smi:test/event/{i}"), origins=[origin]))
    return Catalog(events)


def dataset() -> xr.Dataset:
    return xr.Dataset(
        {
            "image": (("y", "x"), np.arange(400.0).reshape(20, 20), {"units": "km"}),
            "pair": (("y", "phase"), np.arange(40.0).reshape(20, 2)),
            "line": ("x", np.arange(20)),
            "words": ("x", ["a"] * 20),
            "point": ((), 1.0),
        },
        coords={"phase": ["P", "S"], "y": [f"XX.S{i}" for i in range(20)]},
    )


PICKS = [
    {"network": "XX", "station": f"S{i}", "phase": "PSx"[i % 3], "time": f"2020-01-01T00:00:0{i}"}
    for i in range(9)
]
TRIGGERS = [
    {"time": f"2020-01-01T00:0{i}:00", "duration_s": 5.0, "n_stations": i + 1, "stations": ""}
    for i in range(9)
]
SPANS = [
    {
        "network": "XX", "station": f"S{i % 3}", "channel": "HHZ", "sampling_rate": 1.0, "samples": 31,
        "time": f"2020-01-01T00:0{i}:00", "end": f"2020-01-01T00:0{i}:30",
    }
    for i in range(9)
]  # fmt: skip
NOUNS = {
    "waveforms": stream,
    "no waveforms": obspy.Stream,
    "stations": obspy.read_inventory,
    "no stations": lambda: obspy.Inventory(networks=[]),
    "events": lambda: located(4),
    "one event": lambda: located(1),
    "no events": Catalog,
    "picks": lambda: Picks(PICKS),
    "no picks": Picks,
    "triggers": lambda: Triggers(TRIGGERS),
    "no triggers": Triggers,
    "spans": lambda: Spans(SPANS),
    "no spans": Spans,
    "dataset": dataset,
    "no dataset": xr.Dataset,
}


@pytest.mark.parametrize("name", NOUNS)
def test_picture_is_drawn_twice_the_same(name):
    first, second = (wire.encode(NOUNS[name](), ".png") for _ in range(2))
    assert first == second
    width, height = size(first)
    assert 600 < width < 2000
    assert 200 < height < 8000


def test_sheet_grows_with_the_channels():
    few, many = stream(), stream()
    for number in range(20):
        extra = many[0].copy()
        extra.stats.station = f"S{number}"
        many.append(extra)
    assert size(wire.encode(many, "image/png"))[1] > 2 * size(wire.encode(few, "image/png"))[1]


def test_extremes_survive_the_thinning():
    from workbench.plots.pictures import _envelope

    trace = obspy.Trace(np.zeros(100_000))
    trace.data[54_321] = 1000.0
    times, samples = _envelope(trace, trace.stats.starttime)
    assert len(samples) <= 8000
    assert samples.max() == 1000.0
    assert abs(times[samples.argmax()] - 54_321) < 60
