"""Spawners as the hub makes them, with a real database of the hub, and without the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from traitlets.config import Config

from plain import PYTHON
from workbench_hub.containers import spawner as module
from workbench_hub.containers.spawner import ContainerSpawner
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
