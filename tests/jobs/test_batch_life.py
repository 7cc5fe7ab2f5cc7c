"""Batch jobs of this machine: how they end, and that they are told apart from what only seems to run."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable, WorkbenchError
from workbench.jobs.batch import jobs
from workbench.jobs.batchjob import BatchJob
from workbench.jobs.records import Record

pytest_plugins = ["batching"]


def finish(sender: subprocess.Popen[str]) -> None:
    os.killpg(sender.pid, signal.SIGKILL)
    sender.communicate()


def _running(job: BatchJob) -> bool:
    found = subprocess.run(["pgrep", "-f", str(job.submission.folder)], capture_output=True, check=False)
    return found.returncode == 0


@pytest.mark.parametrize("end", ["kill", "segv", "fail"])
def test_a_kernel_that_takes_its_process_along_is_told(send, end: str):
    job = send(end=end).wait(60)
    status = job.status
    assert (status.state, status.exit_code) == ("failed", 1)
    words = {"kill": "SIGKILL", "segv": "SIGSEGV", "fail": "ZeroDivisionError: told to fail"}
    assert words[end] in status.problem
    with pytest.raises(WorkbenchError):
        job.result()


def test_progress_is_seen_and_a_job_is_cancelled(send, eventually):
    job = send(seconds=600)
    eventually(lambda: job.status.doing == "waiting", 30, "progress")
    assert job.state == "running"
    with pytest.raises(Unavailable, match="did not end in"):
        job.wait(0.1)
    with pytest.raises(InvalidSetting, match="is running"):
        job.retry()
    job.cancel().wait(20)
    assert (job.state, job.status.exit_code) == ("cancelled", 130)
    with pytest.raises(WorkbenchError, match="was cancelled"):
        job.result()


def test_a_job_over_its_time_is_ended_and_may_be_given_more(send):
    job = send(seconds=4, limits={"walltime": 1}).cancel().wait(20)
    # A minute is the shortest that can be asked for: half a second is written down instead.
    job.submission.about["limits"]["walltime"] = 0.01
    job.submission.save()
    job.retry().wait(30)
    assert (job.state, job.status.exit_code) == ("timeout", 5)
    with pytest.raises(ResourceExceeded, match="longer than its"):
        job.result()
    assert job.retry(walltime="10m").result(30).value[0].stats.station == "RJOB"
    assert job.status.attempt >= 2


def test_a_job_over_its_memory_is_ended_and_may_be_given_more(send):
    job = send(seconds=5, megabytes=500, limits={"memory": "400 MiB"}).wait(60)
    assert (job.state, job.status.exit_code) == ("out-of-memory", 5)
    assert job.status.memory > 400 * 2**20
    with pytest.raises(ResourceExceeded, match=r"more than its 400 MiB\. Retry it with more memory="):
        job.result()
    assert job.retry(memory="4 GiB").wait(60).state == "done"


def test_a_job_outlives_the_notebook(elsewhere, settings, eventually):
    sender, name = elsewhere(seconds=3)
    job = jobs(name, settings)[0]
    eventually(lambda: job.state == "running", 30, "the job")
    finish(sender)
    assert job.state == "running"
    assert job.result(60).value[0].stats.station == "RJOB"


def test_a_job_whose_processes_are_gone_does_not_seem_to_run(elsewhere, settings, eventually):
    sender, name = elsewhere(seconds=600)
    job = jobs(name, settings)[0]
    eventually(lambda: job.status.doing == "waiting", 30, "the job")
    finish(sender)
    pid = Record.read(job.submission.state(0)).pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: job.state == "failed", 20, "the truth")
    assert "has ended without a word" in str(job.error)
    # What worked the Call off has ended with it.
    eventually(lambda: not _running(job), 10, "the end of all of it")
    assert job.retry().cancel().wait(30).state == "cancelled"


def test_no_more_run_at_one_time_than_the_machine_has_workers(send, settings, tmp_path, eventually):
    sent = [send(seconds=600, mark=str(tmp_path / f"mark{number}")) for number in range(4)]
    eventually(lambda: sum(job.status.doing == "waiting" for job in sent) == 2, 40, "two")
    assert sum(job.state == "running" for job in sent) == 2
    waiting = [job for job in sent if job.state == "pending"]
    assert len(waiting) == 2
    waiting[0].cancel()
    eventually(lambda: waiting[0].state == "cancelled", 20, "the end of one that never began")
    assert "before it began" in str(waiting[0].error)
