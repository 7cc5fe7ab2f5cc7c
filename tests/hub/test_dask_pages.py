"""Pages about a Dask cluster, seen through a real hub: by its owner, and by nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
import websocket

from chromium import log_in
from livehub import LiveHub, live_hub
from person import Person

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[LiveHub]:
    with live_hub(tmp_path_factory.mktemp("pages") / "state") as hub:
        yield hub


@pytest.fixture(scope="module")
def anna(hub: LiveHub) -> Iterator[Person]:
    with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        anna.start_server()
        yield anna


@pytest.fixture(scope="module")
def kernel(anna: Person) -> str:
    return anna.start_kernel()


@pytest.fixture(scope="module")
def link(anna: Person, kernel: str) -> str:
    """Start a cluster in anna's notebook; return where she sees it."""
    code = "import workbench as wb\nclient = wb.cluster(1, kind='local')\nprint(client.dashboard_link)"
    return anna.run(kernel, code, 90).strip()


def test_the_owner_sees_the_pages_and_all_that_belongs_to_them(hub: LiveHub, anna: Person, link: str):
    assert re.fullmatch(r"/user/anna/workbench/dask/[\w-]{20,}/status", link)
    page = anna.http.get(link)
    assert page.status_code == 200
    assert "Dask" in page.text
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', page.text))
    parts = {part for part in named if not part.startswith(("http", "javascript:"))}
    assert len(parts) > 3
    base = httpx.URL(f"{hub.url}{link}")
    found = {part: anna.http.get(base.join(part)).status_code for part in parts}
    assert {part: code for part, code in found.items() if code != 200} == {}


def test_a_page_that_is_open_is_told_what_happens(hub: LiveHub, anna: Person, link: str):
    page = anna.http.get(link).text
    token = re.search(r'"token":"([^"]+)"', page)
    assert token is not None, page[-2000:]
    cookies = "; ".join(f"{one.name}={one.value}" for one in anna.http.cookies.jar if "anna" in one.path)
    address = f"{hub.url.replace('http', 'ws', 1)}{link}/ws"
    words = {"cookie": cookies, "origin": hub.url, "timeout": 20}
    line = websocket.create_connection(address, subprotocols=["bokeh", token[1]], **words)
    try:
        assert '"ACK"' in line.recv() + line.recv() + line.recv()
    finally:
        line.close()
    # Without the owner's cookies there is no line.
    with pytest.raises(websocket.WebSocketException):
        websocket.create_connection(address, subprotocols=["bokeh", token[1]], origin=hub.url, timeout=20)


STREAM = """
[...Bokeh.documents[0]._all_models.values()].some(model => model.type === "ColumnDataSource"
    && (model.data.get ? model.data.get("duration") : model.data.duration)?.length >= 20)
"""


@pytest.mark.browser
def test_a_page_lives_in_a_browser(hub: LiveHub, anna: Person, kernel: str, link: str, shots, browsed):
    with browsed(hub.url) as page:
        page.goto(f"{hub.url}/hub/login?next={link}")
        log_in(page, hub, "anna")
        page.wait_for_function(
            "window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle", timeout=60_000
        )
        anna.run(kernel, "import time\nfutures = client.map(time.sleep, [0.1] * 20, pure=False)", 30)
        # The stream of tasks is what the scheduler tells an open page.
        page.wait_for_function(STREAM, timeout=30_000)
        anna.run(kernel, "client.gather(futures)", 60)
        page.screenshot(path=shots / "dask-pages.png")


def test_nobody_else_sees_them(hub: LiveHub, link: str):
    with Person(hub.url, "bert", hub.passwords["bert"]) as bert:
        answer = bert.http.get(link)
        assert answer.status_code in (403, 404)
        assert "Dask" not in answer.text
    stranger = httpx.get(f"{hub.url}{link}", follow_redirects=True, timeout=30, trust_env=False)
    assert stranger.url.path == "/hub/login"


def test_what_is_not_there_is_not_found(anna: Person, link: str):
    for path in ("x" * 22, "x" * 22 + "/status", "../../../etc/passwd", "%2e%2e%2fjobs/status"):
        assert anna.http.get(f"/user/anna/workbench/dask/{path}").status_code == 404, path
    assert anna.http.get(link.replace("/status", "/nothing")).status_code == 404


def test_they_end_with_the_cluster(anna: Person, kernel: str, link: str):
    anna.run(kernel, "client.close()", 60)
    assert anna.http.get(link).status_code == 404
