"""A whole deployment, started once as `make up` starts it, in a directory and at ports of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment
from workbench_hub.health import healthy, wait_for

PROGRAM = Path(sys.executable).with_name("workbench-hub")


@dataclass
class Running:
    """What the tests know about the deployment that runs."""

    state: Path
    port: int
    said: str
    passwords: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def services(self) -> str:
        return f"{self.url}/services/workbench/"

    @property
    def deployment(self) -> Deployment:
        return Deployment(Settings(state=self.state, port=self.port))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return command(self.state, self.port, *words)

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


def command(state: Path, port: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``workbench-hub`` on a state directory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
    environment = {**kept, "WORKBENCH_STATE": str(state), "WORKBENCH_PORT": str(port)}
    if os.environ.get("NODEMO"):
        environment["WORKBENCH_ARCHIVE"] = str(state / "archive")
    return subprocess.run(
        [PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start everything, once; stop it in the end and see that nothing is left."""
    state, port = tmp_path_factory.mktemp("state") / "workbench", free_port()
    done = command(state, port, "up")
    try:
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{_logs(state)}"
        passwords = dict(re.findall(r"^  (scientist|operator) +(\S+)$", done.stdout, re.MULTILINE))
        yield Running(state, port, done.stdout, passwords)
    finally:
        command(state, port, "down")


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for something that takes its time."""

    def wait(check: Callable[[], Any], seconds: float, what: str) -> None:
        wait_for(lambda: bool(check()), seconds, what)

    return wait


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of the processes with a test that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    running = getattr(item, "funcargs", {}).get("running")
    if report.failed and running is not None:
        report.sections.append(("logs", _logs(running.state)))


def _logs(state: Path) -> str:
    parts = []
    for path in sorted((state / "logs").glob("*")):
        lines = path.read_text(errors="replace").splitlines()[-6:]
        parts.append("\n".join([f"==> {path.name} <==", *lines]))
    return "\n".join(parts)
