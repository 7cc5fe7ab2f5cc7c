"""Clocks that jump, and clocks of others that are wrong: noticed, said, and nobody suffers from it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from living import life_of
from workbench.errors import Unavailable
from workbench.settings import Settings
from workbench_hub.deployment import Deployment
from workbench_hub.life import commands
from workbench_hub.life.audit import AuditLog
from workbench_hub.life.clock import TOLERANCE, Clock, skew
from workbench_hub.life.servers import Hub, Server
from workbench_hub.life.service import Life

SECOND = timedelta(seconds=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Hands:
    """A wall clock that somebody sets, and one that nobody sets."""

    def __init__(self) -> None:
        self.steady, self.set_by = 0.0, timedelta()

    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.steady) + self.set_by

    def clock(self) -> Clock:
        return Clock(self.wall, lambda: self.steady)


@pytest.mark.parametrize("jump", [timedelta(), timedelta(days=-7), timedelta(days=7), -31 * SECOND])
def test_a_clock_tells_what_passed_from_what_was_set(jump):
    hands = Hands()
    clock = hands.clock()
    hands.steady, hands.set_by = 30.0, jump
    assert clock.look() == (30 * SECOND, jump)
    hands.steady = 60.0
    assert clock.look() == (30 * SECOND, timedelta())  # it is told once


def test_a_clock_that_is_corrected_little_by_little_is_no_jump():
    hands = Hands()
    clock = hands.clock()
    for number in range(1, 1000):
        hands.steady, hands.set_by = 30.0 * number, 0.015 * number * SECOND
        assert abs(clock.look()[1]) < TOLERANCE


@contextmanager
def neighbour(said: Callable[[], str | None], seconds: float = 0.0) -> Iterator[str]:
    """Run a server that says a time of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            gone.wait(seconds)
            date = said()
            self.send_response_only(200)
            if date is not None:
                self.send_header("Date", date)
            self.end_headers()

    gone = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            gone.set()
            server.shutdown()
            thread.join()


def off_by(by: timedelta) -> Callable[[], str]:
    return lambda: format_datetime(datetime.now(UTC) + by, usegmt=True)


@pytest.mark.parametrize("by", [timedelta(), timedelta(hours=-1), timedelta(days=400), 31 * SECOND])
def test_a_neighbours_clock_is_compared_to_about_a_second(by):
    with neighbour(off_by(by)) as url:
        assert abs(skew(url) - by) < 1.5 * SECOND


@pytest.mark.parametrize("said", [None, "yesterday", ""])
def test_a_neighbour_that_says_no_time_says_so(said):
    with neighbour(lambda: said) as url, pytest.raises(Unavailable, match="does not say the time"):
        skew(url)


def test_a_neighbour_that_does_not_answer_says_so():
    with neighbour(off_by(timedelta()), seconds=10) as url, pytest.raises(Unavailable, match="say the time"):
        skew(url, timeout=0.2)
    with pytest.raises(Unavailable, match="does not say the time"):
        skew(url)


def test_the_command_fails_where_a_clock_is_off(tmp_path):
    deployment = Deployment(Settings(state=tmp_path / "state"))

    def run(*urls: str) -> tuple[int, str]:
        done = CliRunner().invoke(commands.clock, urls, obj=deployment)
        return done.exit_code, done.output

    with neighbour(off_by(timedelta())) as right, neighbour(off_by(timedelta(minutes=-5))) as wrong:
        code, said = run(right)
        assert code == 0, said
        code, said = run(right, wrong)
        assert code == 1
        assert len(said.splitlines()) == 2
        assert any(f"-{300 + around}." in said for around in (-1, 0, 1))


class NoServers(Hub):
    """A hub in which nobody works."""

    async def servers(self) -> list[Server]:
        return []


def life(folder: Path, **more: object) -> Life:
    return life_of(folder, NoServers, **more)


def gauge(life: Life, name: str) -> float:
    lines = life.means.metrics.text().decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(name)))


def test_the_service_says_that_the_clock_was_set_and_goes_on(tmp_path, caplog):
    hands, service = Hands(), life(tmp_path)
    service._clock = hands.clock()

    async def rounds() -> None:
        try:
            for steady, jump in [(30, 0), (60, 86400), (90, 86400), (120, -3600)]:
                hands.steady, hands.set_by = float(steady), jump * SECOND
                await service.round()
        finally:
            await service.means.hub.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(rounds())
    said = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert said == [
        "this machine's clock was set by 86400 s",
        "this machine's clock was set by -90000 s",
    ]
    assert gauge(service, "workbench_clock_jump_seconds") == -90000
    service.means.usage.close()


def test_the_service_says_whose_clock_is_wrong(tmp_path, caplog):
    with neighbour(off_by(timedelta(minutes=10))) as wrong, neighbour(lambda: None) as mute:
        service = life(tmp_path, neighbours=(("node1", wrong), ("node2", mute)))

        async def once() -> None:
            try:
                await service.round()
            finally:
                await service.means.hub.close()

        with caplog.at_level(logging.WARNING):
            asyncio.run(once())
    (said,) = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert said.startswith("the clock of node1 is ")
    assert gauge(service, 'workbench_clock_skew_seconds{of="node1"}') == pytest.approx(600, abs=2)
    service.means.usage.close()


def test_an_audit_log_of_the_time_to_come_is_no_obstacle(tmp_path):
    """Files with a time that is still to come are those of before the clock was set back."""
    log = AuditLog(tmp_path / "audit")
    log.append("login", actor="anna")
    (path,) = log.files()
    os.utime(path, (4e9, 4e9))
    log.append("login", actor="ben")
    assert log.verify().head.number == 2
