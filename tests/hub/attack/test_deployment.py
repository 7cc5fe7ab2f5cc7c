"""One user of a running deployment attacks another one, and the hub."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import websocket

from deployed import Running
from ground import fallen, iptables
from hosted import write_policy
from person import Person
from raw import ask, cookies
from workbench_hub import network, walls
from workbench_hub.health import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.services]

SECRET = "marker-of-the-victims-secret"
REFUSED = {400, 401, 403, 404, 405}


@dataclass
class Side:
    """Somebody with a server and a kernel."""

    person: Person
    kernel: str

    def run(self, code: str, seconds: float = 60) -> str:
        return self.person.run(self.kernel, code, seconds).strip()


@pytest.fixture(scope="module")
def sides(hub: Running) -> Iterator[tuple[Side, Side]]:
    """Return the attacker and the victim."""
    names = ("ben", "anna")
    with (
        Person(hub.url, names[0], hub.passwords[names[0]]) as attacker,
        Person(hub.url, names[1], hub.passwords[names[1]]) as victim,
    ):
        for person in (attacker, victim):
            person.start_server(120)
        both = Side(attacker, attacker.start_kernel()), Side(victim, victim.start_kernel())
        both[1].run(f"open('secret.txt', 'w').write({SECRET!r})")
        assert both[1].run("print(open('secret.txt').read())") == SECRET
        yield both


@pytest.fixture
def attacker(sides) -> Side:
    return sides[0]


@pytest.fixture
def victim(sides) -> Side:
    return sides[1]


def tried(side: Side, body: str) -> str:
    """Run a body in a kernel; return ``open`` if it ends without an error, else the error."""
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return side.run(
        "import os, socket\n"
        f"try:\n{indented}\n    print('open')\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )


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
        found = client.containers.list(filters={"label": f"workbench.user={name}"})
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
    path = Path(hub.more["WORKBENCH_POLICY"])
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

HUB_CALLS = [
    ("GET", "/users/anna", ""),
    ("GET", "/users", ""),
    ("GET", "/proxy", ""),
    ("GET", "/services", ""),
    ("POST", "/users/anna/server", "{}"),
    ("DELETE", "/users/anna/server", ""),
    ("POST", "/users/anna/servers/x", "{}"),
    ("POST", "/users/anna/tokens", "{}"),
    ("GET", "/users/anna/tokens", ""),
    ("PATCH", "/users/ben", '{"admin": true}'),
    ("POST", "/users/mallory", "{}"),
    ("POST", "/groups/volcano/users", '{"users": ["ben"]}'),
    ("POST", "/proxy", "{}"),
    ("PATCH", "/proxy", '{"ip": "127.0.0.1", "port": 1}'),
    ("POST", "/shutdown", "{}"),
    ("POST", "/users/anna/activity", '{"last_activity": "2030-01-01T00:00:00Z"}'),
    ("POST", "/users/anna/shares", "{}"),
]


def may(answer_status: int, body: str) -> bool:
    """Whether an answer gave something away."""
    if answer_status in REFUSED:
        return False
    return "anna" in body or answer_status >= 500 or not body.strip() or body.strip() not in ("[]", "{}")


@pytest.mark.parametrize(("method", "path", "body"), HUB_CALLS)
def test_the_hubs_api_does_nothing_for_a_users_tokens(hub, attacker, method, path, body):
    """Neither with the token of the page, nor with the one that the user's server has."""
    server = attacker.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")
    for token in (server, attacker.person.token()):
        answer = ask(hub.url, f"/hub/api{path}", method, body, Authorization=f"token {token}")
        if path == "/users" and answer.status == 200:  # oneself alone
            assert [user["name"] for user in json.loads(answer.body)] == ["ben"]
            continue
        assert not may(answer.status, answer.body), f"{answer.status} {answer.body[:300]}"


def test_the_proxys_api_asks_for_its_token(hub):
    url = f"http://127.0.0.1:{hub.deployment.ports['proxy_api']}"
    assert ask(url, "/api/routes").status == 403
    assert ask(url, "/api/routes", Authorization=f"token {hub.deployment.tokens['proxy']}").status == 200
    assert ask(hub.url, "/api/routes").headers["location"] == "/hub/api/routes"  # the proxy's is not here


