"""The walls around a user's server, seen from within and from the host."""

from __future__ import annotations

import json
import re
import subprocess
from functools import partial

import pytest

from spawning import ANSWER, failed, program, run, said
from workbench_hub.containers import hardening
from workbench_hub.containers import spawner as module
from workbench_hub.containers.hardening import Container, Limits, arguments, fallen
from workbench_hub.health import wait_for

pytestmark = pytest.mark.docker

LOOK = """
import json, os, socket, sys
def can(path, mode="w"):
    try:
        open(path, mode).close()
        return True
    except OSError:
        return False
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
mounts = {line.split()[1]: line.split()[3].split(",") for line in open("/proc/mounts")}
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), sorted(os.getgroups())],
    "capabilities": [status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "seccomp": status["Seccomp"].strip(), "no_new_privileges": status["NoNewPrivs"].strip(),
    "home": [os.getcwd(), os.environ["HOME"], can("written")],
    "written": {path: can(path + "/x") for path in (
        "/", "/etc", "/usr", "/opt", "/run", "/dev", "/run/workbench", "/tmp", "/dev/shm")},
    "options": {path: mounts[path] for path in ("/tmp", "/run/workbench", "/dev/shm", "/")},
    "environment": dict(os.environ), "hostname": socket.gethostname(),
    "sockets": [path for path in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(path)],
    "limits": {name: open("/sys/fs/cgroup/" + name).read().strip() for name in (
        "memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes",
        "pids/pids.max", "cpu/cpu.cfs_quota_us",
    ) if os.path.exists("/sys/fs/cgroup/" + name)},
    "ipv6": os.path.exists("/proc/net/if_inet6") and open("/proc/net/if_inet6").read(),
}), flush=True)
"""


