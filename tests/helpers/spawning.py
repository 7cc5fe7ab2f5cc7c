"""Spawners as the hub makes them, with a real database of the hub, and without the hub."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from traitlets.config import Config

from dockerd import Daemon
from passing import let_pass
from plain import PYTHON, plain_image
from workbench_hub.containers import spawner as module
from workbench_hub.containers.spawner import ContainerSpawner, SpawnFailed
from workbench_hub.policy import Policy

POLICY: dict[str, Any] = {
    "version": 1,
    "metadata": {"contact": "help@test.example"},
    "groups": {"volcano": {"gid": 30001, "members": ["anna"]}},
    "images": {
        "standard": {"title": "Standard", "build": "user"},
        "gone": {"title": "Gone", "build": "gone"},
    },
    "profiles": {
        "small": {"title": "Small", "cpus": 1, "memory": "128 MiB", "servers": 2},
        "large": {"title": "Large", "cpus": 2, "memory": "256 MiB", "groups": ["volcano"], "servers": 1},
    },
    "networks": {"*": {"access": "open"}},
    "home": {"quota": "32 MiB", "method": "none"},
    "folders": {"volcano": {"group": "volcano"}},
}
ANSWER = """
import http.server, os, signal
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("I answer", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8888), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
"""What stands for a server where only its being there matters."""


def program(code: str) -> list[str]:
    return [PYTHON, "-c", code]


class Users:
    """Users of a hub that is not there, and their spawners."""

    def __init__(self, root: Path, image: str, docker: str, network: str, **changed: Any) -> None:
        self.root = root
        self.state, self.archive = root / "state", root / "archive"
        for folder in (self.state / "hub", self.archive):
            folder.mkdir(parents=True, exist_ok=True)
        self.catalogue = self.state / "catalogue.json"
        self.build(image)
        self.policy = Policy.model_validate(POLICY | changed)
        self.db = orm.new_session_factory("sqlite:///:memory:")()
        config = Config()
        config.ContainerSpawner.policy = self.policy
        config.ContainerSpawner.state_dir = str(self.state)
        config.ContainerSpawner.archive = str(self.archive)
        config.ContainerSpawner.catalogue = str(self.catalogue)
        config.ContainerSpawner.docker_url = docker
        config.ContainerSpawner.network_name = network
        config.ContainerSpawner.prefix = network
        config.ContainerSpawner.cmd = program(ANSWER)
        config.ContainerSpawner.start_timeout = 30
        self.settings = {
            "config": config,
            "hub": Hub(ip="127.0.0.1", port=1, base_url="/hub/"),
            "spawner_class": ContainerSpawner,
            "allow_named_servers": True,
            "base_url": "/",
        }
        self.known: dict[str, User] = {}

    def build(self, digest: str) -> None:
        """Let the build have made an image."""
        self.catalogue.write_text(json.dumps({"user": {"digest": digest}}))

    def spawner(self, name: str, server: str = "", **options: str) -> ContainerSpawner:
        if name not in self.known:
            person = orm.User(name=name)
            self.db.add(person)
            self.db.commit()
            self.known[name] = User(person, self.settings, self.db)
        found = self.known[name].get_or_create_spawner(server, server)
        found.user_options = options
        found.api_token = "of this server"
        return found

    def restarted(self, spawner: ContainerSpawner) -> ContainerSpawner:
        """Return the spawner that a hub has after a restart, from what it had written down."""
        state = json.loads(json.dumps(spawner.get_state()))
        fresh = spawner.user._new_spawner(spawner.name)
        fresh.load_state(state)
        spawner.user.spawners[spawner.name] = fresh
        return fresh


@contextmanager
def users(root: Path, image: str, docker: str, network: str, **changed: Any) -> Iterator[Users]:
    found = Users(root, image, docker, network, **changed)
    try:
        yield found
    finally:
        found.db.close()
        found.db.get_bind().dispose()
        module._daemon(docker).close()
        module._daemon.cache_clear()


def run(what):
    return asyncio.run(what)


def failed(spawner: ContainerSpawner) -> SpawnFailed:
    with pytest.raises(SpawnFailed) as caught:
        run(spawner.start())
    return caught.value


def said(spawner: ContainerSpawner) -> str:
    return "\n".join(run(spawner.daemon.log(spawner.object_name, 100)))


@pytest.fixture(scope="session")
def image(docker_daemon: Daemon) -> str:
    with docker_daemon.client() as client:
        return plain_image(client)


@pytest.fixture(scope="session")
def network(docker_daemon: Daemon):
    name = f"spawn{secrets.token_hex(3)}"
    subnet = f"10.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}"
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=f"{subnet}.0/24", gateway=f"{subnet}.1")])
    options = {"com.docker.network.bridge.enable_icc": "false", "com.docker.network.bridge.name": name}
    with docker_daemon.client() as client:
        made = client.networks.create(name, driver="bridge", ipam=pool, options=options)
        yield name
        made.remove()


@pytest.fixture
def site(docker_daemon: Daemon, image: str, network: str, tmp_path):
    let_pass(tmp_path)
    with users(tmp_path, image, docker_daemon.url, network) as found:
        yield found
    with docker_daemon.client() as client:
        for container in _servers(client, network):
            container.remove(force=True)


@pytest.fixture
def containers(docker_daemon: Daemon, network: str) -> Callable[[], list[str]]:
    def names() -> list[str]:
        with docker_daemon.client() as client:
            return sorted(container.name for container in _servers(client, network))

    return names


def _servers(client: docker.DockerClient, network: str) -> list[Any]:
    filters = {"name": f"{network}--"}
    return list(client.containers.list(all=True, filters=filters, ignore_removed=True))
