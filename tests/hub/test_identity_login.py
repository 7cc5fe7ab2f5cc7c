"""Who is let in: a real hub, a real identity provider over TLS, real PAM."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from loginhub import LoginHub, login_hub
from oidc import CLIENT, Provider, provider
from workbench.errors import InvalidSetting, Unavailable
from workbench_hub import authenticators, oidc
from workbench_hub.health import wait_for
from workbench_hub.identity import Identity, identify
from workbench_hub.passwords import Passwords
from workbench_hub.policy import Policy, load, parse

POLICY = """
version: 1
admins: [olga]
images: {standard: {title: S, build: user}}
profiles: {standard: {title: S}}
groups: {survey: {gid: 31000, accounts: [survey]}, staff: {gid: 31001, members: [olga]}}
users: {olga: {uid: 12001}}
"""


@dataclass
class AtProvider:
    hub: LoginHub
    provider: Provider
    policy: Policy
    state: Path


@pytest.fixture(scope="module")
def at_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AtProvider]:
    state = tmp_path_factory.mktemp("oidc")
    with provider(state) as idp:
        (state / "client").write_text(idp.secret)
        (state / "client").chmod(0o600)
        settings = {
            "issuer": idp.issuer,
            "client_id": CLIENT,
            "client_secret_file": str(state / "client"),
            "ca_file": str(idp.ca),
            "uid_claim": "uidNumber",
            "gid_claim": "gidNumber",
            "allow_groups": ["survey", "employees"],
        }
        path = state / "policy.yaml"
        path.write_text(POLICY + "identity: " + json.dumps({"source": "oidc", "oidc": settings}))
        with login_hub(state, path) as hub:
            yield AtProvider(hub, idp, load(path), state)


def person(at: AtProvider, subject: str, name: str, **claims: object) -> None:
    at.provider.people[subject] = {"preferred_username": name, "groups": ["employees"], **claims}


def test_somebody_with_a_uid_at_the_provider_is_let_in(at_provider):
    at = at_provider
    person(at, "1", "anna", uidNumber="11001", gidNumber=11000, groups=["survey", "made up"])
    with at.hub.browser(at.provider.ca) as client:
        at.hub.by_provider(client, "1")
        assert at.hub.inside(client) == "anna"
    user = at.hub.user("anna")
    assert (user["groups"], user["admin"]) == (["survey"], False)
    # No token of the provider stays at the hub, only the claims.
    assert set(user["auth_state"]) == {"oauth_user"}
    assert identify("anna", at.policy, user["auth_state"]) == Identity(
        "anna", 11001, 11000, ("survey",), ("survey",)
    )


def test_the_policys_own_list_gives_what_the_provider_does_not(at_provider):
    person(at_provider, "2", "olga")
    with at_provider.hub.browser(at_provider.provider.ca) as client:
        at_provider.hub.by_provider(client, "2")
        assert at_provider.hub.inside(client) == "olga"
    user = at_provider.hub.user("olga")
    assert (user["groups"], user["admin"]) == (["staff"], True)


@pytest.mark.parametrize(
    ("name", "claims", "reason"),
    [
        ("ben", {}, "has no uid.*The administrator can give one"),
        ("ben", {"uidNumber": "33"}, "has the uid 33, and those below 1000 are the system&#39;s"),
        ("ben", {"uidNumber": 0}, "has the uid 0"),
        ("root", {}, "has the uid 0"),
        ("root", {"uidNumber": 11003}, "has more than one uid"),
        ("ben", {"uidNumber": "11003; drop"}, "which is no number"),
        ("ben", {"uidNumber": True}, "which is no number"),
        ("ben", {"uidNumber": 4294967295}, "stands for nobody"),
        ("ben", {"uidNumber": 11004, "gidNumber": 0}, "main group 0"),
        ("ben", {"uidNumber": 12001}, "which is that of &#39;olga&#39;"),
        ("ben", {"uidNumber": 11005, "groups": ["visitors"]}, "none of the identity provider&#39;s groups"),
        ("olga", {"uidNumber": 11006}, "has more than one uid: 12001 by the policy, 11006 by"),
    ],
)
def test_others_are_refused_with_the_reason(at_provider, name, claims, reason):
    person(at_provider, "x", name, **claims)
    with at_provider.hub.browser(at_provider.provider.ca) as client:
        page = at_provider.hub.by_provider(client, "x")
        assert page.status_code == 403
        assert re.search(reason, page.text), page.text
        assert at_provider.hub.inside(client) == ""


def test_a_name_does_not_pass_to_another_person(at_provider):
    person(at_provider, "first", "cleo", uidNumber=11010)
    person(at_provider, "second", "cleo", uidNumber=11010)
    with at_provider.hub.browser(at_provider.provider.ca) as client:
        at_provider.hub.by_provider(client, "first")
        assert at_provider.hub.inside(client) == "cleo"
    with at_provider.hub.browser(at_provider.provider.ca) as client:
        page = at_provider.hub.by_provider(client, "second")
        assert "another person&#39;s name" in page.text
        assert at_provider.hub.inside(client) == ""


def test_two_people_do_not_get_one_uid(at_provider):
    person(at_provider, "p1", "piet", uidNumber=11030)
    person(at_provider, "p2", "paul", uidNumber=11030)
    for subject, inside in (("p1", "piet"), ("p2", ""), ("p1", "piet")):
        with at_provider.hub.browser(at_provider.provider.ca) as client:
            page = at_provider.hub.by_provider(client, subject)
            assert at_provider.hub.inside(client) == inside
            assert ("which is that of &#39;piet&#39;" in page.text) == (not inside)


def test_names_that_differ_in_case_are_two_people(at_provider):
    person(at_provider, "small", "dora", uidNumber=11020)
    person(at_provider, "large", "Dora", uidNumber=11021)
    for subject, name in (("small", "dora"), ("large", "Dora")):
        with at_provider.hub.browser(at_provider.provider.ca) as client:
            at_provider.hub.by_provider(client, subject)
            assert at_provider.hub.inside(client) == name
    assert at_provider.hub.user("Dora")["auth_state"]["oauth_user"]["uidNumber"] == 11021
    assert at_provider.hub.user("dora")["auth_state"]["oauth_user"]["uidNumber"] == 11020


def test_the_providers_addresses_are_remembered(at_provider, tmp_path):
    settings = at_provider.policy.identity.oidc
    found = oidc.discover(settings, tmp_path / "oidc.json")
    gone = settings.model_copy(update={"issuer": "https://127.0.0.1:1/realm"})
    with pytest.raises(Unavailable, match=r"does not answer.*identity\.oidc\.issuer"):
        oidc.discover(gone, tmp_path / "oidc.json")
    before = (tmp_path / "oidc.json").read_text()
    (tmp_path / "oidc.json").write_text(before.replace(found.issuer, str(gone.issuer)))
    assert oidc.discover(gone, tmp_path / "oidc.json").token == f"{gone.issuer}/token"


def test_a_provider_that_nothing_vouches_for_is_not_believed(at_provider, tmp_path):
    strange = at_provider.policy.identity.oidc.model_copy(update={"ca_file": None})
    with pytest.raises(Unavailable, match="certificate"):
        oidc.discover(strange, tmp_path / "oidc.json")


@pytest.mark.parametrize(
    ("content", "mode", "problem"), [("x", 0o644, "read by others"), ("", 0o600, "is empty")]
)
def test_the_clients_secret_is_the_hubs_alone(at_provider, tmp_path, content, mode, problem):
    (tmp_path / "secret").write_text(content)
    (tmp_path / "secret").chmod(mode)
    settings = at_provider.policy.identity.oidc.model_copy(update={"client_secret_file": tmp_path / "secret"})
    with pytest.raises(InvalidSetting, match=problem):
        oidc.client_secret(settings)
    missing = settings.model_copy(update={"client_secret_file": tmp_path / "none"})
    with pytest.raises(InvalidSetting, match="cannot be read"):
        oidc.client_secret(missing)


@dataclass
class OnHost:
    """A hub whose host has users of its own: its passwd, shadow and group are the test's."""

    hub: LoginHub
    etc: Path

    def user(self, name: str, uid: int, gid: int, password: str) -> None:
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", password], capture_output=True, text=True, check=True
        ).stdout.strip()
        self._append("passwd", f"{name}:x:{uid}:{gid}::/nonexistent:/bin/sh")
        self._append("shadow", f"{name}:{hashed}:19000:0:99999:7:::")

    def group(self, name: str, gid: int, members: str = "") -> None:
        self._append("group", f"{name}:x:{gid}:{members}")

    def forget(self, name: str) -> None:
        for file in ("passwd", "shadow"):
            path = self.etc / file
            lines = path.read_text().splitlines(keepends=True)
            # In place: what is mounted is the file, not its name.
            path.write_text("".join(line for line in lines if not line.startswith(f"{name}:")))

    def _append(self, file: str, line: str) -> None:
        with (self.etc / file).open("a") as out:
            out.write(line + "\n")


