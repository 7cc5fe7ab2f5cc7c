"""The servers that run, as the hub and they themselves tell it.

A user's server belongs to its user, who may put anything in its place.  So
none ever sees a token of ours: each is asked with a token of its own user's
that opens that server and nothing else.  And what it answers is bounded in size
and time, and never trusted further than about itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from workbench.errors import Unavailable

__all__ = ["Activity", "Hub", "Server"]

_TIMEOUT = 10.0
_STOP_TIMEOUT = 60.0
_PAGE = 200
_MOST_BYTES = 2**20
_STARTING = timedelta(minutes=10)
_TOKEN_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a user, as the hub knows it.

    Parameters
    ----------
    user, name : str
        The default server's name is empty.
    started : datetime
    seen : datetime
        When something last happened, as the hub believes.
    url : str
        Its path, for example ``/user/anna/``.
    target : str
        Where it listens, past the proxy; empty if the proxy does not know it.
    state : dict
        What its spawner keeps: a container's id, or a process's.
    options : dict
        What its user chose.
    groups : tuple of str
        Of its user.
    """

    user: str
    name: str
    started: datetime
    seen: datetime
    url: str
    target: str
    state: dict[str, Any]
    options: dict[str, Any]
    groups: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, datetime]:
        """Tells this life of the server from all others."""
        return self.user, self.name, self.started

    @property
    def profile(self) -> str:
        """The profile that was chosen; empty where there are none."""
        return str(_given(self).get("profile", ""))

    @property
    def image(self) -> str:
        """The digest of its image; empty where it has none."""
        return str(_given(self).get("digest", ""))

    @property
    def label(self) -> str:
        """The server, as one says it."""
        return f"{self.user}/{self.name}" if self.name else self.user


@dataclass(frozen=True, slots=True)
class Activity:
    """What a server says of itself: when something last happened, and which kernels work."""

    last: datetime
    busy: tuple[str, ...] = ()


