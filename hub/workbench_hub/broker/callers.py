"""Who asks: from a token to a user, the server that holds it, and the image which the hub gave that.

Nothing of it comes from the request but the token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from typing import Any
from urllib.parse import quote

import httpx

from workbench.errors import Unavailable, WorkbenchError
from workbench_hub.broker.rules import Refused
from workbench_hub.broker.running import Who

__all__ = ["SCOPE", "Caller", "Callers"]

SCOPE = "access:services!service=broker"
"""What a token has to allow besides being a server's own."""

_KEPT = 2.0
_MOST = 10_000
_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A server of a user's.

    Parameters
    ----------
    who : Who
    server : str
        Its name; empty for the one without.
    digest : str
        Of its image.
    """

    who: Who
    server: str
    digest: str


class Callers:
    """Asks the hub who holds a token, and remembers it for two seconds: a revoked one is dead after that.

    Parameters
    ----------
    url : str
        Of the hub's API.
    token : str
        Of the broker as a service, which may read users, servers and their state.
    who : callable
        Returns who a user is, from the name and what the identity provider said.
    """

    def __init__(self, url: str, token: str, who: Callable[[str, Mapping[str, Any] | None], Who]) -> None:
        self._url, self._token, self._who = url.rstrip("/"), token, who
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)
        self._known: dict[str, tuple[float, Caller | WorkbenchError]] = {}

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def of(self, token: str) -> Caller:
        """Return the server that holds a token.

        Raises
        ------
        Refused
            If it is no server's, has no right to this, or its user may not work here.
        Unavailable
            If the hub does not answer.
        """
        key = sha256(token.encode()).hexdigest()
        now = monotonic()
        until, known = self._known.get(key, (0.0, None))
        if known is None or until < now:
            if len(self._known) > _MOST:
                self._known = {name: entry for name, entry in self._known.items() if entry[0] > now}
            try:
                known = await self._find(token)
            except Refused as error:
                known = error
            self._known[key] = now + _KEPT, known
        if isinstance(known, WorkbenchError):
            raise known
        return known

    async def _find(self, token: str) -> Caller:
        said = await self._ask("/user", token)
        if said is None:
            raise Refused("The token", "is unknown to the hub, or has expired", "Restart your server.")
        if said.get("kind") != "user":
            raise Refused("The token", "is a service's", "Jobs are sent by users' servers.")
        name, scopes = str(said["name"]), {*said.get("scopes", ())}
        about = await self._ask(f"/users/{quote(name, safe='')}", self._token)
        if about is None:
            raise Refused(f"User {name!r:.80}", "is unknown to the hub")
        servers: dict[str, Any] = about.get("servers") or {}
        held = [server for server in servers if f"access:servers!server={name}/{server}" in scopes]
        opened = {scope for scope in scopes if scope.startswith("access:servers")}
        if len(held) != 1 or len(opened) != 1:
            raise Refused(
                "The token",
                "is not that of one running server of its user",
                "It is in JUPYTERHUB_API_TOKEN there.",
            )
        if SCOPE not in scopes:
            raise Refused("The token", f"does not allow {SCOPE}", "Restart your server.")
        given = (servers[held[0]].get("state") or {}).get("given") or {}
        if not given.get("digest"):
            raise Refused(f"The server {held[0]!r:.80}", "has no image that the hub knows")
        try:
            who = await asyncio.to_thread(self._who, name, about.get("auth_state"))
        except Refused:
            raise
        except WorkbenchError as error:
            raise Refused(error.subject, error.problem, error.remedy) from error
        if (given.get("uid"), given.get("gid")) != (who.uid, who.gid):
            raise Refused(
                f"The server {held[0]!r:.80}",
                f"runs as uid {given.get('uid')}, and its user has {who.uid} by now",
                "Restart it.",
            )
        return Caller(who, held[0], str(given["digest"]))

    async def _ask(self, path: str, token: str) -> dict[str, Any] | None:
        """Return what the hub says, or None if it says that there is no such thing or right."""
        try:
            answer = await self._http.get(self._url + path, headers={"Authorization": f"token {token}"})
            if answer.status_code in (401, 403, 404):
                return None
            answer.raise_for_status()
            return dict(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable("The hub", f"does not say who asks ({error!r})") from error
