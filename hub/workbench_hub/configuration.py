"""What of the hub's configuration differs from profile to profile."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from workbench_hub import database, walls
from workbench_hub.deployment import Deployment, package_file
from workbench_hub.health import wait_for
from workbench_hub.spawner import UNISOLATED

__all__ = ["PROFILES", "embedded", "host"]

_LAB = f"--LabApp.app_settings_dir={package_file('lab')}"
_DATABASE_SECONDS = 120.0
_SPAWN_SECONDS = 120
_TURN_SECONDS = 480
_AT_ONCE = 100
_SERVERS = 20


def embedded(c: Any, d: Deployment) -> None:
    """Configure users' servers as processes beside the hub."""
    c.JupyterHub.authenticator_class = "workbench_hub.passwords.PasswordAuthenticator"
    c.PasswordAuthenticator.path = str(d.passwords)
    c.Authenticator.allow_all = True  # that is, all who are in the file
    c.JupyterHub.spawner_class = "workbench_hub.spawner.LocalSpawner"
    spawner = c.LocalSpawner
    spawner.state_dir, spawner.archive = str(d.state), str(d.archive)
    spawner.services_url = f"{d.url}services/workbench/"
    spawner.dask, spawner.dask_tls = f"tls://127.0.0.1:{d.ports['scheduler']}", str(d.tls)
    spawner.bin_dir = str(Path(sys.executable).parent)
    spawner.home_dir_template = f"{d.homes}/{{username}}"
    spawner.args = [_LAB, *["--allow-root"] * (os.geteuid() == 0)]
    c.JupyterHub.template_vars = {"announcement": UNISOLATED}


def host(c: Any, d: Deployment) -> None:
    """Configure users' servers as containers, by the policy in force."""
    from workbench_hub import authenticators
    from workbench_hub.containers import pages
    from workbench_hub.containers.spawner import ContainerSpawner

    if not d.settings.database.get_secret_value():
        wait_for(partial(database.ready, d.postgres), _DATABASE_SECONDS, "the database")
    plan = walls.plan(d)
    c.JupyterHub.spawner_class = ContainerSpawner
    spawner = c.ContainerSpawner
    spawner.policy, spawner.docker_url = d.policy, d.settings.docker
    spawner.state_dir, spawner.archive, spawner.catalogue = str(d.state), str(d.archive), str(d.catalogue)
    spawner.services_url = f"http://{d.ip}:{d.ports['api']}/services/workbench/"
    spawner.network_name, spawner.prefix = plan.name, plan.bridge
    spawner.fallen_network_walls = partial(walls.fallen, d.settings)
    spawner.names_dir, spawner.dns = str(walls.names(d)), list(plan.dns)
    spawner.labels = {"workbench.deployment": plan.bridge}
    # Twice as many as there are cores start at a time, and each then has the whole time for its answer.
    spawner.starts_at_once, spawner.turn_timeout = 2 * len(os.sched_getaffinity(0)), _TURN_SECONDS
    c.Spawner.start_timeout, c.Spawner.http_timeout = _SPAWN_SECONDS + _TURN_SECONDS, _SPAWN_SECONDS
    c.JupyterHub.concurrent_spawn_limit = _AT_ONCE
    c.JupyterHub.allow_named_servers, c.JupyterHub.named_server_limit_per_user = True, _SERVERS
    c.JupyterHub.template_paths = [str(pages.TEMPLATES)]
    c.Authenticator.admin_users = set(d.policy.admins)
    authenticators.configure(c, d.policy, d.state, d.passwords)
    if d.brokered:
        from workbench_hub.broker import wiring

        wiring.configure(c, d)
        spawner.environment = {"WORKBENCH_BROKER": f"http://{d.ip}:{d.ports['broker']}"}


PROFILES = {"embedded": embedded, "host": host}
