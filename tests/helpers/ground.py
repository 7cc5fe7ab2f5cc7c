"""A battlefield: a network of users' containers with all its walls, and places around it.

All of it is made by the test that uses it: the bridge, the containers on it, the
namespaces that stand for the internet and for other hosts.  No wall that falls
here lets anything out of this machine.
"""

from __future__ import annotations

import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container as Running

from plain import PYTHON
from workbench_hub import network
from workbench_hub.containers.hardening import Container, Limits, arguments
from workbench_hub.doctor.patients import address
from workbench_hub.doctor.places import Place, answers
from workbench_hub.health import wait_for
from workbench_hub.network import Plan

LIMITS = Limits(memory=96 * 2**20, cpus=1.0, tmp=16 * 2**20, shm=16 * 2**20, log=2**20)
FIRST = 10001
WAIT = "import signal; signal.pause()"
"""A program that waits to be ended."""

_SECONDS = 90


@dataclass
class Said:
    """What a program said and how it ended."""

    code: int
    out: str
    state: dict[str, Any]


@dataclass
class Ground:
    """Where attacks happen."""

    client: docker.DockerClient
    plan: Plan
    image: str
    folder: Path
    internet: Place
    centre: Place
    metadata: Place
    lan: Place
    attacker: Running | None = None
    neighbour: Running | None = None
    port: int = 0
    """At which a program of this machine listens that nobody thought of."""

    def inside(self, code: str, *words: str) -> str:
        """Run Python in the attacker's container; return what it says."""
        assert self.attacker is not None
        return said_in(self.attacker, code, *words)

    @contextmanager
    def running(
        self,
        code: str,
        *words: str,
        uid: int = FIRST,
        limits: Limits = LIMITS,
        mounts: tuple[tuple[Path, str, bool], ...] = (),
        without: Callable[[dict[str, Any]], None] | None = None,
        **more: Any,
    ) -> Iterator[Running]:
        """Run Python in a user's container.

        Parameters
        ----------
        code : str
            What it runs.
        without : callable
            Takes a wall out of the arguments that make the container.
        """
        container = Container(
            name=f"{self.plan.bridge}-{secrets.token_hex(3)}",
            image=self.image,
            command=words,
            uid=uid,
            gid=uid,
            home="/",
            network=self.plan.name,
            limits=limits,
            mounts=(*network.resolver_mounts(self.folder), *mounts),
            dns=self.plan.dns,
            **more,
        )
        given = arguments(container) | {"entrypoint": [PYTHON, "-I", "-u", "-c", code]}
        if without is not None:
            without(given)
        made = self.client.api.create_container(**given)["Id"]
        try:
            self.client.api.start(made)
            yield self.client.containers.get(made)
        finally:
            self.client.api.remove_container(made, force=True, v=True)

    def run(self, code: str, *words: str, seconds: float = _SECONDS, **more: Any) -> Said:
        """Run Python in a user's container until it ends."""
        with self.running(code, *words, **more) as container:
            status = int(container.wait(timeout=seconds)["StatusCode"])
            container.reload()
            return Said(status, container.logs().decode(errors="replace"), container.attrs["State"])


def said_in(container: Running, code: str, *words: str) -> str:
    """Run Python in a container that runs already; return what it says."""
    status, out = container.exec_run([PYTHON, "-I", "-c", code, *words])
    assert status == 0, out.decode(errors="replace")
    return str(out.decode(errors="replace").strip())


def where(container: Running) -> str:
    return address(container)


def iptables(*words: str) -> None:
    done = subprocess.run(["iptables", "--wait", "10", *words], capture_output=True, text=True, check=False)
    assert not done.returncode, f"iptables {' '.join(words)}\n{done.stderr}"


@contextmanager
def fallen(plan: Plan, *rules: tuple[str, str]) -> Iterator[None]:
    """Take walls down: pairs of a chain and what is put first in it.  They stand again afterwards.

    Parameters
    ----------
    plan : Plan
        What stands.
    rules : pairs of str
        A chain, and the rule that makes a hole in it.
    """
    done = []
    try:
        for chain, rule in rules:
            iptables("-I", chain, "1", *rule.split())
            done.append((chain, rule))
        yield
    finally:
        for chain, rule in done:
            iptables("-D", chain, *rule.split())
        network.apply(plan)
        assert not network.missing(plan)


@contextmanager
def sysctl(name: str, value: str) -> Iterator[None]:
    """Hold something of the kernel's at a value, whatever the warden of another deployment does."""
    path, over = Path("/proc/sys") / name, threading.Event()
    before = path.read_text()
    path.write_text(value)

    def hold() -> None:
        while not over.wait(0.02):
            path.write_text(value)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)
        path.write_text(before)


def changed(plan: Plan, **more: Any) -> Plan:
    return replace(plan, **more)


def wait_until_open(address: str, port: int) -> None:
    wait_for(lambda: answers(address, port), 20, f"{address}:{port}")


@contextmanager
def host_server() -> Iterator[int]:
    """Listen on all addresses of this machine, as a program does that nobody thought of."""
    with socket.create_server(("0.0.0.0", 0), backlog=64) as server:
        thread = threading.Thread(target=_take, args=(server,), daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _take(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


@contextmanager
def warden(stands: Plan, said: list[str], **more: Any) -> Iterator[None]:
    """Let a warden look after the rules, ten times a second."""
    keeper = network.Warden(**{"plan": lambda _: stands, "say": said.append, "every": 0.1} | more)
    thread = threading.Thread(target=keeper.run)
    thread.start()
    try:
        yield
    finally:
        keeper.stop.set()
        thread.join(20)
