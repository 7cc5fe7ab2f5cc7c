"""The network of users' containers: one bridge, and walls around it.

A container reaches the doors of this machine that the plan names (the hub's
port), the data centres of the allow-list, and nothing else: no neighbour, no
other port of the machine, no metadata address, no name service.
"""

from workbench_hub.network.bridge import ensure, remove_bridge
from workbench_hub.network.firewall import apply, missing, remove, standing
from workbench_hub.network.names import Memory, resolve
from workbench_hub.network.plan import Destination, Door, Plan, Wanted, bridge_name, free_subnet
from workbench_hub.network.planned import ADDRESSES, planned
from workbench_hub.network.resolver import HOSTNAME, resolver_mounts, write_resolver
from workbench_hub.network.rules import rules, rules6
from workbench_hub.network.warden import Warden

__all__ = [
    "ADDRESSES",
    "HOSTNAME",
    "Destination",
    "Door",
    "Memory",
    "Plan",
    "Wanted",
    "Warden",
    "apply",
    "bridge_name",
    "ensure",
    "free_subnet",
    "missing",
    "planned",
    "remove",
    "remove_bridge",
    "resolve",
    "resolver_mounts",
    "rules",
    "rules6",
    "standing",
    "write_resolver",
]
