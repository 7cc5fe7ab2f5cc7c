"""One Call, every surface, the same bytes.

The registry is walked, so a new kernel is compared without a line being
written.  A surface is a function from an `Asked` to the canonical bytes of each
output; `@surface` adds one.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from workbench import kernel as declarations
from workbench import wire
from workbench.calls import Call, Policy
from workbench.cubes import from_stream
from workbench.demo import examples
from workbench.jobs import result, submit
from workbench.kernel import Kernel
from workbench.notices import listen
from workbench.nouns import Waveforms

OVERRIDES = Path(__file__).parent / "calls" / "examples"
"""Settings of examples that cannot be guessed: ``<id>.json``, an object of settings."""

Bytes = dict[str, bytes]


@dataclass(frozen=True)
class Asked:
    """A Call whose paths are relative to a folder of generated data."""

    kernel: Kernel
    call: Call
    folder: Path
    scratch: Path
    fixture: Callable[[str], Any]
    """Gives a fixture by name: a running service, a cluster."""

    def suffix(self, noun: str) -> str:
        return next(iter(wire.codec(noun).MEDIA.values()))


SURFACES: dict[str, Callable[[Asked], Bytes]] = {}


def surface(function: Callable[[Asked], Bytes]) -> Callable[[Asked], Bytes]:
    SURFACES[function.__name__] = function
    return function


def python(asked: Asked) -> Bytes:
    """The function itself, on objects, with plain keyword arguments."""
    return _direct(asked, _data(asked))


@surface
def shuffled(asked: Asked) -> Bytes:
    """Python again, with traces and stations the other way round."""
    data = _data(asked)
    for item in asked.kernel.inputs:
        if item.nouns[0] == "Waveforms":
            data[item.name].traces.reverse()
        elif item.nouns[0] == "Stations":
            for network in data[item.name]:
                network.stations.reverse()
    return _direct(asked, data)


@surface
def cube(asked: Asked) -> Bytes:
    """Python again, with waveforms as a cube of channels by time."""
    data = _data(asked)
    for item in asked.kernel.inputs:
        if isinstance(data[item.name], Waveforms):
            data[item.name] = from_stream(data[item.name])
    return _direct(asked, data)


@surface
def cube_in_a_call(asked: Asked) -> Bytes:
    """``Call.run`` with waveforms from a NetCDF file that holds a cube."""
    inputs = dict(asked.call.inputs)
    for item in asked.kernel.inputs:
        if item.nouns[0] == "Waveforms" and item.name in inputs:
            path = asked.scratch / f"{item.name}.nc"
            path.write_bytes(wire.encode(from_stream(_data(asked)[item.name]), ".nc"))
            inputs[item.name] = {"path": str(path)}
    return Call(process=asked.kernel.id, inputs=inputs).run(Policy(base=asked.folder)).canonical()


@surface
def call(asked: Asked) -> Bytes:
    """``Call.run`` in this process."""
    return asked.call.run(Policy(base=asked.folder)).canonical()


@surface
def command(asked: Asked) -> Bytes:
    """The command line, in a process of its own."""
    parts = asked.call.split()
    arguments = [f"{name}={value[0]['path']}" for name, value in parts.data.items()]
    for name in parts.settings.model_fields_set:
        value = asked.call.inputs[name]
        if isinstance(value, dict):
            path = asked.scratch / f"{name}.json"
            path.write_text(json.dumps(value))
            value = path
        elif isinstance(value, list):
            value = ",".join(map(str, value))
        arguments.append(f"--{name.replace('_', '-')}={value}")
    target = asked.scratch / "out"
    _workbench(asked.folder, "run", asked.kernel.id, *arguments, "-o", str(target))
    return _written(asked, target)


@surface
def batch(asked: Asked) -> Bytes:
    """A Call file, run by the command that a batch job runs."""
    file = asked.folder / f"{asked.kernel.id}.json"
    file.write_text(json.dumps(asked.call.to_json()))
    target = asked.scratch / "job"
    _workbench(asked.scratch, "run", str(file), "-o", str(target))
    record = json.loads((target / "provenance.json").read_text())
    assert record["inputs"] == asked.call.run(Policy(base=asked.folder)).fingerprints
    return _written(asked, target)


@surface
def worker(asked: Asked) -> Bytes:
    """A worker of a Dask cluster, in a process of its own."""
    dask = asked.fixture("dask")
    answer = result(submit(dask, {"call": _sent(asked).to_json()}, seconds=300).result())
    return _read(asked, {name: output["data"] for name, output in answer["outputs"].items()})


@surface
def web(asked: Asked) -> Bytes:
    """The web service: data as base64 in the body, outputs by value in a document."""
    body = {"inputs": _sent(asked).inputs, "response": "document"}
    answer = asked.fixture("services").post(f"/processes/{asked.kernel.id}/execution", json=body, timeout=300)
    assert answer.status_code == 200, answer.text
    outputs = {}
    for name, output in answer.json().items():
        packed = output.get("encoding") == "base64"
        outputs[name] = base64.b64decode(output["value"]) if packed else output["value"].encode()
    return _read(asked, outputs)


def _sent(asked: Asked) -> Call:
    """The Call with its data in it."""
    inputs = dict(asked.call.inputs)
    for name, values in asked.call.split().data.items():
        content = (asked.folder / values[0]["path"]).read_bytes()
        inputs[name] = {"value": base64.b64encode(content).decode()}
    return Call(process=asked.kernel.id, inputs=inputs)


def _read(asked: Asked, outputs: dict[str, bytes]) -> Bytes:
    nouns = {item.name: item.noun for item in asked.kernel.outputs}
    return {name: wire.canonical(wire.read(data, nouns[name])) for name, data in outputs.items()}


def _data(asked: Asked) -> dict[str, Any]:
    return {
        item.name: wire.read(asked.folder / examples.FILES[item.nouns[0]], item.nouns[0])
        for item in asked.kernel.inputs
    }


def _direct(asked: Asked, data: dict[str, Any]) -> Bytes:
    checked = asked.call.split().settings
    settings = {name: getattr(checked, name) for name in type(checked).model_fields}
    before = {name: wire.fingerprint(value) for name, value in data.items()}
    with listen():
        found = asked.kernel.function(**data, **settings)
    assert {name: wire.fingerprint(value) for name, value in data.items()} == before, "the input was changed"
    outputs = asked.kernel.outputs
    if len(outputs) == 1 and outputs[0].name == "result":
        return {"result": wire.canonical(found)}
    return {item.name: wire.canonical(getattr(found, item.name)) for item in outputs}


def _workbench(folder: Path, *arguments: str) -> None:
    # Another hash seed: nothing may depend on the order of a set.
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-m", "workbench.cli", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def _written(asked: Asked, folder: Path) -> Bytes:
    return {
        item.name: wire.canonical(wire.read(folder / f"{item.name}{asked.suffix(item.noun)}", item.noun))
        for item in asked.kernel.outputs
    }


@pytest.fixture(scope="session")
def generated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    examples.write(folder)
    return folder


@pytest.fixture(scope="module")
def expected() -> dict[str, Bytes]:
    return {}


@pytest.mark.parametrize("name", SURFACES)
@pytest.mark.parametrize("kernel_id", declarations.kernels())
def test_every_surface_gives_the_bytes_that_python_gives(
    kernel_id, name, generated, expected, tmp_path, request
):
    kernel = declarations.get(kernel_id)
    override = OVERRIDES / f"{kernel_id}.json"
    settings = json.loads(override.read_text()) if override.exists() else {}
    asked = Asked(kernel, examples.call_of(kernel, settings), generated, tmp_path, request.getfixturevalue)
    if kernel_id not in expected:
        expected[kernel_id] = python(asked)
    found = SURFACES[name](asked)
    assert found.keys() == expected[kernel_id].keys()
    for output, data in found.items():
        assert data == expected[kernel_id][output], f"{kernel_id}: {output} differs"


def test_examples_find_something(expected):
    """Two empty tables are equal: the examples have to find what was generated."""
    empty = [
        f"{kernel_id}: {name}"
        for kernel_id, outputs in expected.items()
        for name, data in outputs.items()
        if data.count(b"\n") < 2
    ]
    assert not empty
