"""An example Call for every kernel, derived from its declaration, on generated data.

Each input is given the generated data of its noun, and each setting that has
no default a value by its type or its name; so a new kernel has an example
without a line being written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obspy import Trace
from pydantic_core import PydanticUndefined

from workbench import wire
from workbench.calls import Call
from workbench.calls.describe import schema_of
from workbench.demo.network import MODEL, Sequence, network_sequence
from workbench.errors import InvalidSetting
from workbench.kernel import Kernel

__all__ = ["FILES", "call_of", "data_of", "write"]

FILES = {
    "Waveforms": "waveforms.mseed",
    "Stations": "stations.xml",
    "Events": "events.xml",
    "Picks": "picks.csv",
    "Triggers": "triggers.csv",
    "Spans": "spans.csv",
    "Dataset": "dataset.nc",
}
"""The generated file of each noun."""

_BY_NAME = {"latitude": 42.0, "longitude": 13.0, "depth": 8.0, "freqmin": 2.0, "freqmax": 20.0}
"""For settings without a default whose type does not say enough: the middle of the generated network."""


def write(folder: Path) -> None:
    """Write the generated data of each noun: one earthquake on eight stations, 150 s."""
    made = network_sequence(n_stations=8, n_events=1, duration_s=150.0)
    for noun, value in _nouns(made).items():
        (folder / FILES[noun]).write_bytes(wire.encode(value, Path(FILES[noun]).suffix))


def call_of(kernel: Kernel, settings: Mapping[str, Any] | None = None) -> Call:
    """Return a Call of a kernel whose paths are those of `FILES`.

    Parameters
    ----------
    kernel : Kernel
    settings : mapping, optional
        Settings to use; needed where neither type nor name of a setting without
        a default says what it could be.

    Raises
    ------
    InvalidSetting
        If a setting is needed and nothing is known about it.

    Examples
    --------
    >>> from workbench import kernel
    >>> call_of(kernel.get("triggers.sta_lta")).inputs
    {'waveforms': {'path': 'waveforms.mseed'}}
    """
    inputs: dict[str, Any] = {item.name: {"path": FILES[item.nouns[0]]} for item in kernel.inputs}
    given = dict(settings or {})
    for name, field in kernel.settings.model_fields.items():
        if field.default is PydanticUndefined and name not in given:
            given[name] = _value(kernel, name)
    return Call(process=kernel.id, inputs={**inputs, **given})


def data_of(kernel: Kernel, folder: Path) -> dict[str, Any]:
    """Write the generated data into a folder and read what the inputs of a kernel take."""
    write(folder)
    return {item.name: wire.read(folder / FILES[item.nouns[0]], item.nouns[0]) for item in kernel.inputs}


def _nouns(made: Sequence) -> dict[str, Any]:
    import xarray as xr

    from workbench.nouns import Spans, Triggers
    from workbench.wire.events import to_picks

    picks = to_picks(made.truth)
    first = picks.table["time"].min()
    codes = sorted(set(picks.table["network"] + "." + picks.table["station"]))
    trigger = {"time": first, "duration_s": 10.0, "n_stations": len(codes), "stations": " ".join(codes)}
    table = xr.Dataset({"value": ("station", [float(len(code)) for code in codes])}, {"station": codes})
    return {
        "Waveforms": made.waveforms,
        "Stations": made.stations,
        "Events": made.truth,
        "Picks": picks,
        "Triggers": Triggers([trigger]),
        "Spans": Spans(_span(trace) for trace in made.waveforms),
        "Dataset": table,
    }


def _span(trace: Trace) -> dict[str, Any]:
    stats = trace.stats
    codes = {name: stats[name] for name in ("network", "station", "location", "channel")}
    return {
        **codes,
        "time": stats.starttime,
        "end": stats.endtime,
        "sampling_rate": stats.sampling_rate,
        "samples": stats.npts,
        "records": 1,
    }


def _value(kernel: Kernel, name: str) -> Any:
    described = schema_of(kernel, name)
    if described.get("title") == "1-D velocity model":
        return MODEL.to_json()
    if "enum" in described:
        return described["enum"][0]
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise InvalidSetting(
        kernel.id,
        f"setting '{name}' has no default, and nothing says what an example could be",
        f"Write one into tests/calls/examples/{kernel.id}.json.",
    )
