"""What comes at a bad moment: a user is deleted while the servers run, the disk is full at a start.

Hub, proxy and spawner are the real ones; the Docker daemon is simulated.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from postgres import cluster, programs
from simulated import TOKEN, SimulatedHub, simulated_hub
from workbench_hub.health import wait_for

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def hub(tmp_path_factory, missing) -> Iterator[SimulatedHub]:
    if os.geteuid():
        missing("root", "homes are given to their users by root alone")
    if programs() is None:
        missing("postgres", "PostgreSQL's programs are not installed")
    root = tmp_path_factory.mktemp("moments")
    for folder in (root, *root.parents[:2]):
        folder.chmod(0o711)
    with cluster() as postgres, simulated_hub(root, postgres.create("hub")) as hub:
        hub.world.failing = 0.0
        yield hub


@pytest.fixture
def ask(hub: SimulatedHub) -> Iterator[Any]:
    headers = {"Authorization": f"token {TOKEN}"}
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as http:

        def ask(method: str, path: str) -> httpx.Response:
            return http.request(method, hub.api + path, json={} if method == "POST" else None)

        yield ask


def servers(ask: Any, name: str) -> dict[str, Any]:
    answer = ask("GET", f"/users/{name}")
    return dict(answer.json().get("servers") or {}) if answer.status_code == 200 else {}


def started(ask: Any, name: str, server: str = "") -> None:
    assert ask("POST", f"/users/{name}/servers/{server}").status_code in (201, 202)
    wait_for(lambda: servers(ask, name).get(server, {}).get("ready"), 60, f"{name}'s server")


def test_a_user_who_is_deleted_while_servers_run_takes_them_along(hub, ask):
    for name in ("deleted", "stays"):
        assert ask("POST", f"/users/{name}").status_code == 201
        started(ask, name)
    started(ask, "deleted", "second")
    assert ask("DELETE", "/users/deleted").status_code == 204
    wait_for(lambda: set(hub.world.running()) == {("stays", "")}, 30, "the end of both servers")
    assert ask("GET", "/users/deleted").status_code == 404
    assert [route for route in ask("GET", "/proxy").json() if "/user/" in route] == ["/user/stays/"]
    # Somebody who comes under the same name gets a server, and the home with the uid it had.
    assert ask("POST", "/users/deleted").status_code == 201
    started(ask, "deleted")
    for name in ("deleted", "stays"):
        assert ask("DELETE", f"/users/{name}").status_code == 204
    wait_for(lambda: not hub.world.containers, 30, "the end of all")


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Put a file system without any room in the place of a directory, with what is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f"{folder.name}-before")
    folder.rename(aside)
    folder.mkdir(mode=aside.stat().st_mode & 0o777)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=64,mode=0711", "none", folder], check=True
    )
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", folder], check=True)
        subprocess.run(["dd", "if=/dev/zero", f"of={folder}/fill"], capture_output=True, check=False)
        with suppress(OSError):
            for number in range(64):
                (folder / f"fill{number}").touch()
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
        aside.rename(folder)


@pytest.mark.parametrize("part", ["homes", "hub"])
def test_a_disk_that_is_full_at_a_start_is_said_and_leaves_nothing(hub, ask, part):
    name = f"full-{part}"
    assert ask("POST", f"/users/{name}").status_code == 201
    try:
        with full(hub.state / part):
            answer = ask("POST", f"/users/{name}/server")
            assert answer.status_code in (500, 503), answer.text
            assert "disk is full" in answer.text or "No space left" in answer.text
            assert not hub.world.containers
            assert servers(ask, name) == {}
        assert httpx.get(f"{hub.url}/hub/health", trust_env=False).status_code == 200
        started(ask, name)
    finally:
        ask("DELETE", f"/users/{name}")
    wait_for(lambda: not hub.world.containers, 30, "the end of the server")


def test_a_daemon_whose_disk_is_full_is_said_on_the_page(hub, ask):
    assert ask("POST", "/users/unlucky").status_code == 201
    hub.world.failing = 3.0  # every container is refused
    try:
        answer = ask("POST", "/users/unlucky/server")
        assert answer.status_code == 503
        assert "The machine's disk is full" in answer.text
    finally:
        hub.world.failing = 0.0
    started(ask, "unlucky")
    assert ask("DELETE", "/users/unlucky").status_code == 204
