"""A Docker daemon of the tests' own: sockets, data and containers apart from those of the machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, DockerException

from workbench_hub.health import wait_for

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_TABLES = ("filter", "nat")
KEPT = "TEST_DOCKER_ROOT"
"""Environment variable: where the daemon's data are kept from run to run, for developers."""


@dataclass
class Daemon:
    """A dockerd that tests started; it may be killed and started again."""

    root: Path
    process: subprocess.Popen[bytes] | None = None
    containerd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.root / 'docker.sock'}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> Path:
        return self.root / "dockerd.log"

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        client = docker.DockerClient(base_url=self.url, timeout=120)
        try:
            yield client
        finally:
            client.close()

    def run(self, *words: str, check: bool = True, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the ``docker`` command against this daemon."""
        command = ["docker", "--host", self.url, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        assert not check or not done.returncode, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done

    def start(self) -> None:
        """Start it; containers that ran before go on (live-restore)."""
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._start_containerd()
        (self.root / "daemon.json").write_text("{}")  # the machine's own configuration does not count
        command = [
            "dockerd",
            *("--containerd", str(self.root / "containerd.sock")),
            *("--config-file", str(self.root / "daemon.json")),
            *("--host", self.url, "--data-root", str(self.root / "data")),
            *("--exec-root", str(self.root / "exec"), "--pidfile", str(self.root / "pid")),
            *("--live-restore", "--bridge=none", "--iptables=true", "--ip6tables=false"),
        ]
        # What a killed one has left; a new one refuses to start where that number is taken anew.
        (self.root / "pid").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, _START_SECONDS, "the tests' dockerd")

    def _start_containerd(self) -> None:
        """Start what dockerd stands on, a process of its own as on a host of Debian's."""
        if self.containerd is not None and self.containerd.poll() is None:
            return
        config = self.root / "containerd.toml"
        config.write_text(
            f'version = 2\nroot = "{self.root}/containerd"\nstate = "{self.root}/containerd-run"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{self.root}/containerd.sock"\n'
        )
        with (self.root / "containerd.log").open("ab") as log:
            self.containerd = subprocess.Popen(
                ["containerd", "--config", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for((self.root / "containerd.sock").is_socket, _START_SECONDS, "the tests' containerd")

    def kill(self) -> None:
        """End it as a power cut would; its containers go on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop it, and what a killed one has left behind."""
        for process in (self.process, self.containerd):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        left = self.processes()
        for number in left:
            _signal(number)
        if left:
            wait_for(lambda: not self.processes(), _STOP_SECONDS, "the end of the containers' processes")

    def answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"dockerd ended with {self.process.returncode}\n{self.said()}")
        # A connection that is refused is left open by docker's client and by httpx.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.root / "docker.sock"))
            except OSError:
                return False
        try:
            with self.client() as client:
                return bool(client.ping())
        except (DockerException, OSError):
            return False

    def said(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def processes(self) -> list[int]:
        """Return the processes that name our directory in their command: containerd and its shims."""
        mark, found = os.fsencode(self.root) + b"/", []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].rpartition(b"/")[2] in _OURS and any(mark in word for word in words):
                found.append(int(folder.name))
        return found

    def sweep(self) -> None:
        """Remove every container, and every network that is not Docker's own."""
        with self.client() as client:
            for container in client.containers.list(all=True, ignore_removed=True):
                try:
                    container.remove(force=True, v=True)
                except APIError as error:
                    if error.status_code not in (404, 409):
                        raise
            client.networks.prune()


_OURS = {b"dockerd", b"containerd", b"containerd-shim", b"containerd-shim-runc-v2", b"docker-init"}


def why_not() -> str:
    """Return why no daemon can be started here, or nothing."""
    if os.geteuid():
        return "a Docker daemon of the tests' own needs root"
    for program, package in (
        ("dockerd", "docker.io"),
        ("containerd", "containerd"),
        ("iptables", "iptables"),
    ):
        if not shutil.which(program):
            return f"there is no {program}; as root: apt-get install {package}"
    return ""


@contextmanager
def own_daemon() -> Iterator[Daemon]:
    """Start a daemon, and leave nothing behind: no process, mount, bridge, chain or file."""
    kept = os.environ.get(KEPT)
    # Short, since a socket's path has a hundred bytes and no more.
    root = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="wbt-", dir="/tmp"))
    chains = {table: _chains(table) for table in _TABLES}
    forward = _forward()
    daemon = Daemon(root)
    try:
        daemon.start()
        yield daemon
    finally:
        if daemon.alive:
            daemon.sweep()
        daemon.stop()
        _unmount(root)
        for table, before in chains.items():
            _remove_chains(table, before)
        subprocess.run(["iptables", "-w", "-P", "FORWARD", forward], check=True)
        if not kept:
            shutil.rmtree(root)


def _chains(table: str) -> set[str]:
    done = subprocess.run(["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=True)
    return {line.split()[1] for line in done.stdout.splitlines() if line.startswith("-N ")}


def _forward() -> str:
    """Return the policy of FORWARD, which dockerd sets to DROP and leaves so."""
    done = subprocess.run(["iptables", "-w", "-S", "FORWARD"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]


def _remove_chains(table: str, before: set[str]) -> None:
    """Remove the chains that Docker made meanwhile, with the rules that lead to them."""
    new = {name for name in _chains(table) - before if name.startswith("DOCKER")}
    if not new:
        return
    listed = subprocess.run(["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        words = line.split()
        if words[0] == "-A" and new & set(words) and words[1] not in new:
            subprocess.run(["iptables", "-w", "-t", table, "-D", *words[1:]], check=True)
    for action in ("-F", "-X"):
        for name in sorted(new):
            subprocess.run(["iptables", "-w", "-t", table, action, name], capture_output=True, check=False)


def _unmount(root: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{root}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)


def _signal(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return
