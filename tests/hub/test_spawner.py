"""Users' servers as containers: their walls, what may be chosen, and what is said when they fail."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import subprocess
from collections.abc import Callable
from functools import partial
from time import monotonic

import pytest
from docker.types import IPAMConfig, IPAMPool
from dockerspawner import DockerSpawner

from dockerd import Daemon
from plain import plain_image
from spawning import ANSWER, program, users
from workbench_hub.containers.hardening import Container, Limits, arguments, fallen, missing_walls
from workbench_hub.containers.spawner import ContainerSpawner, SpawnFailed
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


@pytest.fixture(scope="module")
def image(docker_daemon: Daemon) -> str:
    with docker_daemon.client() as client:
        return plain_image(client)


@pytest.fixture(scope="module")
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
    tmp_path.chmod(0o711)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o711)
    with users(tmp_path, image, docker_daemon.url, network) as found:
        yield found
    with docker_daemon.client() as client:
        for container in client.containers.list(all=True, filters={"name": f"{network}--"}):
            container.remove(force=True)


@pytest.fixture
def containers(docker_daemon: Daemon, network: str) -> Callable[[], list[str]]:
    def names() -> list[str]:
        with docker_daemon.client() as client:
            return sorted(c.name for c in client.containers.list(all=True, filters={"name": f"{network}--"}))

    return names


def run(what):
    return asyncio.run(what)


def failed(spawner: ContainerSpawner) -> SpawnFailed:
    with pytest.raises(SpawnFailed) as caught:
        run(spawner.start())
    return caught.value


def said(spawner: ContainerSpawner) -> str:
    return "\n".join(run(spawner.daemon.log(spawner.object_name, 100)))


# -- the walls


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


def test_a_daemon_that_cannot_keep_a_wall_is_noticed(docker_daemon):
    with docker_daemon.client() as client:
        info = client.info()
    assert missing_walls(info) == []
    assert "seccomp" in missing_walls(info | {"SecurityOptions": []})[0]
    assert "seccomp" in missing_walls(info | {"SecurityOptions": ["name=seccomp,profile=unconfined"]})[0]
    assert "processes" in missing_walls(info | {"PidsLimit": False})[0]
    assert "Swarm" in missing_walls(info | {"Swarm": {"LocalNodeState": "active"}})[0]


def test_a_server_without_a_wall_is_ended_at_once(site, containers, monkeypatch):
    from workbench_hub.containers import hardening
    from workbench_hub.containers import spawner as module

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


# -- what is chosen


def test_the_form_offers_what_the_groups_allow(site):
    anna, ben = site.spawner("anna"), site.spawner("ben")
    form = run(anna.get_options_form())
    assert 'value="large"' in form
    assert 'value="large"' not in run(ben.get_options_form())
    chosen = {"profile": ["small"], "image.small": ["gone"], "image.large": ["standard"]}
    assert ben.run_options_from_form(chosen) == {"profile": "small", "image": "gone"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": "large"}, r"Profile 'large' is not one that you may choose.*small"),
        ({"profile": "../small"}, "is not one that you may choose"),
        ({"image": "busybox:latest"}, "is not one that you may choose.*standard"),
        ({"image": "gone"}, r"Image 'gone' is not in catalogue.json.*images/build.py"),
    ],
    ids=["group", "path", "foreign image", "not built"],
)
def test_what_may_not_be_chosen_is_refused_and_says_what_may(site, containers, options, words):
    error = failed(site.spawner("ben", **options))
    assert error.diagnosis.cause == "refused"
    assert error.status_code == 400
    assert re.search(words, str(error.diagnosis))
    assert "help@test.example" in error.jupyterhub_html_message
    assert containers() == []


def test_named_servers_stand_beside_each_other_up_to_the_profiles_number(site, containers, network):
    servers = [site.spawner("anna", name, profile="small") for name in ("", "second", "third")]
    for spawner in servers[:2]:
        run(spawner.start())
    assert containers() == [f"{network}--anna", f"{network}--anna--second"]
    error = failed(servers[2])
    assert "allows 2 servers at a time" in str(error.diagnosis)
    run(servers[0].stop())
    run(servers[2].start())
    assert containers() == [f"{network}--anna--second", f"{network}--anna--third"]
    for spawner in servers[1:]:
        run(spawner.stop())
    assert containers() == []


@pytest.mark.parametrize(
    "name", ["Änne Müller", "a/../b", "{username}", "--", "ann a", "x" * 200, "анна", "a\u202eb"]
)
def test_odd_names_get_a_container_and_a_home_of_their_own(site, containers, network, name):
    spawner = site.spawner(name)
    run(spawner.start())
    (container,) = containers()
    assert container.startswith(f"{network}--")
    assert len(container) < 128
    homes = [path.name for path in (site.state / "homes").iterdir() if not path.name.startswith(".")]
    assert homes == [container.removeprefix(f"{network}--")]
    run(spawner.stop())


def test_an_image_is_known_by_its_digest_and_a_session_keeps_it(site, docker_daemon, image):
    spawner = site.spawner("anna")
    run(spawner.start())
    with docker_daemon.client() as client:
        other = client.api.import_image_from_data(b"", repository="other", tag="test")
        assert other
        newer = client.images.get("other:test").id
    site.build(newer)
    restarted = site.restarted(spawner)
    assert run(restarted.poll()) is None
    assert restarted.given is not None
    assert restarted.given.digest == image
    with docker_daemon.client() as client:
        assert client.containers.get(restarted.object_name).image.id == image
    run(restarted.stop())
    error = failed(site.spawner("anna"))  # the newer one holds nothing at all
    assert error.diagnosis.cause == "command"
    with docker_daemon.client() as client:
        client.images.remove(newer, force=True)


# -- its life


def test_a_restarted_hub_finds_the_server_again(site, containers):
    spawner = site.spawner("anna")
    address = run(spawner.start())
    fresh = site.restarted(spawner)
    assert run(fresh.poll()) is None
    assert run(fresh.get_ip_and_port()) == address
    assert fresh.given == spawner.given
    run(fresh.stop())
    assert containers() == []
    assert run(fresh.poll()) is not None
    assert fresh.record.ended is None


def test_a_hub_that_wrote_nothing_down_learns_everything_from_the_container(site):
    spawner = site.spawner("anna", profile="large")
    address = run(spawner.start())
    given = spawner.given
    fresh = spawner.user._new_spawner("")
    assert fresh.given is None
    assert run(fresh.poll()) is None
    assert fresh.given == given
    assert run(fresh.get_ip_and_port()) == address
    run(fresh.stop())


def test_what_a_hub_left_that_died_during_a_start_is_replaced(
    site, containers, docker_daemon, image, network
):
    spawner = site.spawner("anna")
    with docker_daemon.client() as client:
        client.containers.create(image, program("print()"), name=f"{network}--anna")
    run(spawner.start())
    assert containers() == [f"{network}--anna"]
    assert "I answer" in said(spawner)
    run(spawner.stop())


def test_a_daemon_that_does_not_answer_ends_no_session(site, docker_daemon, containers):
    spawner = site.spawner("anna")
    run(spawner.start())
    docker_daemon.kill()
    try:
        assert run(spawner.poll()) is None
        error = failed(site.spawner("ben"))
        assert error.diagnosis.cause == "docker"
        assert "does not answer" in str(error.diagnosis)
        assert site.restarted(spawner).given is not None
    finally:
        docker_daemon.start()
    assert run(spawner.poll()) is None
    assert len(containers()) == 1
    run(spawner.stop())


def test_a_user_who_has_no_identity_any_more_is_stopped_but_not_started(site, containers):
    spawner = site.spawner("anna")
    run(spawner.start())
    (site.state / "hub" / "uids.json").write_text("{}")
    spawner.site.policy = site.policy.model_copy(
        update={"identity": site.policy.identity.model_copy(update={"source": "nss"})}
    )
    assert run(spawner.poll()) is None
    run(spawner.stop())
    run(spawner.run_post_stop_hook())
    assert containers() == []
    error = failed(spawner)
    assert "has no uid" in str(error.diagnosis)


# -- its end, in words


def test_a_program_that_fails_at_once_is_explained_at_once(site, containers):
    spawner = site.spawner("anna")
    spawner.cmd = program("import sys; print('<b>my last words</b>'); sys.exit(3)")
    begun = monotonic()
    error = failed(spawner)
    assert monotonic() - begun < 8
    assert error.diagnosis.cause == "ended"
    assert "exit code 3" in str(error.diagnosis)
    assert "&lt;b&gt;my last words&lt;/b&gt;" in error.jupyterhub_html_message
    assert containers() == []
    assert spawner.record.ended == error.diagnosis
    assert "my last words" in spawner.told


def test_a_program_that_never_answers_is_given_up_with_the_reason(site):
    spawner = site.spawner("anna")
    spawner.start_timeout = 8
    spawner.cmd = program("import time; print('busy', flush=True); time.sleep(600)")
    error = failed(spawner)
    assert error.diagnosis.cause == "silent"
    assert error.diagnosis.log == ("busy",)


def test_a_module_that_the_image_lacks_is_named(site):
    spawner = site.spawner("anna")
    spawner.cmd = program("import nothing_of_that_name")
    assert "has no Python module 'nothing_of_that_name'" in str(failed(spawner).diagnosis)


def test_a_program_that_is_not_there_is_named(site):
    spawner = site.spawner("anna")
    spawner.cmd = ["/no/such/program"]
    assert failed(spawner).diagnosis.cause == "command"


def test_an_image_that_was_removed_is_named(site):
    site.build("sha256:" + "1" * 64)
    error = failed(site.spawner("anna"))
    assert error.diagnosis.cause == "image"
    assert "'standard' is not on this machine" in str(error.diagnosis)


def test_out_of_memory_at_start_is_told(site):
    spawner = site.spawner("anna")
    spawner.cmd = program("import time; time.sleep(1); x = bytearray(400 * 2**20)")
    error = failed(spawner)
    assert error.diagnosis.cause == "memory"
    assert "its limit of 128 MiB" in str(error.diagnosis)


CHILD = """
import subprocess, sys, threading
child = "bytearray(400 * 2**20)"
def end():
    print("ended with", subprocess.run([sys.executable, "-c", child]).returncode, flush=True)
