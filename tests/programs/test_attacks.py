"""What a program may not do, it can not; what it leaves is read as data of a stranger."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import attacks
from attacks import USER, attacker
from attacks import attack as attack_here
from workbench.programs import Limits
from workbench.programs.sandbox import ENVIRONMENT

HERE = Path(__file__).parent

ENDED = [
    ("loops", "ResourceExceeded", "took longer than 1.5 s"),
    ("sleeps", "ResourceExceeded", "took longer than 1.5 s and was ended; it said: good night"),
    ("talks", "ResourceExceeded", "took longer than 1.5 s"),
    ("forks", "ResourceExceeded", "more than 20 processes"),
    ("shares", "ResourceExceeded", "bytes of memory"),
    ("hoards", "ResourceExceeded", "wrote more than"),
    ("hides", "ResourceExceeded", "wrote more than"),
    ("writes", "ResourceExceeded", "wrote more than"),
    ("fills", "WorkbenchError", "exit code 8; it said: no room"),
    ("eats", "WorkbenchError", "exit code 7; it said: no memory"),
]
BROKEN = [
    ("pipes", "is no file"),
    ("folder", "is no file"),
    ("nests", "exit code 9"),
    ("breaks", "left no Triggers: result.csv"),
    ("another", "holds Picks"),
    ("crashes", "signal 11; it said: about to"),
    ("fails", "exit code 3; it said: first | second \ufffd[31m | the station is unknown"),
    ("nothing", "result.csv: was not written"),
]


@pytest.fixture(scope="module", params=["as we are", "as a user"])
def attack(request, hostile):
    """Run attacks: as root and as a user where we are root."""
    if request.param == "as a user" and os.geteuid():
        pytest.skip("we are a user")
    with attacker(hostile, USER if request.param == "as a user" else os.geteuid()) as run:
        yield run


def test_no_network(attack):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind("\0wbt-hidden-" + str(os.getpid()))
        hidden.listen()
        # The sockets answer whoever is outside.
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        outcome = attack("network", str(port), "wbt-hidden-" + str(os.getpid()))
    assert outcome["rows"] == 0
    said = outcome["notices"][0]
    assert said.count("=") == 3
    assert "DONE" not in said


@pytest.mark.parametrize(("how", "attempts"), [("files", 7), ("meddles", 9)])
def test_no_other_files(attack, how, attempts):
    outcome = attack(how, str(HERE / "conftest.py"))
    assert outcome["rows"] == 0, outcome
    said = outcome["notices"][0].partition("said: ")[2].split(" | ")
    assert len(said) == attempts
    # The first process of a user's program is the user's; it has the environment that every program has.
    assert not {line for line in said if line.endswith("DONE")} - {'open("/proc/1/environ", O_RDONLY)=DONE'}


def test_no_secret_of_ours_is_in_its_environment(attack):
    said = attack("environment")["notices"][0].partition("said: ")[2].split(" | ")
    assert dict(word.split("=", 1) for word in said) == {**ENVIRONMENT, "PWD": "/work"}


@pytest.mark.parametrize(("how", "error", "text"), ENDED, ids=[how for how, *_ in ENDED])
def test_what_uses_too_much_is_ended(attack, how, error, text):
    outcome = attack(how)
    assert outcome["error"] == error, outcome
    assert text in outcome["text"]
    assert outcome["seconds"] < 10


@pytest.mark.parametrize(("how", "text"), BROKEN, ids=[how for how, _ in BROKEN])
def test_what_fails_says_why(attack, how, text):
    outcome = attack(how)
    assert outcome["error"] == "WorkbenchError", outcome
    assert text in outcome["text"]


def test_a_link_leads_nowhere(attack):
    with tempfile.NamedTemporaryFile("w", suffix=".csv", dir="/var/tmp") as other:
        other.write("time,duration_s\n2020-01-01T00:00:00Z,1\n")
        other.flush()
        os.chmod(other.name, 0o644)
        outcome = attack("links", other.name)
    assert outcome["rows"] is None
    assert "result.csv: is no file that can be read" in outcome["text"]


def test_what_it_leaves_behind_is_ended(attack, eventually):
    outcome = attack("leaves")
    assert outcome["rows"] == 0, outcome
    assert outcome["seconds"] < 1.4
    eventually(lambda: not hostiles(), 5, "the process to be gone")


def hostiles() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == b"in/hostile":
            found.append(entry.parent.name)
    return found


def test_closed_folders_are_taken_away(attack):
    assert attack("closes")["rows"] == 0


def test_what_it_says_is_a_notice(attack):
    outcome = attack("says")
    assert [text.partition("said: ")[2] for text in outcome["notices"]] == ["42 rows", "no gain, 1 taken"]


def test_processor_time_counts_for_all_together(hostile):
    outcome = attack_here(hostile, "loops", limits=Limits(wall_s=30, cpu_s=1))
    assert "used more than 1 s of processor time" in outcome["text"]


def test_without_bubblewrap_nothing_runs(hostile, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    outcome = attack_here(hostile, "says")
    assert outcome["error"] == "Unavailable"
    assert "apt-get install bubblewrap" in outcome["text"]
    assert not outcome["notices"]


def test_with_its_caller_it_ends(hostile, tmp_path, eventually):
    words = [sys.executable, attacks.__file__, str(os.geteuid()), str(hostile.path), hostile.sha256]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}
    ) as caller:
        caller.stdin.write(b'["sleeps"]\n')
        caller.stdin.flush()
        eventually(hostiles, 20, "the program to run")
        caller.kill()
    eventually(lambda: not hostiles(), 5, "the program to be gone")


def test_a_sandbox_that_cannot_be_made_is_not_the_programs_fault(hostile, monkeypatch, tmp_path):
    """As in a container that may make no namespaces."""
    false = tmp_path / "bwrap"
    false.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    false.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    outcome = attack_here(hostile, "says")
    assert outcome["error"] == "Unavailable"
    assert "cannot be started: bwrap: No permissions" in outcome["text"]
