"""From a site's policy to the plan of its network."""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path

from workbench.errors import InvalidSetting
from workbench_hub.deployment import write
from workbench_hub.network.bridge import taken
from workbench_hub.network.names import Memory, resolve
from workbench_hub.network.plan import Door, Plan, Wanted, bridge_name, free_subnet
from workbench_hub.policy.work import Egress

__all__ = ["ADDRESSES", "planned", "subnet_of"]


ADDRESSES = "addresses.json"
"""The file beside the subnet's that remembers what names lead to."""


def planned(
    egress: Egress,
    doors: Iterable[Door],
    state: Path,
    run: Path,
    name: str = "workbench",
    *,
    renew: bool = True,
) -> Plan:
    """Return the plan of a deployment, with the names of its policy looked up.

    Parameters
    ----------
    egress : Egress
        What the policy allows.
    doors : iterable of Door
        Ports of this machine that containers may reach: the hub's, the web services'.
    state : Path
        The state directory, after which the bridge is named.
    run : Path
        Where the subnet and the addresses of names are written down.
    name : str
        Of the network, as Docker knows it.
    renew : bool
        Whether names are looked up that are known already.
    """
    wanted = [Wanted(host, entry.ports, entry.protocol) for entry in egress.allow for host in entry.hosts]
    return Plan(
        bridge=bridge_name(state),
        subnet=subnet_of(run / "subnet.json"),
        doors=tuple(doors),
        egress=resolve(wanted, Memory(run / ADDRESSES), renew=renew),
        name=name,
        servers=tuple(_server(server) for server in egress.dns),
    )


def subnet_of(path: Path) -> IPv4Network:
    """Return the subnet that is written down; choose a free one the first time."""
    if path.is_file():
        return IPv4Network(json.loads(path.read_text()))
    chosen = free_subnet(taken())
    write(path, json.dumps(str(chosen)))
    return chosen


def _server(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise InvalidSetting(
            f"egress.dns '{text}'", "is no IPv4 address", "Give name servers by address."
        ) from error
