"""A service is there once: what an earlier start of it left behind ends before the next one begins."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from workbench_hub import sole
from workbench_hub.deployment import MARK, PROCESS

WAIT = [sys.executable, "-I", "-S", "-c", "import signal, sys; print('up', flush=True); signal.pause()"]
STATE = f"/nonexistent/{os.getpid()}"


@contextmanager
def left_behind(name: str, state: str = STATE) -> Iterator[subprocess.Popen[str]]:
    environment = {MARK: state, PROCESS: name, "PATH": os.environ["PATH"]}
    with subprocess.Popen(WAIT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()


def started(name: str, *command: str) -> subprocess.CompletedProcess[str]:
    words = [f"{MARK}={STATE}", f"{PROCESS}={name}", "--", *command]
    own = {**os.environ, MARK: STATE, PROCESS: name}
    return subprocess.run(
        [sys.executable, "-I", "-S", sole.__file__, *words],
        env=own,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_is_left_of_a_service_ends_and_nothing_else():
    with (
        left_behind("worker") as orphan,
        left_behind("api") as other,
        left_behind("worker", "/nonexistent/other") as elsewhere,
    ):
        done = started("worker", "echo", "begun")
        assert done.stdout == "begun\n"
        assert orphan.wait(5) == -9
        assert other.poll() is None
        assert elsewhere.poll() is None


def test_it_becomes_the_command_with_its_exit_code_and_costs_little():
    begun = monotonic()
    assert started("worker", "sh", "-c", "exit 7").returncode == 7
    assert monotonic() - begun < 5


@pytest.mark.docker
def test_a_sandbox_that_was_stopped_in_its_first_instant_does_not_keep_its_successor_out(missing):
    """As root in a process namespace of its own a child does not hear SIGTERM."""
    if os.geteuid() or not os.path.exists("/usr/bin/bwrap"):
        missing("docker", "this needs root and bubblewrap")
    environment = {MARK: STATE, PROCESS: "worker", "PATH": os.environ["PATH"]}
    bwrap = ["bwrap", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "--", *WAIT]
    with subprocess.Popen(bwrap, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.kill()
        process.wait(5)
        words = {f"{MARK}={STATE}".encode(), f"{PROCESS}=worker".encode()}
        assert sole.left(words), "without --die-with-parent it lives on, as it does in that instant with it"
        assert started("worker", "true").returncode == 0
        assert not sole.left(words)
