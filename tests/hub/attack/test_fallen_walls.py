"""The same attacks on a deployment whose walls were taken down on purpose: each of them has to work.

A wall that nobody can take down may be a test that cannot fail.  The site's
own configuration (``config.d``) and policy take them down here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import assaults
from bombs import BOMBS
from deployed import Running, free_port
from hosted import hosted
from raw import ask
from workbench_hub.health import wait_for

pytestmark = [pytest.mark.docker, pytest.mark.services]

FRAGMENT = """
import asyncio

from jupyterhub.handlers import base
from workbench_hub.containers import session
from workbench_hub.containers.choices import Choice
from workbench_hub.containers.spawner import ContainerSpawner

# Whose server it is: everybody may go to everybody's, and ask the hub for anything.
c.JupyterHub.load_roles.append({
    "name": "everything",
    "scopes": ["access:servers", "admin:users", "admin:servers", "list:services", "proxy", "tokens"],
    "users": ["ben"],
})

# The page's own token: neither the hub nor the servers look at it, nor at where a page is from.
base.check_xsrf_cookie = lambda handler: None
c.ContainerSpawner.args.extend(["--ServerApp.disable_check_xsrf=True", "--ServerApp.allow_origin=*"])

# What a server's name is, and what is offered: the name says whose home it gets, the wish is granted.
granted = session.choose
def choose(options, policy, groups):
    if options.get("profile") == "large":
        return Choice("large", "standard", policy.profiles["large"])
    return granted(options, policy, groups)
session.choose = choose

class Confused(ContainerSpawner):
    async def _prepare(self):
        meant = await super()._prepare()
        if self.name != "anna":
            return meant
        return await asyncio.to_thread(session.prepare, self.name, {}, self.site, None)

c.JupyterHub.spawner_class = Confused
"""


@pytest.fixture(scope="module")
def hub(docker_daemon, catalogue: Path) -> Iterator[Running]:
    with hosted(docker_daemon, catalogue, FRAGMENT, home={"method": "none"}) as running:
        yield running


def test_anyones_login_opens_anyones_server(hub, attacker, victim):
    assert {"own token", "own cookies"} & set(assaults.other_logins(hub, attacker))


def test_an_oddly_written_path_leads_there(hub, attacker, victim):
    assert [path for path in assaults.PATHS if assaults.crept_in(hub, attacker, path)]


def test_a_page_elsewhere_acts_in_a_users_name(hub, attacker, victim):
    done = assaults.forged(hub, attacker, victim)
    assert {path.split("/")[1] for path in done} == {"user", "hub"}


def test_a_page_elsewhere_hears_a_kernel(hub, attacker, victim):
    assert assaults.listened(hub, victim)


@pytest.mark.parametrize("call", [call for call in assaults.HUB_CALLS if call[0] == "GET"], ids=str)
def test_the_hubs_api_tells_everything(hub, attacker, call):
    assert assaults.got(hub, attacker.person.token(), *call)


def test_a_servers_name_says_whose_it_is(hub, docker_daemon, attacker, victim):
    with assaults.wished(hub, docker_daemon, attacker, "anna", {}) as wrong:
        assert any(word.startswith("user") for word in wrong)
        assert any(word.startswith("mount") for word in wrong)


def test_what_is_not_offered_is_given(hub, docker_daemon, attacker):
    with assaults.wished(hub, docker_daemon, attacker, "wish", {"profile": "large"}) as wrong:
        assert wrong == ["more memory or processors"]


def test_a_disk_bomb_fills_what_it_likes(hub, attacker):
    bomb = next(bomb for bomb in BOMBS if bomb.name == "disk")
    assert attacker.run(bomb.code) == "open"


def test_the_proxys_api_needs_its_token(hub, tmp_path):
    """The same program without the token in its environment lets anybody change where users go."""
    proxy = next(process for process in hub.deployment.processes() if process.name == "proxy")
    port, api = free_port(), free_port()
    words = [
        word.replace(str(hub.deployment.ports["proxy_api"]), str(api))
        .replace(str(hub.port), str(port))
        .replace(str(hub.deployment.run), str(tmp_path))
        for word in proxy.command
    ]
    without = {name: value for name, value in proxy.environment.items() if "TOKEN" not in name}
    assert without != proxy.environment
    process = subprocess.Popen(words, env={"PATH": os.environ["PATH"], **without}, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{api}"

        def up() -> bool:
            try:
                return httpx.get(f"{url}/api/routes", trust_env=False).status_code > 0
            except httpx.TransportError:
                return False

        wait_for(up, 20, "the proxy")
        assert ask(url, "/api/routes").status == 200
    finally:
        process.terminate()
        process.wait(10)
