"""What a deployment on one machine is: its directory, ports, tokens and processes.

Everything that outlives a process is in the state directory::

    archive/   the shared SDS archive, unless WORKBENCH_ARCHIVE says otherwise
    homes/     a home for each user
    hub/       the hub's own database, which nobody else reads or writes
    logs/      a log for each process and each user's server, JSON lines, rotated
    postgres/  that database instead, with profile host
    run/       ports, the policy in force, and what lives as long as the processes
    secrets/   passwords (hashed), tokens, keys; readable by the owner alone
    slurm/     the cluster of its own, with profile host: see ``workbench_slurm.cluster``
    services/  what the web services write, which run as an account of their own with profile host
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InvalidSetting
from workbench.settings import Settings
from workbench_hub import database, tls
from workbench_hub.supervised import Supervised

if TYPE_CHECKING:
    from workbench_hub.policy import Policy
    from workbench_hub.processes import Process
    from workbench_hub.scheduling import Scheduler

__all__ = ["MARK", "PROCESS", "SERVICES", "Deployment", "free_port", "is_free", "package_file", "write"]

MARK = "WORKBENCH_DEPLOYMENT"
"""Environment variable that each of our processes, and each that a user starts, carries."""

PROCESS = "WORKBENCH_PROCESS"
"""Environment variable with the name of the process; those that are sandboxed carry it."""

SERVICES = 61190
"""Number of the account that the web services run as with profile host.

It is one of those that systemd hands out and no person has; no account of that number need be there.
"""

_PORTS = ("hub", "proxy_api", "api", "scheduler", "scheduler_http", "worker_http", "life", "broker")
_TOKENS = ("proxy", "api", "down", "culler", "usage", "metrics", "database", "broker")


class Deployment(Supervised):
    """The deployment in a state directory.

    Parameters
    ----------
    settings : Settings
        Of which the profile, the state directory, the archive, the port, the
        Docker daemon, the database, the policy and the number of workers are used.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.state_dir)
        self.settings = settings
        self.homes = self.state / "homes"
        self.hub = self.state / "hub"
        self.secrets = self.state / "secrets"
        self.passwords = self.secrets / "passwords.json"
        self.postgres = self.state / "postgres"
        self.services = self.state / "services"
        self.catalogue = self.state / "catalogue.json"
        self.policy_in_force = self.run / "policy.yaml"

    @cached_property
    def _started_with(self) -> str:
        path = self.state / "profile"
        return path.read_text().strip() if path.is_file() else ""

    @property
    def profile(self) -> str:
        """``embedded`` or ``host``."""
        return self.settings.profile or self._started_with or "embedded"

    @property
    def on_host(self) -> bool:
        """Whether users' servers are containers."""
        return self.profile == "host"

    @property
    def why(self) -> str:
        """Why it is that profile."""
        if self.settings.profile:
            return "WORKBENCH_PROFILE says so"
        if self._started_with:
            return f"{self.state} was started with it"
        return "nothing asks for another; for containers: make up PROFILE=host"

    @property
    def policy_file(self) -> Path:
        """The policy that an administrator edits."""
        named = self.settings.policy
        return named.expanduser().absolute() if named else package_file("../policy.yaml")

    @property
    def fragments(self) -> list[Path]:
        """What a site adds to the hub's configuration: ``config.d/*.py`` beside its policy."""
        return sorted((self.policy_file.parent / "config.d").glob("*.py"))

    @property
    def database_url(self) -> str:
        """Where the hub keeps users, servers and tokens."""
        if not self.on_host:
            return f"sqlite:///{self.hub / 'jupyterhub.sqlite'}"
        given = self.settings.database.get_secret_value()
        return given or database.url(self.postgres, self.tokens["database"])

    @property
    def ip(self) -> str:
        """Address of hub and web services, which users' servers reach: with profile host the bridge's."""
        subnet = self.run / "subnet.json"
        if not self.on_host or not subnet.is_file():
            return "127.0.0.1"
        return str(next(IPv4Network(json.loads(subnet.read_text())).hosts()))

    def check(self) -> None:
        """See that the state directory was not started with another profile.

        Raises
        ------
        InvalidSetting
            If it was.
        """
        if self._started_with and self.profile != self._started_with:
            raise InvalidSetting(
                f"Profile {self.profile}",
                f"{self.state} was started as {self._started_with}, with other users and files",
                "Choose another WORKBENCH_STATE.",
            )

    def create(self) -> None:
        """Make directories, tokens and keys that are not there yet."""
        for folder in (self.state, self.logs, self.homes):
            folder.mkdir(parents=True, exist_ok=True)
        for private in (self.run, self.hub, self.secrets):
            private.mkdir(mode=0o700, exist_ok=True)
            private.chmod(0o700)
        if self.on_host:
            self.logs.chmod(0o700)  # they say who asked for what, and jobs run on this machine
            self.services.mkdir(mode=0o700, exist_ok=True)
        tls.create(self.tls)
        for path in (self.services, self.tls, *self.tls.iterdir()) if self.on_host else ():
            os.chown(path, SERVICES, SERVICES)
        write(self.state / "profile", self.profile + "\n")
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
        return (self.services if self.on_host else self.secrets) / "tls"

    @property
    def archive(self) -> Path:
        """The shared archive.

        Raises
        ------
        InvalidSetting
            If the setting is a URL, as a folder is what users' servers are given.
        """
        root = self.settings.archive_roots[0]
        if isinstance(root, Path):
            return root
        raise InvalidSetting(
            "WORKBENCH_ARCHIVE",
            "is a URL, and a deployment gives its users a folder",
            "Mount the archive and name the folder; commands, notebooks and workers take the URL.",
        )

    @property
    def url(self) -> str:
        """Where a browser goes."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def port(self) -> int:
        """The port that it was last started at; the setting, before the first start."""
        return self.ports.get("public", self.settings.port) if self.exists else self.settings.port

    @cached_property
    def policy(self) -> Policy:
        """The policy in force: the one that the last start or reload found right."""
        from workbench_hub.policy import load

        return load(self.policy_in_force)

    @property
    def slurm(self) -> Scheduler | None:
        """The cluster that the last start found or started, if any."""
        from workbench_hub import scheduling

        return scheduling.found(self.run) if self.on_host else None

    @property
    def brokered(self) -> bool:
        """Whether users' servers get to the cluster by the broker."""
        if not self.policy_in_force.is_file() or self.slurm is None:
            return False
        return self.policy.slurm.access == "broker"

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
            chosen[name] = port if usable else free_port({*chosen.values()})
        write(path, json.dumps(chosen))
        self.__dict__.pop("ports", None)

    def processes(self) -> list[Process]:
        """Return the process list with everything filled in."""
        from workbench_hub.processes import listed

        return listed(self)

    @property
    def places(self) -> tuple[Path, ...]:
        """Return the paths that stand in the supervisor's configuration."""
        return (*super().places, self.archive)

    def walls(self, name: str) -> list[str]:
        """Return the words before the command of the process of that name, which is sandboxed."""
        from workbench_hub import sandbox

        return sandbox.words(self, name)


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


def free_port(taken: set[int]) -> int:
    """Return a port of 127.0.0.1 that nothing listens at and that is not taken."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
