"""The ground on which attacks happen: made here, and nothing of it is left."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from ipaddress import IPv4Network

import docker
import pytest

from deployed import Running
from ground import FIRST, Ground, host_server, wait_until_open, where
from person import Person
from plain import plain_image
from sides import SECRET, Side
from workbench_hub import network
from workbench_hub.doctor.places import METADATA, place
from workbench_hub.doctor.probe import SOURCE
from workbench_hub.network import Destination, Door, Plan
from workbench_hub.network.bridge import taken

INTERNET, CENTRE = "203.0.113.66", "198.51.100.20"


@pytest.fixture(scope="session")
def plain(docker_daemon) -> str:
    """Return the ID of an image that holds Python and nothing else."""
    with docker_daemon.client() as client:
        return plain_image(client)


@pytest.fixture(scope="session")
def ground(docker_daemon, plain, tmp_path_factory) -> Iterator[Ground]:
    """Return a network with all its walls, and the places around it."""
    mark = secrets.token_hex(3)
    with _door() as port, docker_daemon.client() as client:
        plan = Plan(
            f"wbt{mark}",
            network.free_subnet(taken()),
            (Door("hub", port),),
            (Destination("centre.example", (IPv4Network(f"{CENTRE}/32"),), (443,)),),
            name=f"attack-{mark}",
        )
        folder = tmp_path_factory.mktemp("names")
        folder.chmod(0o755)
        network.write_resolver(plan, folder)
        network.ensure(client, plan)
        try:
            network.apply(plan)
            with (
                place(METADATA) as metadata,
                place(INTERNET, (53, 80, 443)) as internet,
                place(CENTRE, (80, 443)) as centre,
                place("203.0.113.99") as lan,
            ):
                ground = Ground(client, plan, plain, folder, internet, centre, metadata, lan)
                listen = (SOURCE, "listen", "8888", "0.0.0.0")
                with (
                    ground.running(*listen) as attacker,
                    ground.running(*listen, uid=FIRST + 1) as neighbour,
                    host_server() as ground.port,
                ):
                    ground.attacker, ground.neighbour = attacker, neighbour
                    for container in (attacker, neighbour):
                        wait_until_open(where(container), 8888)
                    yield ground
        finally:
            network.remove(plan.bridge)
            _left(client, plan)
            network.remove_bridge(client, plan.name)


class _door:
    """A server on all addresses of this machine, that stands for the hub."""

    def __enter__(self) -> int:
        self.server = socket.create_server(("0.0.0.0", 0), backlog=512)
        self.held: list[socket.socket] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        return int(self.server.getsockname()[1])

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self.server.accept()
            except OSError:
                return
            line.sendall(b"hub")
            self.held.append(line)

    def __exit__(self, *_: object) -> None:
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(5)
        for line in self.held:
            line.close()


def _left(client: docker.DockerClient, plan: Plan) -> None:
    for container in client.containers.list(all=True, filters={"network": plan.name}, ignore_removed=True):
        container.remove(force=True)


@pytest.fixture(scope="module")
def sides(hub: Running) -> Iterator[tuple[Side, Side]]:
    """Return the attacker and the victim."""
    names = ("ben", "anna")
    with (
        Person(hub.url, names[0], hub.passwords[names[0]]) as attacker,
        Person(hub.url, names[1], hub.passwords[names[1]]) as victim,
    ):
        for person in (attacker, victim):
            person.start_server(120)
        both = Side(attacker, attacker.start_kernel()), Side(victim, victim.start_kernel())
        both[1].run(f"open('secret.txt', 'w').write({SECRET!r})")
        assert both[1].run("print(open('secret.txt').read())") == SECRET
        yield both


@pytest.fixture
def attacker(sides) -> Side:
    return sides[0]


@pytest.fixture
def victim(sides) -> Side:
    return sides[1]
