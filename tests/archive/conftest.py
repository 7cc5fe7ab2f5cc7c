"""Streams, an archive, and a server of FDSN services that can be told to fail."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from workbench.archive import Archive

MIDNIGHT = UTCDateTime(2020, 3, 1)


def trace(
    data: object = 1000,
    start: UTCDateTime = MIDNIGHT,
    rate: float = 100.0,
    seed_id: str = "XX.ABC..HHZ",
    seed: int = 0,
) -> Trace:
    """Return a trace of given samples, or of so many random ones."""
    if isinstance(data, int):
        data = np.random.default_rng(seed).integers(-9999, 9999, data).astype(np.int32)
    network, station, location, channel = seed_id.split(".")
    header = {
        "network": network,
        "station": station,
        "location": location,
        "channel": channel,
        "starttime": start,
        "sampling_rate": rate,
    }
    return Trace(np.ma.asanyarray(data) if isinstance(data, np.ma.MaskedArray) else np.asarray(data), header)


def mseed(stream: Stream | Trace, **kwargs: object) -> bytes:
    out = BytesIO()
    (Stream([stream]) if isinstance(stream, Trace) else stream).write(out, format="MSEED", **kwargs)
    return out.getvalue()


def everything(archive: Archive, seed_id: str = "*.*.*.*") -> Stream:
    return archive.get_waveforms(*seed_id.split("."), UTCDateTime(1950, 1, 1), UTCDateTime(2050, 1, 1))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@dataclass
class Server:
    """An FDSN server: what it holds, and how it is to fail."""

    source: Archive
    fail: Callable[[str, dict[str, str]], str | None] = lambda service, query: None
    """What to do with a request: a status, ``cut`` to break off in the middle, or None to answer."""
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, service: str, query: dict[str, str]) -> bytes:
        codes = [query.get(name, "*") for name in ("network", "station", "location", "channel")]
        start, end = (
            UTCDateTime(query[name]) if name in query else None for name in ("starttime", "endtime")
        )
        if service == "dataselect":
            return self.source.get_records(*codes, start, end)
        out = BytesIO()
        if service == "station":
            found = self.source.get_stations(*codes, start, end, level=query.get("level", "station"))
            if len(found):
                found.write(out, format="STATIONXML")
        else:
            events = self.source.get_events(start, end)
            if len(events):
                events.write(out, format="QUAKEML")
        return out.getvalue()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            service = parts.path.split("/")[2]
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            server.asked.append((service, query))
            fault = server.fail(service, query)
            if fault is not None and fault.isdigit():
                return self.reply(int(fault), b"as told")
            body = server.answer(service, query)
            if not body:
                return self.reply(204, b"")
            return self.reply(200, body, short=fault == "cut")

        def reply(self, status: int, body: bytes, short: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body[: len(body) // 2 + 7] if short else body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        server.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(Server(Archive(tmp_path / "center"))) as running:
        yield running
