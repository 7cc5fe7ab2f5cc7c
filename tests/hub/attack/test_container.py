"""Attacks from within a user's container on what is around it; and each wall once taken down.

All bombs are bounded: they stop by themselves a little above the limit that should stop them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ground import FIRST, LIMITS, WAIT, Ground, said_in
from workbench_hub.health import wait_for

pytestmark = pytest.mark.docker

MB = 2**20
TOO_MANY = 1400
"""Processes that a fork bomb tries to have; the wall is at 1024."""


def python(body: str) -> str:
    """Return a program that prints ``open`` if a body ends without an error."""
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return (
        "import ctypes, os, resource, socket, subprocess, sys, time\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def need(result):\n"
        "    if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))\n"
        f"try:\n{indented}\n    print('open')\n"
        "except BaseException as error:\n    print(type(error).__name__, error)\n"
    )


@dataclass(frozen=True)
class Attack:
    """What a program in a container tries; it says ``open`` if it worked.

    `down` takes the walls that are in its way out of the arguments that make the container.
    """

    name: str
    code: str
    down: Callable[[dict[str, Any]], None]
    limits: Any = LIMITS


def host(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def without(given: dict[str, Any]) -> None:
        given["host_config"].update(changes)

    return without


def as_root(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def without(given: dict[str, Any]) -> None:
        given["user"] = "0:0"
        given["host_config"].update(changes)

    return without


def able(*more: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    """Be root with Docker's usual capabilities and some more, and no system call kept away."""
    return as_root(CapDrop=[], CapAdd=list(more), SecurityOpt=["seccomp=unconfined"], **changes)


ATTACKS = [
    Attack("write the root", python("open('/opt/evil', 'w').write('x')"), as_root(ReadonlyRootfs=False)),
    Attack(
        "write what the kernel is told",
        python("open('/proc/sys/net/ipv4/ip_default_ttl', 'w').write('64')"),
        able("NET_ADMIN", ReadonlyPaths=[]),
    ),
    Attack(
        "mount a file system", python("need(libc.mount(b'x', b'/tmp', b'tmpfs', 0, None))"), able("SYS_ADMIN")
    ),
    Attack(
        "become root in a namespace of one's own",
        python("need(libc.unshare(0x10000000))"),
        host(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]),
    ),
    Attack(
        "send packets that are not one's own",
        python("socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)"),
        able(),
    ),
    Attack(
        "tell neighbours a false address",
        python(
            "line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)\n"
            "line.bind(('eth0', 3))\n"
            "line.send(b'\\xff' * 6 + line.getsockname()[4] + b'\\x08\\x06' + bytes(28))"
        ),
        able(),
    ),
    Attack("become another user", python("os.setuid(10002)"), able()),
    Attack(
        "gain privileges by a program",
        python(
            "assert 'NoNewPrivs:\\t0' in open('/proc/self/status').read()",
        ),
        host(SecurityOpt=[]),
    ),
    Attack(
        "reach a device of the machine",  # the one by which files become disks
        python(
            "os.mknod('/opt/loop', 0o20600, os.makedev(10, 237))\nos.close(os.open('/opt/loop', os.O_RDWR))"
        ),
        able(ReadonlyRootfs=False, DeviceCgroupRules=["c *:* rwm"]),
    ),
    Attack(
        "see the machine's processes",
        python("assert len([name for name in os.listdir('/proc') if name.isdigit()]) > 20"),
        host(PidMode="host"),
    ),
    Attack(
        "fill memory by way of /tmp",
        python(
            "with open('/tmp/bomb', 'wb') as file:\n"
            "    for _ in range(24): file.write(bytes(1 << 20)); file.flush()"
        ),
        lambda given: given["host_config"]["Tmpfs"].update({"/tmp": "rw,mode=1777,size=32m"}),
    ),
    Attack(
        "fill shared memory",
        python(
            "with open('/dev/shm/bomb', 'wb') as file:\n"
            "    for _ in range(24): file.write(bytes(1 << 20)); file.flush()"
        ),
        host(ShmSize=32 * MB),
    ),
    Attack(
        "leave the machine's memory in a core file",
        python("assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 0"),
        host(Ulimits=[]),
    ),
    Attack(
        "fill the machine's table of open files",
        python(
            "limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))\n"
            "held = [os.open('/dev/null', os.O_RDONLY) for _ in range(18_000)]"
        ),
        host(Ulimits=[]),
    ),
    Attack(
        "have processes without end",
        python(
            "import threading\n"
            "threading.stack_size(1 << 16)\n"
            "stop = threading.Event()\n"
            "try:\n"
            f"    for _ in range({TOO_MANY}): threading.Thread(target=stop.wait).start()\n"
            "finally:\n"
            "    stop.set()"
        ),
        host(PidsLimit=4096),
        replace(LIMITS, memory=512 * MB),
    ),
]


