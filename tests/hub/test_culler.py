"""The culler, at a real hub with real servers: whom it ends, and whom it never does."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar, TypeVar

import httpx
import pytest

from livehub import LiveHub, live_hub
from person import SLEEP, Person
from workbench.errors import InvalidSetting, Unavailable
from workbench_hub.health import wait_for
from workbench_hub.life.culler import Culler, Looked, Rules
from workbench_hub.life.jobs import Job, JobsOf, load, no_jobs
from workbench_hub.life.meters import Processes
from workbench_hub.life.notices import Board
from workbench_hub.life.servers import Activity, Hub, Server

pytestmark = pytest.mark.services

SOON = Rules(idle=timedelta(seconds=3), warn=timedelta(seconds=2))
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[LiveHub]:
    with live_hub(tmp_path_factory.mktemp("culler") / "state") as hub:
        yield hub


@pytest.fixture(scope="module")
def anna(hub: LiveHub) -> Iterator[Person]:
    """Somebody whose kernel sleeps for minutes and says nothing: busy, and never to be stopped."""
    with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        anna.start_server()
        kernel = anna.start_kernel()
        anna.run(kernel, "treasure = 42")
        anna.kernel = kernel
        yield anna


@pytest.fixture
def bert(hub: LiveHub) -> Iterator[Person]:
    """Somebody who started a server and went away."""
    with Person(hub.url, "bert", hub.passwords["bert"]) as bert:
        bert.start_server()
        yield bert


@pytest.fixture
def board(tmp_path) -> Board:
    return Board(tmp_path / "life")


def with_hub(hub: LiveHub, do: Callable[[Hub], Awaitable[Result]]) -> Result:
    async def go() -> Result:
        asked = Hub(hub.api, hub.deployment.tokens["culler"], timeout=4)
        try:
            return await do(asked)
        finally:
            await asked.close()

    return asyncio.run(go())


def look(
    hub: LiveHub,
    board: Board,
    until: Callable[[dict[str, Looked]], bool],
    *,
    rules: Rules = SOON,
    jobs: JobsOf = no_jobs,
    seconds: float = 40,
) -> list[dict[str, Looked]]:
    """Let a culler look again and again until it found what is waited for; return all that it found."""

    async def rounds(asked: Hub) -> list[dict[str, Looked]]:
        culler, meter, found = Culler(asked, jobs, board, rules), Processes(), []
        end = time.monotonic() + seconds
        while not found or not until(found[-1]):
            assert time.monotonic() < end, found[-3:]
            servers = await asked.servers()
            readings = [(server, meter.read(server)) for server in servers]
            cpu = {server.key: reading.cpu_seconds for server, reading in readings if reading}
            found.append({item.server.user: item for item in await culler.look(servers, cpu)})
            await asyncio.sleep(0.3)
        return found

    return with_hub(hub, rounds)


def verdicts(found: Sequence[dict[str, Looked]], user: str) -> list[str]:
    """What was found of a user's server, each change once."""
    said = [looked[user].verdict for looked in found if user in looked]
    return [one for number, one in enumerate(said) if number == 0 or said[number - 1] != one]


def begin(person: Person, code: str) -> None:
    """Run a cell and do not wait for its end."""
    with pytest.raises(Exception, match="timed out"):
        person.run(person.kernel, code, seconds=1)


def test_a_busy_kernel_is_never_ended_and_an_idle_server_is_after_a_warning(hub, anna, bert, board):
    begin(anna, SLEEP)
    found = look(hub, board, lambda last: "bert" not in last or last["bert"].verdict == "stopped")
    assert verdicts(found, "anna") == ["busy"]
    assert verdicts(found, "bert")[-2:] == ["warned", "stopped"]
    warned = [looked["bert"].verdict for looked in found].count("warned")
    assert warned >= 4, "the warning came two seconds before"
    assert "kernel python3" in found[-1]["anna"].reason
    (said,) = board.of("bert")
    assert "was stopped" in said.text
    assert board.of("anna") == []
    wait_for(
        lambda: bert.http.get("/hub/api/users/bert").json().get("server") is None, 30, "the end of bert's"
    )
    anna.interrupt(anna.kernel)
    assert anna.run(anna.kernel, "print(treasure)") == "42\n"


def test_a_user_who_comes_back_keeps_the_server_and_the_warning_is_gone(hub, bert, board):
    rules = Rules(idle=timedelta(seconds=30), warn=timedelta(seconds=29))
    look(hub, board, lambda last: last["bert"].verdict == "warned", rules=rules)
    bert.kernel = bert.start_kernel()
    bert.run(bert.kernel, "1")
    assert len(board.of("bert")) == 1
    found = look(hub, board, lambda last: last["bert"].verdict == "active", rules=rules)
    assert verdicts(found, "bert")[-1] == "active"


