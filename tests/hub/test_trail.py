"""What a real hub's audit log says after people did what people do."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from livehub import LiveHub, live_hub
from person import Person
from workbench_hub.health import wait_for
from workbench_hub.life.audit import Entry
from workbench_hub.life.trail import classify
from workbench_hub.life.wiring import audit_of

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[LiveHub]:
    with live_hub(tmp_path_factory.mktemp("trail") / "state") as hub:
        yield hub


def entries(hub: LiveHub, event: str, **wanted: str) -> list[Entry]:
    return [
        entry
        for entry in audit_of(hub.deployment).entries()
        if entry.event == event and all(getattr(entry, key) == value for key, value in wanted.items())
    ]


def came(hub: LiveHub, event: str, **wanted: str) -> Entry:
    """Wait for an entry: the hub writes it when it has answered already."""
    wait_for(lambda: bool(entries(hub, event, **wanted)), 20, f"{event} {wanted} in the audit log")
    return entries(hub, event, **wanted)[-1]


def test_logins_are_written_down_right_ones_and_wrong_ones(hub):
    with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        assert anna.logged_in
        anna.http.get("/hub/logout")
    with Person(hub.url, "anna", "wrong") as anna:
        assert not anna.logged_in
    assert came(hub, "login", actor="anna").details["address"] == "127.0.0.1"
    assert came(hub, "login refused", actor="anna").details["status"] == 403
    came(hub, "logout")


def test_a_server_that_was_started_and_stopped_is_written_down(hub):
    with Person(hub.url, "bert", hub.passwords["bert"]) as bert:
        bert.start_server()
    came(hub, "start", actor="bert")
    came(hub, "started", actor="hub", subject="bert")
    with Person(hub.url, "operator", hub.passwords["operator"]) as operator:
        xsrf = operator._cookie("_xsrf", "/hub/")
        headers = {"X-XSRFToken": xsrf, "Referer": f"{hub.url}/hub/admin"}
        operator.http.get("/user/bert/lab")  # an administrator goes into another's server
        operator.http.delete("/hub/api/users/bert/server", headers=headers).raise_for_status()
        operator.http.post("/hub/api/users/eve", json={"admin": True}, headers=headers)
        operator.http.patch("/hub/api/users/eve", json={"admin": False}, headers=headers)
        operator.http.delete("/hub/api/users/eve", headers=headers)
    came(hub, "stop", actor="operator", subject="bert")
    came(hub, "stopped", actor="hub", subject="bert")

    def deeds() -> list[tuple[str, dict[str, object]]]:
        done = entries(hub, "administration", actor="operator", subject="eve")
        return [(entry.details["method"], entry.details["told"]) for entry in done]

    wait_for(lambda: len(deeds()) == 3, 20, "what the operator did, in the audit log")
    assert [method for method, _ in deeds()] == ["POST", "PATCH", "DELETE"]
    assert deeds()[1][1] == {"admin": False}


def test_a_token_is_written_down_and_its_secret_is_not(hub):
    with Person(hub.url, "carla", hub.passwords["carla"]) as carla:
        token = carla.token()
    assert came(hub, "new token", actor="carla").details["status"] == 201
    wall = b"".join(path.read_bytes() for path in audit_of(hub.deployment).files())
    assert token.encode() not in wall
    assert all(password.encode() not in wall for password in hub.passwords.values())


def test_what_a_user_may_not_do_is_written_down_as_refused(hub):
    with Person(hub.url, "dora", hub.passwords["dora"]) as dora:
        headers = {"Authorization": f"token {dora.token()}"}
        refused = httpx.delete(f"{hub.api}/users/anna", headers=headers, trust_env=False)
    assert refused.status_code in (403, 404)
    came(hub, "administration refused", actor="dora", subject="anna")


def test_a_stranger_cannot_fill_the_disk(hub):
    log = audit_of(hub.deployment)
    before = log.verify().head.number
    for _ in range(120):
        httpx.post(f"{hub.api}/users/anna/tokens", json={}, trust_env=False)
    with Person(hub.url, "anna", hub.passwords["anna"]):
        pass
    assert came(hub, "login", actor="anna")
    assert log.verify().head.number - before < 70
    assert any("left_out_before" in entry.details for entry in log.entries())


def test_the_chain_holds_and_its_anchors_are_in_the_hubs_log(hub):
    verdict = audit_of(hub.deployment).verify()
    assert verdict.torn == 0
    assert f"audit {verdict.head}" in (hub.deployment.logs / "hub.log").read_text()


def test_a_hub_that_cannot_write_its_audit_log_goes_on_and_says_so(hub):
    """The disk is full, or the folder is gone: people go on working."""
    folder = audit_of(hub.deployment).folder
    folder.rename(folder.with_name("away"))
    folder.write_text("in the way")
    try:
        with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
            assert anna.logged_in
    finally:
        folder.unlink()
        folder.with_name("away").rename(folder)
    assert "the audit log takes nothing" in (hub.deployment.logs / "hub.log").read_text()
    audit_of(hub.deployment).verify()


@pytest.mark.parametrize(
    ("method", "path", "event"),
    [
        ("POST", "login", "login"),
        ("GET", "oauth_callback", "login"),
        ("GET", "login", None),
        ("POST", "api/users/anna/activity", None),
        ("POST", "api/users/a%2Fb/server", "start"),
        ("DELETE", "api/users/anna/servers/big", "stop"),
        ("POST", "api/groups/staff/users", "administration"),
        ("POST", "api/shutdown", "administration"),
        ("GET", "api/users", None),
        ("POST", "spawn/anna/big", "start"),
        ("DELETE", "api/users/anna/tokens/a12", "token revoked"),
        ("POST", "api/users", "administration"),
    ],
)
def test_requests_are_known_by_method_and_path(method, path, event):
    found = classify(method, path)
    assert (found.event if found else None) == event
