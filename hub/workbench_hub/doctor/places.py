"""Places made for a test: a network namespace with an address, a server in it, and a way to it.

They stand for the internet, a data centre, the metadata address, another host.
Nothing that is sent to them leaves this machine, whether the walls are up or
down, and nothing of them is left afterwards.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from workbench.errors import Unavailable
from workbench_hub.doctor.probe import SOURCE
from workbench_hub.health import wait_for
from workbench_hub.network.bridge import taken

__all__ = ["DOCUMENTATION", "METADATA", "Place", "answers", "place"]

METADATA = "169.254.169.254"
"""Where clouds keep the credentials of a machine."""

DOCUMENTATION = "203.0.113.80"
"""An address that is nobody's (RFC 5737)."""

_LINKS = IPv4Network("198.18.0.0/15")  # for tests between networks (RFC 2544)
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """A place that stands for another one.

    Attributes
    ----------
    namespace : str
        Its network namespace, as ``ip netns`` names it.
    address : str
        That it stands for.
    ports : tuple of int
        At which it answers, TCP and UDP.
    link : str
        Its address on the wire to this machine.
    """

    namespace: str
    address: str
    ports: tuple[int, ...]
    link: str

    def run(self, *command: str, seconds: float = _SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *command],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


@contextmanager
def place(address: str, ports: tuple[int, ...] = (80,)) -> Iterator[Place]:
    """Make a place, and take it away again.

    Parameters
    ----------
    address : str
        That it stands for; this machine's way to it leads there meanwhile.
    ports : tuple of int
        At which it answers, TCP and UDP.

    Raises
    ------
    Unavailable
        If this machine does not let us: it needs root and ``ip``.
    """
    mark = secrets.token_hex(3)
    namespace, here, there = f"wbp{mark}", f"wbp{mark}h", f"wbp{mark}n"
    ours, theirs = _link()
    with ExitStack() as undo:
        _ip("netns", "add", namespace)
        undo.callback(_ip, "netns", "delete", namespace)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", namespace)
        # The other end may linger for as long as a socket there does.
        undo.callback(_ip, "link", "delete", here)
        _ip("address", "add", f"{ours}/30", "dev", here)
        _ip("link", "set", here, "up")
        inside = partial(_ip, "-netns", namespace)
        inside("link", "set", "lo", "up")
        inside("address", "add", f"{theirs}/30", "dev", there)
        inside("link", "set", there, "up")
        inside("address", "add", f"{address}/32", "dev", "lo")
        inside("route", "add", "default", "via", str(ours))
        # Before what a doctor that was killed has left there.
        _ip("route", "prepend", f"{address}/32", "via", str(theirs), "dev", here)
        undo.enter_context(_server(namespace, address, ports))
        for port in ports:
            wait_for(partial(answers, address, port), _SECONDS, f"the place at {address}:{port}")
        yield Place(namespace, address, ports, str(theirs))


def answers(address: str, port: int, seconds: float = 1.0) -> bool:
    """Whether a TCP port takes connections from this machine."""
    try:
        socket.create_connection((address, port), timeout=seconds).close()
    except OSError:
        return False
    return True


@contextmanager
def _server(namespace: str, address: str, ports: tuple[int, ...]) -> Iterator[None]:
    listen = ",".join(str(port) for port in ports)
    process = subprocess.Popen(
        # Dies with whoever made it.
        [
            *("setpriv", "--pdeathsig", "KILL", "--", "ip", "netns", "exec", namespace),
            *(sys.executable, "-I", "-c", SOURCE, "listen", listen, address),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_SECONDS)


def _link() -> tuple[IPv4Address, IPv4Address]:
    """Return two addresses that nobody uses, for the ends of a wire."""
    known = [network for network in taken() if network.overlaps(_LINKS)]
    start = secrets.randbelow(2**14) * 8
    for offset in range(start, start + 8 * 64, 4):
        first = _LINKS.network_address + offset % _LINKS.num_addresses
        link = IPv4Network(f"{first}/30")
        if not any(link.overlaps(other) for other in known):
            ours, theirs = link.hosts()
            return ours, theirs
    raise Unavailable(str(_LINKS), "has no free addresses", "Take ways away: `ip route` shows them.")


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise Unavailable(
            f"ip {' '.join(words)}", f"failed: {done.stderr.strip()}", "It needs root and iproute2."
        )
