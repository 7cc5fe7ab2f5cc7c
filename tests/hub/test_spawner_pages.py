"""What a person sees of starting a server, of its end, and of too little memory: on a whole deployment."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
import websocket
from playwright.sync_api import Page, expect

from chromium import log_in
from person import Person, _execute

pytestmark = [pytest.mark.docker, pytest.mark.services]

BIG = "x = bytearray(2**31); x[:] = b'1' * 2**31"


@pytest.fixture
def page(hub, browsed) -> Iterator[Page]:
    with browsed(hub.url, 900) as page:
        yield page


@pytest.fixture
def stopped(hub) -> Iterator[None]:
    """Begin and end without anybody's server."""

    def stop() -> None:
        for name in ("anna", "ben"):
            with Person(hub.url, name, hub.passwords[name]) as person:
                person.stop_server()

    stop()
    yield
    stop()


def kill_server(person: Person) -> None:
    """End a server from one of its kernels, as a program gone wrong might."""
    code = "import os, signal; print('last words', flush=True); os.kill(os.getppid(), signal.SIGABRT)"
    with pytest.raises((websocket.WebSocketException, OSError)):
        person.run(person.start_kernel(), code, seconds=20)


@pytest.mark.browser
def test_from_the_form_to_a_notebook_and_past_a_crash(page, hub, stopped, shots, eventually):
    page.goto(hub.url)
    log_in(page, hub, "anna")
    page.wait_for_url("**/hub/**")
    page.goto(f"{hub.url}/hub/spawn/anna")
    expect(page.get_by_label("Small")).to_be_visible(timeout=30_000)
    expect(page.get_by_label("Large")).to_be_visible()
    page.get_by_label("Small").check()
    page.screenshot(path=shots / "spawn-form.png")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#progress-message")).to_contain_text("answer", timeout=30_000)
    page.screenshot(path=shots / "spawn-progress.png")
    page.wait_for_url("**/user/anna/lab**", timeout=60_000)
    page.goto(f"{hub.url}/user/anna/lab/tree/examples/01-first-earthquake.ipynb")
    expect(page.get_by_text("(ipykernel) | Idle")).to_be_visible(timeout=90_000)
    cell = page.locator(".jp-CodeCell .cm-content").first
    cell.click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-CodeCell .jp-InputPrompt").first).to_have_text("[1]:", timeout=60_000)
    page.screenshot(path=shots / "spawn-notebook.png")

    with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        anna.http.get("/user/anna/lab").raise_for_status()
        kill_server(anna)
        eventually(
            lambda: anna.http.get("/hub/user/anna/lab").status_code == 424, 40, "the end to be noticed"
        )
    page.goto(f"{hub.url}/user/anna/lab")
    told = page.locator(".workbench-diagnosis")
    expect(told).to_contain_text("ended by itself, with the exit code 134 (SIGABRT)", timeout=30_000)
    expect(told).to_contain_text("0 processes")
    expect(told).to_contain_text("used (")
    expect(told).to_contain_text("help@test.example")
    told.get_by_text("Last lines of its log").click()
    page.screenshot(path=shots / "spawn-doctor.png", full_page=True)
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_label("Small")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/user/anna/lab**", timeout=60_000)


def test_a_cell_that_needs_too_much_memory_is_told_in_its_place(hub, stopped, eventually):
    with Person(hub.url, "ben", hub.passwords["ben"]) as ben:
        ben.start_server()
        kernel = ben.start_kernel()
        assert ben.run(kernel, "print(6 * 7)").strip() == "42"
        said = words_of_a_dying_kernel(ben, kernel, BIG)
        assert "Out of memory: this kernel was ended" in said
        assert "1 GiB" in said
        # The server goes on, the kernel is there again, and the hub's page tells it, too.
        assert ben.run(kernel, "print('x' in dir())").strip() == "False"
        eventually(
            lambda: "the memory was used up: the limit is 1 GiB" in ben.http.get("/hub/home").text,
            20,
            "the notice",
        )


def words_of_a_dying_kernel(person: Person, kernel: str, code: str) -> str:
    """Run a cell that ends its kernel; return what is said in the cell until the kernel starts again."""
    wanted = f"/user/{person.name}/"
    cookies = "; ".join(
        f"{c.name}={c.value}" for c in person.http.cookies.jar if wanted.startswith(c.path or "/")
    )
    address = f"{person.url.replace('http', 'ws', 1)}{wanted}api/kernels/{kernel}/channels"
    line = websocket.create_connection(address, cookie=cookies, timeout=60, origin=person.url)
    message, said = uuid.uuid4().hex, ""
    try:
        line.send(json.dumps(_execute(message, code)))
        while True:
            answer = json.loads(line.recv())
            if answer["content"].get("execution_state") == "restarting":
                return said
            if answer["msg_type"] == "stream" and answer["parent_header"].get("msg_id") == message:
                said += answer["content"]["text"]
    finally:
        line.close()


def test_what_may_not_be_chosen_is_refused_by_the_hub_itself(hub):
    with Person(hub.url, "ben", hub.passwords["ben"]) as ben:
        answer = ben.http.post("/hub/api/users/ben/server", json={"profile": "large"}, headers=ben.headers())
        assert answer.status_code == 400, answer.text
        assert "is not one that you may choose" in answer.text
        answer = ben.http.get("/hub/spawn/ben", params={"opt-image": "busybox"})
        assert "is not one that you may choose" in answer.text
        assert not ben.http.get("/hub/api/users/ben").json().get("servers")
