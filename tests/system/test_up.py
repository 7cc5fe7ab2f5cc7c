"""`make up` and its sisters, on a whole deployment of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from deployed import Running, command, free_port
from person import Person
from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment

pytestmark = pytest.mark.services

PROCESSES = ["scheduler", "worker", "proxy", "hub", "api", "life", "guardian", "supervisor"]


@pytest.fixture(scope="module")
def scientist(running: Running):
    with Person(running.url, "scientist", running.passwords["scientist"]) as person:
        assert person.logged_in
        person.start_server()
        yield person


def test_says_what_a_newcomer_needs(running):
    assert running.url in running.said
    assert set(running.passwords) == {"scientist", "operator"}
    assert "examples/01-first-earthquake.ipynb" in running.said
    assert "each user can read and change what the others have" in running.said


def test_locates_the_demonstration_beside_its_truth(running):
    shown = running.said
    for word in (
        "origin time",
        "latitude",
        "longitude",
        "depth",
        "magnitude",
        "found",
        "truth",
        "difference",
    ):
        assert word in shown
    record = json.loads((running.state / "demonstration.json").read_text())
    difference = record["difference"]
    assert abs(difference["origin_time_s"]) < 0.5
    assert difference["epicentre_km"] < 3
    assert abs(difference["depth_km"]) < 4
    assert abs(difference["magnitude"]) < 0.3


def test_labels_the_demonstration_as_what_it_is(running):
    labels = json.loads((running.state / "archive" / "labels.json").read_text())
    kinds = {entry["kind"] for entry in labels}
    assert kinds == {"recorded", "generated"}
    assert all(entry["what"] and entry["from"] and entry["selection"] for entry in labels)


def test_secrets_are_for_the_owner_alone(running):
    for folder in ("secrets", "run", "hub"):
        assert stat.S_IMODE((running.state / folder).stat().st_mode) == 0o700
    for path in (running.state / "secrets").rglob("*"):
        assert path.is_dir() or stat.S_IMODE(path.stat().st_mode) == 0o600
    stored = (running.state / "secrets" / "passwords.json").read_text()
    assert all(password not in stored for password in running.passwords.values())


def test_nothing_listens_beyond_this_machine(running):
    ours = set(supervision.marked(running.deployment))
    inodes = {
        os.readlink(link)
        for number in ours
        for link in Path(f"/proc/{number}/fd").glob("*")
        if link.is_symlink() and os.path.lexists(link)
    }
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                assert fields[1].split(":")[0] in ("0100007F", "00000000000000000000000001000000"), line


def test_status_shows_each_process(running):
    done = running.command("status")
    assert done.returncode == 0, done.stdout
    for name in PROCESSES:
        assert any(line.startswith(name) and " well" in line for line in done.stdout.splitlines()), (
            done.stdout
        )


def test_a_second_up_changes_nothing(running):
    before = {name: running.pid(name) for name in PROCESSES}
    done = running.command("up")
    assert done.returncode == 0, done.stderr
    assert "is up already" in done.stdout
    assert "Passwords" not in done.stdout
    assert {name: running.pid(name) for name in PROCESSES} == before


def test_a_port_that_is_taken_is_named_with_its_setting(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = command(tmp_path / "state", port, "up")
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "WORKBENCH_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_directory_may_have_any_name(tmp_path):
    """Blanks, signs that mean something to the supervisor, and more than a socket's path may have."""
    state, port = tmp_path / "100 %s, 'ünïcode'" / ("x" * 100), free_port()
    archive = {"WORKBENCH_ARCHIVE": str(tmp_path / "archive")}
    try:
        done = command(state, port, "up", **archive)
        assert done.returncode == 0, done.stderr
        assert "No demo archive was built" in done.stdout
        assert command(state, port, "status").returncode == 0
    finally:
        assert command(state, port, "down").returncode == 0
    assert supervision.marked(Deployment(Settings(state=state))) == []


@pytest.mark.parametrize("sign", [";", "#", "\"'"])
def test_a_name_that_the_supervisor_cannot_take_is_refused(tmp_path, sign):
    done = command(tmp_path / f"a{sign}b", free_port(), "up")
    assert done.returncode == 2
    assert f"a{sign}b" in done.stderr


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = command(tmp_path / "file" / "state", free_port(), "up")
    assert done.returncode == 1
    assert "WORKBENCH_STATE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named(tmp_path):
    done = command(tmp_path / "state", 99999999, "status")
    assert done.returncode == 2
    assert "WORKBENCH_PORT" in done.stderr


def test_down_where_nothing_runs_does_no_harm(tmp_path):
    assert command(tmp_path / "state", free_port(), "down").returncode == 0
    assert command(tmp_path / "state", free_port(), "status").returncode == 1


def test_logs_are_json_lines(running, eventually):
    for name in ("api", "hub", "scheduler", "worker"):
        lines = (running.state / "logs" / f"{name}.log").read_text().splitlines()
        parsed = [json.loads(line) for line in lines]
        assert parsed, name
        assert all({"event", "level", "timestamp"} <= set(entry) for entry in parsed), name
    # A logger whose lines also go by way of another writes each twice.  A request's line has its time
    # and how long it took, so no two are alike by chance.
    assert httpx.get(f"{running.url}/hub/login", trust_env=False).status_code == 200

    def requests() -> list[str]:
        lines = (running.state / "logs" / "hub.log").read_text().rpartition("\n")[0].splitlines()
        return [line for line in lines if re.match(r"\d{3} [A-Z]+ /", json.loads(line)["event"])]

    eventually(requests, 10, "a request in the hub's log")
    assert not any(one == other for one, other in pairwise(requests()))
    assert "==> " in running.command("logs", "hub").stdout
    assert running.command("logs", "nothing").returncode == 2


