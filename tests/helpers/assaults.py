"""Attacks by requests on a server and on the hub; each returns what it achieved: nothing by rights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import websocket

from deployed import Running
from dockerd import Daemon
from raw import ask, cookies
from sides import REFUSED, SECRET, Side
from workbench_hub import walls
from workbench_hub.health import wait_for

__all__ = [
    "HUB_CALLS",
    "OPTIONS",
    "PATHS",
    "SERVER_NAMES",
    "crept_in",
    "forged",
    "got",
    "listened",
    "other_logins",
    "wished",
]

FILE = "/user/anna/api/contents/secret.txt"
ELSEWHERE = "https://evil.example"

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
    "/user/%61nna/files/secret.txt",
]
"""Ways to write an address, so that who guards it and who answers it read it differently."""

HUB_CALLS = [
    ("GET", "/users/anna", ""),
    ("GET", "/users", ""),
    ("GET", "/proxy", ""),
    ("GET", "/services", ""),
    ("GET", "/users/anna/tokens", ""),
    ("POST", "/users/anna/server", "{}"),
    ("DELETE", "/users/anna/server", ""),
    ("POST", "/users/anna/servers/x", "{}"),
    ("POST", "/users/anna/tokens", "{}"),
    ("PATCH", "/users/ben", '{"admin": true}'),
    ("POST", "/users/mallory", "{}"),
    ("POST", "/groups/volcano/users", '{"users": ["ben"]}'),
    ("POST", "/proxy", "{}"),
    ("PATCH", "/proxy", '{"ip": "127.0.0.1", "port": 1}'),
    ("POST", "/shutdown", "{}"),
    ("POST", "/users/anna/activity", '{"last_activity": "2030-01-01T00:00:00Z"}'),
    ("POST", "/users/anna/shares", "{}"),
]

WISHES = [
    ("/user/anna/api/kernels", '{"name": "python3"}'),
    ("/user/anna/api/contents", '{"type": "file"}'),
    ("/hub/api/users/anna/tokens", "{}"),
    ("/hub/api/users/anna/servers/forged", "{}"),
    ("/hub/spawn/anna/forged", ""),
]
"""What a page elsewhere would have a browser do in its user's name."""

SERVER_NAMES = ["../anna", "anna", "a/b", "--anna", "é 漢\n;$(id)", "x" * 300, "%2e%2e"]

OPTIONS = [
    {"profile": "large"},
    {"image": "alpine:latest"},
    {"image": "sha256:" + "0" * 64},
    {"profile": "small", "image": "../standard"},
    {"profile": ["small"]},
    {"mounts": ["/:/host"], "user": "0", "privileged": True},
]
"""Wishes for a server that nobody offers the attacker."""


def other_logins(hub: Running, attacker: Side) -> list[str]:
    """Ask for another's file with every login that the attacker has, or pretends to have."""
    tries = {
        "own cookies": {"Cookie": cookies(attacker.person, FILE)},
        "own cookie under another's name": {
            "Cookie": cookies(attacker.person, FILE, jupyterhub_user_ben="jupyterhub-user-anna")
        },
        "own token": {"Authorization": f"token {attacker.person.token()}"},
        "token of the own server": {
            "Authorization": "token " + attacker.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")
        },
        "token of a service": {"Authorization": "token " + hub.deployment.tokens["api"]},
        "headers of a proxy": {"X_Forwarded_User": "anna", "Remote_User": "anna"},
        "nothing": {},
    }
    opened = []
    for name, headers in tries.items():
        answer = ask(hub.url, FILE, **headers)
        if SECRET in answer.body:
            opened.append(name)
        else:
            assert answer.status in {302, *REFUSED}, f"{name}: {answer.status}"
    return opened


def crept_in(hub: Running, attacker: Side, path: str) -> bool:
    """Ask for another's file by a path that is written oddly, with all that the attacker has."""
    everything = cookies(attacker.person, "/user/ben/", nothing="")
    for more in ({}, {"Authorization": f"token {attacker.person.token()}"}):
        answer = ask(hub.url, path, Cookie=everything, **more)
        assert answer.status < 500, answer.status
        if SECRET in answer.body or "root:x:0" in answer.body:
            return True
    return False


