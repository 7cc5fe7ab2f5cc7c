"""The rules of the network as text, and what a plan refuses: no root needed."""

from __future__ import annotations

import json
import os
from ipaddress import IPv4Address, IPv4Network
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable
from workbench_hub import network
from workbench_hub.network import Destination, Door, Memory, Plan, Wanted
from workbench_hub.network.planned import planned, subnet_of
from workbench_hub.network.rules import chains
from workbench_hub.policy.work import Egress

SUBNET = IPv4Network("172.24.0.0/22")


def plan(*wanted: Destination, **more) -> Plan:
    return Plan("wbtest", SUBNET, (Door("hub", 8081),), tuple(wanted), **more)


def centre(address: str, ports: tuple[int, ...] = (443,), protocol: str = "tcp") -> Destination:
    return Destination("dc.example", (IPv4Network(address),), ports, protocol)


def test_rules_end_with_a_refusal_in_each_chain():
    for name, rules in chains(plan(centre("198.51.100.20"))).items():
        assert rules[-1].endswith(("-j DROP", "--reject-with icmp-admin-prohibited")), name
        assert " -d " not in rules[-1]


def test_the_metadata_address_and_neighbours_are_refused_before_anything_is_allowed():
    out = chains(plan(centre("198.51.100.20")))["wbtest-out"]
    first_allowed = next(number for number, rule in enumerate(out) if rule.endswith("-j RETURN"))
    refused = out[:first_allowed]
    assert any("-d 169.254.0.0/16 -j REJECT" in rule for rule in refused)
    assert any("-o wbtest -j REJECT" in rule for rule in refused)


def test_only_the_ports_of_a_destination_are_allowed():
    many = tuple(range(18000, 18020))
    text = network.rules(plan(centre("198.51.100.20", many), centre("198.51.100.21", (123,), "udp")))
    allowed = [line for line in text.splitlines() if line.startswith("-A wbtest-out -d 198.51")]
    assert [line.count(",") for line in allowed] == [14, 4, 0]  # one rule takes fifteen
    assert allowed[-1] == "-A wbtest-out -d 198.51.100.21/32 -p udp -m multiport --dports 123 -j RETURN"


def test_doors_are_on_the_address_of_the_bridge_alone():
    rules = chains(Plan("wbtest", SUBNET, (Door("hub", 8081), Door("workers", 42000, 42100))))["wbtest-in"]
    assert [rule for rule in rules if "--dport" in rule] == [
        "-A wbtest-in -d 172.24.0.1/32 -p tcp -m tcp --dport 8081 -j ACCEPT",
        "-A wbtest-in -d 172.24.0.1/32 -p tcp -m tcp --dport 42000:42100 -j ACCEPT",
    ]


def test_name_servers_are_allowed_only_where_the_policy_names_them():
    assert "--dport 53" not in network.rules(plan())
    assert plan().dns == ("127.0.0.1",)
    asked = plan(servers=(IPv4Address("198.51.100.53"),))
    assert "-d 198.51.100.53/32 -p udp -m udp --dport 53 -j RETURN" in network.rules(asked)
    assert asked.dns == ("198.51.100.53",)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "169.254.169.254", "172.24.0.9", "0.0.0.0/0", "224.0.0.1", "255.255.255.255"]
)
def test_no_plan_allows_this_machine_its_link_or_the_whole_world(address):
    with pytest.raises(InvalidSetting, match="which containers never reach"):
        plan(centre(address))


@pytest.mark.parametrize("name", ["", "a b", "-j", "x" * 16, "br\n-A INPUT", "Br0", "br+"])
def test_a_bridge_whose_name_could_mean_something_else_is_refused(name):
    with pytest.raises(InvalidSetting):
        Plan(name, SUBNET)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (70000, 0), (90, 80), (-1, 5)])
def test_a_door_is_a_port(first, last):
    with pytest.raises(InvalidSetting):
        Door("hub", first, last)


@given(st.text(max_size=80))
def test_each_state_directory_has_a_bridge_whose_name_is_one(state):
    assert Plan(network.bridge_name(state), SUBNET).bridge == network.bridge_name(state)


def test_a_subnet_is_free_or_there_is_none():
    assert network.free_subnet([]) == SUBNET
    taken = [IPv4Network("172.24.0.0/21"), IPv4Network("172.24.9.0/24")]
    assert network.free_subnet(taken) == IPv4Network("172.24.12.0/22")
    with pytest.raises(ResourceExceeded):
        network.free_subnet([IPv4Network("172.16.0.0/12")])


class Names:
    """A name service in memory, whose answers change."""

    def __init__(self, **known: list[str]) -> None:
        self.known, self.now = known, 1e9

    def look_up(self, name: str) -> list[str]:
        return self.known.get(name, [])

    def clock(self) -> float:
        return self.now


