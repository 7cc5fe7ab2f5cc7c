"""The broker's door: ``POST /v1/COMMAND`` with a server's token, and ``GET /health``."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from workbench.errors import ResourceExceeded, Unavailable, WorkbenchError
from workbench_hub.broker.callers import Caller, Callers
from workbench_hub.broker.rules import Refused
from workbench_hub.broker.running import Done
from workbench_hub.broker.service import Broker, Request

__all__ = ["Server", "application", "server"]

_SLOWEST = 10.0
"""Seconds in which a request has to be here, its head and its body each."""

_HEAD = 16 * 1024
_CONNECTIONS = 64
_THREADS = 32
_WAITING = 64
_ROOM = 64 * 1024


def application(broker: Broker, callers: Callers) -> Application:
    """Make the web application."""
    given = {
        "broker": broker,
        "callers": callers,
        "pool": ThreadPoolExecutor(_THREADS, "broker"),
        "turns": {},
    }
    return Application(
        [(r"/health", _Health), (r"/v1/([a-z]{1,20})", _Command, given)],
        log_function=lambda handler: None,  # the service writes down what matters
    )


def server(application: Application, broker: Broker) -> Server:
    """Return the server of an application, with limits for what comes slowly or is large."""
    # A script is a third longer as base64.
    most = broker.rules.script_bytes * 3 // 2 + _ROOM
    return Server(
        application,
        max_header_size=_HEAD,
        max_body_size=most,
        max_buffer_size=most + _HEAD,
        idle_connection_timeout=_SLOWEST,
        body_timeout=_SLOWEST,
    )


class Server(HTTPServer):
    """A server that keeps some connections for everybody: one address has no more than its own."""

    def initialize(self, *given: Any, **named: Any) -> None:
        """Begin with nobody."""
        super().initialize(*given, **named)
        self._open: Counter[str] = Counter()

    def handle_stream(self, stream: Any, address: tuple[Any, ...]) -> None:
        """Take a connection, or close it."""
        host = str(address[0])
        if self._open[host] >= _CONNECTIONS:
            stream.close()
            return
        self._open[host] += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        """Forget a connection."""
        host = str(server_conn.context.address[0])
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]
        super().on_close(server_conn)


class _Health(RequestHandler):
    def get(self) -> None:
        self.finish("ok")


class _Command(RequestHandler):
    def initialize(self, broker: Broker, callers: Callers, pool: Any, turns: dict[str, _Turn]) -> None:
        self.broker, self.callers, self.pool, self.turns = broker, callers, pool, turns

    async def post(self, command: str) -> None:
        """Do what a server asks."""
        try:
            caller = await self._caller(command)
            done, status = await self._answer(caller, command), 200
        except WorkbenchError as error:
            done, status = Done(1, "", f"{command}: error: broker: {error}\n"), _status(error)
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"code": done.code, "stdout": done.out, "stderr": done.err}))

    async def _caller(self, command: str) -> Caller:
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        try:
            if kind.lower() not in ("token", "bearer") or not token.isascii() or not token.strip():
                raise _NotLetIn("The request", "has no token", "A server's is in JUPYTERHUB_API_TOKEN.")
            try:
                return await self.callers.of(token.strip())
            except Refused as error:
                raise _NotLetIn(error.subject, error.problem, error.remedy) from error
        except _NotLetIn as error:
            told = {"address": self.request.remote_ip, "command": command}
            await asyncio.to_thread(self.broker.refused, "", error, told)
            raise

    async def _answer(self, caller: Caller, command: str) -> Done:
        request, name = await self._request(caller, command), caller.who.name
        turn = self.turns.setdefault(name, _Turn(self.broker.rules.at_a_time))
        if turn.waiting >= _WAITING:
            raise Unavailable("You", f"have {turn.waiting} requests under way", "Wait until one is answered.")
        turn.waiting += 1
        try:
            async with turn.free:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self.pool, self.broker.answer, caller, request)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self.turns[name]

    async def _request(self, caller: Caller, command: str) -> Request:
        try:
            return _read(command, self.request.body)
        except Refused as error:
            told = {"server": caller.server, "command": command}
            await asyncio.to_thread(self.broker.refused, caller.who.name, error, told)
            raise


class _Turn:
    """One user's requests: a few at a time, the others wait."""

    def __init__(self, at_a_time: int) -> None:
        self.free = asyncio.Semaphore(at_a_time)
        self.waiting = 0


class _NotLetIn(Refused):
    """Somebody who is not let in."""


def _read(command: str, body: bytes) -> Request:
    """Read a request; words and script are all that counts in it."""
    try:
        fields = json.loads(body)
        words, script, id = fields["words"], fields.get("script", ""), fields.get("id", "")
        if not (_texts(words) and isinstance(script, str) and isinstance(id, str)):
            raise TypeError("words")
        return Request(command, words, base64.b64decode(script, validate=True), id)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error) as error:
        raise Refused("The request", "is not of the form of the broker's") from error


def _texts(words: Any) -> bool:
    return isinstance(words, list) and all(isinstance(word, str) for word in words)


def _status(error: WorkbenchError) -> int:
    if isinstance(error, _NotLetIn):
        return 403
    kinds: Sequence[tuple[type[WorkbenchError], int]] = ((ResourceExceeded, 429), (Unavailable, 503))
    return next((status for kind, status in kinds if isinstance(error, kind)), 422)
