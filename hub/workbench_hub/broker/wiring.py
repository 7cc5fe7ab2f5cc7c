"""How the broker is tied to a deployment: what it is given, and what the hub's configuration says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import Unavailable
from workbench_hub import scheduling
from workbench_hub.broker.callers import SCOPE, Callers
from workbench_hub.broker.journal import Journal
from workbench_hub.broker.rules import Rules
from workbench_hub.broker.running import Who
from workbench_hub.broker.service import Broker
from workbench_hub.deployment import Deployment
from workbench_hub.identity import Identity, gids, identify
from workbench_hub.life.trail import Trail
from workbench_hub.life.wiring import audit_of
from workbench_hub.names import safe_name
from workbench_hub.volumes.mounts import mounts

__all__ = ["NAME", "broker_of", "callers_of", "configure"]

NAME = "broker"
"""Name of the service at the hub."""

_SCOPES = ["read:users", "read:servers", "admin:server_state", "admin:auth_state"]


def configure(c: Any, d: Deployment) -> None:
    """Let the broker look up users' servers, and their servers come to it: a line of a hub's configuration.

    Parameters
    ----------
    c : traitlets.config.Config
    d : Deployment
        With the token ``broker``.
    """
    service = {"name": NAME, "api_token": d.tokens[NAME]}
    c.JupyterHub.services = [*c.JupyterHub.get("services", []), service]
    roles = c.JupyterHub.get("load_roles", [])
    own = next((role["scopes"] for role in roles if role["name"] == "user"), ["self"])
    c.JupyterHub.load_roles = [
        *(role for role in roles if role["name"] != "user"),
        {"name": "user", "scopes": [*own, SCOPE]},
        {"name": NAME, "scopes": _SCOPES, "services": [NAME]},
    ]
    c.Spawner.server_token_scopes = [*c.Spawner.get("server_token_scopes", []), SCOPE]


def broker_of(d: Deployment) -> Broker:
    """Return the broker of a deployment.

    Raises
    ------
    Unavailable
        If it has no cluster.
    """
    scheduler = scheduling.found(d.run)
    if scheduler is None:
        raise Unavailable("The broker", "has no cluster", "`slurm.cluster` of the policy names one.")
    slurm = d.policy.slurm
    rules = Rules(scheduler.conf, Path(scheduler.launcher), slurm.partition, slurm.partitions)

    def shown(who: Who) -> list[tuple[Path, bool]]:
        policy, at = Deployment(d.settings).policy, datetime.now(UTC)
        identity = Identity(who.name, who.uid, who.gid, who.belongs)
        folders = d.state / "folders"
        found = mounts(identity, policy, d.archive, at, homes=d.homes, folders=folders)
        return [(mount.target, not mount.read_only) for mount in found if mount.target != who.home]

    return Broker(rules, Journal(d.state / NAME), Trail(audit_of(d)), shown)


def callers_of(d: Deployment) -> Callers:
    """Return what asks the hub of a deployment who holds a token."""
    api = f"http://{d.ip}:{d.ports['hub']}/hub/api"

    def who(name: str, auth_state: Mapping[str, Any] | None) -> Who:
        # The policy in force may have changed since we started.
        policy = Deployment(d.settings).policy
        found = identify(name, policy, auth_state, register=d.state / "hub" / "uids.json")
        home = d.homes / safe_name(name)
        return Who(name, found.uid, found.gid, home, gids(found, policy), found.accounts, found.groups)

    return Callers(api, d.tokens[NAME], who)
