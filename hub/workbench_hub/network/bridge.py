"""The one bridge that users' containers hang on."""

from __future__ import annotations

import json
import subprocess
from ipaddress import IPv4Network

import docker
from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from workbench.errors import InvalidSetting, Unavailable
from workbench_hub.network.plan import Plan

__all__ = ["ensure", "remove_bridge", "taken"]

_SEALED = {
    "com.docker.network.bridge.enable_icc": "false",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
}


def ensure(client: docker.DockerClient, plan: Plan) -> None:
    """Make Docker's network of a plan, unless it is there already.

    Raises
    ------
    InvalidSetting
        If a network of that name is there and is another one.
    Unavailable
        If Docker refuses.
    """
    wanted = _SEALED | {"com.docker.network.bridge.name": plan.bridge}
    try:
        found = client.networks.get(plan.name).attrs
    except NotFound:
        _create(client, plan, wanted)
        return
    pools = [pool.get("Subnet") for pool in found["IPAM"]["Config"] or []]
    different = [name for name, value in wanted.items() if found["Options"].get(name) != value]
    if found["Driver"] != "bridge" or found["EnableIPv6"] or pools != [str(plan.subnet)] or different:
        raise InvalidSetting(
            f"Docker's network '{plan.name}'",
            f"is another one: subnet {pools}, other options {different}",
            f"Stop its containers and `docker network rm {plan.name}`; the next start makes it anew.",
        )


def remove_bridge(client: docker.DockerClient, name: str) -> None:
    """Remove Docker's network; where there is none, nothing happens."""
    try:
        client.networks.get(name).remove()
    except NotFound:
        return
    except APIError as error:
        raise Unavailable(f"Docker's network '{name}'", f"cannot be removed: {error.explanation}") from error


def taken() -> list[IPv4Network]:
    """Return the networks that this machine knows ways to, so that ours is another one."""
    done = subprocess.run(
        ["ip", "-json", "-4", "route", "show", "table", "all"], capture_output=True, text=True, check=True
    )
    routes = json.loads(done.stdout or "[]")
    return [IPv4Network(route["dst"]) for route in routes if route.get("dst", "default") != "default"]


def _create(client: docker.DockerClient, plan: Plan, wanted: dict[str, str]) -> None:
    pool = IPAMPool(subnet=str(plan.subnet), gateway=str(plan.gateway))
    try:
        client.networks.create(
            plan.name,
            driver="bridge",
            options=wanted,
            ipam=IPAMConfig(pool_configs=[pool]),
            enable_ipv6=False,
            labels={"workbench": plan.bridge},
        )
    except APIError as error:
        raise Unavailable(
            f"Docker's network '{plan.name}'",
            f"cannot be made: {error.explanation}",
            f"Does another network use {plan.subnet}? `ip route` shows it.",
        ) from error
