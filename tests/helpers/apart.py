"""A network of one's own with one line to this machine, as a container on a bridge has it."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_ADDRESSES = ("10.255.247.1", "10.255.247.2")


@dataclass(frozen=True)
class Apart:
    """A network namespace: its name, the address of this machine seen from it, and its own."""

    name: str
    machine: str
    own: str

    @property
    def line(self) -> str:
        """This machine's end of the line."""
        return f"{self.name}m"

    @contextmanager
    def blocked(self, ports: str, *, into: bool) -> Iterator[None]:
        """Refuse new connections to some ports: into the namespace, or out of it to this machine."""
        way = ["OUTPUT", "-o", self.line] if into else ["INPUT", "-i", self.line]
        rule = [*way, "-p", "tcp", "--dport", ports, "--syn", "-j", "REJECT", "--reject-with", "tcp-reset"]
        _run("iptables", "-w", "-I", *rule)
        try:
            yield
        finally:
            _run("iptables", "-w", "-D", *rule)

    @contextmanager
    def passed_on(self, port: int) -> Iterator[None]:
        """Let what is in the namespace reach a port of 127.0.0.1 at this machine's end of the line."""

        class Relay(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(("127.0.0.1", port)) as there:
                    back = threading.Thread(target=_copy, args=[there, self.request], daemon=True)
                    back.start()
                    _copy(self.request, there)
                    back.join(10)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        with Server((self.machine, port), Relay) as server:
            threading.Thread(target=server.serve_forever, args=[0.1], daemon=True).start()
            yield
            server.shutdown()


@contextmanager
def apart(name: str = "wbtapart") -> Iterator[Apart]:
    """Make one, and leave nothing behind."""
    made = Apart(name, *_ADDRESSES)
    _run("ip", "netns", "del", name, check=False)
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", made.line, "type", "veth", "peer", "name", "own0", "netns", name)
        _run("ip", "address", "add", f"{made.machine}/30", "dev", made.line)
        _run("ip", "link", "set", made.line, "up")
        inside = ("ip", "netns", "exec", name, "ip")
        _run(*inside, "address", "add", f"{made.own}/30", "dev", "own0")
        for device in ("lo", "own0"):
            _run(*inside, "link", "set", device, "up")
        yield made
    finally:
        _run("ip", "netns", "del", name)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _run(*words: str, check: bool = True) -> None:
    subprocess.run(words, check=check, capture_output=True)
