"""A deployment that tests started, and what they ask of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment
from workbench_hub.health import healthy

PROGRAM = Path(sys.executable).with_name("workbench-hub")


@dataclass
class Running:
    """What the tests know about the deployment that runs."""

    state: Path
    port: int
    said: str
    passwords: dict[str, str] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)
    """Further environment variables that it was started with."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def policy(self) -> Path:
        """The file of its policy."""
        return Path(self.more["WORKBENCH_POLICY"])

    @property
    def services(self) -> str:
        return f"{self.url}/services/workbench/"

    @property
    def deployment(self) -> Deployment:
        names = {f"WORKBENCH_{name.upper()}": name for name in Settings.model_fields}
        given = {names[name]: value for name, value in self.more.items()}
        return Deployment(Settings(state=self.state, port=self.port, **given))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(self.state, self.port, *words, **self.more)

    def pid(self, process: str) -> int:
        if process == "supervisor":
            return supervision.pid(self.deployment) or 0
        return int(supervision.states(self.deployment)[process]["pid"])

    def well(self, process: str) -> bool:
        """Whether a process runs and says that it is well."""
        if process == "supervisor":
            return bool(self.pid(process))
        entry = supervision.states(self.deployment).get(process, {})
        health = next(p.health for p in self.deployment.processes() if p.name == process)
        return entry.get("statename") == "RUNNING" and (not health or healthy(health))

    def all_well(self) -> bool:
        try:
            return all(self.well(process.name) for process in self.deployment.processes())
        except OSError:
            return False


def command(state: Path, port: int, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``workbench-hub`` on a state directory, with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
    environment = {**kept, "WORKBENCH_STATE": str(state), "WORKBENCH_PORT": str(port), **more}
    return subprocess.run(
        [PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=900, check=False
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def newest_logs(state: Path) -> str:
    """Return the last lines of each log."""
    parts = []
    for path in sorted((state / "logs").glob("*")):
        lines = path.read_text(errors="replace").splitlines()[-6:]
        parts.append("\n".join([f"==> {path.name} <==", *lines]))
    return "\n".join(parts)
