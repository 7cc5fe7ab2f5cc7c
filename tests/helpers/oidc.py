"""A small OpenID Connect provider: discovery, log-in form, code flow with PKCE, userinfo, over TLS."""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from workbench_hub.health import wait_for

CLIENT = "workbench"


@dataclass
class Provider:
    """Who has an account at the provider, and what is under way."""

    port: int
    ca: Path
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.port}/realm"

    def application(self) -> FastAPI:
        app = FastAPI()
        app.get("/realm/.well-known/openid-configuration")(self._description)
        app.get("/realm/authorize")(self._form)
        app.post("/realm/authorize")(self._login)
        app.post("/realm/token")(self._token)
        app.get("/realm/userinfo")(self._userinfo)
        return app

    async def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    async def _form(self, request: Request) -> HTMLResponse:
        query = dict(request.query_params)
        if query.get("client_id") != CLIENT or query.get("response_type") != "code":
            raise HTTPException(400, "unknown client")
        if query.get("code_challenge_method") != "S256" or "openid" not in query.get("scope", "").split():
            raise HTTPException(400, "this provider wants PKCE and the scope openid")
        kept = "".join(
            f'<input type="hidden" name="{html.escape(key)}" value="{html.escape(value)}">'
            for key, value in query.items()
        )
        return HTMLResponse(f'<form method="post">{kept}<input name="account"><button>Log in</button></form>')

    async def _login(self, request: Request) -> RedirectResponse:
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        if form["account"] not in self.people:
            raise HTTPException(403, "no such account")
        code = secrets.token_urlsafe(16)
        self.codes[code] = form
        answer = urlencode({"code": code, "state": form["state"]})
        return RedirectResponse(f"{form['redirect_uri']}?{answer}", status_code=303)

    async def _token(self, request: Request) -> JSONResponse:
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        given = (form.get("client_id"), form.get("client_secret"))
        if header := request.headers.get("authorization", "").removeprefix("Basic "):
            given = tuple(base64.b64decode(header).decode().split(":", 1))
        begun = self.codes.pop(form.get("code", ""), None)
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if given != (CLIENT, self.secret):
            return JSONResponse({"error": "invalid_client"}, 401)
        if begun is None or begun["code_challenge"] != challenge:
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = secrets.token_urlsafe(24)
        self.tokens[token] = begun["account"]
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 300})

    async def _userinfo(self, request: Request) -> dict[str, Any]:
        account = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if account is None:
            raise HTTPException(401)
        self.asked.append(account)
        return {"sub": account, **self.people[account]}


@contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """Run a provider at a free port of 127.0.0.1, with a certificate of its own in `folder`."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        found = Provider(listening.getsockname()[1], certificate)
        config = uvicorn.Config(
            found.application(),
            ssl_keyfile=key,
            ssl_certfile=certificate,
            log_level="warning",
            lifespan="off",
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            wait_for(lambda: server.started, 20, "the identity provider")
            yield found
        finally:
            server.should_exit = True
            thread.join(20)