def test_a_wrong_password_is_refused(running):
    for name in ("scientist", "operator", "nobody"):
        with Person(running.url, name, "wrong") as person:
            assert not person.logged_in
            assert person.answer.status_code == 403


def test_only_the_operator_administers(running, scientist):
    assert scientist.http.get("/hub/admin").status_code == 403
    with Person(running.url, "operator", running.passwords["operator"]) as operator:
        assert operator.http.get("/hub/admin").status_code == 200


def test_a_new_password_replaces_the_old_one(running):
    done = running.command("passwd", "guest_1")
    first = done.stdout.split()[-1]
    second = running.command("passwd", "guest_1").stdout.split()[-1]
    with Person(running.url, "guest_1", first) as person:
        assert not person.logged_in
    with Person(running.url, "guest_1", second) as person:
        assert person.logged_in
    assert running.command("passwd", "../x").returncode == 2


def test_a_cell_has_the_workbench_at_hand(running, scientist):
    kernel = scientist.start_kernel()
    code = """
import os, shutil, httpx
print(shutil.which("workbench"), os.environ["WORKBENCH_ARCHIVE"], os.getcwd())
headers = {"Authorization": "Bearer " + os.environ["WORKBENCH_TOKEN"]}
print(httpx.get(os.environ["WORKBENCH_URL"] + "processes", headers=headers).status_code)
from workbench.jobs import client
from workbench.settings import Settings
with client(Settings()) as dask:
    print(dask.submit(sum, [1, 2, 3]).result())
"""
    said = scientist.run(kernel, code).split()
    assert said[0] == str(Path(sys.executable).with_name("workbench"))
    assert said[1] == str(running.state / "archive")
    assert said[2].startswith(str(running.state / "homes" / "scientist"))
    assert said[3:] == ["200", "6"]


def test_examples_are_copied_and_never_overwritten(running, scientist):
    home = running.state / "homes" / "scientist" / "examples"
    source = Path(__file__).parents[2] / "examples"
    wanted = {path.name for path in source.glob("*.ipynb")}
    assert wanted <= {path.name for path in home.glob("*.ipynb")}


def test_a_kernel_survives_the_hub_and_the_proxy(running, scientist, eventually):
    kernel = scientist.start_kernel()
    scientist.run(kernel, "kept = 'still here'")
    for name in ("hub", "proxy", "supervisor"):
        before = running.pid(name)
        os.kill(before, signal.SIGKILL)
        eventually(partial(_again, running, name, before), 60, name)
        eventually(running.all_well, 60, "all of it")

        def answers() -> bool:
            return scientist.http.get("/user/scientist/api/status").status_code == 200

        eventually(answers, 30, "the user's server")
        assert scientist.run(kernel, "print(kept)").strip() == "still here"


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_that_is_killed_is_back_by_itself(running, name, eventually):
    before = running.pid(name)
    assert before
    os.kill(before, signal.SIGKILL)
    eventually(lambda: _again(running, name, before), 30, name)
    eventually(running.all_well, 60, "all of it")
    eventually(lambda: _serves(running), 30, "the web services")
    assert running.command("status").returncode == 0


def test_the_scheduler_lets_nobody_in_without_the_keys(running):
    from distributed import Client
    from distributed.security import Security

    address = f"tls://127.0.0.1:{running.deployment.ports['scheduler']}"
    with pytest.raises((OSError, TypeError, RuntimeError)):
        Client(address.replace("tls", "tcp"), timeout=3)
    with pytest.raises((OSError, TypeError, RuntimeError)):
        Client(address, security=Security.temporary(), timeout=3)
    http = f"http://127.0.0.1:{running.deployment.ports['scheduler_http']}"
    assert httpx.post(f"{http}/api/v1/retire_workers", json={}).status_code == 404


def test_down_leaves_no_process_and_up_comes_back(running):
    """The last one: stops everything, users' servers too, and starts it anew."""
    with Person(running.url, "scientist", running.passwords["scientist"]) as person:
        person.start_server()
        kernel = person.start_kernel()
        person.run(kernel, "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)")
    assert len(supervision.marked(running.deployment)) > len(PROCESSES)
    done = running.command("down")
    assert done.returncode == 0, done.stderr
    assert supervision.marked(running.deployment) == []
    assert running.command("status").returncode == 1
    again = running.command("up")
    assert again.returncode == 0, again.stderr
    assert "Passwords" not in again.stdout
    with Person(running.url, "scientist", running.passwords["scientist"]) as person:
        assert person.logged_in


def _again(running: Running, name: str, before: int) -> bool:
    try:
        return running.pid(name) not in (0, before) and running.well(name)
    except OSError:
        return False


def _serves(running: Running) -> bool:
    try:
        return httpx.get(f"{running.services}ready").status_code == 200
    except httpx.HTTPError:
        return False
