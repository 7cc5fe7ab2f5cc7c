"""A host whose Docker daemon is simulated: no container is a process, and hundreds of them cost nothing.

The hub, its proxy and our spawner are the real ones.  The daemon answers what
the spawner asks of Docker, delays and fails at random as a busy one does, and
knows what truly runs.  Each container has an address of its own on the
loopback, where it says who it is.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml
from jupyterhub import __version__
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.web import Application, RequestHandler

from deployed import free_port
from livehub import LiveHub
from workbench.settings import Settings
from workbench_hub.deployment import Deployment
from workbench_hub.health import healthy, wait_for

DIGEST = f"sha256:{'0' * 64}"
POLICY: dict[str, Any] = {
    "version": 1,
    "metadata": {"contact": "help@test.example"},
    "identity": {"source": "local"},
    "images": {"standard": {"title": "Standard", "build": "user"}},
    "profiles": {"small": {"title": "Small", "cpus": 1, "memory": "1 GiB", "servers": 2}},
    "networks": {"*": {"access": "open"}},
    "home": {"quota": "32 MiB", "method": "none"},
}
FRAGMENT = """
c.ContainerSpawner.port = {port}
c.ContainerSpawner.start_timeout = 30  # of which five seconds are kept for saying why
c.ContainerSpawner.fallen_network_walls = lambda: ()  # no container, no network
c.JupyterHub.services.append({{"name": "load", "api_token": {token!r}}})
scopes = ["admin:users", "admin:servers", "admin:server_state", "proxy"]
c.JupyterHub.load_roles.append({{"name": "load", "scopes": scopes, "services": ["load"]}})
"""
TOKEN = "load" * 8


@dataclass
class Simulated:
    """A container that is none."""

    name: str
    address: str
    labels: dict[str, str]
    state: str = "created"
    exit_code: int = 0
    door: HTTPServer | None = None

    @property
    def server(self) -> tuple[str, str]:
        return self.labels["workbench.user"], self.labels["workbench.server"]


@dataclass
class World:
    """What truly runs.

    Attributes
    ----------
    failing : float
        The part of starts that fail, in one way or another.
    slowest : float
        Seconds until the slowest server answers.
    """

    subnet: IPv4Network
    port: int
    network: str
    failing: float = 0.1
    slowest: float = 2.0
    containers: dict[str, Simulated] = field(default_factory=dict)
    asked: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(20200301))
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        hosts = list(self.subnet.hosts())
        self.door, self.free = str(hosts[0]), [str(host) for host in hosts[1:]]

    def running(self) -> dict[tuple[str, str], str]:
        """Return the servers that run, and where each is."""
        held = list(self.containers.values())
        return {one.server: one.address for one in held if one.state == "running"}

    def die(self, number: int) -> list[tuple[str, str]]:
        """Let so many servers end by themselves; return which."""

        async def end() -> list[tuple[str, str]]:
            running = [one for one in self.containers.values() if one.state == "running"]
            chosen = self.chance.sample(running, min(number, len(running)))
            for one in chosen:
                self.end(one, 137)
            return [one.server for one in chosen]

        return asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)

    def create(self, name: str, labels: dict[str, str]) -> Simulated:
        made = Simulated(name, self.free.pop(), labels)
        self.containers[name] = made
        return made

    def start(self, one: Simulated) -> None:
        """Start it: well, or so that it ends at once, or so that it never answers."""
        one.state = "running"
        luck = self.chance.random() / self.failing if self.failing else 1.0
        if luck < 0.5:
            self.loop.call_later(self.chance.random() * self.slowest / 2, self.end, one, 1)
        elif luck > 0.52:
            self.loop.call_later(self.chance.random() * self.slowest, self.open, one)

    def refuses(self) -> bool:
        return self.chance.random() < self.failing / 3

    def open(self, one: Simulated) -> None:
        """Let it answer from now on."""
        if one.state == "running":
            one.door = HTTPServer(lambda request: _say(request, one))
            one.door.listen(self.port, one.address)

    def end(self, one: Simulated, code: int) -> None:
        one.state, one.exit_code = "exited", code
        if one.door is not None:
            one.door.stop()
            self.loop.create_task(one.door.close_all_connections())
            one.door = None

    def remove(self, one: Simulated) -> None:
        self.end(one, 137)
        if self.containers.pop(one.name, None) is one:
            self.free.insert(0, one.address)


def _say(request: HTTPServerRequest, one: Simulated) -> None:
    body = json.dumps({"server": one.server}).encode()
    headers = HTTPHeaders({"Content-Length": str(len(body)), "X-JupyterHub-Version": __version__})
    assert request.connection is not None
    request.connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), headers, body)
    request.connection.finish()


class _Docker(RequestHandler):
    """The part of Docker's API that the spawner uses."""

    def initialize(self, world: World) -> None:
        self.world = world

    def prepare(self) -> None:
        self.world.asked += 1

    def find(self, name: str) -> Simulated | None:
        held = self.world.containers.get(name)
        if held is None:
            self.refuse(404, f"No such container: {name}")
        return held

    def refuse(self, status: int, words: str) -> None:
        self.set_status(status)
        self.finish({"message": words})


