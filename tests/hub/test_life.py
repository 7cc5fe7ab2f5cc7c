"""The process `life` beside a real hub: usage, pages, metrics, notices, announcements."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chromium import log_in
from livehub import LiveHub, live_hub
from person import Person
from workbench_hub.health import healthy, wait_for
from workbench_hub.life.notices import Board
from workbench_hub.life.servers import Hub, Server
from workbench_hub.life.wiring import announcements_of, folder
from workbench_hub.policy.work import Announcement

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[LiveHub]:
    with live_hub(tmp_path_factory.mktemp("life") / "state") as hub:
        hub.start("life", "--every=1")
        wait_for(lambda: healthy(f"{hub.url}/services/usage/health"), 30, "the pages behind the proxy")
        yield hub


@pytest.fixture(scope="module")
def anna(hub: LiveHub) -> Iterator[Person]:
    with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        anna.start_server()
        yield anna


def usage(person: Person) -> dict[str, dict[str, float]]:
    answer = person.http.get("/services/usage/api/usage")
    answer.raise_for_status()
    return {total["user"]: total for total in answer.json()["users"]}


def used(person: Person, name: str = "anna") -> float:
    return usage(person).get(name, {}).get("hours", 0.0)


def metrics(hub: LiveHub) -> dict[str, dict[tuple[str, ...], float]]:
    headers = {"Authorization": f"token {hub.deployment.tokens['metrics']}"}
    answer = httpx.get(f"{hub.url}/services/usage/metrics", headers=headers, trust_env=False)
    answer.raise_for_status()
    return {
        sample.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def server_of(hub: LiveHub, user: str) -> Server:
    async def ask() -> Server:
        asked = Hub(hub.api, hub.deployment.tokens["culler"])
        try:
            return next(server for server in await asked.servers() if server.user == user)
        finally:
            await asked.close()

    return asyncio.run(ask())


def test_a_user_sees_what_their_own_server_used(hub, anna):
    wait_for(lambda: used(anna) > 0, 30, "anna's usage")
    (total,) = usage(anna).values()
    assert total["memory_peak"] > 30 * 2**20
    page = anna.http.get("/services/usage/")
    assert "What anna used in" in page.text
    assert "All users" not in page.text


def test_an_administrator_sees_everybodys_and_others_only_their_own(hub, anna):
    with Person(hub.url, "bert", hub.passwords["bert"]) as bert:
        assert usage(bert) == {}
    with Person(hub.url, "operator", hub.passwords["operator"]) as operator:
        assert "anna" in usage(operator)
        assert "All users" in operator.http.get("/services/usage/").text


def test_a_stranger_sees_nothing(hub):
    for path in ("", "api/usage", "api/notices"):
        answer = httpx.get(f"{hub.url}/services/usage/{path}", trust_env=False)
        assert answer.status_code in (302, 403), path
    assert httpx.get(f"{hub.url}/services/usage/metrics", trust_env=False).status_code == 403
    assert httpx.get(f"{hub.url}/services/usage/health", trust_env=False).status_code == 200


def test_a_month_that_is_none_is_refused(hub, anna):
    assert anna.http.get("/services/usage/api/usage", params={"month": "soon"}).status_code == 400
    answer = anna.http.get("/services/usage/api/usage", params={"month": "2001-01"})
    assert answer.json() == {"month": "2001-01", "users": [], "jobs": []}


def test_metrics_are_what_prometheus_reads(hub, anna):
    wait_for(lambda: ("", "", "anna") in metrics(hub).get("workbench_server_memory_bytes", {}), 20, "metrics")
    found = metrics(hub)
    assert found["workbench_servers"] == {("",): 1.0}
    assert found["workbench_server_memory_bytes"]["", "", "anna"] > 30 * 2**20
    assert found["workbench_life_rounds_total"]["done",] >= 1
    assert found["workbench_state_free_bytes"][()] > 0
    headers = {"Authorization": f"token {hub.deployment.tokens['metrics']}"}
    own = httpx.get(f"{hub.url}/hub/metrics", headers=headers, trust_env=False)
    assert "jupyterhub_running_servers" in own.text


def test_life_that_was_killed_loses_no_time(hub, anna):
    wait_for(lambda: used(anna) > 0, 30, "anna's usage")
    before = datetime.now(UTC), used(anna)
    hub.kill("life")
    gone = datetime.now(UTC)
    wait_for(lambda: datetime.now(UTC) - gone > timedelta(seconds=4), 10, "four seconds")
    hub.start("life", "--every=1")
    wait_for(lambda: (used(anna) - before[1]) * 3600 > 4, 30, "the time without it")
    most = (datetime.now(UTC) - before[0]).total_seconds()
    assert (used(anna) - before[1]) * 3600 <= most + 2


def test_life_ends_when_it_is_told_to(hub):
    process = hub.running["life"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    hub.start("life", "--every=1")


def test_an_announcement_is_on_the_hubs_pages_and_in_labs_at_once(hub, anna):
    announcements = announcements_of(hub.deployment)
    name = announcements.add(Announcement(text="Power cut <on> Monday & Tuesday"))

    def in_lab() -> list[str]:
        return [one["text"] for one in anna.http.get("/user/anna/workbench/notices").json()]

    assert "Power cut &lt;on&gt; Monday &amp; Tuesday" in anna.http.get("/hub/home").text
    wait_for(lambda: in_lab() == ["Power cut <on> Monday & Tuesday"], 20, "the announcement in the Lab")
    over = Announcement(text="Long over", ends=datetime.now(UTC) - timedelta(hours=1))
    other = Announcement(text="For staff", groups=("staff",))
    names = [announcements.add(over), announcements.add(other)]
    assert "Long over" not in anna.http.get("/hub/home").text
    for one in (name, *names):
        announcements.remove(one)
    assert "Power cut" not in anna.http.get("/hub/home").text
    wait_for(lambda: in_lab() == [], 20, "its end in the Lab")


def test_what_stands_on_a_server_goes_with_it(hub):
    board = Board(folder(hub.deployment))
    now = datetime.now(UTC)
    board.warn(Server("dora", "big", now, now, "", "", {}, {}), timedelta(hours=1))
    assert "Your server 'big' is idle" in board.of("dora")[0].text
    wait_for(lambda: board.of("dora") == [], 20, "the end of a warning about a server that is not there")


def test_only_those_who_may_enter_a_server_put_notices_there(hub, anna):
    with Person(hub.url, "bert", hub.passwords["bert"]) as bert:
        assert bert.http.put("/user/anna/workbench/notices", json=[]).status_code in (403, 404)
    xsrf = anna._cookie("_xsrf", "/user/anna/")
    for wrong in ({"a": 1}, [{"id": "1"}], 7, "x"):
        answer = anna.http.put(
            "/user/anna/workbench/notices",
            content=json.dumps(wrong),
            headers={"X-XSRFToken": xsrf, "Referer": f"{hub.url}/"},
        )
        assert answer.status_code == 400, wrong


@pytest.mark.browser
def test_a_warning_is_seen_in_an_open_lab(hub, anna, shots, browsed):
    board, server = Board(folder(hub.deployment)), server_of(hub, "anna")
    board.warn(server, timedelta(hours=1))
    with browsed(hub.url) as page:
        page.clock.install()
        page.goto(f"{hub.url}/hub/login?next=/user/anna/lab")
        log_in(page, hub, "anna")
        toast = page.get_by_text(re.compile("Your server is idle and stops in 1 hour"))
        toast.first.wait_for(timeout=90_000)
        page.screenshot(path=shots / "hub-notice.png")
        board.keep(server)
        wait_for(lambda: anna.http.get("/user/anna/workbench/notices").json() == [], 20, "its end in the Lab")
        page.clock.fast_forward(30_000)  # after which the Lab asks again
        toast.first.wait_for(state="hidden", timeout=60_000)
        page.goto(f"{hub.url}/services/usage/")
        page.get_by_text("What anna used in").wait_for()
        page.screenshot(path=shots / "hub-usage.png")