def test_a_warning_is_taken_back(hub, bert, board):
    rules = Rules(idle=timedelta(seconds=20), warn=timedelta(seconds=18))
    back = []

    def until(last: dict[str, Looked]) -> bool:
        if last["bert"].verdict == "warned" and not back:
            assert "is idle and stops in" in board.of("bert")[0].text
            bert.kernel = bert.start_kernel()
            bert.run(bert.kernel, "1")
            back.append(True)
        return bool(back) and last["bert"].verdict == "active"

    look(hub, board, until, rules=rules)
    assert board.of("bert") == []


@pytest.mark.parametrize("answer", ["a job", "nobody knows"])
def test_a_server_whose_user_has_jobs_is_kept(hub, bert, board, answer):
    def jobs(user: str) -> Sequence[Job]:
        if user != "bert":
            return ()
        if answer == "nobody knows":
            raise Unavailable("The scheduler", "does not answer")
        return [Job("4711", "locate", "RUNNING")]

    begun = time.monotonic()
    found = look(hub, board, lambda _: time.monotonic() > begun + 5, jobs=jobs)
    assert verdicts(found, "bert")[-1] == "jobs"
    assert "stopped" not in verdicts(found, "bert")
    assert ("4711 locate" if answer == "a job" else "does not answer") in found[-1]["bert"].reason


def test_a_process_that_computes_behind_an_idle_kernel_keeps_its_server(hub, bert, board):
    bert.kernel = bert.start_kernel()
    code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'while True: pass'])"
    bert.run(bert.kernel, code)
    try:
        begun = time.monotonic()
        found = look(hub, board, lambda _: time.monotonic() > begun + 5)
        assert verdicts(found, "bert")[-1] == "computing"
        assert "stopped" not in verdicts(found, "bert")
    finally:
        bert.run(bert.kernel, "p.kill(); p.wait()")


def test_a_server_that_does_not_answer_is_left_alone(hub, bert, board):
    server = with_hub(hub, lambda asked: asked.servers())
    (pid,) = [one.state["pid"] for one in server if one.user == "bert"]
    os.kill(pid, signal.SIGSTOP)
    try:
        found = look(hub, board, lambda last: last["bert"].verdict == "silent", seconds=60)
        assert "does not answer" in found[-1]["bert"].reason
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: bert.http.get("/user/bert/lab").status_code == 200, 30, "bert's server")


def test_no_server_is_ever_shown_a_token_that_opens_more_than_itself(hub, anna, bert):
    async def token(asked: Hub) -> str:
        servers = {server.user: server for server in await asked.servers()}
        return await asked._token(servers["bert"])

    headers = {"Authorization": f"token {with_hub(hub, token)}"}
    with httpx.Client(headers=headers, trust_env=False) as thief:
        assert thief.get(f"{hub.url}/user/bert/api/status").status_code == 200
        assert thief.get(f"{hub.url}/user/anna/api/status").status_code in (302, 403)
        for path in ("users", "users/anna", "users/bert/tokens", "proxy"):
            assert thief.get(f"{hub.api}/{path}").status_code in (403, 404), path
        assert thief.post(f"{hub.api}/users/bert/tokens", json={}).status_code == 403
        assert thief.delete(f"{hub.api}/users/anna/server").status_code in (403, 404)


class Simulated:
    """Five hundred servers, each idle since a time."""

    def __init__(self, ages: dict[str, timedelta]) -> None:
        begun = datetime.now(UTC) - timedelta(days=9)
        self.since = {name: datetime.now(UTC) - age for name, age in ages.items()}
        self.servers = [Server(name, "", begun, begun, f"/user/{name}/", "", {}, {}) for name in ages]
        self.stopped: list[str] = []
        self.set_by = [timedelta(0)]

    async def activity(self, server: Server) -> Activity:
        return Activity(self.since[server.user])

    async def stop(self, server: Server) -> None:
        self.stopped.append(server.user)


class Silence:
    """A teller that says nothing."""

    def warn(self, server: Server, left: timedelta) -> None: ...

    def keep(self, server: Server) -> None: ...

    def stopped(self, server: Server, idle: timedelta) -> None: ...


DAY = Rules(idle=timedelta(hours=24), warn=timedelta(hours=1))


