"""Who asks: by a token of the hub, by a log-in at the hub, or nobody in particular.

Behind the hub each request carries a token of it, as ``Authorization: Bearer``
or, from a browser, in a cookie that the log-in at the hub left.  The hub says
whose token it is and whether it may use these services; its answer is believed
for a short while.  Alone (``workbench serve``) there is no log-in.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Protocol

import httpx
from fastapi import Request

from workbench.errors import Unavailable
from workbench_api.problems import Problem

__all__ = ["Alone", "Hub", "Identity", "User"]

COOKIE = "workbench-services"

_BELIEVED_SECONDS = 10.0
_MOST_KNOWN = 1000
_SCOPES = frozenset({"access:services", "access:services!service=workbench"})


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may ask."""

    name: str
    admin: bool = False


class Identity(Protocol):
    """How to find out who asks."""

    async def user(self, request: Request) -> User:
        """Return who asks.

        Raises
        ------
        Problem
            401 if nobody is said, 403 if that one may not.
        """


class Alone:
    """No log-in; if a token is set it is asked for.

    Parameters
    ----------
    token : str
        Empty for none.
    """

    def __init__(self, token: str = "") -> None:
        self._token = token

    async def user(self, request: Request) -> User:
        """Return the only user there is."""
        if self._token and not hmac.compare_digest(bearer(request).encode(), self._token.encode()):
            raise unauthorized("This service asks for its token (WORKBENCH_TOKEN).")
        return User("local", admin=True)


class Hub:
    """Tokens of JupyterHub.

    Parameters
    ----------
    api_url : str
        The hub's API.
    client : httpx.AsyncClient
    """

    def __init__(self, api_url: str, client: httpx.AsyncClient) -> None:
        self._api_url = api_url.rstrip("/")
        self._client = client
        self._known: dict[bytes, tuple[float, User]] = {}

    async def user(self, request: Request) -> User:
        """Ask the hub whose token it is."""
        token = bearer(request) or request.cookies.get(COOKIE, "")
        if not token:
            raise unauthorized("Log in at the hub, or send a token of it as Authorization: Bearer.")
        key = hashlib.sha256(token.encode()).digest()
        until, user = self._known.get(key, (0.0, User("")))
        if monotonic() < until:
            return user
        user = await self._ask(token)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = monotonic() + _BELIEVED_SECONDS, user
        return user

    def forget(self, token: str) -> None:
        """Believe nothing more about a token."""
        self._known.pop(hashlib.sha256(token.encode()).digest(), None)

    async def _ask(self, token: str) -> User:
        try:
            headers = {"Authorization": f"token {token}"}
            answer = await self._client.get(f"{self._api_url}/user", headers=headers)
        except (httpx.HTTPError, UnicodeError) as error:
            if isinstance(error, UnicodeError):
                raise unauthorized("That is no token of the hub.") from error
            raise Unavailable("The hub", f"does not answer ({error})", "Try again in a moment.") from error
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise unauthorized("The hub does not know that token; it may have ended.")
        if not answer.is_success:
            raise Unavailable("The hub", f"answers {answer.status_code}", "Try again in a moment.")
        model = answer.json()
        if not _SCOPES & set(model.get("scopes", ())):
            raise Problem(HTTPStatus.FORBIDDEN, "That token may not use these services.")
        return User(model["name"], bool(model.get("admin")))


def bearer(request: Request) -> str:
    """Return the token of the ``Authorization`` header, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "token") else ""


def unauthorized(detail: str) -> Problem:
    """Return the problem of not being logged in."""
    return Problem(
        HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": 'Bearer realm="seismic workbench"'}
    )
