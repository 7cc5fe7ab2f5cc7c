"""A PostgreSQL cluster of the tests' own: a directory, a port of 127.0.0.1, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench_hub.health import wait_for


def programs() -> Path | None:
    """Where PostgreSQL's programs are; Debian keeps them out of the path."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else debian[-1].parent if debian else None


@dataclass
class Cluster:
    """A running cluster; it may be killed and started again."""

    root: Path
    port: int
    bin: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+pg8000://postgres:secret@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        command = [
            self.bin / "postgres",
            *("-D", self.root / "data", "-p", str(self.port), "-h", "127.0.0.1"),
            *("-k", "", "-c", "fsync=off", "-c", "shared_buffers=16MB"),
        ]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **_account())
        wait_for(self.answers, 30, "PostgreSQL")

    def answers(self) -> bool:
        ask = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ask, check=False).returncode == 0

    def sql(self, words: str, database: str = "postgres") -> str:
        command = [self.bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", words]
        done = subprocess.run(
            [*command, f"postgresql://postgres:secret@127.0.0.1:{self.port}/{database}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def create(self, database: str) -> str:
        self.sql(f"CREATE DATABASE {database}")
        return self.url(database)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)


@contextmanager
def cluster() -> Iterator[Cluster]:
    bin = programs()
    assert bin is not None
    # pytest's own directories are closed to the account that PostgreSQL runs as: it refuses to run as root.
    root = Path(tempfile.mkdtemp(prefix="workbench-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(root, "postgres", "postgres")
        (root / "password").write_text("secret")
        initdb = [bin / "initdb", "-D", root / "data", "-U", "postgres", "--auth=scram-sha-256"]
        initdb += ["--encoding=UTF8", "--locale=C", "--no-sync", f"--pwfile={root / 'password'}"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **_account())
        running = Cluster(root, _free_port(), bin)
        try:
            running.start()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(root)


def _account() -> dict[str, object]:
    if os.geteuid():
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
