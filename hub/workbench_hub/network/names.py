"""Names of the allow-list looked up, and remembered.

An address that a name once had stays allowed for some days: what a program
looked up an hour ago still works, and one failed look-up locks nobody out.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from time import time

from workbench.errors import InvalidSetting
from workbench_hub.deployment import write
from workbench_hub.network.plan import Destination, Wanted, usable

__all__ = ["Memory", "resolve"]

_DAYS = 14.0
_DAY = 86400.0
_AT_ONCE = 8
_MOST_ADDRESSES = 32
_NUMERIC = re.compile(r"[0-9.]+")
LookUp = Callable[[str], list[str]]


def look_up(name: str) -> list[str]:
    """Return the IPv4 addresses of a name, as this machine knows them; none if there are none."""
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(entry[4][0]) for entry in found})


@dataclass
class Memory:
    """Addresses that names had, in a file.

    Parameters
    ----------
    path : Path
        The file.
    clock : callable
        Seconds since 1970.
    """

    path: Path
    clock: Callable[[], float] = time
    warnings: list[str] = field(default_factory=list)

    def read(self) -> dict[str, dict[str, float]]:
        """Return when each address of each name was last seen; what cannot be read is forgotten."""
        try:
            content = json.loads(self.path.read_text())
            return {
                str(name): {str(address): float(seen) for address, seen in known.items()}
                for name, known in content.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def write(self, known: dict[str, dict[str, float]]) -> None:
        """Write it, whole or not at all."""
        write(self.path, json.dumps(known, sort_keys=True), mode=0o600)


def resolve(
    wanted: Iterable[Wanted], memory: Memory, look_up: LookUp = look_up, *, renew: bool = True
) -> tuple[Destination, ...]:
    """Turn what the policy allows into addresses.

    A name that leads to this machine, its link or to many at once is not
    followed, and neither is one that leads nowhere: `memory.warnings` says so.

    Parameters
    ----------
    wanted : iterable of Wanted
        Names, addresses or networks, with ports.
    memory : Memory
        What names have led to before.
    look_up : callable
        Addresses of a name.
    renew : bool
        Whether names are looked up that are known already.  Who only asks what
        the rules should be does not renew, or the answer would be another one
        than that by which they were made.
    """
    allowed, now, known = list(wanted), memory.clock(), memory.read()
    memory.warnings.clear()
    names = sorted({entry.host for entry in allowed if _network(entry.host) is None})
    asked = [name for name in names if renew or name not in known]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = dict(zip(asked, pool.map(look_up, asked), strict=True))
    remembered = {
        name: _merge(name, found[name], known.get(name, {}), now, memory) if name in found else known[name]
        for name in names
    }
    if remembered != known and (asked or renew):
        memory.write(remembered)
    return tuple(_destination(entry, remembered) for entry in allowed)


def _merge(
    name: str, found: list[str], known: dict[str, float], now: float, memory: Memory
) -> dict[str, float]:
    refused = [address for address in found if not usable(IPv4Network(address))]
    if refused:
        memory.warnings.append(f"{name} leads to {', '.join(refused)}, which containers never reach")
    elif not found:
        memory.warnings.append(f"{name} leads nowhere" + (": its old addresses hold" if known else ""))
    kept = {address: seen for address, seen in known.items() if now - seen < _DAYS * _DAY}
    fresh = {address: now for address in found if address not in refused}
    newest = sorted((kept | fresh).items(), key=_newest_first)
    return dict(newest[:_MOST_ADDRESSES])


def _newest_first(item: tuple[str, float]) -> tuple[float, str]:
    return -item[1], item[0]


def _destination(entry: Wanted, remembered: dict[str, dict[str, float]]) -> Destination:
    network = _network(entry.host)
    if network is not None:
        return Destination(entry.host, (network,), entry.ports, entry.protocol, named=False)
    newest = sorted(remembered[entry.host].items(), key=_newest_first)
    addresses = tuple(IPv4Network(address) for address, _ in newest)
    return Destination(entry.host, addresses, entry.ports, entry.protocol)


def _network(host: str) -> IPv4Network | None:
    """Return what an address or a range stands for; None for a name."""
    if not _NUMERIC.fullmatch(host) and "/" not in host:
        return None
    try:
        return IPv4Network(host)
    except ValueError as error:
        raise InvalidSetting(
            f"egress '{host}'", f"is no IPv4 address or range: {error}", "Write it as 192.0.2.0/24."
        ) from error
