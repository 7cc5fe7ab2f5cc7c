"""Attacks over the network, from within a user's container; and each wall once taken down."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

import ground as field
from ground import Ground, fallen, sysctl, where
from workbench_hub import network
from workbench_hub.doctor.probe import SOURCE
from workbench_hub.health import wait_for
from workbench_hub.network import standing

pytestmark = pytest.mark.docker

SECONDS = 1.5


def tried(ground: Ground, kind: str, address: str, port: int) -> str:
    """Try to reach a place from a container: ``open``, or how it was kept away."""
    tasks = {"seconds": SECONDS, "tcp": [], "udp": [], "names": []} | {kind: [[address, port]]}
    return str(json.loads(ground.inside(SOURCE, "try", json.dumps(tasks)))[kind][0])


def neighbour(ground: Ground, kind: str) -> str:
    return tried(ground, kind, where(ground.neighbour), 8888)


def other_host(ground: Ground, address: str, port: int) -> str:
    """Another host of the local network sends straight to a container, as if this machine were a router."""
    code = f"import socket; socket.create_connection(({address!r}, {port}), 1.5); print('open')"
    return ground.lan.run(sys.executable, "-c", code).stdout.strip()


ECHO = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
line.settimeout(1.5)
try:
    line.sendto(b"\\x08\\0\\0\\0\\0\\1\\0\\1" + b"secret", (sys.argv[1], 0))
    line.recv(100)
    print("open")
except OSError as error:
    print(error)
"""

NAME = """
import socket, sys
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.settimeout(1.5)
question = b"\\1\\2\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\4host\\7invalid\\0\\0\\1\\0\\1"
try:
    line.sendto(question, ("127.0.0.11", 53))
    answer = line.recv(512)
    print("open" if answer == question else answer[3] & 15)
except OSError as error:
    print(error)
"""


@dataclass(frozen=True)
class Attack:
    """What a user tries; ``open`` means that it worked."""

    name: str
    run: Callable[[Ground], str]
    down: Callable[[Ground], AbstractContextManager[object]]
    """Takes down the walls that are in its way."""


def inwards(ground: Ground) -> AbstractContextManager[None]:
    return fallen(ground.plan, ("INPUT", f"-i {ground.plan.bridge} -j ACCEPT"))


def outwards(ground: Ground) -> AbstractContextManager[None]:
    return fallen(
        ground.plan, ("DOCKER-USER", f"-i {ground.plan.bridge} ! -o {ground.plan.bridge} -j ACCEPT")
    )


def sideways(ground: Ground) -> AbstractContextManager[None]:
    bridge = ground.plan.bridge
    return fallen(ground.plan, ("DOCKER-USER", f"-i {bridge} -o {bridge} -j ACCEPT"))


def towards(ground: Ground) -> AbstractContextManager[None]:
    return fallen(
        ground.plan,
        ("DOCKER-USER", f"-o {ground.plan.bridge} -j ACCEPT"),
        ("DOCKER-USER", f"-i {ground.plan.bridge} -j ACCEPT"),
    )


def unfiltered(_: Ground) -> AbstractContextManager[None]:
    return sysctl("net/bridge/bridge-nf-call-iptables", "0")


def gateway(ground: Ground) -> str:
    return str(ground.plan.gateway)


ATTACKS = [
    Attack("a neighbour's server", lambda g: neighbour(g, "tcp"), sideways),
    Attack("a neighbour's server, where no rule sees bridges", lambda g: neighbour(g, "tcp"), unfiltered),
    Attack("a neighbour, by datagrams", lambda g: neighbour(g, "udp"), sideways),
    Attack("a port of the host", lambda g: tried(g, "tcp", gateway(g), g.port), inwards),
    Attack(
        "the hub's port at another address of the host",
        lambda g: tried(
            g, "tcp", g.internet.link.rpartition(".")[0] + f".{_before(g.internet.link)}", hub(g)
        ),
        inwards,
    ),
    Attack("the internet", lambda g: tried(g, "tcp", g.internet.address, 80), outwards),
    Attack("the internet, by datagrams", lambda g: tried(g, "udp", g.internet.address, 443), outwards),
    Attack(
        "the internet, by questions for names", lambda g: tried(g, "udp", g.internet.address, 53), outwards
    ),
    Attack("the internet, by pings", lambda g: g.inside(ECHO, g.internet.address), outwards),
    Attack("the metadata address", lambda g: tried(g, "tcp", g.metadata.address, 80), outwards),
    Attack("another port of a data centre", lambda g: tried(g, "tcp", g.centre.address, 80), outwards),
    Attack(
        "another host, from outside to a container",
        lambda g: other_host(g, where(g.attacker), 8888),
        towards,
    ),
    Attack(
        "another host, from outside to the hub",
        lambda g: other_host(g, gateway(g), hub(g)),
        lambda g: fallen(g.plan, ("INPUT", f"-d {g.plan.gateway} -j ACCEPT")),
    ),
]


def hub(ground: Ground) -> int:
    return ground.plan.doors[0].port


def _before(address: str) -> int:
    """Return the last number of this machine's end of a wire."""
    return int(address.rpartition(".")[2]) - 1


