"""One user of a running deployment attacks another one by requests: cookies, paths, other sites, names."""

from __future__ import annotations

from urllib.parse import quote

import pytest

import assaults
from raw import ask, cookies
from sides import REFUSED, SECRET

pytestmark = [pytest.mark.docker, pytest.mark.services]


# Another's server, through the proxy.


def test_neither_cookie_nor_token_of_one_opens_the_server_of_another(hub, attacker, victim):
    assert SECRET in victim.person.http.get(assaults.FILE).text
    assert assaults.other_logins(hub, attacker) == []


@pytest.mark.parametrize("path", assaults.PATHS)
def test_path_tricks_lead_nowhere(hub, attacker, path):
    assert not assaults.crept_in(hub, attacker, path)


# Cross-site requests.


def test_a_page_elsewhere_does_nothing_in_a_users_name(hub, attacker, victim):
    """A browser sends the cookies along; what it cannot send is the token of the page."""
    assert assaults.forged(hub, attacker, victim) == []


def test_a_page_elsewhere_opens_no_line_to_a_kernel(hub, victim):
    assert not assaults.listened(hub, victim)


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


@pytest.mark.parametrize("name", assaults.SERVER_NAMES)
def test_a_servers_name_is_only_a_name(hub, docker_daemon, attacker, name):
    with assaults.wished(hub, docker_daemon, attacker, name, {}) as wrong:
        assert wrong == []


@pytest.mark.parametrize("options", assaults.OPTIONS, ids=str)
def test_what_is_not_offered_is_not_given(hub, docker_daemon, attacker, options):
    with assaults.wished(hub, docker_daemon, attacker, "wish", options) as wrong:
        assert wrong == []