threading.Timer(1.5, end).start()
"""


def test_a_kernel_that_ran_out_of_memory_is_noted_while_its_server_goes_on(site):
    spawner = site.spawner("anna")
    spawner.cmd = program(CHILD + ANSWER)
    run(spawner.start())
    wait_for(lambda: "ended with -9" in said(spawner), 20, "the end of the child")
    assert run(spawner.poll()) is None
    assert run(spawner.poll()) is None
    (notice,) = spawner.notices
    assert "the limit is 128 MiB" in notice.words
    assert run(site.restarted(spawner).poll()) is None
    assert len(spawner.notices) == 1
    run(spawner.stop())
    # The next session counts anew.
    run(spawner.start())
    assert spawner.notices == ()
    wait_for(lambda: "ended with -9" in said(spawner), 20, "the end of the child")
    assert run(spawner.poll()) is None
    assert len(spawner.notices) == 1
    run(spawner.stop())


@pytest.mark.parametrize(
    ("end", "cause", "words"),
    [
        ("import os; os._exit(7)", "ended", "exit code 7"),
        ("x = bytearray(400 * 2**20)", "memory", "its limit of 128 MiB"),
        ("open('/etc/passwd', 'w')", "permission", "may not use|read-only"),
    ],
    ids=["exit", "memory", "error"],
)
def test_a_server_that_ends_later_is_explained_when_its_user_comes_back(site, end, cause, words):
    code = (
        f"import threading, os\nthreading.Timer(2, lambda: os.kill(os.getpid(), 10)).start()\n"
        f"import signal\ndef end(*_):\n    try:\n        {end}\n    finally:\n        os._exit(7)\n"
        f"signal.signal(10, end)\n"
    )
    spawner = site.spawner("anna")
    spawner.cmd = program(code + ANSWER)
    run(spawner.start())
    wait_for(lambda: run(spawner.poll()) is not None, 20, "its end")
    run(spawner.run_post_stop_hook())
    ended = site.restarted(spawner).record.ended
    assert ended is not None
    if cause != "permission":
        assert ended.cause == cause
        assert re.search(words, str(ended))
    assert "uid 2" in spawner.told
    # A server that starts well is no longer explained.
    spawner.cmd = program(ANSWER)
    run(spawner.start())
    assert spawner.told == ""
    run(spawner.stop())


def test_a_container_that_was_removed_from_outside_is_explained(site, docker_daemon):
    spawner = site.spawner("anna")
    run(spawner.start())
    with docker_daemon.client() as client:
        client.containers.get(spawner.object_name).remove(force=True)
    assert run(spawner.poll()) is not None
    assert spawner.record.ended is not None
    assert spawner.record.ended.cause == "gone"


def test_a_server_that_was_stopped_is_not_explained(site):
    spawner = site.spawner("anna")
    run(spawner.start())
    run(spawner.stop())
    assert run(spawner.poll()) is not None
    assert spawner.told == ""


def test_a_full_home_is_told_and_locks_nobody_out(docker_daemon, image, network, tmp_path):
    home = {"quota": "8 MiB", "method": "loop", "inodes": 10_000}
    with users(tmp_path, image, docker_daemon.url, network, home=home) as site:
        spawner = site.spawner("anna")
        spawner.cmd = program(
            "try:\n with open('fill', 'wb') as f:\n  while True: f.write(bytes(2**16))\n"
            "except OSError as e: print(e)\n" + ANSWER
        )
        try:
            run(spawner.start())
            assert "No space left" in said(spawner)
            run(spawner.stop())
            run(spawner.run_post_stop_hook())
            spawner.cmd = program(ANSWER)
            run(spawner.start())
            assert any("Your home is full" in words for words in spawner._done)
            run(spawner.stop())
            spawner.cmd = program("open('more', 'wb').write(bytes(2**20))")
            error = failed(spawner)
            assert error.diagnosis.cause == "home"
            assert "Your home is full" in str(error.diagnosis)
        finally:
            run(spawner.run_post_stop_hook())
        assert not (site.state / "homes" / "anna").is_mount()


# -- of the class itself


def test_nothing_of_the_hubs_own_is_overridden_by_accident():
    meant = {
        "_object_name_default",
        "clear_state",
        "docker",
        "get_ip_and_port",
        "get_state",
        "get_url",
        "load_state",
        "poll",
        "progress",
        "run_post_stop_hook",
        "start",
        "stop",
    }
    traitlets = set(vars(type("Plain", (DockerSpawner,), {"port": DockerSpawner.port})))
    own = {name for name in vars(ContainerSpawner) if not name.startswith("__")}
    inherited = {name for base in ContainerSpawner.__mro__[1:] for name in vars(base)}
    assert (own & inherited) - traitlets <= meant


def test_twenty_come_at_once_and_all_get_a_server(site, containers):
    spawners = [site.spawner(f"user{number}") for number in range(20)]

    async def everybody():
        return await asyncio.gather(*(spawner.start() for spawner in spawners))

    addresses = run(everybody())
    assert len(set(addresses)) == 20
    assert len(containers()) == 20

    async def away():
        await asyncio.gather(*(spawner.stop(now=True) for spawner in spawners))

    run(away())
    assert containers() == []
