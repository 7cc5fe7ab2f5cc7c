"""Many log in and start servers at once: everybody gets one, and a cell runs in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from deployed import Running
from person import Person
from workbench_hub.health import wait_for
from workbench_hub.passwords import Passwords

pytestmark = [pytest.mark.docker, pytest.mark.services]

SECONDS = 30.0
"""That each of them adds: two cores start a JupyterLab in a few seconds, one after the other."""


@pytest.fixture
def crowd(hub: Running, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Return names that never were here before, with passwords; their servers are stopped afterwards."""
    made = Passwords(hub.deployment.passwords)
    names = {f"crowd{request.param}-{number}": "" for number in range(request.param)}
    for name in names:
        names[name] = made.set(name)
    yield names
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: _leave(hub, name, names[name]), names))


def _leave(hub: Running, name: str, password: str) -> None:
    with Person(hub.url, name, password) as person:

        def gone() -> bool:
            path = f"/hub/api/users/{name}"
            person.http.delete(f"{path}/server", headers=person.headers())
            return not person.http.get(path, headers=person.headers()).json().get("servers")

        wait_for(gone, 60, f"the end of {name}'s server")


@pytest.mark.parametrize(
    "crowd", [4, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1800)])], indirect=True
)
def test_all_who_come_at_once_get_a_server_and_run_a_cell(hub, crowd, docker_daemon, record_property):
    begun = monotonic()

    def come(name: str) -> tuple[str, int, float]:
        with Person(hub.url, name, crowd[name]) as person:
            assert person.logged_in, person.answer.text
            person.start_server(SECONDS * len(crowd))
            took = monotonic() - begun
            kernel = person.start_kernel()
            said = person.run(kernel, "import os; print(os.getcwd(), os.getuid())", SECONDS * len(crowd))
            home, uid = said.split()
            return os.path.basename(home), int(uid), took

    with ThreadPoolExecutor(len(crowd)) as pool:
        found = list(pool.map(come, crowd))
    assert [home for home, _, _ in found] == list(crowd)
    assert len({uid for _, uid, _ in found}) == len(crowd)
    record_property("seconds", round(max(took for _, _, took in found), 1))
    with docker_daemon.client() as client:
        users = [one.labels.get("workbench.user") for one in client.containers.list(ignore_removed=True)]
    assert {name: users.count(name) for name in crowd} == dict.fromkeys(crowd, 1)
    assert hub.all_well()
