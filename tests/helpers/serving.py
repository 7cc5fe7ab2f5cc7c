"""The web services over real HTTP, in a thread of the tests."""

from __future__ import annotations

import base64
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import obspy
import uvicorn
from fastapi import FastAPI

from workbench.settings import Settings

LIMIT = 4 * 2**20


def settings(**given: Any) -> Settings:
    return Settings(**{"workers": 2, "max_bytes": LIMIT, "sync_seconds": 60, **given})


@contextmanager
def served(application: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application at a free port, and give a client for it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False, lifespan="on"))
        up = threading.Event()
        begin = server.startup

        async def startup(*given: Any, **named: Any) -> None:
            await begin(*given, **named)
            up.set()

        server.startup = startup  # type: ignore[method-assign]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        assert up.wait(120)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(30)


def miniseed(stream: obspy.Stream) -> str:
    buffer = io.BytesIO()
    stream.write(buffer, format="MSEED")
    return base64.b64encode(buffer.getvalue()).decode()
