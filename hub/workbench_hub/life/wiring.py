"""How all this is tied to a hub: what its configuration says, and what the process `life` is given."""

from __future__ import annotations

import logging
from datetime import timedelta
from inspect import isawaitable
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from workbench_hub import database
from workbench_hub.deployment import Deployment
from workbench_hub.life import lab
from workbench_hub.life.audit import AuditLog
from workbench_hub.life.culler import Rules
from workbench_hub.life.jobs import JobsOf, no_jobs
from workbench_hub.life.jobusage import JobUsage
from workbench_hub.life.meters import Containers, Meter, Processes
from workbench_hub.life.metrics import Metrics
from workbench_hub.life.notices import Announcements, Board, Shown, html
from workbench_hub.life.servers import Hub
from workbench_hub.life.service import Means
from workbench_hub.life.slurm import JobsInSlurm
from workbench_hub.life.trail import ServerEvents, Trail, note_name
from workbench_hub.life.usage import Usage
from workbench_hub.life.web import NAME

__all__ = ["audit_of", "configure", "folder", "jobs_of_users", "means", "usage_of"]

IN_IMAGE = Path("/opt/workbench/lib/python3.11/site-packages/workbench_hub/life/lab")
"""Where the image of users has the extension of the Lab."""

PREFIX = f"/services/{NAME}/"

_SCOPES = [
    "list:users",
    "read:users",
    "read:servers",
    "delete:servers",
    "admin:server_state",
    "proxy",
    "tokens",
]
_DATABASE = "workbench_usage"


def configure(c: Any, d: Deployment) -> None:
    """Tie audit, culler, usage and announcements to a hub: a line of its configuration.

    Parameters
    ----------
    c : traitlets.config.Config
    d : Deployment
        With the tokens ``culler``, ``usage`` and ``metrics``, and the port ``life``.
    """
    audit = audit_of(d)
    c.JupyterHub.tornado_settings = {"log_function": Trail(audit)}
    c.EventLogger.handlers = [ServerEvents(audit)]
    c.Authenticator.post_auth_hook = _after(c.Authenticator.get("post_auth_hook"), note_name)
    c.JupyterHub.services = [
        *c.JupyterHub.get("services", []),
        {"name": "culler", "api_token": d.tokens["culler"]},
        {"name": "metrics", "api_token": d.tokens["metrics"]},
        {
            "name": NAME,
            "url": f"http://127.0.0.1:{d.ports['life']}",
            "api_token": d.tokens["usage"],
            "oauth_redirect_uri": f"{PREFIX}oauth_callback",
            "oauth_no_confirm": True,
        },
    ]
    scope = f"access:services!service={NAME}"
    roles = c.JupyterHub.get("load_roles", [])
    # JupyterHub takes one entry a role: what others gave to all users stays.
    own = next((role["scopes"] for role in roles if role["name"] == "user"), ["self"])
    c.JupyterHub.load_roles = [
        *(role for role in roles if role["name"] != "user"),
        {"name": "user", "scopes": [*own, scope]},
        {"name": "culler", "scopes": _SCOPES, "services": ["culler"]},
        {"name": "metrics", "scopes": ["read:metrics"], "services": ["metrics"]},
    ]
    values = dict(c.JupyterHub.get("template_vars", {}))
    always = values.get("announcement", "")
    values["announcement"] = Shown(announcements_of(d), always)
    board = Board(folder(d))
    # JupyterHub calls it with the user who asks.
    values["notices_of"] = lambda user: html(board.of(user.name)) if user else ""
    c.JupyterHub.template_vars = values
    spawner = c.ContainerSpawner if d.on_host else c.LocalSpawner
    spawner.args = [*spawner.get("args", []), *lab.arguments(IN_IMAGE if d.on_host else None)]


def means(d: Deployment, jobs_of: JobsOf | None = None, look_every: timedelta = Means.look_every) -> Means:
    """Gather what the process `life` works with; jobs are by default those of the deployment's cluster."""
    culling = d.policy.culling if d.on_host else None
    rules = Rules(culling.idle, culling.warn) if culling is not None and culling.enabled else None
    meter: Meter = Containers(d.settings.docker) if d.on_host else Processes()
    return Means(
        hub=Hub(f"http://{d.ip}:{d.ports['hub']}/hub/api", d.tokens["culler"]),
        meter=meter,
        usage=usage_of(d),
        jobs=jobs_of or jobs_of_users(d),
        audit=audit_of(d),
        board=Board(folder(d)),
        announcements=announcements_of(d),
        metrics=Metrics(d.state),
        rules=rules,
        look_every=look_every,
        neighbours=_neighbours(d),
        cull_every=culling.every if culling is not None else Means.cull_every,
        job_usage=JobUsage(d.slurm),
    )


def jobs_of_users(d: Deployment) -> JobsOf:
    """Return who says which jobs a user has: the deployment's cluster, if there is one."""
    return JobsInSlurm(d.slurm) if d.slurm is not None else no_jobs


def folder(d: Deployment) -> Path:
    """Where this part keeps its files."""
    return d.state / "life"


def audit_of(d: Deployment) -> AuditLog:
    """Return the audit log of a deployment."""
    return AuditLog(d.state / "audit")


def announcements_of(d: Deployment) -> Announcements:
    """Return the announcements of a deployment."""
    return Announcements(folder(d), d.policy.announcements if d.on_host else ())


def usage_of(d: Deployment) -> Usage:
    """Return the record of usage: in the deployment's own PostgreSQL, or else in a file of SQLite."""
    if d.on_host and not d.settings.database.get_secret_value():
        return Usage(usage_url(d), prepare=lambda: _create_database(d))
    folder(d).mkdir(mode=0o700, parents=True, exist_ok=True)
    return Usage(usage_url(d))


def usage_url(d: Deployment) -> str:
    """Return where the record of usage is."""
    if d.on_host and not d.settings.database.get_secret_value():
        server = sql.make_url(database.url(d.postgres, d.tokens["database"]))
        return server.set(database=_DATABASE).render_as_string(hide_password=False)
    return f"sqlite:///{folder(d) / 'usage.sqlite'}"


def _neighbours(d: Deployment) -> tuple[tuple[str, str], ...]:
    """Return whose clock has to agree with ours: the tokens of an identity provider hold for minutes."""
    oidc = d.policy.identity.oidc if d.on_host else None
    return (("identity provider", str(oidc.issuer)),) if oidc is not None else ()


def _after(first: Any, then: Any) -> Any:
    """Keep a hook that is there already."""
    if first is None:
        return then

    async def both(authenticator: Any, handler: Any, model: Any) -> Any:
        found = first(authenticator, handler, model)
        return then(authenticator, handler, await found if isawaitable(found) else found)

    return both


def _create_database(d: Deployment) -> None:
    """Make our database beside the hub's, unless it is there."""
    engine = sql.create_engine(
        database.url(d.postgres, d.tokens["database"]),
        isolation_level="AUTOCOMMIT",
        poolclass=sql.pool.NullPool,
    )
    with engine.connect() as connection:
        there = sql.text("SELECT 1 FROM pg_database WHERE datname = :name")
        if connection.execute(there, {"name": _DATABASE}).first() is None:
            connection.exec_driver_sql(f'CREATE DATABASE "{_DATABASE}"')
            logging.getLogger("workbench_hub.life").info("made the database %s", _DATABASE)
    engine.dispose()
