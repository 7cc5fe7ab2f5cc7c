"""Logging in with a browser: the hub's OAuth, which leaves its token in a cookie.

The cookie is for these services' path alone, and no script can read it.  Since
a browser sends it by itself, requests that do something must also come from a
page of this origin.
"""

from __future__ import annotations

import hmac
import secrets
from http import HTTPStatus
from urllib.parse import urlencode, urlsplit

import httpx
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from workbench.errors import Unavailable
from workbench_api.identity import COOKIE, Hub, bearer
from workbench_api.problems import Problem

__all__ = ["Login", "check_origin"]

STATE = "workbench-login"

_STATE_SECONDS = 600


class Login:
    """The way to the hub and back.

    Parameters
    ----------
    hub : Hub
    client : httpx.AsyncClient
    api_url : str
        The hub's API, as this process reaches it.
    token : str
        This service's own token, the secret of its OAuth client.
    prefix : str
        Path of these services.
    """

    client_id = "service-workbench"

    def __init__(self, hub: Hub, client: httpx.AsyncClient, api_url: str, token: str, prefix: str) -> None:
        self._hub = hub
        self._client = client
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._prefix = prefix
        self._callback = f"{prefix}oauth_callback"
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route(f"{prefix}oauth_callback", self.callback, methods=["GET"])
        self.router.add_api_route(f"{prefix}logout", self.logout, methods=["GET"])

    def begin(self, request: Request) -> Response:
        """Send a browser to the hub, to come back to what it asked for."""
        state = secrets.token_urlsafe(16)
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        query = {
            "client_id": self.client_id,
            "redirect_uri": self._callback,
            "response_type": "code",
            "state": state,
        }
        # The hub's public path: the browser comes through the same proxy as we are behind.
        response = RedirectResponse(
            f"{self._public_api}/oauth2/authorize?{urlencode(query)}", HTTPStatus.FOUND
        )
        self._set(response, request, STATE, f"{state}|{wanted}", _STATE_SECONDS)
        return response

    async def callback(self, request: Request, code: str = "", state: str = "") -> Response:
        """Exchange the hub's code for a token."""
        expected, _, wanted = request.cookies.get(STATE, "").partition("|")
        if not code or not expected or not hmac.compare_digest(expected.encode(), state.encode()):
            raise Problem(HTTPStatus.FORBIDDEN, f"This log-in was not begun here: go to {self._prefix}")
        form = {
            "client_id": self.client_id,
            "client_secret": self._token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
        }
        try:
            answer = await self._client.post(f"{self._api_url}/oauth2/token", data=form)
        except httpx.HTTPError as error:
            raise Unavailable("The hub", f"does not answer ({error})", "Try again in a moment.") from error
        if not answer.is_success:
            raise Problem(HTTPStatus.FORBIDDEN, "The hub refused the log-in. Try again.")
        # Never away from these services, whatever the cookie says.
        path = wanted if wanted.startswith(self._prefix) and "//" not in wanted else self._prefix
        response = RedirectResponse(path, HTTPStatus.FOUND)
        self._set(response, request, COOKIE, answer.json()["access_token"], None)
        response.delete_cookie(STATE, path=self._prefix)
        return response

    async def logout(self, request: Request) -> Response:
        """Forget the cookie, and log out at the hub."""
        self._hub.forget(request.cookies.get(COOKIE, ""))
        response = RedirectResponse(f"{self.hub_path}logout", HTTPStatus.FOUND)
        response.delete_cookie(COOKIE, path=self._prefix)
        return response

    @property
    def hub_path(self) -> str:
        """Where a browser finds the hub."""
        return self._public_api.removesuffix("api")

    @property
    def _public_api(self) -> str:
        return urlsplit(self._api_url).path

    def _set(self, response: Response, request: Request, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=self._prefix,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )


def check_origin(request: Request) -> None:
    """Refuse what another site makes a logged-in browser ask.

    Raises
    ------
    Problem
        403, if the request rests on the cookie and comes from elsewhere.
    """
    if bearer(request):
        return
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if site != "same-origin" or (origin and urlsplit(origin).netloc != request.headers.get("Host", "")):
        raise Problem(HTTPStatus.FORBIDDEN, "That request comes from another site.")