def simulate(
    simulated: Simulated, steps: Sequence[tuple[float, Callable[[], Any] | None]]
) -> tuple[Culler, list[str]]:
    """Let a culler look at given times of a clock that nobody sets."""
    now, set_by = [0.0], simulated.set_by
    begun = datetime.now(UTC)
    culler = Culler(
        simulated,
        no_jobs,
        Silence(),
        DAY,
        clock=lambda: now[0],
        wall=lambda: begun + timedelta(seconds=now[0]) + set_by[0],
    )
    for moment, before in steps:
        now[0] = moment
        if before is not None:
            before()
        asyncio.run(culler.look(simulated.servers))
    return culler, simulated.stopped


def test_of_five_hundred_servers_exactly_those_that_were_idle_and_warned_are_stopped():
    ages = {f"u{number}": timedelta(minutes=6 * number) for number in range(500)}
    _, stopped = simulate(Simulated(ages), [(0, None), (3601, None)])
    # Within the hour of the warning one more hour's worth of servers became a day old.
    assert set(stopped) == {name for name, age in ages.items() if age >= timedelta(hours=23)}
    assert len(stopped) == len(set(stopped)) == 270


def test_after_a_restart_everybody_is_warned_anew():
    ages = {"anna": timedelta(days=3)}
    _, stopped = simulate(Simulated(ages), [(0, None), (3500, None)])
    assert stopped == []


def test_a_clock_that_jumps_a_week_ahead_ends_nobody():
    """Servers that were used a minute ago seem a week old; the clock that nobody sets knows better."""
    ages = {f"u{number}": timedelta(minutes=1) for number in range(20)}
    simulated = Simulated(ages)

    def jump() -> None:
        simulated.set_by[0] = timedelta(days=7)

    _, stopped = simulate(simulated, [(0, None), (300, None), (600, jump), (4300, None), (8000, None)])
    assert stopped == []


def test_activity_in_the_time_to_come_is_activity():
    """The clock was set back: what happened before seems to come."""
    _, stopped = simulate(Simulated({"anna": timedelta(days=-2)}), [(0, None), (3601, None)])
    assert stopped == []


class Hostile(BaseHTTPRequestHandler):
    """A user's server that its user replaced, beside a hub that makes a token for it."""

    seen: ClassVar[list[str]] = []
    answer: ClassVar[str] = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(201, b'{"token": "narrow"}')

    def do_GET(self) -> None:
        self.seen.append(f"{self.path.split('?')[0]} {self.headers['Authorization']}")
        if self.answer == "endless":
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(b"[" * 65536)
        elif self.answer == "redirect":
            self.send_response(302)
            self.send_header("Location", "/hub/api/users")
            self.end_headers()
        else:
            self._say(200, self.answer.encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    "answer",
    [
        "endless",
        "redirect",
        "",
        "no json",
        "[]",
        "7",
        '{"last_activity": "soon"}',
        '{"last_activity": 1}',
        "[" * 5000,
    ],
)
def test_a_server_that_answers_anything_harms_nobody(answer):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.daemon_threads = True
    Thread(target=server.serve_forever).start()
    Hostile.answer, base = answer, f"http://127.0.0.1:{server.server_port}"
    Hostile.seen.clear()
    now = datetime.now(UTC)
    eve = Server("eve", "", now, now, "/user/eve/", base, {}, {})

    async def ask() -> None:
        hub = Hub(f"{base}/hub/api", "powerful", timeout=5)
        try:
            await hub.activity(eve)
        finally:
            await hub.close()

    try:
        with pytest.raises(Unavailable, match="The server eve"):
            asyncio.run(ask())
    finally:
        server.shutdown()
        server.server_close()
    assert set(Hostile.seen) <= {f"/user/eve/api/{what} token narrow" for what in ("status", "kernels")}


def test_a_scheduler_is_found_by_name_or_the_name_is_refused():
    assert load("") is no_jobs
    assert load("workbench_hub.life.jobs:no_jobs") is no_jobs
    for wrong in ("workbench_hub.life.jobs:nobody", "nowhere:jobs", "nowhere"):
        with pytest.raises(InvalidSetting, match="names no function"):
            load(wrong)


def test_a_warning_that_could_not_be_said_was_none():
    """The disk is full when the user should be told."""

    class Full(Silence):
        def warn(self, server: Server, left: timedelta) -> None:
            raise OSError("no space left on the device")

    now = [0.0]
    simulated = Simulated({"anna": timedelta(days=3)})
    culler = Culler(simulated, no_jobs, Full(), DAY, clock=lambda: now[0])
    for moment in (0, 4000, 8000):
        now[0] = moment
        with pytest.raises(OSError, match="no space"):
            asyncio.run(culler.look(simulated.servers))
    assert simulated.stopped == []
