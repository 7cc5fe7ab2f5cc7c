"""Images that were built once, and containers of them as a user gets them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dockerd import Daemon

ROOT = Path(__file__).parents[2]
if str(ROOT / "images") not in sys.path:
    sys.path.append(str(ROOT / "images"))

WALLS = (
    *("--network=none", "--user=12345:12345", "--read-only", "--cap-drop=ALL"),
    *("--security-opt=no-new-privileges", "--tmpfs=/tmp:exec,mode=1777", "--pids-limit=1024"),
)
"""What every session has; the deployment adds limits and mounts."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def build(docker_daemon: Daemon, catalogue: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the build command, on the daemon and into the catalogue that the tests share."""

    def run(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        places = ["--docker", docker_daemon.url, "--out", catalogue.parent]
        command = [sys.executable, ROOT / "images" / "build.py", *places, *arguments]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, timeout=900, check=False
        )
        assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    return run


@pytest.fixture(scope="session")
def entries(catalogue: Path) -> Callable[[], dict[str, dict[str, Any]]]:
    """Read the catalogue, as it is by now."""
    return lambda: json.loads(catalogue.read_text())


@pytest.fixture(scope="session")
def container(docker_daemon: Daemon) -> Run:
    """Run a command in a container of an image, behind the walls of a session."""

    def run(
        image: str, *command: str, options: tuple[str, ...] = (), stdin: str = "", **more: Any
    ) -> subprocess.CompletedProcess[str]:
        check = more.pop("check", True)
        words = ["docker", "--host", docker_daemon.url, "run", "--rm", "--interactive", *WALLS, *options]
        done = subprocess.run(
            [*words, image, *command], input=stdin, capture_output=True, text=True, timeout=180, check=False
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    return run


@pytest.fixture(scope="session")
def user(user_image: str, container: Run) -> Run:
    """Run a command in a container of the users' image."""

    def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return container(user_image, *command, **options)

    return run
