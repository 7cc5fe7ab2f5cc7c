"""The users' image, run as a session is: another uid, a root that is read-only, no capability, no network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from compiled import COUNT

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
HOME = ("--tmpfs=/home/me:uid=12345,gid=12345,mode=700", "--env=HOME=/home/me")


def test_it_is_small(entries):
    assert entries()["user"]["size"] < 1.5e9


@pytest.mark.long
def test_it_is_built_quickly(entries, record_property):
    """On two cores that do nothing else."""
    listed = entries()
    took = sum(listed[name]["seconds"] for name in ("base", "worker", "user"))
    record_property("seconds", took)
    assert took < 360


def test_who_says_nothing_is_nobody(docker_daemon, user_image):
    done = docker_daemon.run("run", "--rm", "--network=none", user_image, "id", "-u")
    assert done.stdout.strip() == "65534"


def test_no_program_raises_rights(docker_daemon, user_image):
    """Looked at by root with another program than the build's own."""
    words = ["run", "--rm", "--network=none", "--user=0:0", "--entrypoint=find", user_image]
    done = docker_daemon.run(*words, "/", "-xdev", "-perm", "/6000")
    assert done.stdout == ""


def test_a_user_can_write_nothing_of_the_image(user):
    places = "/bin /etc /lib /opt /root /sbin /srv /usr /var /home"
    # A way in through /var/tmp or the like would be found even where the root is not read-only.
    done = user("sh", "-c", f"find {places} -xdev -writable -not -type l 2> /dev/null || true")
    assert set(done.stdout.split()) <= {"/var/tmp", "/var/lock"}
    assert user("touch", "/opt/workbench/x", check=False).returncode


def test_the_first_call_finds_everything_compiled(user):
    """As a uid that the image never saw: numba's own count has hits alone."""
    counted = json.loads(user("python", "-c", COUNT).stdout)
    assert counted["misses"] == []
    assert len(counted["hits"]) > 20


def test_without_the_copy_everything_is_compiled_anew(user):
    """The count above can fail: numba does not read a folder that it cannot write."""
    options = ("--env=NUMBA_CACHE_DIR=/tmp/elsewhere", "--entrypoint=/usr/bin/tini")
    counted = json.loads(user("--", "python", "-c", COUNT, options=options).stdout)
    assert len(counted["misses"]) > 20


def test_sources_have_times_that_a_layer_keeps(user):
    ask = "import os, sys, workbench; print(os.stat(workbench.__file__).st_mtime_ns % 1_000_000_000)"
    assert user("python", "-c", ask).stdout.strip() == "0"


def test_a_uid_that_nobody_knows_has_a_name(user):
    done = user("sh", "-c", "whoami; id -gn", options=("--env=JUPYTERHUB_USER=zoë:root/../x\n:0:0",))
    name, group = done.stdout.split()
    assert name == group
    assert re.fullmatch(r"zo_+root_\.\._x__0_0", name)


def test_the_examples_are_given_once(user):
    tell = "ls $HOME/examples; rm $HOME/examples/0*; workbench-start ls $HOME/examples"
    listed = user("sh", "-c", tell, options=HOME).stdout.split()
    assert listed == sorted(path.name for path in (ROOT / "examples").glob("*.ipynb"))


def test_a_full_home_keeps_nobody_out(user):
    full = ("--tmpfs=/home/me:uid=12345,gid=12345,mode=700,size=4k", "--env=HOME=/home/me")
    done = user("sh", "-c", "echo in; python -c 'import workbench'", options=full)
    assert done.stdout == "in\n"
    assert "no room for the examples" in done.stderr


def test_text_is_utf8(user):
    ask = (
        "import sys, locale; print(sys.getfilesystemencoding(), locale.getpreferredencoding(), 'Überwachung')"
    )
    assert user("python", "-c", ask).stdout.split() == ["utf-8", "UTF-8", "Überwachung"]


def test_nothing_of_the_machine_that_built_it_is_inside(user):
    """No setting of its pip, none of its certificates, no address, no name."""
    found = user("sh", "-c", "env | grep -i -E 'pip_|cert|proxy|index' || true").stdout
    assert found == ""
    for path in ("/etc/pip.conf", "/etc/resolv.conf.host", "/etc/apt/sources.list", "/build", "/added"):
        assert user("test", "-e", path, check=False).returncode == 1, path
    assert user("sh", "-c", "ls -A /usr/local/share/ca-certificates").stdout == ""
    assert int(user("sh", "-c", "ls /etc/ssl/certs | wc -l").stdout) > 100


def test_everything_of_ours_can_be_imported(user):
    program = """
import importlib, pkgutil, workbench
for info in pkgutil.walk_packages(workbench.__path__, 'workbench.'):
    if not info.name.endswith('__main__'):
        importlib.import_module(info.name)
"""
    user("python", "-W", "ignore", "-c", program)
    # What the hub lays into each server.
    user("python", "-W", "ignore", "-c", "import workbench_hub.containers.kernels, workbench_hub.life.lab")
    assert "No broken requirements" in user("python", "-m", "pip", "check").stdout


def test_the_library_is_no_editable_one(user):
    where = user("python", "-c", "import workbench; print(workbench.__file__)").stdout
    assert where.startswith("/opt/workbench/lib/python3.11/site-packages/workbench/")


KERNEL = """
import json, os, pathlib, subprocess, time, urllib.error, urllib.request

server = subprocess.Popen(
    ["jupyter", "server", "--no-browser", "--port=8888", "--IdentityProvider.token=t"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)

def ask(path, **body):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request("http://127.0.0.1:8888/api/" + path, data, {"Authorization": "token t"})
    return json.load(urllib.request.urlopen(request, timeout=30))

until = time.monotonic() + 60
while time.monotonic() < until:
    try:
        ask("status")
        break
    except urllib.error.URLError:
        time.sleep(0.1)

ask("kernels", name="python3")
runtime = pathlib.Path(os.environ["JUPYTER_RUNTIME_DIR"])
connection = json.loads(next(runtime.glob("kernel-*.json")).read_text())
listening = {
    int(line.split()[1].rpartition(":")[2], 16)
    for table in ("/proc/net/tcp", "/proc/net/tcp6")
    for line in open(table).readlines()[1:]
    if line.split()[3] == "0A"
}
print(json.dumps([connection["transport"], sorted(listening), list(ask("kernelspecs")["kernelspecs"])]))
server.kill()
"""


def test_a_kernel_listens_at_no_port(user):
    """Whoever reaches a kernel's ports runs code in it; sockets of a private folder are its owner's."""
    transport, listening, kernels = json.loads(user("python", "-c", KERNEL, options=HOME).stdout)
    assert transport == "ipc"
    assert listening == [8888]
    assert kernels == ["python3"]


def test_the_hub_and_the_worker_find_what_they_start(user, entries):
    assert user("jupyterhub-singleuser", "--version").stdout.split(".")[0] == "6"
    versions = [user("python", "-m", "pip", "show", name).stdout.split("\n")[1] for name in ("dask", "obspy")]
    assert versions == [f"Version: {entries()['worker']['libraries'][name]}" for name in ("dask", "obspy")]