class TestWalls:
    @pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
    def test_holds(self, ground, attack):
        assert attack.run(ground) != "open"

    @pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
    def test_without_the_wall_the_attack_works(self, ground, attack):
        with attack.down(ground), pytest.raises(AssertionError, match="'open' != 'open'"):
            self.test_holds(ground, attack)


def test_what_is_allowed_works(ground):
    assert tried(ground, "tcp", gateway(ground), hub(ground)) == "open"
    assert tried(ground, "tcp", "centre.example", 443) == "open"


def test_no_name_service_carries_anything_out(ground):
    """Docker's own one, in the container, asks nobody; its question would reach the stand-in."""
    assert ground.inside(NAME) != "open"

    def asks(given: dict) -> None:
        given["host_config"]["Dns"] = [ground.internet.address]

    with outwards(ground):
        assert ground.run(NAME, without=asks).out.strip() == "open"
    assert ground.run(NAME, without=asks).out.strip() != "open"


def test_a_name_that_is_not_allowed_is_unknown_at_once(ground):
    code = """
import socket, time
begun = time.monotonic()
try:
    print(socket.getaddrinfo("elsewhere.example", 80))
except socket.gaierror:
    print("unknown", time.monotonic() - begun < 1)
print(socket.gethostbyname(socket.gethostname()))
"""
    assert ground.inside(code).split() == ["unknown", "True", "127.0.1.1"]


def test_there_is_no_ipv6(ground):
    said = ground.inside(SOURCE, "try", json.dumps({"seconds": 1, "tcp": [], "udp": [], "names": []}))
    assert json.loads(said)["six"] == []


FLOOD = """
import socket, sys
held = []
for _ in range(400):
    try:
        line = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)
        line.recv(3)
        held.append(line)
    except OSError:
        break
print(len(held))
"""


def test_no_container_takes_all_connections_of_the_hub(ground):
    held = int(ground.inside(FLOOD, gateway(ground), str(hub(ground))))
    assert held == ground.plan.most
    wide = field.changed(ground.plan, most=100_000)
    network.apply(wide)
    try:
        assert int(ground.inside(FLOOD, gateway(ground), str(hub(ground)))) == 400
    finally:
        network.apply(ground.plan)


def test_applied_twice_is_applied_once_and_removed_is_removed(ground):
    before = standing()
    network.apply(ground.plan)
    assert _shape(standing()) == _shape(before)
    other = field.changed(ground.plan, bridge=f"{ground.plan.bridge[:9]}x")
    network.apply(other)
    assert not network.missing(ground.plan)  # one deployment does not move the other's walls
    network.remove(other.bridge)
    network.remove(other.bridge)
    assert _shape(standing()) == _shape(before)
    assert not any(other.bridge in line for line in standing("ip6tables"))


@pytest.mark.parametrize(
    ("fall", "word"),
    [
        (lambda b: ("-D", "INPUT", "-i", b, "-j", f"{b}-in"), "INPUT"),
        (lambda b: ("-D", "DOCKER-USER", "-i", b, "-j", f"{b}-out"), "DOCKER-USER"),
        (lambda b: ("-F", f"{b}-out"), "is not there"),
        (lambda b: ("-D", f"{b}-in", "1"), "not as it should be"),
        (lambda b: ("-I", f"{b}-in", "1", "-j", "ACCEPT"), "not as it should be"),
        (lambda b: ("-I", "INPUT", "1", "-j", "ACCEPT"), "first"),
    ],
)
def test_a_rule_that_is_gone_is_noticed_and_put_up_again(ground, fall, word):
    words = fall(ground.plan.bridge)
    field.iptables(*words)
    try:
        assert any(word in problem for problem in network.missing(ground.plan))
    finally:
        network.apply(ground.plan)
        if words[:2] == ("-I", "INPUT"):
            field.iptables("-D", *words[1:2], *words[3:])
    assert not network.missing(ground.plan)


def test_the_warden_puts_walls_up_again(ground):
    said: list[str] = []
    with field.warden(ground.plan, said):
        field.iptables("-F", f"{ground.plan.bridge}-out")
        wait_for(lambda: not network.missing(ground.plan), 20, "the rules")
        wait_for(lambda: bool(said), 5, "a word of the warden")
    assert "wbt" in said[0]


def test_the_warden_takes_up_what_somebody_else_has_decided(ground):
    """Where a policy was put in force, the warden does not bring the old rules back."""
    decided, asked = [ground.plan], []

    def now(renew: bool) -> network.Plan:
        asked.append(renew)
        return decided[-1]

    fewer = field.changed(ground.plan, egress=())
    try:
        with field.warden(ground.plan, [], plan=now, version=lambda: len(decided)):
            wait_for(lambda: bool(asked), 5, "the warden's first look")
            decided.append(fewer)
            wait_for(lambda: not network.missing(fewer), 20, "the new rules")
            field.iptables("-F", f"{ground.plan.bridge}-out")
            wait_for(lambda: not network.missing(fewer), 20, "the new rules again")
        assert asked == [True, False]
    finally:
        network.apply(ground.plan)


def test_rules_stay_when_docker_is_killed(ground, mortal_daemon):
    mortal_daemon.kill()
    try:
        assert not network.missing(ground.plan)
    finally:
        mortal_daemon.start()
    assert not network.missing(ground.plan)
    field.wait_until_open(where(ground.neighbour), 8888)
    TestWalls().test_holds(ground, ATTACKS[0])


def _shape(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("-A ")]
