"""A program in a released image: wb-exec shows the image, and keeps it in as the sandbox here does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from attacks import USER, attacker
from plain import libraries

WB_EXEC = Path(__file__).parents[2] / "slurm/wb-exec"
DIGEST = "sha256:" + hashlib.sha256(b"an image of the tests").hexdigest()


@pytest.fixture(scope="module")
def attack(hostile):
    """Run attacks as a user in an image that holds what a program needs and little more."""
    if os.geteuid():
        pytest.skip("an image is root's, and we are not root")
    place = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    place.chmod(0o755)
    root = place / "images" / DIGEST / "rootfs"
    for name in ("usr/bin", "usr/lib", "usr/lib64", "etc", "tmp", "proc", "dev"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    programs = [Path(f"/usr/bin/{name}") for name in ("env", "prlimit", "cat")]
    for path in (*programs, *{found for program in programs for found in libraries(program)}):
        to = root / "usr" / path.relative_to("/usr" if path.is_relative_to("/usr") else "/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path.resolve(), to)
    (root / "etc/issue").write_text("an image of the tests\n")
    (root.parent / "image.json").write_text(json.dumps({"start": [], "environment": {}}))
    shutil.copy(WB_EXEC, place / "wb-exec")
    (place / "wb-exec.json").write_text(json.dumps({"images": str(place / "images")}))
    with attacker(hostile, USER, DIGEST, {"WORKBENCH_LAUNCHER": str(place / "wb-exec")}) as run:
        yield run
    shutil.rmtree(place)


def test_it_runs_in_the_image(attack):
    outcome = attack("reads", "/etc/issue")
    assert outcome["rows"] == 0, outcome
    assert outcome["notices"][0].endswith("its program said: an image of the tests")


def test_no_network(attack):
    outcome = attack("network", "80", "nobody")
    assert outcome["rows"] == 0, outcome
    assert "DONE" not in outcome["notices"][0]


def test_it_changes_nothing(attack):
    outcome = attack("meddles")
    assert outcome["rows"] == 0, outcome
    # /dev of wb-exec is in memory, and the program's own.
    said = outcome["notices"][0].partition("said: ")[2].split(" | ")
    assert [line for line in said if line.endswith("DONE")] == ['open("/dev/x", MAKE, 0600)=DONE']


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ("loops", "ResourceExceeded", "took longer than 1.5 s"),
        ("forks", "ResourceExceeded", "more than 20 processes"),
        ("hoards", "ResourceExceeded", "wrote more than"),
        ("fills", "ResourceExceeded", "bytes of memory"),
        ("fails", "WorkbenchError", "exit code 3; it said: first"),
        ("pipes", "WorkbenchError", "is no file"),
    ],
)
def test_what_goes_wrong_is_told(attack, how, error, text):
    outcome = attack(how)
    assert outcome["error"] == error, outcome
    assert text in outcome["text"]


def test_memory_ends_whoever_sees_it_first(attack):
    """The program is refused more, or with its launcher beside it is over the limit a moment before."""
    outcome = attack("eats")
    assert (outcome["error"], outcome["text"].partition("its program ")[2][:24]) in [
        ("WorkbenchError", "ended with exit code 7; "),
        ("ResourceExceeded", "used more than 209715200"),
    ], outcome


def test_an_image_that_is_not_there_is_named(hostile):
    other = DIGEST[:-4] + "0000"
    with attacker(
        hostile, USER if not os.geteuid() else os.geteuid(), other, {"WORKBENCH_LAUNCHER": str(WB_EXEC)}
    ) as run:
        outcome = run("says")
    assert outcome["error"] == "Unavailable"
    assert f"wb-exec: {other}: is not in" in outcome["text"]


def test_without_a_launcher_nothing_runs(hostile):
    with attacker(hostile, os.geteuid(), DIGEST, {"WORKBENCH_LAUNCHER": "/nowhere/wb-exec"}) as run:
        outcome = run("says")
    assert outcome["error"] == "Unavailable"
    assert "/nowhere/wb-exec: is not here" in outcome["text"]