class _Version(_Docker):
    def get(self) -> None:
        self.finish({"ApiVersion": "1.41"})


class _Create(_Docker):
    def post(self) -> None:
        name = self.get_query_argument("name")
        if name in self.world.containers:
            self.refuse(409, f"Conflict. The container name /{name} is already in use")
        elif self.world.refuses():
            self.refuse(500, "write /var/lib/docker: no space left on device")
        else:
            self.world.create(name, json.loads(self.request.body)["Labels"])
            self.set_status(201)
            self.finish({"Id": name, "Warnings": []})


class _Container(_Docker):
    def get(self, name: str, what: str) -> None:
        if (one := self.find(name)) is None:
            return
        if what == "logs":
            self.finish(b"I was only simulated\n")
            return
        state = {"Running": one.state == "running", "Status": one.state, "ExitCode": one.exit_code}
        networks = {self.world.network: {"IPAddress": one.address if one.state == "running" else ""}}
        self.finish(
            {
                "Id": one.name,
                "State": state | {"Pid": 0, "Error": "", "OOMKilled": False},
                "Config": {"Labels": one.labels, "Tty": True},
                "NetworkSettings": {"Networks": networks},
            }
        )

    async def post(self, name: str, what: str) -> None:
        if (one := self.find(name)) is None:
            return
        if what == "start":
            self.world.start(one)
        else:
            await asyncio.sleep(self.world.chance.random() * self.world.slowest / 4)
            self.world.end(one, 0)
        self.set_status(204)

    def delete(self, name: str, _: str) -> None:
        if (one := self.find(name)) is not None:
            self.world.remove(one)
            self.set_status(204)


@contextmanager
def world(network: str) -> Iterator[World]:
    """Run a simulated daemon, in a thread."""
    chosen = random.SystemRandom()
    subnet = IPv4Network(f"127.{chosen.randrange(64, 192)}.{4 * chosen.randrange(64)}.0/22")
    made = World(subnet, free_port(), network)
    routes = [
        (r"/version", _Version),
        (r"/v[\d.]+/containers/create", _Create),
        (r"/v[\d.]+/containers/([^/]+)/(json|logs|start|stop)", _Container),
        (r"/v[\d.]+/containers/([^/]+)()", _Container),
    ]
    application = Application([(path, handler, {"world": made}) for path, handler in routes])
    application.settings["log_function"] = lambda _: None
    up, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        daemon = HTTPServer(application)
        daemon.listen(made.port, made.door)
        up.set()
        await stop.wait()
        daemon.stop()
        for one in list(made.containers.values()):
            made.remove(one)
        await daemon.close_all_connections()
        await asyncio.sleep(0.1)  # what closes doors has a turn

    thread = threading.Thread(target=made.loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert up.wait(10)
        yield made
    finally:
        made.loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        made.loop.close()


class SimulatedHub(LiveHub):
    """The hub of the profile ``host`` on a daemon that is simulated."""

    given: dict[str, str]
    world: World

    @property
    def api(self) -> str:
        return f"http://{self.deployment.ip}:{self.deployment.ports['hub']}/hub/api"

    @property
    def config(self) -> Path:
        """The hub's configuration without services that are not started, which it would wait for."""
        path = super().config
        path.write_text(path.read_text().replace("!= 'workbench'", "not in ('workbench', 'usage')"))
        return path

    def spawn(self, name: str, *command: str, **environment: str) -> None:
        super().spawn(name, *command, **self.given, **environment)


@contextmanager
def simulated_hub(root: Path, database: str) -> Iterator[SimulatedHub]:
    """Start proxy and hub; `database` is the URL of the hub's."""
    from workbench_hub import network

    root.chmod(0o711)
    state = root / "state"
    with world(network.bridge_name(state)) as made:
        given = {
            "docker": f"tcp://{made.door}:{made.port}",
            "database": database,
            "policy": str(root / "policy.yaml"),
        }
        deployment = Deployment(Settings(state=state, port=free_port(), profile="host", **given))
        deployment.create()
        deployment.choose_ports()
        deployment.catalogue.write_text(json.dumps({"user": {"digest": DIGEST}}))
        for path in (root / "policy.yaml", deployment.policy_in_force):
            path.write_text(yaml.safe_dump(POLICY))
        (deployment.run / "subnet.json").write_text(json.dumps(str(made.subnet)))
        (root / "config.d").mkdir()
        (root / "config.d" / "load.py").write_text(FRAGMENT.format(port=made.port, token=TOKEN))
        hub = SimulatedHub(deployment, {})
        hub.given = {f"WORKBENCH_{name.upper()}": value for name, value in given.items()}
        hub.world = made
        try:
            for name in ("proxy", "hub"):
                hub.start(name)
            wait_for(lambda: healthy(f"{hub.url}/hub/health"), 60, "the hub behind its proxy")
            yield hub
        finally:
            for process in hub.running.values():
                process.terminate()
            for process in hub.running.values():
                process.wait(60)
