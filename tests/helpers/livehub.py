"""A real hub and a real proxy, and nothing else: enough to see what the hub's own services do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployed import free_port, newest_logs
from workbench.settings import Settings
from workbench_hub import processes
from workbench_hub.deployment import Deployment, package_file
from workbench_hub.health import healthy, wait_for
from workbench_hub.passwords import Passwords

CONFIG = package_file("../jupyterhub_config.py")
USERS = ("anna", "bert", "carla", "dora", "operator")


@dataclass
class LiveHub:
    """The hub that runs, and its parts."""

    deployment: Deployment
    passwords: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    more: str = ""
    """What comes after the configuration."""

    @property
    def config(self) -> Path:
        """The hub's own configuration, without the web services, which are not started here."""
        path = self.deployment.run / "hub.py"
        path.write_text(
            f"load_subconfig({str(CONFIG)!r})\n"
            "c = get_config()\n"
            "services = c.JupyterHub.services\n"
            "c.JupyterHub.services = [one for one in services if one['name'] != 'workbench']\n" + self.more
        )
        return path

    @property
    def state(self) -> Path:
        return self.deployment.state

    @property
    def url(self) -> str:
        return self.deployment.url.rstrip("/")

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.deployment.ports['hub']}/hub/api"

    def start(self, name: str, *more: str) -> subprocess.Popen[bytes]:
        """Start a process of the list, as the supervisor would."""
        process = next(one for one in processes.listed(self.deployment) if one.name == name)
        command = [part.replace(str(CONFIG), str(self.config)) for part in process.command]
        self.spawn(name, *command, *more, **process.environment)
        wait_for(lambda: healthy(process.health), 60, name)
        return self.running[name]

    def spawn(self, name: str, *command: str, **environment: str) -> None:
        """Start a program as a part of the hub; its words go to that part's log."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("WORKBENCH_")}
        given = {"WORKBENCH_STATE": str(self.state), "WORKBENCH_PORT": str(self.deployment.port)}
        with (self.deployment.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=kept | given | environment, stdout=log, stderr=log, cwd=self.state
            )

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running.pop(name).wait()

    def said(self) -> str:
        return newest_logs(self.deployment.state)


@contextmanager
def live_hub(
    state: Path,
    start: Sequence[str] = ("proxy", "hub"),
    passwords: dict[str, str] | None = None,
    users: Sequence[str] = USERS,
    more: str = "",
) -> Iterator[LiveHub]:
    deployment = Deployment(Settings(state=state, port=free_port(), profile="embedded"))
    deployment.create()
    deployment.choose_ports()
    if passwords is None:
        made = Passwords(deployment.passwords)
        passwords = {name: made.set(name, name == "operator") for name in users}
    hub = LiveHub(deployment, passwords, more=more)
    try:
        for name in start:
            hub.start(name)
        if start:
            wait_for(lambda: healthy(f"{hub.url}/hub/health"), 60, "the hub behind its proxy")
        yield hub
    finally:
        from workbench_hub import supervision

        for process in hub.running.values():
            process.terminate()
        for process in hub.running.values():
            process.wait(30)
        supervision.stop(deployment)  # and users' servers, by their mark
