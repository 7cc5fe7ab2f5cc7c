"""One user of a running deployment attacks another one, and the hub: files, network, interfaces."""

from __future__ import annotations

import json
import os
import signal

import httpx
import pytest

from assaults import HUB_CALLS, got
from deployed import Running
from ground import fallen, iptables
from hosted import write_policy
from raw import ask
from sides import tried
from workbench_hub import network, walls
from workbench_hub.health import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.services]


# Files.


def test_anothers_home_is_not_read(attacker, victim):
    home = victim.run("import os; print(os.path.expanduser('~'))")
    assert tried(victim, f"open('{home}/secret.txt').read()") == "open"
    for path in (f"{home}/secret.txt", f"{home}/../anna/secret.txt"):
        assert "FileNotFoundError" in tried(attacker, f"open({path!r}).read()")
    assert "FileNotFoundError" in tried(attacker, f"os.listdir({home!r})")
    assert attacker.run(f"import os; print(os.listdir(os.path.dirname({home!r})))") == "['ben']"


def test_a_network_without_permission_is_not_read(attacker, victim):
    look = (
        "import glob, os\n"
        "print(len(glob.glob(os.environ['WORKBENCH_ARCHIVE'] + '/*/VO/**/*VO*', recursive=True)))"
    )
    assert int(victim.run(look)) > 0
    assert int(attacker.run(look)) == 0
    write = "import glob, os\nopen(glob.glob(os.environ['WORKBENCH_ARCHIVE'] + '/*/OP/*/*/*')[0], 'ab')"
    assert tried(attacker, write).startswith(("PermissionError", "OSError [Errno 30]"))
    mounts = attacker.run("print(open('/proc/self/mounts').read())").splitlines()
    archive = [line.split() for line in mounts if "/archive/" in line.split()[1]]
    assert archive
    assert all("ro" in words[3].split(",") for words in archive)


def test_no_secret_of_the_hub_is_in_a_container(hub, attacker):
    said = attacker.run(
        "import os, glob\n"
        "print(dict(os.environ))\n"
        "for name in glob.glob('/proc/[0-9]*/environ'):\n"
        "    try: print(open(name).read())\n"
        "    except OSError: pass\n"
    )
    tokens = [*hub.deployment.tokens.values(), *hub.passwords.values()]
    assert not [token for token in tokens if token in said]
    for path in (hub.state / "secrets", hub.state / "hub", hub.state / "run", hub.state / "postgres"):
        assert "FileNotFoundError" in tried(attacker, f"os.listdir({str(path)!r})")


@pytest.mark.parametrize("path", ["/var/run/docker.sock", "/run/docker.sock"])
def test_dockers_socket_is_not_there(attacker, path):
    assert "FileNotFoundError" in tried(attacker, f"socket.socket(socket.AF_UNIX).connect({path!r})")


# The network.


def address_of(hub: Running, docker_daemon, name: str) -> str:
    with docker_daemon.client() as client:
        found = client.containers.list(filters={"label": f"workbench.user={name}"}, ignore_removed=True)
        return str(next(iter(found[0].attrs["NetworkSettings"]["Networks"].values()))["IPAddress"])


def test_anothers_server_and_kernel_are_not_reached(hub, docker_daemon, attacker):
    address = address_of(hub, docker_daemon, "anna")
    assert (
        httpx.get(f"http://{address}:8888/user/anna/api", trust_env=False).status_code < 500
    )  # the hub does
    for port in (8888, 22, 40000):
        assert tried(attacker, f"socket.create_connection(({address!r}, {port}), 3)") != "open"


def test_no_port_of_the_host_is_reached_but_the_doors(hub, attacker):
    ip, ports = hub.deployment.ip, hub.deployment.ports
    shut = {name: port for name, port in ports.items() if name not in ("hub", "api")}
    code = (
        "import json, socket\nfound = {}\n"
        f"for name, port in {shut!r}.items():\n"
        f"    for host in ({ip!r}, '127.0.0.1', '192.0.2.2'):\n"
        "        try: socket.create_connection((host, port), 2); found[f'{name} at {host}'] = port\n"
        "        except OSError: pass\n"
        "print(json.dumps(found))"
    )
    assert json.loads(attacker.run(code)) == {}
    assert tried(attacker, f"socket.create_connection(({ip!r}, {ports['hub']}), 3)") == "open"


def test_the_doctor_finds_all_walls_up_around_running_sessions(hub, sides):
    done = hub.command("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert any(
        "2 run" in finding["detail"] or "run, each" in finding["detail"] for finding in found["findings"]
    )


def test_the_doctor_fails_where_a_wall_is_down(hub, sides):
    plan, warden = walls.plan(hub.deployment), hub.pid("warden")
    os.kill(warden, signal.SIGSTOP)  # or it puts the wall up while the doctor looks
    try:
        with fallen(plan, ("INPUT", f"-i {plan.bridge} -j ACCEPT")):
            done = hub.command("doctor")
    finally:
        os.kill(warden, signal.SIGCONT)
    assert done.returncode == 1
    assert "is reached" in done.stdout, done.stdout
    assert hub.command("network", "check").returncode == 0


def test_an_allow_list_counts_from_the_reload_on_and_the_warden_keeps_it(hub):
    path = hub.policy
    before, chain = path.read_text(), f"{walls.plan(hub.deployment).bridge}-out"
    try:
        write_policy(path, egress={"allow": [{"hosts": ["198.51.100.77"], "ports": [443]}]})
        done = hub.command("reload")
        assert done.returncode == 0, done.stdout + done.stderr
        assert allowed(chain) == ["198.51.100.77/32"]
        iptables("-F", chain)
        wait_for(lambda: allowed(chain) == ["198.51.100.77/32"], 60, "the warden")
    finally:
        path.write_text(before)
        assert hub.command("reload").returncode == 0
    assert allowed(chain) == []
    wait_for(lambda: httpx.get(f"{hub.url}/hub/health", trust_env=False).status_code == 200, 60, "the hub")


def allowed(chain: str) -> list[str]:
    """Return where containers may go, as the kernel has it."""
    rules = [line.split() for line in network.standing() if line.startswith(f"-A {chain} -d")]
    return [words[3] for words in rules if words[-1] == "RETURN"]


# The hub's and the proxy's APIs.


@pytest.mark.parametrize(("method", "path", "body"), HUB_CALLS)
def test_the_hubs_api_does_nothing_for_a_users_tokens(hub, attacker, method, path, body):
    """Neither with the token of the page, nor with the one that the user's server has."""
    server = attacker.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")
    for token in (server, attacker.person.token()):
        assert not got(hub, token, method, path, body)


def test_the_proxys_api_asks_for_its_token(hub):
    url = f"http://127.0.0.1:{hub.deployment.ports['proxy_api']}"
    assert ask(url, "/api/routes").status == 403
    assert ask(url, "/api/routes", Authorization=f"token {hub.deployment.tokens['proxy']}").status == 200
    assert ask(hub.url, "/api/routes").headers["location"] == "/hub/api/routes"  # the proxy's is not here
