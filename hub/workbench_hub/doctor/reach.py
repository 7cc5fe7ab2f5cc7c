"""What a container reaches, tried from within one: the table of the walls.

A try that fails proves nothing where there is nothing to reach.  So each target
is tried from this machine too, and what not even this machine reaches counts as
not proved.
"""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import docker

from workbench_hub.doctor.patients import Answers, ask, listening
from workbench_hub.doctor.places import DOCUMENTATION, METADATA, Place, answers, place
from workbench_hub.doctor.probe import SOURCE, connect, exchange
from workbench_hub.health import wait_for
from workbench_hub.network.plan import Door, Plan

__all__ = ["Row", "Target", "judge", "reach", "targets"]

_SECONDS = 2.0
_MOST_PORTS = 100
_LISTENS = "0A"


@dataclass(frozen=True, slots=True)
class Target:
    """A place that is tried."""

    what: str
    address: str
    port: int
    expected: Literal["blocked", "open"] = "blocked"
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Attributes
    ----------
    what : str
        The place.
    expected, found : str
        ``blocked`` or ``open``.
    good : bool
        Whether it is as it should be, and proved.
    why : str
        How it was blocked, or what is wrong.
    """

    what: str
    expected: str
    found: str
    good: bool
    why: str = ""


def reach(client: docker.DockerClient, plan: Plan, image: str, *, outside: bool = False) -> list[Row]:
    """Try everything that matters from within a container.

    Parameters
    ----------
    client : DockerClient
        Of the daemon that users' containers run on.
    plan : Plan
        The network as it should be.
    image : str
        By its digest; the one that users' servers run in.
    outside : bool
        Whether to try the destinations of the allow-list too, which sends to them.
    """
    with ExitStack() as stack:
        neighbour = stack.enter_context(listening(client, plan, image))
        wait_for(lambda: answers(neighbour, 8888), 60, "the doctor's second container")
        host = stack.enter_context(_behind_no_door(plan))
        behind = {door: stack.enter_context(_behind(plan, door)) for door in plan.doors}
        elsewhere = stack.enter_context(place(DOCUMENTATION, (53, 80, 443)))
        if not answers(METADATA, 80):
            # No cloud, or one that keeps it from us: something else stands for it.
            stack.enter_context(place(METADATA))
        tried = targets(plan, neighbour, host, behind, outside=outside)
        control = [_from_here(target) for target in tried]
        found = _from_container(client, plan, image, tried)
        rows = [
            judge(target, here, there)
            for target, here, there in zip(tried, control, (*found.tcp, *found.udp), strict=True)
        ]
        rows += _from_elsewhere(elsewhere, plan, neighbour, behind)
    six = ", ".join(found.six)
    rows.append(Row("IPv6", "blocked", "open" if six else "blocked", not six, six or "no address"))
    return _folded(rows)


def targets(
    plan: Plan, neighbour: str, host: int, behind: Mapping[Door, int], *, outside: bool = False
) -> list[Target]:
    """Return what is tried, TCP first; `behind` each door something listens at a port."""
    gateway = str(plan.gateway)
    own = [address for address in _addresses() if address != gateway]
    allowed = [
        Target(
            f"{there.name}:{there.ports[0]}", str(there.networks[0].network_address), there.ports[0], "open"
        )
        for there in plan.egress
        if outside and there.networks and there.protocol == "tcp"
    ]
    return [
        Target("a neighbour's server", neighbour, 8888),
        Target("a port of this machine", gateway, host),
        *(Target("a port of this machine, by its other addresses", address, host) for address in own),
        *(
            Target("ports that programs of this machine listen at", gateway, port)
            for port in _open_ports(plan)
        ),
        *(Target(f"the internet (a stand-in), port {port}", DOCUMENTATION, port) for port in (80, 443)),
        Target("the metadata address", METADATA, 80),
        *(Target(f"door: {door.name} ({door.ports})", gateway, behind[door], "open") for door in plan.doors),
        *allowed,
        Target("the internet (a stand-in), datagrams", DOCUMENTATION, 53, protocol="udp"),
    ]


def judge(target: Target, here: str, there: str) -> Row:
    """Compare what a container found with what it should find.

    Parameters
    ----------
    target : Target
        What was tried.
    here, there : str
        What came of it on this machine, and in the container.
    """
    found = "open" if there == "open" else "blocked"
    if here != "open":
        why = f"not proved: not even this machine reaches it ({here})"
        return Row(target.what, target.expected, found, False, why)
    if found != target.expected:
        why = f"{target.address}:{target.port} " + ("is reached" if found == "open" else f"is {there}")
        return Row(target.what, target.expected, found, False, why)
    return Row(target.what, target.expected, found, True, "" if found == "open" else there)


def _from_here(target: Target) -> str:
    attempt = connect if target.protocol == "tcp" else exchange
    return attempt(target.address, target.port, _SECONDS)


def _from_container(client: docker.DockerClient, plan: Plan, image: str, tried: list[Target]) -> Answers:
    tcp = [(target.address, target.port) for target in tried if target.protocol == "tcp"]
    udp = [(target.address, target.port) for target in tried if target.protocol == "udp"]
    return ask(client, plan, image, tcp=tcp, udp=udp)


def _from_elsewhere(elsewhere: Place, plan: Plan, container: str, behind: Mapping[Door, int]) -> list[Row]:
    """Try from another host what only this machine and its containers are to reach."""
    tried = [Target("from another host (a stand-in): a user's server", container, 8888)]
    tried += [
        Target(f"from another host (a stand-in): door {door.name}", str(plan.gateway), behind[door])
        for door in plan.doors
    ]
    tasks = {"seconds": _SECONDS, "tcp": [(to.address, to.port) for to in tried], "udp": [], "names": []}
    said = elsewhere.run(sys.executable, "-I", "-c", SOURCE, "try", json.dumps(tasks)).stdout
    found = json.loads(said)["tcp"]
    return [judge(target, _from_here(target), there) for target, there in zip(tried, found, strict=True)]


def _folded(rows: list[Row]) -> list[Row]:
    """Put what was tried many times into one row, unless it is bad."""
    good = {row.what: row for row in rows if row.good}
    bad = [row for row in rows if not row.good]
    failed = {row.what for row in bad}
    return [*bad, *(row for what, row in good.items() if what not in failed)]


@contextmanager
def _behind_no_door(plan: Plan) -> Iterator[int]:
    """Listen at a port that no door leads to, and give it."""
    with ExitStack() as stack:
        port = stack.enter_context(_host_port())
        while any(port in door for door in plan.doors):
            port = stack.enter_context(_host_port())
        yield port


@contextmanager
def _behind(plan: Plan, door: Door) -> Iterator[int]:
    """Give a port behind a door at which something listens; of a range that may be nothing but us."""
    for port in range(door.port, door.last + 1):
        try:
            with _host_port(str(plan.gateway), port) as found:
                yield found
                return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    yield door.port


@contextmanager
def _host_port(address: str = "0.0.0.0", port: int = 0) -> Iterator[int]:  # noqa: S104 -- that is what is tried
    """Listen on all addresses of this machine, or at one; give the port."""
    with socket.create_server((address, port), backlog=64) as server:

        def take() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def _addresses() -> list[str]:
    """Return this machine's IPv4 addresses, but for the loopback's."""
    done = subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, text=True, check=True)
    return [
        entry["local"]
        for link in json.loads(done.stdout)
        for entry in link.get("addr_info", [])
        if not entry["local"].startswith("127.")
    ]


def _open_ports(plan: Plan) -> list[int]:
    """Return TCP ports that something listens at on the bridge's address, doors apart."""
    gateway = "".join(f"{part:02X}" for part in reversed(plan.gateway.packed))
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        address, _, port = words[1].partition(":")
        if words[3] == _LISTENS and address in ("00000000", gateway):
            found.add(int(port, 16))
    closed = sorted(port for port in found if not any(port in door for door in plan.doors))
    return closed[:_MOST_PORTS]
