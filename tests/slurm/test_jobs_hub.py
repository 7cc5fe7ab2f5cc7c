"""Which jobs a user has, as the hub asks before it stops an idle server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slurmed import Slurm
from workbench.errors import Unavailable
from workbench_hub.life.jobs import load

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]


@pytest.fixture
def jobs_of(slurm: Slurm, monkeypatch: pytest.MonkeyPatch):
    """Ask as root does at a centre, where the machine knows the names of users."""
    for name, value in {**slurm.cluster.environment, **slurm.cluster.names}.items():
        monkeypatch.setenv(name, value)
    asked = load("workbench_hub.life.slurm:jobs_of")

    def ask(user: str):
        with monkeypatch.context() as around:
            around.setenv("SQUEUE_STATES", "COMPLETED")
            return asked(user)

    return ask


def test_jobs_that_wait_or_run_are_a_users_own(slurm: Slurm, jobs_of, eventually: Callable[..., None]):
    assert jobs_of("anna") == []
    running = slurm.submit("sleep 600", "--job-name=a|b", user="anna")
    waiting = slurm.submit("sleep 600", "--hold", user="anna")
    many = slurm.submit("sleep 600", "--array=1-3", "--hold", user="anna")
    ended = slurm.submit("true", user="anna")
    others = slurm.submit("sleep 600", user="ben")
    assert slurm.wait(ended) == "COMPLETED"
    eventually(lambda: slurm.state(running) == "RUNNING", 20, "a job that runs")
    found = {job.number: job for job in jobs_of("anna")}
    assert set(found) == {str(running), str(waiting), f"{many}_[1-3]"}
    assert (found[str(running)].state, found[str(running)].name) == ("RUNNING", "a|b")
    assert str(found[str(running)]) == f"{running} a|b"
    assert [job.number for job in jobs_of("ben")] == [str(others)]
    slurm.clean()
    assert jobs_of("anna") == []


def test_nobody_is_taken_for_idle_whom_slurm_does_not_know(slurm: Slurm, jobs_of, monkeypatch):
    with pytest.raises(Unavailable, match="which jobs nobody-of-that-name has"):
        jobs_of("nobody-of-that-name")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Unavailable, match="which jobs anna has"):
        jobs_of("anna")
