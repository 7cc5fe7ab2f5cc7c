"""What the doctor runs in a container: tries to reach places, and says what came of it.

It is sent as text to a Python of any version from 3.8 on, so it imports
nothing but the standard library.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

__all__ = ["SOURCE", "connect", "exchange", "listen", "look_up", "main"]

WORDS = b"workbench"
_AT_ONCE = 32


def connect(host: str, port: int, seconds: float) -> str:
    """Open a TCP connection; return ``open`` or how it was kept from being one."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        return _why(error)
    return "open"


def exchange(host: str, port: int, seconds: float) -> str:
    """Send a datagram; ``open`` if it is answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(seconds)
        try:
            line.connect((host, port))
            line.send(WORDS)
            line.recv(64)
        except OSError as error:
            return _why(error)
    return "open"


def look_up(name: str) -> str:
    """Ask the name service; ``open`` if it answers with an address."""
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "unknown"
    return "open"


def listen(ports: list[int], address: str) -> None:
    """Answer at ports of an address, TCP and UDP, until killed."""
    waiting = selectors.DefaultSelector()
    for port in ports:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            line = socket.socket(socket.AF_INET, kind)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            line.bind((address, port))
            if kind == socket.SOCK_STREAM:
                line.listen(64)
            waiting.register(line, selectors.EVENT_READ, kind)
    while True:
        for key, _ in waiting.select():
            _answer(key.fileobj, key.data)


def _answer(line: Any, kind: int) -> None:
    try:
        if kind == socket.SOCK_STREAM:
            caller, _ = line.accept()
            caller.settimeout(1.0)
            with caller:
                caller.sendall(WORDS)
        else:
            said, caller = line.recvfrom(512)
            line.sendto(said, caller)
    except OSError:
        return  # the caller went away


def _why(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, (TimeoutError, socket.timeout)):
        return "silent"
    return (error.strerror or str(error)).lower()


def _six() -> list[str]:
    """Return the IPv6 addresses that others could reach."""
    path = Path("/proc/net/if_inet6")
    lines = path.read_text().splitlines() if path.is_file() else []
    return [line.split()[0] for line in lines if line.split()[-1] != "lo"]


def main(words: list[str]) -> None:
    """Run ``listen PORTS ADDRESS`` or ``try JSON``."""
    if words[0] == "listen":
        listen([int(port) for port in words[1].split(",")], words[2])
    tasks = json.loads(words[1])
    seconds = tasks["seconds"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tcp = list(pool.map(lambda to: connect(to[0], to[1], seconds), tasks["tcp"]))
        udp = list(pool.map(lambda to: exchange(to[0], to[1], seconds), tasks["udp"]))
        names = list(pool.map(look_up, tasks["names"]))
    sys.stdout.write(json.dumps({"tcp": tcp, "udp": udp, "names": names, "six": _six()}) + "\n")


SOURCE = Path(__file__).read_text() if "__file__" in globals() else ""
"""This module, as text."""

if __name__ == "__main__":
    main(sys.argv[1:])
