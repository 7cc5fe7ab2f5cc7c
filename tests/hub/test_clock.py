"""Clocks that disagree: with a neighbour, and with themselves a moment ago."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from workbench.errors import Unavailable
from workbench_hub.life.clock import Clock, skew


@pytest.fixture
def neighbour() -> Iterator[Callable[[str], str]]:
    """Start a server that says the time as it is told to: ``neighbour("...")``, its address back."""
    servers = []

    def start(said: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response_only(204)
                if said:
                    self.send_header("Date", said)
                self.end_headers()

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("seconds", [0, 3600, -90, 86400 * 400])
def test_the_difference_is_found_to_about_a_second(neighbour, seconds):
    said = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    assert skew(neighbour(said)).total_seconds() == pytest.approx(seconds, abs=1.5)


@pytest.mark.parametrize("said", ["", "soon"])
def test_who_does_not_say_the_time_is_named(neighbour, said):
    url = neighbour(said)
    with pytest.raises(Unavailable, match="does not say the time") as caught:
        skew(url)
    assert url in str(caught.value)


def test_nobody_there_is_no_skew():
    with pytest.raises(Unavailable):
        skew("http://127.0.0.1:9/", timeout=1)


@pytest.mark.parametrize("jump", [timedelta(0), timedelta(days=7), timedelta(hours=-3)])
def test_a_clock_that_was_set_is_noticed_once(jump):
    wall, steady = [datetime(2026, 3, 1, tzinfo=UTC)], [100.0]
    clock = Clock(lambda: wall[0], lambda: steady[0])
    wall[0] += timedelta(seconds=30) + jump
    steady[0] += 30
    assert clock.look() == (timedelta(seconds=30), jump)
    wall[0] += timedelta(seconds=30)
    steady[0] += 30
    assert clock.look() == (timedelta(seconds=30), timedelta(0))
