"""Bombs, each bounded: what a user's cell runs, and what it says once it was stopped."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BOMBS", "Bomb"]


_LOST = ("Connection", "timed out", "Timeout")


@dataclass(frozen=True)
class Bomb:
    """A cell that takes what it can get.

    Attributes
    ----------
    code : str
        What the cell runs.
    stopped : tuple of str
        What it, or the line to its kernel, says once a wall has stopped it: one of these.
    """

    name: str
    code: str
    stopped: tuple[str, ...]


BOMBS = [
    Bomb(
        "log",
        """
with open("/proc/1/fd/1", "w") as log:
    for _ in range(64 * 1024):
        log.write("x" * 1023 + "\\n")
print("done")
""",
        ("done",),
    ),
    Bomb(
        "disk",
        """
import os
try:
    with open("bomb", "wb") as file:
        for _ in range(256):
            file.write(bytes(1 << 20))
            file.flush()
    print("open")
except OSError:
    print("stopped")
finally:
    os.remove("bomb")
""",
        ("stopped", *_LOST),
    ),
    Bomb(
        "connections",
        """
import os, socket
from urllib.parse import urlsplit
hub = urlsplit(os.environ["JUPYTERHUB_API_URL"])
held = []
try:
    for _ in range(1000):
        held.append(socket.create_connection((hub.hostname, hub.port), 2))
    print("open")
except OSError:
    print("stopped", len(held))
""",
        ("stopped", *_LOST),
    ),
    Bomb(
        "requests",
        """
import os, time, urllib.request
from concurrent.futures import ThreadPoolExecutor
def ask(_):
    try: urllib.request.urlopen(os.environ["JUPYTERHUB_API_URL"] + "/users", timeout=5)
    except OSError: pass
with ThreadPoolExecutor(32) as pool: list(pool.map(ask, range(600)))
print("done")
""",
        ("done",),
    ),
    Bomb(
        "memory",
        """
import os
child = os.fork()
if not child:
    held = []
    for _ in range(1600):
        held.append(bytearray(b"x") * (1 << 20))
    os._exit(0)
_, status = os.waitpid(child, 0)
print("stopped" if os.WIFSIGNALED(status) else "open")
""",
        ("stopped", *_LOST),
    ),
    Bomb(
        "processes",
        """
import os, time
children, said = [], "open"
try:
    for _ in range(1500):
        children.append(os.posix_spawn("/usr/bin/sleep", ["sleep", "5"], {}))
except OSError:
    said = "stopped"
time.sleep(1)
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
print(said)
""",
        ("stopped", *_LOST),
    ),
]
