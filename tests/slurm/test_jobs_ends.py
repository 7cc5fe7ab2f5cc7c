"""Batch jobs on a real SLURM when something ends them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from slurmed import Slurm
from trialbook import Trials

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

Eventually = Callable[..., None]


def test_a_job_whose_node_is_lost_runs_again_on_another(
    slurm_cluster: Slurm, book: Trials, eventually: Eventually
):
    book.run("job = wb.submit(trial(seconds=600, until='moved'))")
    book.running(eventually)
    first = book.told()["node"]
    slurm_cluster.lose(first)
    try:
        # Root does not wait until the controller takes it for lost, nor for the two minutes after that.
        slurm_cluster.root_command("scontrol", "update", f"NodeName={first}", "State=DOWN", "Reason=lost")
        eventually(lambda: book.told()["state"] == "pending", 30, "its place in the queue")
        slurm_cluster.root_command("scontrol", "update", f"JobId={book.number()}", "StartTime=now")
        eventually(lambda: book.told()["node"] not in ("", first), 100, "another node")
        (slurm_cluster.home("anna") / "moved").touch()
        book.run("job.wait(90)", 100)
    finally:
        slurm_cluster.find(first)
    found = book.told()
    assert (found["state"], found["code"]) == ("done", 0)
    assert book.run("answer = job.status.attempt") == 2


@pytest.mark.parametrize("whom", ["the one that works", "the one that looks after it"])
def test_a_job_that_is_killed_does_not_seem_to_run(book: Trials, eventually: Eventually, whom: str):
    book.run("job = wb.submit(trial(seconds=600))")
    book.running(eventually)
    folder = book.run("answer = str(job.submission.folder)")
    module = "workbench.cli.attended" if whom == "the one that works" else "workbench.jobs.attend"
    found = subprocess.run(
        ["pgrep", "-f", f"{module}.*{folder}|{module}{folder}"], capture_output=True, text=True
    )
    os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    book.run("job.wait(60)", 70)
    assert book.told()["state"] == "failed"
    eventually(lambda: not _left(folder), 10, "the end of all of it")


def _left(folder: str) -> bool:
    return subprocess.run(["pgrep", "-f", folder], capture_output=True, check=False).returncode == 0


def test_a_job_outlives_the_controller(slurm_cluster: Slurm, book: Trials, eventually: Eventually):
    book.run("job = wb.submit(trial(seconds=600, until='controlled'))")
    book.running(eventually)
    slurm_cluster.written_down(book.number())
    dead = slurm_cluster.pid("slurmctld")
    os.kill(dead, signal.SIGKILL)
    # Its own words count while SLURM has none.
    assert book.run("answer = [one.state for one in wb.jobs(job.id)]") == ["running"]
    eventually(slurm_cluster.all_well, 60, "the controller")
    assert slurm_cluster.pid("slurmctld") != dead
    assert slurm_cluster.state(book.number()) == "RUNNING"
    (slurm_cluster.home("anna") / "controlled").touch()
    assert book.run("answer = job.result(90).value[0].stats.station", 100) == "RJOB"


def test_a_controller_that_does_not_answer_is_named(
    slurm_cluster: Slurm, book: Trials, eventually: Eventually
):
    book.run("job = wb.submit(trial(seconds=600))")
    book.running(eventually)
    conf = slurm_cluster.home("anna") / "nowhere.conf"
    conf.write_text("")
    book.run(f"kept = os.environ['SLURM_CONF']; os.environ['SLURM_CONF'] = {str(conf)!r} + 'x'")
    found = book.run("answer = [job.status.state, job.status.doing]")
    book.run("os.environ['SLURM_CONF'] = kept; job.cancel().wait(60)", 70)
    assert found[0] == "running"
    assert found[1].startswith("SLURM does not say: SLURM: there is no ")