class TestWalls:
    def _opened(self, ground: Ground, attack: Attack, without: Any = None) -> str:
        return ground.run(attack.code, limits=attack.limits, without=without).out.strip()

    @pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
    def test_holds(self, ground, attack):
        said = self._opened(ground, attack)
        assert said, "the attack said nothing"
        assert said != "open"

    @pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
    def test_without_the_wall_the_attack_works(self, ground, attack):
        assert self._opened(ground, attack, attack.down) == "open"


def test_what_the_kernel_says_of_a_users_process(ground):
    status = dict(
        line.split(":\t", 1)
        for line in said_in(ground.neighbour, "print(open('/proc/self/status').read())").splitlines()
        if ":\t" in line
    )
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["Uid"].split() == [str(FIRST + 1)] * 4


def test_no_docker_socket_and_no_secret_is_in_a_container(ground):
    code = """
import os
for folder, _, names in os.walk("/", followlinks=False):
    if folder.startswith(("/proc", "/sys")):
        continue
    for name in names:
        if name.endswith((".sock", ".pem", "tokens.json", "cookie_secret")):
            print(os.path.join(folder, name))
"""
    assert ground.inside(code) == ""


def test_programs_still_run_in_tmp(ground):
    code = """
import os, subprocess
open("/tmp/program", "w").write("#!/opt/workbench/bin/python\\nprint(6 * 7)")
os.chmod("/tmp/program", 0o700)
print(subprocess.run(["/tmp/program"], capture_output=True, text=True).stdout)
"""
    assert ground.inside(code) == "42"


BALLAST = """
import sys
held = []
for _ in range(int(sys.argv[1])):
    held.append(bytearray(b"x") * (1 << 20))
print("open")
"""


def test_a_memory_bomb_ends_its_own_process_and_nobody_elses(ground):
    above = LIMITS.memory // MB + 32
    said = ground.run(BALLAST, str(above))
    assert "open" not in said.out
    assert said.code == 137
    assert ground.inside("print('well')") == "well"
    assert said_in(ground.neighbour, "print('well')") == "well"
    wide = ground.run(BALLAST, str(above), without=host(Memory=0, MemorySwap=0))
    assert (wide.out.strip(), wide.code) == ("open", 0)


SPIN = """
import os, time
for _ in range(7):
    if not os.fork(): break
while True: pass
"""


def shares(ground: Ground, without: Any = None) -> int:
    """Let eight processes be busy for a second of processor time; return how often they had to wait."""
    with ground.running(SPIN, without=without, limits=replace(LIMITS, cpus=0.5)) as container:

        def readings() -> dict[str, Any]:
            return dict(container.stats(stream=False)["cpu_stats"])

        wait_for(lambda: readings()["cpu_usage"]["total_usage"] > 1e9, 60, "a second of processor time")
        return int(readings()["throttling_data"]["throttled_periods"])


def test_no_container_takes_more_than_its_share_of_the_processors(ground):
    assert shares(ground) > 5
    assert shares(ground, host(CpuQuota=0, CpuPeriod=0)) == 0


