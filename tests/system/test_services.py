"""The web services behind the hub: who gets in, what goes through, and what does not."""

from __future__ import annotations

import base64
import io
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import obspy
import pytest
from owslib.ogcapi.processes import Processes

import workbench as wb
from deployed import Running
from person import Person
from workbench import wire

pytestmark = pytest.mark.services

STA_LTA = "processes/triggers.sta_lta/execution"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def person(running: Running):
    with Person(running.url, "scientist", running.passwords["scientist"]) as person:
        yield person


@pytest.fixture(scope="module")
def token(person) -> str:
    return person.token()


@pytest.fixture
def services(running, token):
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=running.services, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def body():
    buffer = io.BytesIO()
    obspy.read().write(buffer, format="MSEED")
    return {
        "inputs": {
            "waveforms": {"value": base64.b64encode(buffer.getvalue()).decode()},
            "sta": 0.5,
            "lta": 5.0,
        }
    }


def test_gives_the_same_bytes_as_a_call_from_python(services, body):
    answer = services.post(STA_LTA, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.content == wire.encode(wb.triggers.sta_lta(obspy.read(), sta=0.5, lta=5.0))


def test_the_archive_is_there_for_selections(services):
    selection = "BW.RJOB..EHZ@2009-08-24T00:20:03/2009-08-24T00:20:33"
    asked = {"inputs": {"waveforms": {"selection": selection}, "sta": 0.5, "lta": 5.0}}
    answer = services.post(STA_LTA, json=asked)
    assert answer.status_code == 200, answer.text
    assert "BW.RJOB..EHZ" in answer.text


def test_owslib_lists_describes_and_executes(running, token, body):
    service = Processes(running.services, headers={"Authorization": f"Bearer {token}"})
    assert any("processes-1/1.0/conf/core" in uri for uri in service.conformance()["conformsTo"])
    assert service.api()["openapi"].startswith("3.0")
    assert "id" in service.processes()[0]
    assert service.process("triggers.sta_lta")["id"] == "triggers.sta_lta"
    result = service.execute("triggers.sta_lta", inputs=body["inputs"])
    assert "BW.RJOB..EHZ" in result["result"]["value"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer " + "a" * 32},
        {"Authorization": "Bearer ../../users"},
        {"Authorization": "Basic c2NpZW50aXN0Og=="},
        {"Cookie": "workbench-services=wrong"},
        {"Cookie": "workbench-services="},
        {"X-Forwarded-User": "operator", "REMOTE_USER": "operator"},
    ],
)
def test_nobody_gets_in_without_a_token(running, headers, body):
    for method, path in [
        ("GET", ""),
        ("GET", "processes"),
        ("GET", "api"),
        ("GET", "metrics"),
        ("POST", STA_LTA),
    ]:
        answer = httpx.request(method, running.services + path, headers=headers, trust_env=False)
        assert answer.status_code == 401, (path, answer.text)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_health_and_ready_tell_nothing_but_that(running):
    assert httpx.get(running.services + "health").json() == {"status": "well"}
    assert httpx.get(running.services + "ready").json() == {"status": "ready"}


def test_a_token_that_was_taken_back_ends(running, person):
    token = person.token()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(running.services, headers=headers).status_code == 200
    listed = person.http.get("/hub/api/users/scientist/tokens").json()["api_tokens"]
    newest = max(listed, key=lambda entry: entry["created"])
    answer = person.http.delete(
        f"/hub/api/users/scientist/tokens/{newest['id']}",
        headers={"X-XSRFToken": person._cookie("_xsrf", "/hub/"), "Referer": f"{running.url}/hub/token"},
    )
    assert answer.status_code == 204
    wait = 15  # the services believe the hub's last answer for ten seconds

    def ended():
        return httpx.get(running.services, headers=headers).status_code == 401

    from workbench_hub.health import wait_for

    wait_for(ended, wait, "the end of the token")


def test_a_token_without_the_scope_is_refused(running, person):
    answer = person.http.post(
        "/hub/api/users/scientist/tokens",
        json={"note": "narrow", "scopes": ["read:users:name!user"]},
        headers={"X-XSRFToken": person._cookie("_xsrf", "/hub/"), "Referer": f"{running.url}/hub/token"},
    )
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert httpx.get(running.services, headers=headers).status_code == 403


