"""Whatever is killed in the middle of a session: afterwards the kernel's variables are still there."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import httpx
import pytest

from deployed import Running, command, free_port
from hosted import SELECTIONS, write_policy
from person import Person
from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment

pytestmark = [pytest.mark.docker, pytest.mark.services]


class Session:
    """Somebody's kernel with a variable in it."""

    def __init__(self, person: Person) -> None:
        self.person = person
        person.start_server()
        self.kernel = person.start_kernel()
        person.run(self.kernel, "import secrets; kept = secrets.token_hex()")
        self.kept = self.says()

    def says(self) -> str:
        return self.person.run(self.kernel, "print(kept)", seconds=20).strip()

    def answers(self) -> bool:
        return self.person.http.get(f"/user/{self.person.name}/api/status").status_code == 200


@pytest.fixture(scope="module")
def session(hub):
    with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        yield Session(anna)


def _again(running: Running, name: str, before: int) -> bool:
    try:
        return running.pid(name) not in (0, before) and running.well(name)
    except OSError:
        return False


@pytest.mark.parametrize(
    "name", ["hub", "proxy", "postgres", "api", "worker", "warden", "guardian", "supervisor"]
)
def test_a_kernel_survives_the_kill_of(hub, session, eventually, log_in, name):
    before = hub.pid(name)
    inside = _below(before)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: not any(map(_alive, inside)), 60, f"the end of what {name} had started")
    eventually(partial(_again, hub, name, before), 60, name)
    eventually(hub.all_well, 60, "all of it")
    eventually(session.answers, 30, "the user's server")
    assert session.says() == session.kept
    # Somebody who comes afterwards gets in, and gets a server.  A hub whose database died notices it
    # when it next looks for activity, 2 s later at most; a request before that may fail.
    eventually(partial(_gets_in, hub, "ben"), 10, "a log-in")
    ben = log_in("ben")
    ben.start_server()


def _gets_in(hub: Running, name: str) -> bool:
    with Person(hub.url, name, hub.passwords[name]) as person:
        return person.logged_in


def test_a_kernel_goes_on_while_the_docker_daemon_is_away(hub, docker_daemon, session, eventually, log_in):
    docker_daemon.kill()
    try:
        assert session.says() == session.kept
        assert session.answers()
    finally:
        docker_daemon.start()
    assert session.says() == session.kept
    eventually(hub.all_well, 60, "all of it")
    with docker_daemon.client() as client:
        names = [container.name for container in client.containers.list(ignore_removed=True)]
    assert [name for name in names if "anna" in name]
    # What needs the daemon is there again: a server stops, and starts.
    ben = log_in("ben")
    ben.start_server()
    ben.stop_server(30)
    ben.start_server()


def test_a_restart_of_everything_interrupts_no_kernel(hub, session, eventually):
    """As after an upgrade: cleanup_servers=False."""
    before = {name: hub.pid(name) for name in ("hub", "proxy", "postgres", "supervisor")}
    done = hub.command("restart")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(hub.pid(name) != pid for name, pid in before.items())
    eventually(session.answers, 30, "the user's server")
    assert session.says() == session.kept


def test_a_policy_that_is_right_is_taken_and_one_that_is_wrong_changes_nothing(hub, session, eventually):
    path, before = hub.policy, hub.pid("hub")
    try:
        write_policy(path, profiles={"small": {"titel": "Small"}})
        done = hub.command("reload")
        assert done.returncode == 2
        assert f"{path}:" in done.stderr
        assert "titel" in done.stderr
        assert hub.pid("hub") == before
        # It dies with the wrong policy in the file, and comes back with the one in force.
        os.kill(before, signal.SIGKILL)
        eventually(partial(_again, hub, "hub", before), 60, "the hub")
        assert _of_the_services(hub, session) == 200
        closed = {"*": {"access": "restricted", "groups": ["volcano"]}}
        write_policy(path, metadata={"title": "Another title"}, networks=closed)
        assert "reload" in hub.command("up").stdout
        before = hub.pid("hub")
        done = hub.command("reload")
        assert done.returncode == 0, done.stderr
        assert hub.pid("hub") != before
        assert Deployment(Settings(state=hub.state, profile="host")).policy.metadata.title == "Another title"
        # What was closed the web services do not see any more.
        eventually(hub.all_well, 60, "all of it")
        eventually(lambda: _of_the_services(hub, session) == 422, 60, "the services' new sandbox")
    finally:
        write_policy(path)
        assert hub.command("reload").returncode == 0
    eventually(session.answers, 30, "the user's server")
    assert session.says() == session.kept


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"profiles": {}}, "profiles"),
        ({"images": {"standard": {"title": "Standard"}}}, "images"),
        ({"admins": "operator"}, "admins"),
        ({"networks": {"VO": {"access": "restricted", "groups": ["vulcano"]}}}, "volcano"),
    ],
)
def test_nothing_starts_with_a_wrong_policy(docker_daemon, tmp_path, changed, word):
    path = write_policy(tmp_path / "policy.yaml", **changed)
    state, port = tmp_path / "state", free_port()
    more = {"WORKBENCH_PROFILE": "host", "WORKBENCH_DOCKER": docker_daemon.url, "WORKBENCH_POLICY": str(path)}
    done = command(state, port, "up", **more)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{path}:" in done.stderr
    assert word in done.stderr
    assert not state.exists()
    assert supervision.marked(Deployment(Settings(state=state))) == []


def test_nothing_starts_with_a_fragment_that_is_no_python(docker_daemon, tmp_path):
    write_policy(tmp_path / "policy.yaml")
    (tmp_path / "config.d").mkdir()
    (tmp_path / "config.d" / "10-site.py").write_text("c.JupyterHub.\n")
    more = {
        "WORKBENCH_PROFILE": "host",
        "WORKBENCH_DOCKER": docker_daemon.url,
        "WORKBENCH_POLICY": str(tmp_path / "policy.yaml"),
    }
    done = command(tmp_path / "state", free_port(), "up", **more)
    assert done.returncode == 2
    assert "10-site.py:1" in done.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"WORKBENCH_DOCKER": "unix:///nonexistent/docker.sock"}, "WORKBENCH_DOCKER"),
        ({"WORKBENCH_POLICY": "/nonexistent/policy.yaml"}, "WORKBENCH_POLICY"),
        ({"WORKBENCH_PROFILE": "cloud"}, "WORKBENCH_PROFILE"),
    ],
)
def test_what_is_not_there_is_named_with_its_setting(docker_daemon, tmp_path, more, word):
    path = write_policy(tmp_path / "policy.yaml")
    given = {
        "WORKBENCH_PROFILE": "host",
        "WORKBENCH_DOCKER": docker_daemon.url,
        "WORKBENCH_POLICY": str(path),
    }
    done = command(tmp_path / "state", free_port(), "up", **given | more)
    assert done.returncode in (1, 2)
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "state").exists()


def _of_the_services(hub: Running, session: Session) -> int:
    """Return with which status the web services answer who asks for open data."""
    inputs = {"waveforms": {"selection": SELECTIONS["OP"]}, "sta": 0.5, "lta": 5.0}
    answer = httpx.post(
        f"{hub.services}processes/triggers.sta_lta/execution",
        json={"inputs": inputs},
        headers={"Authorization": f"Bearer {session.person.token()}"},
        timeout=60,
        trust_env=False,
    )
    return answer.status_code


def _below(number: int) -> list[int]:
    """Return the processes that one has started, and those that they have."""
    listed = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    return [found for child in map(int, listed) for found in (child, *_below(child))]


def _alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