# Another's server, through the proxy.


def test_neither_cookie_nor_token_of_one_opens_the_server_of_another(hub, attacker, victim):
    path = "/user/anna/api/contents/secret.txt"
    assert SECRET in victim.person.http.get(path).text
    tries = [
        {"Cookie": cookies(attacker.person, path)},
        {"Cookie": cookies(attacker.person, path, jupyterhub_user_ben="jupyterhub-user-anna")},
        {"Authorization": f"token {attacker.person.token()}"},
        {"Authorization": "token " + attacker.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")},
        {"Authorization": "token " + hub.deployment.tokens["api"]},  # even a service's
        {"X_Forwarded_User": "anna", "Remote_User": "anna"},
        {},
    ]
    for headers in tries:
        answer = ask(hub.url, path, **headers)
        assert SECRET not in answer.body, headers
        assert answer.status in {302, *REFUSED}, answer.status


PATHS = [
    "/user/ben/../anna/api/contents/secret.txt",
    "/user/ben/%2e%2e/anna/api/contents/secret.txt",
    "/user/ben/..%2fanna/api/contents/secret.txt",
    "/user/ben/%2e%2e%2fanna%2fapi%2fcontents%2fsecret.txt",
    "//user/anna/api/contents/secret.txt",
    "/user/ben//../anna/files/secret.txt",
    "/user/ben/..;/anna/files/secret.txt",
    "/user/ANNA/files/secret.txt",
    "/user/anna%00/files/secret.txt",
    "/user/ben\\..\\anna/files/secret.txt",
    "/user/ben/files/../anna/secret.txt",
    "/user/ben/files/%2e%2e/anna/secret.txt",
    "/user/ben/files/..%2fanna%2fsecret.txt",
    "/user/ben/files/%252e%252e/anna/secret.txt",
    "/user/ben/api/contents/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/user/ben/static/..%2f..%2f..%2f..%2fetc/passwd",
    "/hub/static/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "/hub/../user/anna/files/secret.txt",
    "/services/workbench/../../user/anna/files/secret.txt",
    "http://127.0.0.1/user/anna/files/secret.txt",
]


@pytest.mark.parametrize("path", PATHS)
def test_path_tricks_lead_nowhere(hub, attacker, path):
    everything = cookies(attacker.person, "/user/ben/", nothing="")
    answer = ask(hub.url, path, Cookie=everything)
    assert SECRET not in answer.body
    assert "root:x:0" not in answer.body
    assert answer.status < 500


# Cross-site requests.


def test_a_page_elsewhere_does_nothing_in_a_users_name(hub, attacker, victim):
    """A browser sends the cookies along; what it cannot send is the token of the page."""
    foreign = attacker.person._cookie("_xsrf", "/hub/")
    wishes = [
        ("/user/anna/api/kernels", '{"name": "python3"}'),
        ("/user/anna/api/contents", '{"type": "file"}'),
        ("/hub/api/users/anna/tokens", "{}"),
        ("/hub/api/users/anna/servers/forged", "{}"),
        ("/hub/spawn/anna/forged", ""),
    ]
    for path, body in wishes:
        own = cookies(victim.person, path)
        for token in ({}, {"X_XSRFToken": foreign}, {"X_XSRFToken": "0|0|0|0"}):
            headers = {"Cookie": own, "Origin": "https://evil.example", **token}
            answer = ask(hub.url, path, "POST", body, **headers)
            assert answer.status == 403, f"{path} {token}: {answer.status} {answer.body[:200]}"


def test_a_page_elsewhere_opens_no_line_to_a_kernel(hub, victim):
    path = f"/user/anna/api/kernels/{victim.kernel}/channels"
    url = hub.url.replace("http", "ws", 1) + path
    with pytest.raises(websocket.WebSocketBadStatusException):
        websocket.create_connection(
            url, cookie=cookies(victim.person, path), origin="https://evil.example", timeout=20
        )


@pytest.mark.parametrize(
    "next_", ["//evil.example", "https://evil.example/", "\\\\evil.example", "/\\evil.example"]
)
def test_a_login_leads_nowhere_else(hub, attacker, next_):
    answer = ask(hub.url, f"/hub/login?next={quote(next_)}", Cookie=cookies(attacker.person, "/hub/login"))
    location = answer.headers.get("location", "/")
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


def test_no_one_gets_a_login_for_the_server_of_another(hub, attacker):
    """Neither by asking the hub for it, nor by having it sent to one's own server."""
    for target in ("/user/ben/oauth_callback", "/user/anna/oauth_callback", "https://evil.example/"):
        path = (
            "/hub/api/oauth2/authorize?client_id=jupyterhub-user-anna&response_type=code"
            f"&redirect_uri={quote(target, safe='')}"
        )
        answer = ask(hub.url, path, Cookie=cookies(attacker.person, "/hub/api/oauth2/authorize"))
        assert answer.status in REFUSED, f"{answer.status} {answer.headers.get('location')}"


# Names of servers, and choices that are not offered.


def post(side: Side, path: str, content: dict[str, object]) -> httpx.Response:
    return side.person.http.post(path, json=content, headers=side.person.headers())


@pytest.mark.parametrize("name", ["../anna", "anna", "a/b", "--anna", "é 漢\n;$(id)", "x" * 300, "%2e%2e"])
def test_a_servers_name_is_only_a_name(hub, docker_daemon, attacker, name):
    answer = post(attacker, f"/hub/api/users/ben/servers/{quote(name, safe='')}", {})
    if answer.status_code in REFUSED:
        return
    assert answer.status_code in (201, 202), answer.text
    try:
        uid = attacker.run("import os; print(os.getuid())")
        with docker_daemon.client() as client:
            wait_for(lambda: len(_of(client, "ben")) > 1, 60, "the second server")
            named = [one for one in _of(client, "ben") if one.labels["workbench.server"] == name]
            assert [one.attrs["Config"]["User"].partition(":")[0] for one in named] == [uid]
            assert all("anna" not in mount["Source"] for one in named for mount in one.attrs["Mounts"])
    finally:
        path = f"/hub/api/users/ben/servers/{quote(name, safe='')}"
        with docker_daemon.client() as client:

            def gone() -> bool:
                attacker.person.http.request(
                    "DELETE", path, json={"remove": True}, headers=attacker.person.headers()
                )
                return len(_of(client, "ben")) == 1

            wait_for(gone, 90, "the second server's end")


def _of(client, name: str) -> list:
    return client.containers.list(filters={"label": f"workbench.user={name}"}, ignore_removed=True)


@pytest.mark.parametrize(
    "options",
    [
        {"profile": "large"},
        {"image": "alpine:latest"},
        {"image": "sha256:" + "0" * 64},
        {"profile": "small", "image": "../standard"},
        {"profile": ["small"]},
        {"mounts": ["/:/host"], "user": "0", "privileged": True},
    ],
)
def test_what_is_not_offered_is_not_given(docker_daemon, attacker, options):
    path = "/hub/api/users/ben/servers/wish"
    answer = post(attacker, path, options)
    with docker_daemon.client() as client:
        if answer.status_code in (201, 202):  # what it does not know it leaves out
            wait_for(lambda: len(_of(client, "ben")) > 1, 60, "the server")
            made = [one for one in _of(client, "ben") if one.labels["workbench.server"] == "wish"]
            walls = made[0].attrs["HostConfig"]
            assert not walls["Privileged"]
            assert made[0].attrs["Config"]["User"].partition(":")[0] != "0"
            assert "/host" not in {mount["Destination"] for mount in made[0].attrs["Mounts"]}
        else:
            assert answer.status_code in {*REFUSED, 500, 503}, answer.text
            assert len(_of(client, "ben")) == 1

        def gone() -> bool:
            attacker.person.http.request(
                "DELETE", path, json={"remove": True}, headers=attacker.person.headers()
            )
            return len(_of(client, "ben")) == 1

        wait_for(gone, 90, "the server's end")