def test_a_browser_logs_in_by_way_of_the_hub(running):
    with httpx.Client(base_url=running.url, trust_env=False) as stranger:
        first = stranger.get("/services/workbench/processes?f=html")
        assert first.status_code == 302
        assert first.headers["Location"].startswith("/hub/api/oauth2/authorize")
        assert stranger.get("/services/workbench/api.html", headers=HTML).status_code == 302
    with Person(running.url, "scientist", running.passwords["scientist"]) as person:
        page = person.http.get("/services/workbench/processes?f=html")
        assert page.status_code == 200
        assert page.url.path == "/services/workbench/processes"
        cookies = {cookie.name: cookie for cookie in person.http.cookies.jar}
        cookie = cookies["workbench-services"]
        assert cookie.path == "/services/workbench/"
        assert cookie.has_nonstandard_attr("HttpOnly")
        person.http.get("/services/workbench/logout")
        again = person.http.get("/services/workbench/", headers=HTML, follow_redirects=False)
        assert again.status_code == 302


def test_another_site_cannot_make_a_browser_execute(running, body):
    with Person(running.url, "scientist", running.passwords["scientist"]) as person:
        person.http.get("/services/workbench/", headers=HTML)
        path = f"/services/workbench/{STA_LTA}"
        for headers in (
            {"Origin": "https://example.org"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert person.http.post(path, json=body, headers=headers).status_code == 403
        good = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"}
        assert person.http.post(path, json=body, headers=good).status_code == 200


@pytest.mark.parametrize("state", ["", "x", "../../evil"])
def test_a_login_that_was_not_begun_here_is_refused(running, state):
    url = f"{running.services}oauth_callback"
    answer = httpx.get(
        url, params={"code": "abc", "state": state}, headers={"Cookie": "workbench-login=a|//evil"}
    )
    assert answer.status_code == 403


def test_users_see_their_own_archive_and_nobody_elses(running, body):
    """An archive in a user's home is searched for that user alone."""
    selection = "BW.OWN..EHZ@2009-08-24T00:20:03/2009-08-24T00:20:33"
    stream = obspy.read().select(channel="EHZ")
    stream[0].stats.station = "OWN"
    wb.Archive(running.state / "homes" / "scientist" / "archive").write(stream)
    statuses = {}
    for name in ("scientist", "operator"):
        with Person(running.url, name, running.passwords[name]) as person:
            headers = {"Authorization": f"Bearer {person.token()}"}
            asked = {"inputs": {"waveforms": {"selection": selection}, "sta": 0.5, "lta": 5.0}}
            statuses[name] = httpx.post(
                running.services + STA_LTA, json=asked, headers=headers, timeout=60
            ).status_code
    assert statuses == {"scientist": 200, "operator": 422}


def test_calls_are_answered_when_the_worker_is_killed_meanwhile(running, services, body):
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(services.post, STA_LTA, json=body) for _ in range(12)]
        os.kill(running.pid("worker"), signal.SIGKILL)
        statuses = {answer.result().status_code for answer in asked}
    assert statuses <= {200, 503}
    from workbench_hub.health import wait_for

    wait_for(lambda: services.post(STA_LTA, json=body).status_code == 200, 30, "the worker")


def test_the_log_names_user_and_call(running, services, body):
    import json

    from workbench_hub.health import wait_for

    call = services.post(STA_LTA, json=body).headers["Workbench-Call"]
    found: list[dict] = []

    def logged() -> bool:
        # The line is written when the answer is out, so a fast client is ahead of it.
        whole = (running.state / "logs" / "api.log").read_text().rpartition("\n")[0]
        found[:] = [line for line in map(json.loads, whole.splitlines()) if line.get("call") == call]
        return bool(found)

    wait_for(logged, 10, "the line in the log")
    (entry,) = found
    assert entry["user"] == "scientist"
    assert entry["status"] == 200
    assert entry["path"].endswith(STA_LTA)
