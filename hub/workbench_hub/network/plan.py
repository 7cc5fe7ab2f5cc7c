"""What the network of users' containers is to be: bridge, doors, destinations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network

from workbench.errors import InvalidSetting, ResourceExceeded

__all__ = ["Destination", "Door", "Plan", "Wanted", "bridge_name", "free_subnet"]

_LONGEST_INTERFACE = 15
_INTERFACE = re.compile(r"[a-z][a-z0-9-]*")
_LAST_PORT = 65535
_NOBODY = "127.0.0.1"  # in a container: its own
_POOL = IPv4Network("172.24.0.0/13")
_NEVER = tuple(
    IPv4Network(network)
    for network in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4")
)


@dataclass(frozen=True, slots=True)
class Door:
    """A TCP port of this machine, on the bridge's own address, that containers may reach.

    Parameters
    ----------
    name : str
        What is behind it.
    port : int
        The port, or the first one of several.
    last : int, optional
        The last one.
    """

    name: str
    port: int
    last: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.port <= (self.last or self.port) <= _LAST_PORT:
            raise InvalidSetting(
                f"door '{self.name}'", f"{self.port} to {self.last} are no ports", "Give 1 to 65535."
            )

    @property
    def ports(self) -> str:
        """As iptables writes it."""
        return f"{self.port}:{self.last}" if self.last > self.port else str(self.port)

    def __contains__(self, port: int) -> bool:
        return self.port <= port <= (self.last or self.port)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a policy allows: a name, an address or a network, and ports."""

    host: str
    ports: tuple[int, ...] = (443,)
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Destination:
    """A place outside that containers may reach.

    Parameters
    ----------
    name : str
        As the policy names it.
    networks : tuple of IPv4Network
        Its addresses; none as long as the name leads nowhere.
    ports : tuple of int
        Its ports.
    protocol : str
        ``tcp`` or ``udp``.
    named : bool
        Whether `name` is a name to be looked up, and not an address itself.
    """

    name: str
    networks: tuple[IPv4Network, ...]
    ports: tuple[int, ...]
    protocol: str = "tcp"
    named: bool = True


@dataclass(frozen=True)
class Plan:
    """The network of one deployment.

    Parameters
    ----------
    bridge : str
        Name of the interface on this machine; the chains are named after it.
    subnet : IPv4Network
        Addresses of the containers; the first one is the bridge's own.
    doors : tuple of Door
        Ports of this machine that containers may reach.
    egress : tuple of Destination
        Places outside that containers may reach.
    name : str
        Of the network, as Docker knows it.
    servers : tuple of IPv4Address
        Name servers that containers may ask; by default none, and a container
        knows the names of `egress` alone.
    most : int
        Connections that one container may have open at a time to doors and
        destinations, so that none takes all that the hub can hold.
    """

    bridge: str
    subnet: IPv4Network
    doors: tuple[Door, ...] = ()
    egress: tuple[Destination, ...] = ()
    name: str = "workbench"
    servers: tuple[IPv4Address, ...] = ()
    most: int = 256

    def __post_init__(self) -> None:
        if not _INTERFACE.fullmatch(self.bridge) or len(self.bridge) > _LONGEST_INTERFACE:
            raise InvalidSetting(
                f"bridge '{self.bridge}'",
                f"is no name of an interface (small letters and digits, at most {_LONGEST_INTERFACE})",
            )
        for destination in self.egress:
            for network in destination.networks:
                self._check(destination.name, network)
        for server in self.servers:
            self._check("dns", IPv4Network(server))

    def _check(self, name: str, network: IPv4Network) -> None:
        for never in (*_NEVER, self.subnet):
            if never.overlaps(network):
                raise InvalidSetting(
                    f"egress '{name}'",
                    f"{network} overlaps {never}, which containers never reach",
                    "Name a data centre by an address of its own.",
                )

    @property
    def gateway(self) -> IPv4Address:
        """The bridge's own address, at which the doors are."""
        return next(self.subnet.hosts())

    @property
    def hosts(self) -> dict[str, str]:
        """Names that containers know, each with one address."""
        return {
            destination.name: str(destination.networks[0].network_address)
            for destination in self.egress
            if destination.named and destination.networks
        }

    @property
    def dns(self) -> tuple[str, ...]:
        """Name servers for a container; where there is none, the address at which nobody answers."""
        return tuple(str(server) for server in self.servers) or (_NOBODY,)


def usable(network: IPv4Network) -> bool:
    """Whether a name may lead there: neither to this machine, nor its link, nor to many at once."""
    return not any(never.overlaps(network) for never in _NEVER)


def bridge_name(state: object) -> str:
    """Return the name of the bridge of a state directory: each deployment has its own."""
    return f"wb{sha256(str(state).encode()).hexdigest()[:8]}"


def free_subnet(taken: Iterable[IPv4Network], prefix: int = 22) -> IPv4Network:
    """Return a private network that overlaps none of those that are taken.

    Raises
    ------
    ResourceExceeded
        If there is none left.

    Examples
    --------
    >>> from ipaddress import IPv4Network
    >>> free_subnet([IPv4Network("172.24.0.0/16")])
    IPv4Network('172.25.0.0/22')
    """
    known = list(taken)
    for subnet in _POOL.subnets(new_prefix=prefix):
        if not any(subnet.overlaps(other) for other in known):
            return subnet
    raise ResourceExceeded(
        str(_POOL), "has no free network of that size left", "Take ways away: `ip route` shows them."
    )
