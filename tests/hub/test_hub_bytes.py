"""One Call, inside of a user's container and outside of it: the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from person import Person
from workbench import kernel as declarations
from workbench.demo import examples

pytestmark = [pytest.mark.docker, pytest.mark.services]

OVERRIDES = Path(__file__).parents[1] / "calls" / "examples"

PROGRAM = """
import json, sys
from hashlib import sha256
from pathlib import Path
from workbench.calls import Call, Policy
folder = Path(sys.argv[1])
calls = json.loads((folder / "calls.json").read_text())
found = {}
for name, call in calls.items():
    outputs = Call(**call).run(Policy(base=folder)).canonical()
    found[name] = {output: [len(data), sha256(data).hexdigest()] for output, data in outputs.items()}
print(json.dumps(found))
"""
"""Runs every Call of a folder, and says what came out."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Path:
    """A folder with generated data, and a Call of each kernel on them."""
    folder = tmp_path_factory.mktemp("calls")
    examples.write(folder)
    asked = {}
    for name in declarations.kernels():
        override = OVERRIDES / f"{name}.json"
        settings = json.loads(override.read_text()) if override.exists() else {}
        asked[name] = examples.call_of(declarations.get(name), settings).to_json()
    (folder / "calls.json").write_text(json.dumps(asked))
    (folder / "run.py").write_text(PROGRAM)
    (folder / "call.json").write_text(json.dumps(asked["triggers.sta_lta"]))
    return folder


@pytest.fixture(scope="module")
def anna(hub):
    with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        anna.start_server()
        yield anna


@pytest.fixture(scope="module")
def at_home(hub, anna, calls) -> Path:
    """The same folder in anna's home, where her container sees it."""
    home = hub.state / "homes" / "anna"
    there = home / "calls"
    there.mkdir(exist_ok=True)
    owner = home.stat()
    for path in calls.iterdir():
        (there / path.name).write_bytes(path.read_bytes())
    for path in (there, *there.iterdir()):
        os.chown(path, owner.st_uid, owner.st_gid)
    return there


def test_every_kernel_gives_the_same_bytes_inside_and_outside(anna, calls, at_home):
    # To the bit holds for one CPU family: outside, too, numba compiles for none in particular.
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(calls / "numba")}
    with subprocess.Popen(
        [sys.executable, str(calls / "run.py"), str(calls)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as outside:  # and inside meanwhile
        kernel = anna.start_kernel()
        program = str(at_home / "run.py")
        code = f"import runpy, sys; sys.argv[1:] = [{str(at_home)!r}]; ran = runpy.run_path({program!r})"
        inside = json.loads(anna.run(kernel, code, seconds=400).splitlines()[-1])
        said, wrong = outside.communicate(timeout=400)
    assert outside.returncode == 0, wrong
    expected = json.loads(said.splitlines()[-1])
    assert inside.keys() == set(declarations.kernels())
    assert {name for name in inside if inside[name] != expected[name]} == set()


def test_the_command_line_gives_them_too(anna, calls, at_home):
    """`workbench run call.json` as a batch job runs it, in the container and here."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench.cli", "run", str(calls / "call.json"), "-o", str(calls / "out")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    kernel = anna.start_kernel()
    code = f"""
import subprocess
done = subprocess.run(
    ["workbench", "run", "call.json", "-o", "out"], cwd={str(at_home)!r}, capture_output=True, text=True
)
print(done.returncode, done.stderr)
"""
    assert anna.run(kernel, code, seconds=300).split()[0] == "0"
    (outside,) = (calls / "out").glob("result.*")
    (inside,) = (at_home / "out").glob("result.*")
    assert inside.read_bytes() == outside.read_bytes()
    assert len(inside.read_bytes().splitlines()) > 2