MOUNTS = 'for f in passwd shadow group; do mount --bind "$0/$f" "/etc/$f" || exit 1; done; exec "$@"'


@pytest.fixture(scope="module")
def on_host(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str, str], None]
) -> Iterator[OnHost]:
    state = tmp_path_factory.mktemp("pam")
    etc = state / "etc"
    etc.mkdir()
    for file in ("passwd", "shadow", "group"):
        if os.geteuid() or not Path("/etc", file).is_file():
            missing("root", "a host with other users is made with mounts, by root alone")
        (etc / file).write_bytes(Path("/etc", file).read_bytes())
        (etc / file).chmod(0o644 if file != "shadow" else 0o600)
    within = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNTS, str(etc)]
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        missing("root", "mounts are not allowed here")
    (state / "policy.yaml").write_text(POLICY + "identity: {source: pam, pam_service: other}")
    with login_hub(state, state / "policy.yaml", within=within) as hub:
        host = OnHost(hub, etc)
        host.group("survey", 31000, "emil")
        host.group("team", 13000)
        host.user("emil", 13001, 13000, "seismogram")
        yield host


def test_the_hosts_users_log_in_with_the_hosts_passwords(on_host):
    with on_host.hub.browser() as client:
        assert on_host.hub.by_form(client, "emil", "wrong").status_code == 403
        assert on_host.hub.inside(client) == ""
        on_host.hub.by_form(client, "emil", "seismogram")
        assert on_host.hub.inside(client) == "emil"
    assert on_host.hub.user("emil")["groups"] == ["survey"]
    assert on_host.hub.user("emil")["auth_state"] is None


