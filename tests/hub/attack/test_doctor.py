"""The doctor: gives the table of the walls, and notices each one that is down."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

import ground as field
from ground import fallen, sysctl
from workbench.errors import InvalidSetting, Unavailable
from workbench_hub import network
from workbench_hub.doctor.checks import SWARM, containers, daemon
from workbench_hub.doctor.examination import Examination, examine
from workbench_hub.doctor.places import METADATA
from workbench_hub.doctor.reach import Target, judge

HEALTHY = {
    "LiveRestoreEnabled": True,
    "SecurityOptions": ["name=seccomp,profile=default"],
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "Swarm": {"LocalNodeState": "inactive"},
}


def bad(examination: Examination) -> set[str]:
    return {row.what for row in examination.rows if not row.good} | {
        finding.what for finding in examination.findings if not finding.good
    }


@pytest.fixture(scope="module")
def patient(ground):
    """Return what examines the ground, with changes to its plan."""

    def examined(**changes) -> Examination:
        return examine(ground.client, replace(ground.plan, **changes), ground.image)

    return examined


@pytest.mark.docker
def test_all_is_well_where_all_walls_stand(patient, ground):
    found = patient()
    assert not bad(found), str(found)
    assert found.good
    table = {row.what: row.found for row in found.rows}
    assert table["a neighbour's server"] == "blocked"
    assert table["a port of this machine"] == "blocked"
    assert table["ports that programs of this machine listen at"] == "blocked"
    assert table["the internet (a stand-in), port 80"] == "blocked"
    assert table["the metadata address"] == "blocked"
    assert table["IPv6"] == "blocked"
    assert table[f"door: hub ({ground.plan.doors[0].port})"] == "open"


@pytest.mark.docker
def test_a_neighbour_that_is_reached(patient, ground):
    bridge = ground.plan.bridge
    with fallen(ground.plan, ("DOCKER-USER", f"-i {bridge} -o {bridge} -j ACCEPT")):
        assert "a neighbour's server" in bad(patient())


@pytest.mark.docker
def test_bridges_that_no_rule_sees(patient):
    with sysctl("net/bridge/bridge-nf-call-iptables", "0"):
        assert bad(patient()) >= {"a neighbour's server", "firewall: rules"}


@pytest.mark.docker
def test_a_port_of_the_machine_that_is_reached(patient, ground):
    with fallen(ground.plan, ("INPUT", f"-i {ground.plan.bridge} -j ACCEPT")):
        assert bad(patient()) >= {
            "a port of this machine",
            "a port of this machine, by its other addresses",
            "ports that programs of this machine listen at",
            "firewall: rules",
        }


@pytest.mark.docker
def test_an_internet_and_a_metadata_address_that_are_reached(patient, ground):
    with fallen(ground.plan, ("DOCKER-USER", f"-i {ground.plan.bridge} -j ACCEPT")):
        assert bad(patient()) >= {
            "the internet (a stand-in), port 80",
            "the internet (a stand-in), datagrams",
            "the metadata address",
        }


@pytest.mark.docker
def test_a_hub_that_other_hosts_reach(patient, ground):
    with fallen(ground.plan, ("INPUT", f"-d {ground.plan.gateway} -j ACCEPT")):
        assert "from another host (a stand-in): door hub" in bad(patient())


@pytest.mark.docker
def test_a_hub_that_is_not_there_or_not_reached(patient, ground):
    nobody = network.Door("hub", 1)
    assert "door: hub (1)" in bad(patient(doors=(nobody,)))
    shut = replace(ground.plan, doors=())
    network.apply(shut)
    try:
        assert f"door: hub ({ground.plan.doors[0].port})" in bad(patient())
    finally:
        network.apply(ground.plan)


@pytest.mark.docker
def test_a_network_that_others_made(docker_daemon, ground):
    """Docker's own kind of network, with no chain of ours: the first column of the table."""
    plan = replace(
        ground.plan,
        name=f"{ground.plan.name}-bare",
        bridge=f"{ground.plan.bridge}b",
        subnet=IPv4Network("172.31.240.0/24"),
    )
    docker_daemon.run(
        *("network", "create", "--subnet", str(plan.subnet), "--gateway", str(plan.gateway)),
        *("--opt", f"com.docker.network.bridge.name={plan.bridge}", plan.name),
    )
    try:
        assert bad(examine(ground.client, plan, ground.image)) >= {
            "a neighbour's server",
            "a port of this machine",
            "the internet (a stand-in), port 80",
            "the metadata address",
            "firewall: rules",
            "network: neighbours apart (icc)",
        }
        with pytest.raises(InvalidSetting, match="another one"):
            network.ensure(ground.client, plan)
    finally:
        network.remove_bridge(ground.client, plan.name)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda given: given.update(user="0:0"), "runs as root"),
        (lambda given: given["host_config"].update(Privileged=True), "is privileged"),
        (lambda given: given["host_config"].update(CapAdd=["NET_RAW"]), "has capabilities"),
        (lambda given: given["host_config"].update(SecurityOpt=[]), "may gain privileges"),
        (lambda given: given["host_config"].update(ReadonlyRootfs=False), "may write its root"),
        (lambda given: given["host_config"].update(Memory=0, MemorySwap=0), "has no limit of memory"),
        (lambda given: given["host_config"].update(PidsLimit=None), "has no limit of processes"),
        (lambda given: given["host_config"].update(Dns=[]), "asks another name service"),
        (lambda given: given["host_config"].update(PidMode="host"), "shares the machine's namespaces"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_container_without_one_of_its_walls(ground, change, problem):
    with ground.running(field.WAIT, without=change) as container:
        found = containers([container.attrs], ground.plan)
    assert [finding.detail for finding in found] == [problem]


@pytest.mark.docker
def test_an_image_that_is_not_there(ground):
    with pytest.raises(Unavailable, match="is not there"):
        examine(ground.client, ground.plan, "sha256:" + "0" * 64)


def test_the_metadata_address_is_the_one_of_the_clouds():
    assert METADATA == "169.254.169.254"


def test_a_healthy_daemon():
    assert all(finding.good for finding in daemon(HEALTHY))


@pytest.mark.parametrize(
    "change",
    [
        {"LiveRestoreEnabled": False},
        {"SecurityOptions": []},
        {"SecurityOptions": ["name=seccomp,profile=unconfined"]},
        {"PidsLimit": False},
        {"Warnings": ["WARNING: API is accessible on http://0.0.0.0:2375 without encryption."]},
    ],
)
def test_a_daemon_without_one_of_its_walls(change):
    assert [finding.good for finding in daemon(HEALTHY | change)].count(False) == 1


def test_swarm_mode_fails_unless_each_missing_wall_is_accepted_by_its_name():
    swarm = HEALTHY | {"Swarm": {"LocalNodeState": "active"}, "LiveRestoreEnabled": False}
    failed = {finding.what for finding in daemon(swarm) if not finding.good}
    assert failed == {f"Docker: Swarm mode without {wall}" for wall in SWARM} | {
        "Docker: sessions outlive it"
    }
    some = {finding.what for finding in daemon(swarm, ["live-restore", "seccomp"]) if not finding.good}
    assert some == {"Docker: Swarm mode without no-new-privileges"}
    assert all(finding.good for finding in daemon(swarm, list(SWARM)))


@pytest.mark.parametrize(
    ("expected", "here", "there", "good"),
    [
        ("blocked", "open", "refused", True),
        ("blocked", "open", "silent", True),
        ("blocked", "open", "open", False),
        ("blocked", "refused", "refused", False),  # nothing there to be kept from
        ("open", "open", "open", True),
        ("open", "open", "refused", False),
        ("open", "refused", "refused", False),
    ],
)
def test_a_row_is_good_only_if_it_is_proved(expected, here, there, good):
    assert judge(Target("a place", "192.0.2.1", 80, expected), here, there).good is good
