"""Requests in processes of their own: answers, crashes, time limits, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.errors import ResourceExceeded, WorkbenchError
from workbench.jobs import Isolated
from workbench_hub.health import wait_for


def test_the_process_stays_for_the_next_request():
    with Isolated("os:getenv", 1) as isolated:
        assert isolated.run("PATH", 30) == os.environ["PATH"]
    with Isolated("os:getpgid", 2) as isolated:
        assert isolated.run(0, 30) == os.getpgid(0)


def test_a_crash_is_named_and_costs_its_own_request_alone():
    with Isolated("workbench.jobs.isolated:echo", 1) as good, Isolated("os:_exit", 1) as bad:
        for _ in range(3):
            with pytest.raises(WorkbenchError, match="exit code 7"):
                bad.run(7, 30)
            assert good.run("still here", 30) == "still here"


def test_an_error_inside_comes_out_as_ours(capfd):
    with Isolated("os:nice", 1) as isolated:
        with pytest.raises(WorkbenchError, match="TypeError"):
            isolated.run("much", 30)
        assert isolated.run(0, 30) == os.nice(0)
    # The traceback is for the log, not for the caller.
    assert "TypeError" in capfd.readouterr().err


def test_too_long_is_ended_and_the_place_is_free_again():
    with Isolated("time:sleep", 1) as isolated:
        with pytest.raises(ResourceExceeded, match=r"0\.3 s"):
            isolated.run(60, 0.3)
        assert isolated.run(0, 30) is None


def test_many_threads_get_their_own_answers():
    with Isolated("workbench.jobs.isolated:echo", 3) as isolated, ThreadPoolExecutor(12) as threads:
        assert list(threads.map(lambda n: isolated.run(n, 30), range(300))) == list(range(300))


def test_no_process_outlives_the_one_that_started_it():
    """Not even one that is at work, when its parent is killed."""
    program = "\n".join(
        [
            "from workbench.jobs.isolated import _Worker",
            "worker = _Worker('time:sleep')",
            "print(worker.process.pid, flush=True)",
            "worker.run(1000, 1000)",
        ]
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = Path("/proc") / parent.stdout.readline().strip()
    assert child.exists()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not child.exists() or "Z" in (child / "stat").read_text().split()[2], 10, "its end")
