"""A server by way of the hub against the same container by Docker alone; answers while bombs go off."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import docker
import httpx

from benchmarks.harness import Row
from workbench.errors import Unavailable
from workbench_hub.health import wait_for

TOPIC = "The hub, each user in a container"

ROOT = Path(__file__).parents[1]
ROUNDS = 3
REST_SECONDS = 8.0

sys.path.insert(0, str(ROOT / "tests" / "helpers"))  # where a deployment is started from


def why_not() -> str:
    """Return why this cannot be measured here, or nothing."""
    import dockerd

    return dockerd.why_not()


def measure() -> list[Row]:
    """Measure starts by turns, and answers at rest and under bombs by turns."""
    import dockerd
    from hosted import hosted

    with (
        dockerd.own_daemon() as daemon,
        hosted(daemon, _catalogue(daemon.url)) as hub,
        _person(hub, "anna") as anna,
        _person(hub, "ben") as ben,
        daemon.client() as client,
    ):
        anna.start_server(300)
        kernel = anna.start_kernel()
        anna.run(kernel, "kept = 42")
        rows = [_starts(ben, client)]
        ben.start_server(300)
        return rows + _bombs(ben, anna, kernel)


def _catalogue(url: str) -> Path:
    """Return what the build of the images wrote; ``TEST_CATALOGUE`` as in the tests."""
    if kept := os.environ.get("TEST_CATALOGUE"):
        return Path(kept)
    out = Path(tempfile.mkdtemp(prefix="wbi-"))
    build = [sys.executable, ROOT / "images" / "build.py", "user", "--docker", url, "--out", out]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return out / "catalogue.json"


def _person(hub: Any, name: str) -> Any:
    from person import Person

    return Person(hub.url, name, hub.passwords[name])


def _starts(person: Any, client: docker.DockerClient) -> Row:
    """Start a server by way of the hub, then the same container without it, after a round of each."""
    times = []
    for _ in range(ROUNDS + 1):
        by_hub = _by_hub(person)
        times.append((by_hub, _by_docker(person, client)))
        _stop(person)
    return Row(
        "a server started, to its first answer",
        statistics.median(hub for hub, _ in times[1:]),
        "docker run of the same",
        statistics.median(alone for _, alone in times[1:]),
        target="docker run + 3 s",
    )


def _by_hub(person: Any) -> float:
    begun = perf_counter()
    path = f"/hub/api/users/{person.name}/server"
    person.http.post(path, headers=person.headers()).raise_for_status()
    _wait(lambda: person.http.get(f"/user/{person.name}/api").status_code == httpx.codes.OK)
    return perf_counter() - begun


def _by_docker(person: Any, client: docker.DockerClient) -> float:
    """Start a container that is made as the hub made its own, which stands idle meanwhile."""
    (model,) = client.containers.list(filters={"label": f"workbench.user={person.name}"})
    seen = model.attrs
    (network,) = seen["NetworkSettings"]["Networks"]
    config = seen["Config"] | {"HostConfig": seen["HostConfig"], "Hostname": "alone"}
    config["NetworkingConfig"] = {"EndpointsConfig": {network: {}}}
    begun = perf_counter()
    made = client.api.create_container_from_config(config, f"{model.name}-alone")["Id"]
    try:
        client.api.start(made)
        found = client.api.inspect_container(made)["NetworkSettings"]["Networks"][network]["IPAddress"]
        _wait(lambda: _answers(f"http://{found}:8888/user/{person.name}/api"))
        return perf_counter() - begun
    finally:
        client.api.remove_container(made, force=True)


def _stop(person: Any) -> None:
    path = f"/hub/api/users/{person.name}"
    person.http.delete(f"{path}/server", headers=person.headers())
    _wait(lambda: not person.http.get(path, headers=person.headers()).json().get("servers"))


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _wait(check: Callable[[], bool], seconds: float = 300.0) -> None:
    wait_for(check, seconds, "the server")


class _Answers:
    """How long the hub and a cell of a neighbour's take to answer."""

    def __init__(self, person: Any, kernel: str) -> None:
        self.person, self.kernel, self.headers = person, kernel, person.headers()
        self.hub: list[float] = []
        self.cell: list[float] = []

    def look(self) -> None:
        begun = perf_counter()
        path = f"/hub/api/users/{self.person.name}"
        self.person.http.get(path, headers=self.headers).raise_for_status()
        asked = perf_counter()
        self.person.run(self.kernel, "assert kept == 42")
        self.hub.append(asked - begun)
        self.cell.append(perf_counter() - asked)


def _bombs(bomber: Any, neighbour: Any, kernel: str) -> list[Row]:
    """Look at rest for a while, then while a bomb goes off, and so with each bomb."""
    from bombs import BOMBS

    rest, under = _Answers(neighbour, kernel), _Answers(neighbour, kernel)
    for bomb in BOMBS:
        end = monotonic() + REST_SECONDS
        while monotonic() < end:
            rest.look()
        with _exploding(bomber, bomb.code) as thread:
            while thread.is_alive():
                under.look()
    rows = {
        f"p99 of {len(under.hub)} answers of the hub while bombs go off": (under.hub, rest.hub, ""),
        "p99 of a neighbour's cell meanwhile": (under.cell, rest.cell, "10 s"),
    }
    return [
        Row(what, _p99(loud), "at rest", _p99(quiet), target=target)
        for what, (loud, quiet, target) in rows.items()
    ]


@contextmanager
def _exploding(person: Any, code: str) -> Iterator[threading.Thread]:
    """Run a cell that does harm in a server which may fall to it."""

    def up() -> bool:
        try:
            person.start_server(60)
        except (httpx.HTTPStatusError, Unavailable):
            return False  # it ended, and the hub has not yet seen that
        return True

    def run() -> None:
        try:
            person.run(kernel, code, seconds=30)
        except Exception as error:  # noqa: BLE001 -- a kernel that dies says so in many ways
            print(f"  bomb: {type(error).__name__}", file=sys.stderr)

    wait_for(up, 300, "the bomber's server")
    kernel = person.start_kernel()
    person.run(kernel, "pass")
    thread = threading.Thread(target=run)
    thread.start()
    yield thread
    thread.join()


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[98]