@pytest.fixture
def names(tmp_path):
    names = Names(dc=["198.51.100.20"])
    names.memory = Memory(tmp_path / "addresses.json", names.clock)
    return names


def resolved(names: Names, *wanted: str) -> list[list[str]]:
    found = network.resolve([Wanted(name) for name in wanted], names.memory, names.look_up)
    return [[str(address.network_address) for address in one.networks] for one in found]


def test_an_old_address_stays_allowed_for_a_while_and_the_new_one_is_the_one_to_use(names):
    assert resolved(names, "dc") == [["198.51.100.20"]]
    names.known["dc"], names.now = ["198.51.100.7"], names.now + 86400
    assert resolved(names, "dc") == [["198.51.100.7", "198.51.100.20"]]
    names.now += 30 * 86400
    assert resolved(names, "dc") == [["198.51.100.7"]]


def test_a_name_service_that_is_down_locks_nobody_out(names):
    resolved(names, "dc")
    names.known.clear()
    assert resolved(names, "dc") == [["198.51.100.20"]]
    assert names.memory.warnings == ["dc leads nowhere: its old addresses hold"]


def test_who_only_asks_what_the_rules_should_be_looks_up_no_name_that_is_known(names):
    resolved(names, "dc")
    names.known["dc"], names.now = ["198.51.100.7"], names.now + 30 * 86400
    before = names.memory.path.read_text()
    wanted = [Wanted("dc"), Wanted("198.51.100.30")]
    found = network.resolve(wanted, names.memory, names.look_up, renew=False)
    assert [str(one.networks[0]) for one in found] == ["198.51.100.20/32", "198.51.100.30/32"]
    assert names.memory.path.read_text() == before
    names.known["new"] = ["198.51.100.8"]
    network.resolve([*wanted, Wanted("new")], names.memory, names.look_up, renew=False)
    assert set(json.loads(names.memory.path.read_text())) == {"dc", "new"}


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.5"])
def test_a_name_that_leads_to_this_machine_is_not_followed(names, address):
    names.known["dc"] = [address, "198.51.100.20"]
    assert resolved(names, "dc") == [["198.51.100.20"]]
    assert address in names.memory.warnings[0]


def test_addresses_that_cannot_be_read_are_forgotten(names):
    for text in ("{", "[1]", '{"dc": 3}', '{"dc": {"198.51.100.9": "x"}}'):
        names.memory.path.write_text(text)
        assert resolved(names, "dc") == [["198.51.100.20"]]
    assert json.loads(names.memory.path.read_text()) == {"dc": {"198.51.100.20": 1e9}}


@pytest.mark.parametrize("host", ["192.0.2.1/24", "192.0.2.0/33", "1.2.3", "300.1.1.1", "dc.example/24"])
def test_an_address_that_is_none_is_refused_and_not_looked_up(names, host):
    with pytest.raises(InvalidSetting, match="no IPv4 address or range"):
        resolved(names, host)


def test_a_policy_becomes_a_plan_and_stays_at_its_subnet(tmp_path):
    egress = Egress.model_validate(
        {
            "allow": [{"hosts": ["198.51.100.0/24", "localhost"], "ports": [80, 443]}],
            "dns": ["198.51.100.53"],
        }
    )
    first = planned(egress, [Door("hub", 8081)], tmp_path, tmp_path)
    assert (
        first.subnet == planned(egress, [], tmp_path, tmp_path).subnet == subnet_of(tmp_path / "subnet.json")
    )
    assert first.egress[0].networks == (IPv4Network("198.51.100.0/24"),)
    assert first.egress[1].networks == ()  # localhost
    assert first.hosts == {}
    with pytest.raises(InvalidSetting, match="by address"):
        planned(Egress.model_validate({"dns": ["dns.example"]}), [], tmp_path, tmp_path)


def test_names_reach_a_running_session_through_the_same_file(tmp_path):
    network.write_resolver(plan(centre("198.51.100.20")), tmp_path)
    hosts = tmp_path / "hosts"
    before = os.stat(hosts).st_ino
    assert "198.51.100.20 dc.example\n" in hosts.read_text()
    network.write_resolver(plan(), tmp_path)
    assert os.stat(hosts).st_ino == before
    assert "dc.example" not in hosts.read_text()
    assert hosts.read_text().endswith("workbench\n")
    assert (tmp_path / "resolv.conf").read_text().startswith("nameserver 127.0.0.1\n")


def test_the_warden_says_what_is_wrong_and_goes_on():
    said, stop = [], Event()

    def nothing(_: bool) -> Plan:
        if len(said) > 1:
            stop.set()
        raise Unavailable("The policy", "cannot be read")

    warden = network.Warden(nothing, said.append, every=0.01, stop=stop)
    thread = Thread(target=warden.run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert set(said) == {"the old rules stay: The policy: cannot be read"}