def test_the_walls_stand_as_a_process_within_sees_them(site):
    spawner = site.spawner("anna", profile="large")
    spawner.cmd = program(LOOK + ANSWER)
    run(spawner.start())
    seen = json.loads(said(spawner).splitlines()[0])
    run(spawner.stop())

    home = f"{site.state}/homes/anna"
    uid, gid, groups = seen["ids"]
    assert uid >= 20000
    assert gid == uid
    assert set(groups) - {gid} == {30001}
    assert seen["capabilities"] == ["0000000000000000"] * 5
    assert seen["seccomp"] == "2"
    assert seen["no_new_privileges"] == "1"
    assert seen["home"] == [home, home, True]
    allowed = {path for path, could in seen["written"].items() if could}
    assert allowed == {"/run/workbench", "/tmp", "/dev/shm"}
    assert "ro" in seen["options"]["/"]
    for path in ("/tmp", "/run/workbench", "/dev/shm"):
        assert {"nosuid", "nodev"} <= set(seen["options"][path])
        assert any(option.startswith("size=") for option in seen["options"][path])
    assert seen["sockets"] == []
    assert not seen["ipv6"]
    assert seen["hostname"] == "workbench"
    if seen["limits"]:
        assert seen["limits"]["memory/memory.limit_in_bytes"] == str(256 * 2**20)
        assert seen["limits"]["memory/memory.memsw.limit_in_bytes"] == str(256 * 2**20)
        assert seen["limits"]["pids/pids.max"] == "1024"
        assert seen["limits"]["cpu/cpu.cfs_quota_us"] == "200000"
    environment = seen["environment"]
    assert {environment[f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"2"}
    assert environment["JUPYTER_RUNTIME_DIR"].startswith("/run/workbench/")
    assert environment["WORKBENCH_TOKEN"] == environment["JUPYTERHUB_API_TOKEN"] == "of this server"


def test_docker_is_told_each_wall_even_where_it_is_its_default():
    container = Container(
        name="c",
        image="sha256:" + "0" * 64,
        command=("x",),
        uid=1234,
        gid=1235,
        home="/h",
        network="n",
        limits=Limits(memory=2**28, cpus=0.5),
    )
    told = arguments(container)
    host = told["host_config"]
    assert told["user"] == "1234:1235"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["Memory"] == host["MemorySwap"] == 2**28
    assert host["PidsLimit"] == 1024
    assert host["CpuQuota"] == 50_000
    assert not host.get("AutoRemove")
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["IpcMode"] == "private"
    assert not {"Privileged", "CapAdd", "Devices", "PortBindings", "PidMode", "UsernsMode"} & {
        key for key, value in host.items() if value
    }
    assert (
        int(host["LogConfig"]["Config"]["max-size"]) * int(host["LogConfig"]["Config"]["max-file"]) <= 2**23
    )


@pytest.mark.parametrize(
    "wrong", [{"uid": 0}, {"gid": 0}, {"groups": (0,)}, {"image": "workbench-user:latest"}], ids=str
)
def test_no_container_is_made_that_runs_as_root_or_from_a_tag(wrong):
    right = {"uid": 1234, "gid": 1234, "image": "sha256:" + "0" * 64}
    make = partial(Container, name="c", command=("x",), home="/h", network="n", limits=Limits(2**28, 1.0))
    assert make(**right)
    with pytest.raises(ValueError, match=r"root|digest"):
        make(**right | wrong)


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({}, []),
        ({"security_opt": ["no-new-privileges", "seccomp=unconfined"]}, ["seccomp"]),
        ({"security_opt": []}, ["no-new-privileges"]),
        ({"cap_drop": []}, ["capabilities"]),
        ({"user": "0:0"}, ["user"]),
        ({"user": "1234:0"}, ["user"]),
    ],
    ids=["all stand", "seccomp", "setuid", "capabilities", "root", "root's group"],
)
def test_a_wall_that_docker_left_out_is_seen_from_the_host(docker_daemon, image, changed, missing):
    right = {"user": "1234:1234", "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    with docker_daemon.client() as client:
        command = program("import signal; print('up', flush=True); signal.pause()")
        container = client.containers.run(image, command, detach=True, network_mode="none", **right | changed)
        try:
            wait_for(lambda: b"up" in container.logs(), 20, "the container")
            container.reload()
            pid = container.attrs["State"]["Pid"]
            assert fallen(pid) == missing
            assert fallen(pid, accepted=missing) == []
        finally:
            container.remove(force=True)


def test_no_server_starts_while_the_walls_of_the_network_are_down(site, containers, monkeypatch):
    spawner = site.spawner("anna")
    spawner.fallen_network_walls = lambda: ("chain wb-in is not there",)
    monkeypatch.setattr(module, "_WALLS_SECONDS", 0.5)
    error = failed(spawner)
    assert re.search("walled in.*chain wb-in is not there", str(error.diagnosis))
    assert containers() == []


def test_a_start_waits_for_walls_that_are_just_being_put_up(site):
    spawner, told = site.spawner("anna"), iter([("they are down",), ("they are down",), ()])
    spawner.fallen_network_walls = lambda: next(told)
    run(spawner.start())
    run(spawner.stop())


def test_a_server_without_a_wall_is_ended_at_once(site, containers, monkeypatch):

    def without_seccomp(container):
        told = arguments(container)
        told["host_config"]["SecurityOpt"].append("seccomp=unconfined")
        return told

    assert module.arguments is hardening.arguments
    monkeypatch.setattr(module, "arguments", without_seccomp)
    error = failed(site.spawner("anna"))
    assert "missing: seccomp" in str(error.diagnosis)
    assert containers() == []


def test_a_read_only_mount_holds_what_is_mounted_below_it(site, tmp_path):
    """The archive is read-only; so is a file system that is mounted in it."""
    below = site.archive / "2020"
    below.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "none", str(below)], check=True)
    try:
        spawner = site.spawner("anna")
        spawner.cmd = program(
            f"import os\ntry:\n open('{below}/x', 'w')\n print('WRITTEN')\nexcept OSError as e:\n print(e)\n"
            + ANSWER
        )
        run(spawner.start())
        assert "WRITTEN" not in said(spawner)
        run(spawner.stop())
    finally:
        subprocess.run(["umount", str(below)], check=True)
