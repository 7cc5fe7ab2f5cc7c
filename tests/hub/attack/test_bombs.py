"""Bombs in one user's container: meanwhile a neighbour's cell answers, and so does the hub.

Each bomb is bounded: it ends by itself soon after the limit that is to stop it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest

from bombs import BOMBS, Bomb
from deployed import Running
from person import Person
from workbench.errors import Unavailable
from workbench_hub.health import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.services]

CELL_SECONDS = 10.0
HUB_SECONDS = 5.0
LOOKS = 4


@pytest.fixture(scope="module")
def login(hub: Running) -> Iterator[Person]:
    with Person(hub.url, "ben", hub.passwords["ben"]) as person:
        yield person


@pytest.fixture
def bomber(login: Person) -> Person:
    """Return somebody with a server, which may have fallen to an earlier bomb."""

    def up() -> bool:
        """Whether the server answers; where the hub knows that it does not, start it."""
        try:
            login.start_server(30)
        except (httpx.HTTPStatusError, Unavailable):
            return False  # it ended, and the hub has not yet seen that
        return True

    wait_for(up, 90, "the bomber's server")
    return login


@pytest.fixture(scope="module")
def neighbour(hub: Running) -> Iterator[tuple[Person, str]]:
    with Person(hub.url, "anna", hub.passwords["anna"]) as person:
        person.start_server(120)
        kernel = person.start_kernel()
        person.run(kernel, "kept = 42")
        yield person, kernel


@contextmanager
def exploding(person: Person, bomb: Bomb) -> Iterator[list[str]]:
    """Set a bomb off in a kernel of its own, beside what is done meanwhile."""
    kernel, said = person.start_kernel(), []
    assert person.run(kernel, "print('armed')").strip() == "armed"

    def run() -> None:
        try:
            said.append(person.run(kernel, bomb.code, seconds=20))
        except Exception as error:  # noqa: BLE001 -- a kernel that dies says so in many ways
            said.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield said
    finally:
        thread.join(90)
        xsrf = {"X-XSRFToken": person._cookie("_xsrf", f"/user/{person.name}/"), "Referer": person.url}
        person.http.delete(f"/user/{person.name}/api/kernels/{kernel}", headers=xsrf, timeout=20)


def seconds_of(act) -> float:
    begun = monotonic()
    act()
    return monotonic() - begun


def test_a_full_home_is_its_owners_alone_and_locks_nobody_out(hub, bomber, neighbour):
    """The disk bomb has filled it; whoever filled it can still log in, start a kernel and delete."""
    kernel = bomber.start_kernel()
    fill = (
        "try:\n"
        "    with open('bomb', 'wb') as file:\n"
        "        for _ in range(128): file.write(bytes(1 << 20)); file.flush()\n"
        "    print('open')\n"
        "except OSError as error: print(error.errno)"
    )
    try:
        assert bomber.run(kernel, fill).strip() in ("28", "122")  # no space left, quota exceeded
        person, other = neighbour
        person.run(other, "open('mine', 'wb').write(bytes(1 << 20))")
        another = bomber.start_kernel()
        assert bomber.run(another, "print(6 * 7)").strip() == "42"
    finally:
        bomber.run(kernel, "import os; os.remove('bomb')")


def logged_too_much(docker_daemon) -> bool:
    """Whether the bomber's log is larger than it may be."""
    with docker_daemon.client() as client:
        one = client.containers.list(filters={"label": "workbench.user=ben"}, ignore_removed=True)[0]
        limit = one.attrs["HostConfig"]["LogConfig"]["Config"]
        path = Path(one.attrs["LogPath"])
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    return size > (int(limit["max-size"]) + 2**16) * int(limit["max-file"])


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.name)
def test_a_neighbour_and_the_hub_answer_meanwhile(hub, docker_daemon, bomber, neighbour, bomb):
    person, kernel = neighbour
    cells, pages = [], []
    with exploding(bomber, bomb) as said:
        for _ in range(LOOKS):
            cells.append(seconds_of(lambda: person.run(kernel, "assert kept == 42", CELL_SECONDS)))
            pages.append(seconds_of(lambda: _well(hub)))
    assert max(cells) < CELL_SECONDS
    assert max(pages) < HUB_SECONDS
    assert any(word in "".join(said) for word in bomb.stopped), said
    if bomb.name == "log":
        assert not logged_too_much(docker_daemon)


def _well(hub: Running) -> None:
    answer = httpx.get(f"{hub.url}/hub/health", timeout=HUB_SECONDS, trust_env=False)
    assert answer.status_code == 200
