"""Many servers that come, fail and go, and a hub that dies among them: nothing is lost.

Hub, proxy and spawner are the real ones; the Docker daemon is simulated.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import httpx
import pytest
import sqlalchemy as sql
from jupyterhub import orm
from sqlalchemy.orm import Session

from passing import let_pass
from postgres import cluster, programs
from simulated import TOKEN, SimulatedHub, simulated_hub
from workbench_hub.health import wait_for
from workbench_hub.life.wiring import audit_of

pytestmark = pytest.mark.services

AT_ONCE = 16  # the hub starts twenty at a time, and sends others away
LOOK_SECONDS = 0.5
Key = tuple[str, str]


@pytest.fixture
def hub(tmp_path, missing) -> Iterator[SimulatedHub]:
    if os.geteuid():
        missing("root", "homes are given to their users by root alone")
    if programs() is None:
        missing("postgres", "PostgreSQL's programs are not installed")
    let_pass(tmp_path)
    with cluster() as postgres, simulated_hub(tmp_path, postgres.create("hub")) as hub:
        yield hub


class Client:
    """Somebody who starts and stops everybody's servers, and does not mind a hub that is away."""

    def __init__(self, hub: SimulatedHub, http: httpx.AsyncClient) -> None:
        self.hub, self.http = hub, http
        self.gate = asyncio.Semaphore(AT_ONCE)

    async def ask(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        try:
            answer = await self.http.request(method, self.hub.api + path, json=content)
        except httpx.TransportError:
            return 0, None
        return answer.status_code, answer.json() if answer.content else None

    async def known(self) -> dict[Key, dict[str, Any]] | None:
        """Return the servers that the hub believes in; None while it is away."""
        found: dict[Key, dict[str, Any]] = {}
        for offset in range(0, 10**6, 200):
            status, page = await self.ask("GET", f"/users?state=active&offset={offset}&limit=200")
            if status != 200:
                return None
            found |= {(user["name"], name): one for user in page for name, one in user["servers"].items()}
            if len(page) < 200:
                return found
        raise AssertionError

    async def change(self, method: str, key: Key) -> None:
        async with self.gate:
            user, name = key
            content = {} if method == "POST" else None
            status, _ = await self.ask(method, f"/users/{user}/servers/{name}", content)
            if status == httpx.codes.TOO_MANY_REQUESTS:
                await asyncio.sleep(LOOK_SECONDS)

    async def until(self, wanted: set[Key], seconds: float, news: Callable[[int], None]) -> None:
        """Start what is not there and stop what is, again and again, until all is as it is wanted."""
        end, asked = monotonic() + seconds, {}
        while True:
            known = await self.known()
            if known is not None:
                ready = {key for key, one in known.items() if one["ready"]}
                news(len(ready))
                if ready == wanted and set(known) == wanted:
                    return
                wrong = [*((key, "POST") for key in wanted - set(known))]
                wrong += [*((key, "DELETE") for key in ready - wanted)]
                for key, method in wrong:
                    if key not in asked or asked[key].done():
                        asked[key] = asyncio.create_task(self.change(method, key))
            assert monotonic() < end, f"{known and len(known)} of {len(wanted)} after {seconds} s"
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def client(hub: SimulatedHub) -> AsyncIterator[Client]:
    headers = {"Authorization": f"token {TOKEN}"}
    async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        yield Client(hub, http)


class Fate:
    """What befalls the hub when so many servers are ready."""

    def __init__(self, hub: SimulatedHub, *blows: tuple[int, int]) -> None:
        self.hub, self.blows = hub, list(blows)
        self.threads: list[threading.Thread] = []
        self.dead: list[Key] = []

    def __call__(self, ready: int) -> None:
        if self.blows and ready >= self.blows[0][0]:
            _, number = self.blows.pop(0)
            self.threads.append(threading.Thread(target=self._strike, args=(number,)))
            self.threads[-1].start()

    def _strike(self, number: int) -> None:
        """End the hub; servers end while it is away; start it again."""
        process = self.hub.running.pop("hub")
        process.send_signal(number)
        process.wait(60)
        self.dead += self.hub.world.die(5)
        self.hub.start("hub")

    def over(self) -> None:
        for thread in self.threads:
            thread.join(120)
        assert not self.blows
        assert len(self.dead) == 5 * len(self.threads)


@pytest.mark.parametrize(
    "number", [60, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(2400)])]
)
def test_no_server_is_lost_among_many_that_come_fail_and_go(hub, number):
    users = [f"user{one}" for one in range(number - number // 10)]
    wanted = {(name, "") for name in users} | {(name, "second") for name in users[: number // 10]}
    fate = Fate(hub, (number // 3, signal.SIGKILL), (2 * number // 3, signal.SIGTERM))

    async def come() -> None:
        async with client(hub) as all_:
            status, _ = await all_.ask("POST", "/users", {"usernames": users})
            assert status == 201
            await all_.until(wanted, 1200, fate)
            fate.over()
            await all_.until(wanted, 60, fate)  # what died meanwhile is noticed and started again
            await see(all_, wanted)

    async def go(left: set[Key]) -> None:
        async with client(hub) as all_:
            await all_.until(left, 300, fate)
            await see(all_, left)

    asyncio.run(come())
    assert len(wanted) == number
    asyncio.run(go({key for key in wanted if key[1]}))
    asyncio.run(go(set()))
    assert audit_of(hub.deployment).verify().head.number > number


async def see(all_: Client, wanted: set[Key]) -> None:
    """See that hub, proxy, database and the daemon agree on what runs."""
    hub = all_.hub
    wait_for(lambda: set(hub.world.running()) == wanted, 30, "what truly runs")
    assert {one.server for one in hub.world.containers.values()} == wanted  # none is left that has ended
    known = await all_.known()
    assert known is not None
    assert {key for key, one in known.items() if one["ready"] and not one["pending"]} == wanted == set(known)
    await routes(all_, wanted)
    database(hub, wanted)


async def routes(all_: Client, wanted: set[Key]) -> None:
    """Each server is reached under its own address, and no other; the hub mends routes every two seconds."""
    end = monotonic() + 30
    while await routed(all_) != {path(key) for key in wanted}:
        assert monotonic() < end, {path(key) for key in wanted} ^ await routed(all_)
        await asyncio.sleep(LOOK_SECONDS)
    for key in sorted(wanted):
        answer = await all_.http.get(f"{all_.hub.url}{path(key)}api")
        assert answer.json() == {"server": list(key)}


async def routed(all_: Client) -> set[str]:
    """Return where the proxy believes that there are servers."""
    found: set[str] = set()
    for offset in range(0, 10**6, 200):
        _, page = await all_.ask("GET", f"/proxy?offset={offset}&limit=200")
        found |= set(page)
        if len(page) < 200:
            break
    return {route for route in found if route.startswith("/user/")}


def path(key: Key) -> str:
    return "/user/" + "/".join(filter(None, key)) + "/"


def database(hub: SimulatedHub, wanted: set[Key]) -> None:
    """Each server has one line, its own address and its own token; nothing is left of others."""
    engine = sql.create_engine(hub.deployment.database_url, poolclass=sql.pool.NullPool)
    running = hub.world.running()
    with Session(engine) as session:
        spawners = [one for one in session.query(orm.Spawner) if one.server is not None]
        assert {(one.user.name, one.name): one.server.ip for one in spawners} == running
        assert {one.server.base_url for one in spawners} == {path(key) for key in wanted}
        services = [one.server for one in session.query(orm.Service) if one.server is not None]
        servers = {one.id for one in session.query(orm.Server)}
        assert servers == {one.server.id for one in spawners} | {one.id for one in services}
        notes = sorted(one.note for one in session.query(orm.APIToken) if one.user is not None)
        assert notes == sorted(f"Server at {path(key)}" for key in wanted)
        clients = {one.identifier for one in session.query(orm.OAuthClient)}
        assert {one for one in clients if one.startswith("jupyterhub-user-")} == {
            one.oauth_client.identifier for one in spawners
        }
    engine.dispose()
