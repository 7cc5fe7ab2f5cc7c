"""One user of a running deployment attacks another one by requests: cookies, paths, other sites, names."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest
import websocket

from raw import ask, cookies
from sides import REFUSED, SECRET, Side
from workbench_hub.health import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.services]


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