def forged(hub: Running, attacker: Side, victim: Side) -> list[str]:
    """Send what a page elsewhere could: the browser adds the cookies, the page's own token is missing."""
    foreign = attacker.person._cookie("_xsrf", "/hub/")
    done = []
    for path, body in WISHES:
        for token in ({}, {"X_XSRFToken": foreign}, {"X_XSRFToken": "0|0|0|0"}):
            headers = {"Cookie": cookies(victim.person, path), "Origin": ELSEWHERE, **token}
            answer = ask(hub.url, path, "POST", body, **headers)
            if answer.status != 403:
                done.append(f"{path} {answer.status}")
    return done


def listened(hub: Running, victim: Side) -> bool:
    """Open a line to another's kernel from a page elsewhere: the browser adds the cookies."""
    path = f"/user/anna/api/kernels/{victim.kernel}/channels"
    url = hub.url.replace("http", "ws", 1) + path
    try:
        line = websocket.create_connection(
            url, cookie=cookies(victim.person, path), origin=ELSEWHERE, timeout=20
        )
    except websocket.WebSocketBadStatusException as error:
        if error.status_code != 403:
            raise
        return False
    line.close()
    return True


def got(hub: Running, token: str, method: str, path: str, body: str) -> str:
    """Call the hub's interface with a token; return what it gave away."""
    answer = ask(hub.url, f"/hub/api{path}", method, body, Authorization=f"token {token}")
    if answer.status in REFUSED or answer.body.strip() in ("[]", "{}"):
        return ""
    if path == "/users" and answer.status == 200:
        names = [user["name"] for user in json.loads(answer.body)]
        return "" if names == ["ben"] else f"the names {names}"  # oneself alone
    return f"{answer.status} {answer.body[:300]}"


@contextmanager
def wished(
    hub: Running, daemon: Daemon, attacker: Side, name: str, options: dict[str, Any]
) -> Iterator[list[str]]:
    """Have the hub start another server of the attacker; give what is wrong with it, and end it."""
    path = f"/hub/api/users/ben/servers/{quote(name, safe='')}"
    http, headers = attacker.person.http, attacker.person.headers()
    uid = attacker.run("import os; print(os.getuid())")

    with daemon.client() as client:

        def theirs() -> list[Any]:
            # Another deployment on the same daemon may have a user of that name.
            labels = ["workbench.user=ben", f"workbench.deployment={walls.plan(hub.deployment).bridge}"]
            return list(client.containers.list(filters={"label": labels}, ignore_removed=True))

        def gone() -> bool:
            http.request("DELETE", path, json={"remove": True}, headers=headers)
            return len(theirs()) == 1

        answer = http.post(path, json=options, headers=headers)
        try:
            if answer.status_code in (201, 202):
                wait_for(lambda: len(theirs()) > 1, 60, "the second server")
                made = [one.attrs for one in theirs() if one.labels["workbench.server"] == name]
                yield [wrong for one in made for wrong in _wrong(one, uid)] if made else ["another name"]
            else:
                assert answer.status_code in {*REFUSED, 500, 503}, answer.text
                yield []
        finally:
            wait_for(gone, 90, "the second server's end")


def _wrong(container: dict[str, Any], uid: str) -> Iterator[str]:
    """Go through what a server of the attacker must not have."""
    given = container["HostConfig"]
    if container["Config"]["User"].partition(":")[0] != uid:
        yield f"user {container['Config']['User']}"
    if given["Privileged"] or given["CapDrop"] != ["ALL"]:
        yield "privileges"
    if given["Memory"] > 2**30 or given["CpuQuota"] > given["CpuPeriod"]:
        yield "more memory or processors"
    for mount in container["Mounts"]:
        if "anna" in mount["Source"] or mount["Destination"] == "/host":
            yield f"mount of {mount['Source']}"
