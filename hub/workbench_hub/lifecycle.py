"""How a deployment starts, stops, and takes a new policy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from urllib.parse import quote

import click
import httpx

from workbench.errors import InvalidSetting, Unavailable
from workbench_hub import cluster, host, supervision, walls
from workbench_hub.deployment import Deployment, is_free
from workbench_hub.health import healthy, wait_for

__all__ = ["GENERATED", "demonstration", "policy_differs", "reload", "start", "stop", "tail", "wait"]

GENERATED = (
    "Passwords and uids are made here: for development only.  A site says in its policy where they come from "
    "(identity: pam or oidc)."
)

_UP_SECONDS = 90.0
_SERVERS_SECONDS = 20.0
_FIRST_FREE_PORT = 1024
_FIRST_USERS = {"scientist": False, "operator": True}


def start(deployment: Deployment, say: Callable[[str], None]) -> dict[str, str]:
    """Start the supervisor; return the passwords that were made."""
    port = deployment.settings.port
    if port < _FIRST_FREE_PORT and os.geteuid():
        raise InvalidSetting(
            f"Port {port}", "is for root alone", f"Choose one from {_FIRST_FREE_PORT} up with WORKBENCH_PORT."
        )
    if not is_free(port):
        raise InvalidSetting(
            f"Port {port} of 127.0.0.1",
            "is taken by another program",
            f"Choose another one with WORKBENCH_PORT, for example: WORKBENCH_PORT={port + 1} make up",
        )
    deployment.create()
    deployment.choose_ports()
    if deployment.on_host:
        host.prepare(deployment, say)
    shown = _first_users(deployment)
    supervision.configure(deployment)
    supervision.start(deployment)
    return shown


def _first_users(deployment: Deployment) -> dict[str, str]:
    """Make the users that a newcomer logs in as, where passwords are ours to make."""
    if deployment.on_host and deployment.policy.identity.source != "local":
        return {}
    from workbench_hub.passwords import Passwords  # imports the hub, which takes a second

    passwords = Passwords(deployment.passwords)
    users = passwords.users()
    return {name: passwords.set(name, admin) for name, admin in _FIRST_USERS.items() if name not in users}


def wait(deployment: Deployment, *, quiet: bool) -> None:
    """Wait until each process is well, and say so."""
    begun = monotonic()
    for process in deployment.processes():
        if not process.health:
            continue
        try:
            wait_for(partial(healthy, process.health), _UP_SECONDS, process.what)
        except Unavailable:
            click.echo("".join(tail(deployment.logs / f"{process.name}.log", 20)), err=True)
            raise
        if not quiet:
            click.echo(f"  {process.what:<36} well   {monotonic() - begun:5.1f} s")
    # What a browser asks comes through the proxy, which learns its routes from the hub.
    for path in ("hub/health", "services/workbench/health"):
        wait_for(partial(healthy, deployment.url + path), _UP_SECONDS, path)


def demonstration(deployment: Deployment) -> subprocess.Popen[bytes] | None:
    """Build the demo archive and locate its earthquake, beside the start; once."""
    done = deployment.state / "demonstration.json"
    if done.is_file():
        return None
    if deployment.settings.archive is not None:
        return None
    environment = dict(os.environ, WORKBENCH_STATE=str(deployment.state), OMP_NUM_THREADS="1")
    command = [sys.executable, "-m", "workbench.demo", str(deployment.archive), "--result", str(done)]
    return subprocess.Popen(command, env=environment)


def stop(deployment: Deployment, *, servers: bool = True) -> None:
    """Stop everything; users' servers too, unless they are containers and are to go on."""
    if servers and supervision.pid(deployment) is not None:
        _stop_servers(deployment)
    supervision.stop(deployment)
    if servers and deployment.on_host:
        try:
            cluster.stop(deployment)  # jobs have homes open
        finally:
            host.remove_containers(deployment)
            walls.down(deployment)


def reload(deployment: Deployment) -> None:
    """Put the policy in force, and start the hub anew with it.

    Raises
    ------
    InvalidSetting
        If the policy or a fragment is wrong; the hub then goes on with the old one.
    """
    changed: list[str] = []
    if deployment.on_host:
        host.check(deployment)
        host.take_policy(deployment)
        host.prepare(deployment, click.echo)
        # What the web services see of the archive is part of how they are started.
        changed = supervision.update(deployment)
    if "hub" not in changed:
        supervision.restart(deployment, "hub")


def policy_differs(deployment: Deployment) -> bool:
    """Whether the policy was edited since it was put in force."""
    if not deployment.on_host or not deployment.policy_in_force.is_file():
        return False
    return deployment.policy_in_force.read_bytes() != deployment.policy_file.read_bytes()


def _stop_servers(deployment: Deployment) -> None:
    """Ask the hub to stop the users' servers, so that it knows that they are gone."""
    base = f"http://{deployment.ip}:{deployment.ports['hub']}/hub/api"
    headers = {"Authorization": f"token {deployment.tokens['down']}"}
    try:
        with httpx.Client(headers=headers, timeout=_SERVERS_SECONDS, trust_env=False) as hub:

            def active() -> list[str]:
                answer = hub.get(f"{base}/users", params={"state": "active"})
                return [
                    f"{base}/users/{quote(user['name'], safe='')}/servers/{quote(server, safe='')}"
                    for user in answer.raise_for_status().json()
                    for server in user["servers"]
                ]

            for server in active():
                hub.delete(server)
            wait_for(lambda: not active(), _SERVERS_SECONDS, "", fail=False)
    except httpx.HTTPError as error:
        # They are stopped all the same, by their mark; the hub finds out at its next start.
        click.echo(f"The hub does not answer ({error}); users' servers are stopped without it.", err=True)


def tail(path: Path, lines: int) -> deque[str]:
    """Return the last lines of a file; none if there is no file."""
    if not path.is_file():
        return deque()
    with path.open(errors="replace") as file:
        return deque(file, maxlen=lines)