class Hub:
    """The hub's API, and the servers behind it.

    Parameters
    ----------
    url : str
        Of the API, ``http://127.0.0.1:8081/hub/api``.
    token : str
        Of a service with the scopes of `workbench_hub.life.wiring`.
    timeout : float, optional
        Seconds that an answer may take.
    """

    def __init__(self, url: str, token: str, timeout: float = _TIMEOUT) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        headers = {"Authorization": f"token {token}"}
        # No proxy of the environment stands between processes of one machine.
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, trust_env=False)
        self._servers = httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False)
        self._tokens: dict[tuple[str, str, datetime], tuple[str, datetime]] = {}

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()
        await self._servers.aclose()

    async def servers(self) -> list[Server]:
        """Return each server that is ready.

        Raises
        ------
        Unavailable
            If the hub does not answer.
        """
        targets = await self._targets()
        found: list[Server] = []
        for offset in range(0, 10**9, _PAGE):
            page = await self._ask(f"/users?state=ready&offset={offset}&limit={_PAGE}")
            for user in page:
                ready = [entry for entry in user["servers"].values() if entry["ready"]]
                found += [_server(user, entry, targets) for entry in ready]
            if len(page) < _PAGE:
                break
        keys = {server.key for server in found}
        self._tokens = {key: token for key, token in self._tokens.items() if key in keys}
        return found

    async def activity(self, server: Server) -> Activity:
        """Ask a server itself.

        Raises
        ------
        Unavailable
            If it does not answer as a Jupyter server does.
        """
        try:
            status = await self._ask_server(server, "GET", "api/status")
            kernels = await self._ask_server(server, "GET", "api/kernels")
            now = datetime.now(UTC)
            busy = tuple(f"kernel {str(kernel['name'])[:40]}" for kernel in kernels if _works(kernel, now))
            return Activity(_time(status["last_activity"]), busy)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(f"The server {server.label}", "answers with something else") from error

    async def _targets(self) -> dict[str, str]:
        """Return where the proxy leads to, by address; the hub tells it in pages, as everything."""
        found: dict[str, str] = {}
        for offset in range(0, 10**9, _PAGE):
            page = await self._ask(f"/proxy?offset={offset}&limit={_PAGE}")
            found |= {_route(route["routespec"]): route["target"] for route in page.values()}
            if len(page) < _PAGE:
                break
        return found

    async def tell(self, server: Server, notices: list[dict[str, Any]]) -> None:
        """Give the notices that stand to a server, which shows them in its user's Lab.

        Raises
        ------
        Unavailable
            If it does not take them.
        """
        await self._ask_server(server, "PUT", "workbench/notices", notices)

    async def stop(self, server: Server) -> None:
        """Stop a server."""
        user, name = quote(server.user, safe=""), quote(server.name, safe="")
        path = f"/users/{user}/servers/{name}" if name else f"/users/{user}/server"
        # The hub waits ten seconds for the server's end before it answers.
        await self._ask(path, "DELETE", timeout=_STOP_TIMEOUT)

    async def _ask(
        self, path: str, method: str = "GET", content: Any = None, timeout: float | None = None
    ) -> Any:
        try:
            answer = await self._http.request(
                method, self.url + path, json=content, timeout=timeout or self._timeout
            )
            answer.raise_for_status()
            return answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("The hub", f"does not answer as it should ({error})") from error

    async def _ask_server(self, server: Server, method: str, path: str, content: Any = None) -> Any:
        """Ask a server of a user, and read no more than is reasonable."""
        headers = {"Authorization": f"token {await self._token(server)}"}
        address = f"{server.target.rstrip('/')}{server.url}{path}"
        asked = self._servers.stream(
            method, address, params={"no_track_activity": "1"}, json=content, headers=headers
        )
        try:
            async with asked as answer:
                answer.raise_for_status()
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise Unavailable(f"The server {server.label}", "answers without end")
            return json.loads(body) if body else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise Unavailable(f"The server {server.label}", f"does not answer ({error!r})") from error

    async def _token(self, server: Server) -> str:
        """Return a token that opens this one server, made in the name of its user."""
        now = datetime.now(UTC)
        token, until = self._tokens.get(server.key, ("", now))
        if now < until:
            return token
        wanted = {
            "note": "asks this server whether it is idle, and tells it notices",
            "scopes": [f"access:servers!server={server.user}/{server.name}"],
            "expires_in": _TOKEN_SECONDS,
        }
        made = await self._ask(f"/users/{quote(server.user, safe='')}/tokens", "POST", wanted)
        self._tokens[server.key] = made["token"], now + timedelta(seconds=_TOKEN_SECONDS / 2)
        return str(made["token"])


def _given(server: Server) -> dict[str, Any]:
    """Return what a container's session was made of."""
    return server.state.get("given") or {}


def _server(user: dict[str, Any], entry: dict[str, Any], targets: dict[str, str]) -> Server:
    started = _time(entry["started"])
    return Server(
        user=user["name"],
        name=entry["name"],
        started=started,
        seen=_time(entry["last_activity"]) if entry["last_activity"] else started,
        url=urlsplit(entry["url"]).path,
        target=targets.get(_route(entry["url"]), ""),
        state=entry.get("state") or {},
        options=entry.get("user_options") or {},
        groups=tuple(user.get("groups", ())),
    )


def _route(address: str) -> str:
    """Return the proxy's name of an address: with the host where users have hosts of their own."""
    parts = urlsplit(address)
    return unquote(f"{parts.hostname or ''}{parts.path}").rstrip("/")


def _works(kernel: dict[str, Any], now: datetime) -> bool:
    """Whether a kernel works; one that nobody ever spoke to says `starting` for ever."""
    if kernel["execution_state"] in ("idle", "dead"):
        return False
    return kernel["execution_state"] == "busy" or now - _time(kernel["last_activity"]) < _STARTING


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