SHOUT = """
import sys
line = "x" * 1023 + "\\n"
for _ in range(int(sys.argv[1]) * 1024):
    sys.stdout.write(line)
"""


def logged(ground: Ground, without: Any = None) -> int:
    """Return the bytes on the machine's disk after a container has said 8 MB."""
    with ground.running(SHOUT, "8", without=without) as container:
        container.wait(timeout=60)
        path = Path(container.client.api.inspect_container(container.id)["LogPath"])
        return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def test_a_log_bomb_fills_two_files_and_no_more(ground):
    assert logged(ground) < 2 * LIMITS.log + 64 * 1024
    assert logged(ground, host(LogConfig={"Type": "json-file", "Config": {}})) > 8 * MB


# Files of others.

READ = python("open(sys.argv[1]).read()")
WRITE = python("open(sys.argv[1], 'a').write('x')")
LIST = python("print(os.listdir(sys.argv[1]))")


@pytest.fixture
def homes(tmp_path):
    """Two homes as the hub makes them, and a network of the archive."""
    root = Path(os.path.realpath(tmp_path))
    for folder in (root, *root.parents):
        if folder.stat().st_mode & 0o5 != 0o5 and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o5)
    for uid in (FIRST, FIRST + 1):
        home = root / str(uid)
        home.mkdir(mode=0o700)
        (home / "secret").write_text("mine")
        for path in (home, home / "secret"):
            os.chown(path, uid, uid)
        (home / "secret").chmod(0o644)
    day = root / "archive" / "2020" / "VO" / "day"
    day.parent.mkdir(parents=True)
    day.write_text("waveforms")
    day.chmod(0o666)
    return root


def test_anothers_home_is_not_there_and_is_shut_where_it_is(ground, homes):
    other = str(homes / str(FIRST + 1) / "secret")
    own = ((homes / str(FIRST), str(homes / str(FIRST)), False),)
    everything = ((homes, str(homes), False),)
    assert ground.run(READ, str(homes / str(FIRST) / "secret"), mounts=own).out.strip() == "open"
    assert "FileNotFoundError" in ground.run(READ, other, mounts=own).out
    assert "PermissionError" in ground.run(READ, other, mounts=everything).out
    (homes / str(FIRST + 1)).chmod(0o755)
    assert ground.run(READ, other, mounts=everything).out.strip() == "open"


def test_a_network_of_the_archive_is_read_only_and_others_are_not_there(ground, homes):
    network = homes / "archive" / "2020" / "VO"
    day = str(network / "day")
    assert ground.run(READ, day, mounts=((network, str(network), True),)).out.strip() == "open"
    assert "Read-only" in ground.run(WRITE, day, mounts=((network, str(network), True),)).out
    assert "FileNotFoundError" in ground.run(READ, day).out
    assert ground.run(WRITE, day, mounts=((network, str(network), False),)).out.strip() == "open"


def test_links_lead_to_the_containers_own_files(ground, homes):
    """A link in one's home to another's is followed where it is read: in one's own container."""
    home = homes / str(FIRST)
    (home / "link").symlink_to(homes / str(FIRST + 1) / "secret")
    said = ground.run(READ, str(home / "link"), mounts=((home, str(home), False),))
    assert "FileNotFoundError" in said.out


def test_a_neighbours_sockets_in_memory_are_not_reached(ground):
    """Kernels talk over sockets in /run/workbench, which is each container's own."""
    put = "import socket; socket.socket(socket.AF_UNIX).bind('/run/workbench/kernel'); print('open')"
    assert ground.inside(put) == "open"
    assert said_in(ground.neighbour, "import os; print(os.listdir('/run/workbench'))") == "[]"
    abstract = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0kernel'); s.listen(1); "
        "c = socket.socket(socket.AF_UNIX); c.connect('\\0kernel'); print('open')"
    )
    with ground.running(
        f"import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0other'); s.listen(1)\n{WAIT}"
    ):
        assert ground.inside(abstract) == "open"
        assert ground.inside(python("c = socket.socket(socket.AF_UNIX); c.connect('\\0other')")) != "open"
