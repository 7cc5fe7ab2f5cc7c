"""Pages about a user's Dask clusters, by way of their own server, so that its log-in is theirs.

A scheduler in a notebook serves its pages on 127.0.0.1 below a path that nobody
can guess, and writes it down in its user's home (`workbench.jobs.dashboard`).
What is asked of this server below that path goes there unchanged.

This part runs inside of the user's server, so it imports nothing of the hub.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.web import HTTPError, authenticated
from tornado.websocket import WebSocketClientConnection, WebSocketHandler, websocket_connect

__all__ = ["handlers"]

_BELOW = "workbench/dask"
_NAME = r"([A-Za-z0-9_-]{20,64})"
_PASSED = ("Content-Type", "Location", "Cache-Control", "Etag", "Last-Modified")
_SECONDS = 30


def handlers(base: str) -> list[tuple[str, type[Any]]]:
    """Return what a server answers; kernels learn from the environment that it does."""
    os.environ["WORKBENCH_PAGES"] = f"{base}/{_BELOW}/"
    return [
        (rf"{base}/{_BELOW}/{_NAME}/(.*/ws)", _Stream),
        (rf"{base}/{_BELOW}/{_NAME}/(.*)", _Pages),
    ]


def _port(secret: str) -> int:
    """Return the port of a scheduler, as it wrote it down."""
    folder = Path(os.environ.get("WORKBENCH_JOBS") or "~/.workbench").expanduser() / "pages"
    try:
        return int(json.loads((folder / f"{secret}.json").read_bytes())["port"])
    except (OSError, ValueError, KeyError) as error:
        raise HTTPError(404, "There is no such cluster any more.") from error


class _Pages(JupyterHandler):
    """A page, or what belongs to one."""

    _track_activity = False

    @authenticated
    async def get(self, secret: str, rest: str) -> None:
        """Fetch it from the scheduler."""
        url = f"http://127.0.0.1:{_port(secret)}{self.request.uri}"
        asked = HTTPRequest(url, follow_redirects=False, request_timeout=_SECONDS)
        try:
            found = await AsyncHTTPClient().fetch(asked, raise_error=False)
        except OSError as error:
            raise HTTPError(502, f"The cluster does not answer ({error}).") from error
        self.set_status(found.code, found.reason)
        for name in _PASSED:
            if name in found.headers:
                self.set_header(name, found.headers[name])
        await self.finish(found.body)


class _Stream(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """What a page is told while it is open."""

    _track_activity = False
    _asked: list[str]
    _there: WebSocketClientConnection | None = None

    @authenticated
    async def get(self, secret: str, rest: str) -> None:  # type: ignore[override]
        """Become a websocket."""
        self._asked, self._at = [], _port(secret)
        await super().get(secret, rest)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Take Bokeh's, whose second word is the session."""
        self._asked = subprotocols
        return subprotocols[0] if subprotocols else None

    async def open(self, *_: str) -> None:
        """Connect to the scheduler, too."""
        url = f"ws://127.0.0.1:{self._at}{self.request.uri}"
        try:
            self._there = await websocket_connect(
                url, subprotocols=self._asked, on_message_callback=self._back, connect_timeout=_SECONDS
            )
        except OSError:
            self.close(1011, "The cluster does not answer.")

    async def on_message(self, message: str | bytes) -> None:
        """Pass on what the page says."""
        if self._there is not None:
            await self._there.write_message(message, binary=isinstance(message, bytes))

    def _back(self, message: str | bytes | None) -> None:
        if message is None:
            self.close()
        elif self.ws_connection is not None:
            self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        """Leave the scheduler."""
        if self._there is not None:
            self._there.close()
