"""The Docker daemon, through its own command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from building.errors import BuildFailed

__all__ = ["STAGE", "Engine"]

STAGE = "org.seismic-workbench.stage"
"""Label of what a build needs on the way and nobody needs afterwards; the Dockerfiles set it."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Engine:
    """A daemon at a URL such as ``unix:///var/run/docker.sock``."""

    url: str

    def check(self) -> None:
        """Stop with the reason where no image can be built."""
        if not shutil.which("docker"):
            raise BuildFailed("docker", "the command is not here", "On Debian: apt-get install docker.io")
        done = self._call("info", "--format", "{{.ServerVersion}}")
        if done.returncode:
            remedy = "Start it, or say where it is with --docker URL or WORKBENCH_DOCKER."
            raise BuildFailed(f"the Docker daemon at {self.url}", _last(done.stderr, 1), remedy)

    def do(self, *arguments: str | Path, stdin: IO[bytes] | bytes | None = None, timeout: float = 900) -> str:
        """Run a docker command and return what it says."""
        done = self._call(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise BuildFailed(f"docker {arguments[0]}", _last(done.stderr or done.stdout, 15))
        return done.stdout.strip()

    def build(
        self,
        context: Path,
        tag: str,
        *,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        network: str,
        fresh: bool = False,
    ) -> str:
        """Build an image from a folder, and return its digest; fresh uses nothing of an earlier build."""
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--label={name}={value}" for name, value in labels.items()]
        command: list[str | Path] = [
            "build",
            "--rm",
            "--force-rm",
            f"--network={network}",
            f"--tag={tag}",
            *options,
            *["--no-cache"] * fresh,
            context,
        ]
        done = self._call(*command, timeout=1800)
        if done.returncode:
            words = _last(done.stdout, 25) + "\n" + _last(done.stderr, 10)
            raise BuildFailed(f"the image {tag}", f"its build stopped:\n{words}")
        return self.digest(tag)

    def digest(self, reference: str) -> str:
        """Return the digest that names an image for good."""
        return str(self.inspect(reference)["Id"])

    def inspect(self, reference: str) -> dict[str, Any]:
        """Return all that the daemon knows of an image."""
        described: list[dict[str, Any]] = json.loads(self.do("image", "inspect", reference))
        return described[0]

    def find(self, tag: str) -> str:
        """Return the digest of an image that is here already, or nothing."""
        done = self._call("image", "inspect", "--format={{.Id}}", tag)
        return "" if done.returncode else done.stdout.strip()

    def tidy(self) -> None:
        """Remove the stages of builds: what installed an image is larger than the image."""
        self.do("image", "prune", "--force", f"--filter=label={STAGE}")

    def ask(self, image: str, program: Path) -> Any:
        """Run a Python program in an image, away from any network, and return its answer."""
        walls = ["--network=none", "--read-only", "--user=0:0", "--cap-drop=ALL", "--cap-add=DAC_READ_SEARCH"]
        command = ["run", "--rm", "--interactive", *walls, "--entrypoint=/usr/bin/python3", image]
        return json.loads(self.do(*command, "-I", "-", stdin=program.read_bytes()))

    def _call(
        self, *arguments: str | Path, stdin: IO[bytes] | bytes | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        # The builder inside the daemon is the one that every daemon and every client has.
        environment = dict(os.environ, DOCKER_HOST=self.url, DOCKER_BUILDKIT="0", DOCKER_CLI_HINTS="false")
        source: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        if stdin is None:
            source = {"stdin": subprocess.DEVNULL}
        try:
            done = subprocess.run(
                ["docker", *map(str, arguments)],
                env=environment,
                capture_output=True,
                check=False,
                timeout=timeout,
                **source,
            )
        except subprocess.TimeoutExpired as error:
            raise BuildFailed(f"docker {arguments[0]}", f"no answer in {timeout:.0f} s") from error
        out, err = (
            _COLOURS.sub("", stream.decode(errors="replace")) for stream in (done.stdout, done.stderr)
        )
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _last(text: str, lines: int) -> str:
    kept = [line for line in text.strip().splitlines() if line.strip()]
    return "\n".join(kept[-lines:]) or "it gave no reason"
