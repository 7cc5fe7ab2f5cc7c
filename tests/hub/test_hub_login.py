"""People log in by the real form, each gets a server of their own, and cells run in it."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from deployed import command
from hosted import PEOPLE, SELECTIONS
from person import Person
from workbench_hub import supervision

pytestmark = [pytest.mark.docker, pytest.mark.services]


def test_up_says_which_profile_it_took_and_why(hub):
    assert "Profile host: WORKBENCH_PROFILE says so." in hub.said
    assert "for development only" in hub.said
    assert "each user can read and change" not in hub.said


def test_the_state_directory_remembers_its_profile(hub):
    kept = {name: value for name, value in hub.more.items() if name != "WORKBENCH_PROFILE"}
    done = command(hub.state, hub.port, "status", **kept)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PostgreSQL" in done.stdout
    other = command(hub.state, hub.port, "up", **kept, WORKBENCH_PROFILE="embedded")
    assert other.returncode == 2
    assert "WORKBENCH_STATE" in other.stderr


def test_a_wrong_password_is_refused(hub):
    for name in (*PEOPLE, "nobody", "root"):
        with Person(hub.url, name, "wrong") as person:
            assert not person.logged_in
            assert person.answer.status_code == 403


@pytest.fixture(scope="module")
def two(hub):
    """Two people with a server and a kernel each."""
    with (
        Person(hub.url, "anna", hub.passwords["anna"]) as anna,
        Person(hub.url, "ben", hub.passwords["ben"]) as ben,
    ):
        for person in (anna, ben):
            person.start_server()
        yield [(person, person.start_kernel()) for person in (anna, ben)]


def test_two_users_run_cells_each_as_themselves(two):
    said = [
        person.run(kernel, "import os; print(os.getuid(), os.getcwd())").split() for person, kernel in two
    ]
    (anna, anna_home), (ben, ben_home) = said
    assert anna != ben
    assert int(anna) >= 1000
    assert int(ben) >= 1000
    assert anna_home.endswith("/homes/anna")
    assert ben_home.endswith("/homes/ben")


def test_the_walls_stand_around_a_cell(two):
    code = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
def writable(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False
print(json.dumps({
    "capabilities": [status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")],
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "seccomp": status["Seccomp"].strip(),
    "root": writable("/usr/here"), "etc": writable("/etc/here"), "tmp": writable("/tmp/here"),
    "home": writable("here"), "threads": os.environ["OMP_NUM_THREADS"],
    "socket": os.path.exists("/var/run/docker.sock"),
}))
"""
    for person, kernel in two:
        found = json.loads(person.run(kernel, code))
        assert set(found.pop("capabilities")) == {"0000000000000000"}
        assert found == {
            "no_new_privileges": "1",
            "seccomp": "2",
            "root": False,
            "etc": False,
            "tmp": True,
            "home": True,
            "threads": "1",
            "socket": False,
        }


def test_each_sees_the_networks_that_the_policy_gives(two):
    code = "import os; print(sorted(os.listdir(os.environ['WORKBENCH_ARCHIVE'] + '/2020')))"
    (anna, hers), (ben, his) = two
    assert anna.run(hers, code).strip() == "['EM', 'IM', 'OP', 'VO']"
    assert ben.run(his, code).strip() == "['IM', 'OP']"


def test_a_cell_has_the_workbench_and_its_services_at_hand(two):
    code = """
import os, httpx, workbench as wb
print(wb.__version__)
headers = {"Authorization": "Bearer " + os.environ["WORKBENCH_TOKEN"]}
print(httpx.get(os.environ["WORKBENCH_URL"] + "processes", headers=headers).status_code)
"""
    person, kernel = two[0]
    assert person.run(kernel, code).split()[1] == "200"


@pytest.mark.parametrize(("code", "status"), [("OP", 200), ("VO", 422), ("EM", 422)])
def test_the_web_services_show_what_everybody_may_see_and_no_more(hub, two, code, status):
    """Whoever asks: they do not tell one user from another when they read."""
    for person, _ in two:
        answer = httpx.post(
            f"{hub.services}processes/triggers.sta_lta/execution",
            json={"inputs": {"waveforms": {"selection": SELECTIONS[code]}, "sta": 0.5, "lta": 5.0}},
            headers={"Authorization": f"Bearer {person.token()}"},
            timeout=60,
            trust_env=False,
        )
        assert answer.status_code == status, answer.text
        assert status == 200 or "no archive holds waveforms of it" in answer.text


def test_nobody_reaches_the_server_of_another(hub, two):
    _, (ben, _) = two
    for path in ("lab", "api/contents", "api/kernels", "files/here"):
        answer = ben.http.get(f"/user/anna/{path}")
        assert answer.status_code in (403, 404), f"{path}: {answer.status_code}"
        assert "/user/anna/" not in str(answer.url) or answer.status_code == 403


def test_only_the_operator_administers(hub, log_in):
    assert log_in("ben").http.get("/hub/admin").status_code == 403
    assert log_in("operator").http.get("/hub/admin").status_code == 200


def test_hub_and_database_listen_where_nobody_else_reaches(hub):
    """The proxy's own port and API on 127.0.0.1, hub and services on the bridge, the database nowhere."""
    subnet = hub.deployment.ip
    listening = _listening(set(supervision.marked(hub.deployment)))
    assert {address for address, _ in listening} == {"127.0.0.1", subnet}
    ports = hub.deployment.ports
    assert {port for address, port in listening if address == subnet} == {ports["hub"], ports["api"]}


def test_the_services_run_as_nobody_in_particular_and_see_little(hub):
    for name in ("scheduler", "worker", "api"):
        inner = _innermost(hub.pid(name))
        status = dict(line.split(":", 1) for line in _read(f"/proc/{inner}/status").splitlines())
        assert set(status["Uid"].split()) == {"61190"}
        assert status["CapEff"].strip() == "0" * 16
        assert status["NoNewPrivs"].strip() == "1"
        mounts = _read(f"/proc/{inner}/mounts")
        assert "docker.sock" not in mounts
        assert "/secrets" not in mounts
        assert "/homes" not in mounts


def test_secrets_are_in_no_log_and_no_container(hub, docker_daemon, two):
    secrets = [*hub.deployment.tokens.values(), *hub.passwords.values()]
    for log in hub.state.joinpath("logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], log.name
    with docker_daemon.client() as client:
        shown = json.dumps([container.attrs for container in client.containers.list(ignore_removed=True)])
    assert not [secret for secret in secrets if secret in shown]


def _listening(numbers: set[int]) -> set[tuple[str, int]]:
    import os
    import socket
    from pathlib import Path

    inodes = set()
    for number in numbers:
        for link in Path(f"/proc/{number}/fd").glob("*"):
            try:
                inodes.add(os.readlink(link))
            except OSError:
                continue
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            address, port = fields[1].split(":")
            found.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    return found


def _innermost(number: int) -> int:
    children = re.findall(r"\d+", _read(f"/proc/{number}/task/{number}/children"))
    return _innermost(int(children[0])) if children and "bwrap" in _read(f"/proc/{number}/comm") else number


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