@pytest.mark.parametrize(("uid", "gid"), [(0, 13000), (999, 13000), (13005, 0), (13001, 13000)])
def test_the_systems_users_are_refused_with_the_right_password(on_host, uid, gid):
    on_host.user("daemonic", uid, gid, "secret")
    try:
        with on_host.hub.browser() as client:
            page = on_host.hub.by_form(client, "daemonic", "secret")
            assert page.status_code == 403
            assert re.search("is the system|are the system|main group|is that of", page.text), page.text
            assert on_host.hub.inside(client) == ""
    finally:
        on_host.forget("daemonic")


def test_a_user_who_is_deleted_is_logged_out(on_host):
    on_host.user("frida", 13002, 13000, "pass word")
    with on_host.hub.browser() as client:
        on_host.hub.by_form(client, "frida", "pass word")
        assert on_host.hub.inside(client) == "frida"
        on_host.forget("frida")
        wait_for(lambda: on_host.hub.inside(client) == "", 20, "the end of the log-in")
    assert "Login ended: User 'frida': has no uid" in on_host.hub.log.read_text()


def test_passwords_made_here_are_for_development_and_the_log_says_so(tmp_path, caplog):
    (tmp_path / "hub").mkdir()
    policy, config = parse(POLICY), Config()
    authenticators.configure(config, policy, tmp_path, tmp_path / "passwords.json")
    passwords = Passwords(tmp_path / "passwords.json")
    secret = {name: passwords.set(name, admin=True) for name in ("gina", "olga")}
    log = logging.getLogger("hub")
    local = config.JupyterHub.authenticator_class(config=config, log=log)
    assert "for development" in caplog.text

    def enter(name: str, password: str) -> dict[str, Any] | None:
        return asyncio.run(local.get_authenticated_user(None, {"username": name, "password": password}))

    assert enter("gina", "wrong") is None
    found = [enter(name, secret[name]) for name in ("gina", "olga")]
    # Who administers is in the policy, not in the file of passwords.
    assert [(user["name"], user["admin"], user["groups"]) for user in found] == [
        ("gina", False, []),
        ("olga", True, ["staff"]),
    ]
    uids = json.loads((tmp_path / "hub" / "uids.json").read_text())
    assert uids == {"gina": identify("gina", policy, register=tmp_path / "hub" / "uids.json").uid}


def test_what_logging_in_needs_is_looked_for_before_the_hub_starts(tmp_path):
    with pytest.raises(InvalidSetting, match=r"/etc/pam\.d/nothing: is not there.*pam_service"):
        authenticators.check(parse(POLICY + "identity: {source: pam, pam_service: nothing}"))
    settings = {"issuer": "https://id.example.org", "client_id": "x", "client_secret_file": f"{tmp_path}/no"}
    with pytest.raises(InvalidSetting, match="cannot be read"):
        authenticators.check(parse(POLICY + "identity: " + json.dumps({"source": "oidc", "oidc": settings})))
    authenticators.check(parse(POLICY))
