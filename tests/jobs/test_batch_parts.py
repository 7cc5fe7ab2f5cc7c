"""What batch jobs are made of: their records, and what SLURM says of those that could not write one."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from workbench.calls import Call
from workbench.errors import InvalidSetting, Unavailable
from workbench.jobs import identity, memory
from workbench.jobs.launch import Limits
from workbench.jobs.once import Once, copy_results
from workbench.jobs.reasons import reason_of
from workbench.jobs.records import Record
from workbench.jobs.slurm import Queued
from workbench.jobs.states import Queue, resolve
from workbench.jobs.submissions import Run, Submission, compact
from workbench.settings import Settings

CALL = Call(
    process="triggers.sta_lta", inputs={"waveforms": {"selection": "XX.A..HHZ@2020-01-01/2020-01-02"}}
)


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    """Return one of three Calls, sent to SLURM an hour ago."""
    settings = Settings(jobs=tmp_path / "jobs")
    made = Submission.create(settings, [CALL] * 3, "slurm", Limits(), None, many=True, reuse=True)
    made.sent(Run(7, 0, (0, 1, 2), ago(3600)))
    return Submission.load(made.folder)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def queue(state: str, index: int = 1, reason: str = "None") -> Queue:
    job = Queued(9, 7, index, "wb", state, "n1", reason_of(reason))
    return Queue({(7, index): job})


def test_a_record_is_what_it_was(tmp_path):
    path = tmp_path / "0.json"
    record = Record(state="failed", exit_code=4, subject="GR.FUR", problem="ναι " * 900, attempt=2)
    record.write(path)
    found = Record.read(path)
    assert (found.state, found.exit_code, found.attempt) == ("failed", 4, 2)
    assert found.problem.startswith("ναι ναι")
    assert len(found.problem) == 1200
    assert [item.name for item in tmp_path.iterdir()] == ["0.json"]
    path.write_text("{")
    assert Record.read(path) == Record()


def test_a_record_is_whole_whenever_it_is_read(tmp_path):
    path, over = tmp_path / "0.json", threading.Event()
    Record(state="running", doing="0").write(path)

    def write() -> None:
        for number in range(300):
            Record(state="running", doing=str(number) * 300).write(path, durable=False)
        over.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not over.is_set():
        assert Record.read(path).state == "running"
    thread.join()


def test_slurms_word_is_the_last_where_a_job_has_none(submission):
    path = submission.state(1)
    Record(state="running", node="n1").write(path)
    for word, state, code, words in (
        ("TIMEOUT", "timeout", 5, "longer than its 60 minutes"),
        ("OUT_OF_MEMORY", "out-of-memory", 5, "more than its 2048 MiB"),
        ("NODE_FAIL", "failed", 1, "lost with its node n1"),
        ("CANCELLED", "cancelled", 130, "was cancelled"),
        ("PREEMPTED", "cancelled", 130, "make room"),
    ):
        Record(state="running", node="n1").write(path)
        found = resolve(submission, 1, queue(word))
        assert (found.state, found.exit_code) == (state, code)
        assert words in found.problem
        # It is written down: SLURM forgets.
        assert resolve(submission, 1, Queue()).problem == found.problem


def test_a_guess_of_the_job_gives_way_to_slurms_word(submission):
    """A job that is told to end does not know why."""
    Record(state="cancelled", exit_code=130, problem="was cancelled", sure=False).write(submission.state(1))
    assert resolve(submission, 1, Queue()).state == "cancelled"
    assert resolve(submission, 1, queue("TIMEOUT")).state == "timeout"
    # And one that begins again has not ended.
    Record(state="cancelled", exit_code=130, problem="was cancelled", sure=False).write(submission.state(2))
    assert resolve(submission, 2, queue("PENDING", 2)).state == "pending"


def test_a_last_word_of_the_job_stands_against_slurm(submission):
    Record(state="failed", exit_code=3, problem="no data").write(submission.state(1))
    for word in ("COMPLETED", "FAILED", "TIMEOUT", "RUNNING"):
        assert resolve(submission, 1, queue(word)).problem == "no data"


def test_why_a_job_waits_is_said(submission):
    found = resolve(submission, 1, queue("PENDING", reason="Priority"))
    assert (found.state, found.problem) == ("pending", "")
    assert "Priority" in found.doing
    found = resolve(submission, 1, queue("PENDING", reason="PartitionDown"))
    assert (found.state, found.problem) == ("pending", "the partition is down (PartitionDown)")


def test_what_nobody_knows_any_more_does_not_seem_to_run(submission):
    path = submission.state(1)
    found = resolve(submission, 1, Queue())
    assert (found.state, found.problem) == ("failed", "never began, and SLURM does not know it any more")
    Record(state="running").write(path)
    assert resolve(submission, 1, Queue()).state == "running", "it gave a sign of life a moment ago"
    old = datetime.now(UTC).timestamp() - 600
    os.utime(path, (old, old))
    found = resolve(submission, 1, Queue())
    assert found.state == "failed"
    assert "no sign of life" in found.problem
    assert Record.read(path).state == "running", "that is no more than a guess"
    # Where SLURM does not answer, its own words count.
    found = resolve(submission, 1, Queue(error=Unavailable("SLURM", "is away")))
    assert (found.state, "SLURM is" in found.doing or "SLURM: is away" in found.doing) == ("running", True)


def test_accounts_know_what_the_queue_has_forgotten(submission):
    Record(state="running").write(submission.state(2))
    assert resolve(submission, 2, Queue(accounts={"7_2": "OUT_OF_MEMORY"})).state == "out-of-memory"


def test_a_completed_job_without_results_is_not_done(submission):
    Record(state="running").write(submission.state(1))
    assert resolve(submission, 1, queue("COMPLETED")).state == "failed"
    Record(state="running").write(submission.state(2))
    target = submission.to(2)
    target.mkdir(parents=True)
    (target / "provenance.json").write_text("{}")
    assert resolve(submission, 2, queue("COMPLETED", 2)).state == "done"


def test_memory_is_counted_by_group():
    own = memory.used(os.getpgrp())
    assert own > 50 * 2**20
    assert memory.used(2**22 - 1) == 0


@pytest.mark.parametrize(
    ("line", "file", "text"),
    [
        ("9:memory:/slurm/uid_1/job_2\n0::/x", "memory/slurm/uid_1/job_2/memory.oom_control",
         "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
        ("0::/system.slice/job_2", "system.slice/job_2/memory.events",
         "low 0\nhigh 0\nmax 12\noom 3\noom_kill 3\noom_group_kill 0\n"),
    ],
    ids=["version 1", "version 2"],
)  # fmt: skip
def test_processes_that_the_kernel_ended_are_counted(tmp_path, line: str, file: str, text: str):
    mine, path = tmp_path / "cgroup", tmp_path / "root" / file
    mine.write_text(f"{line}\n")
    path.parent.mkdir(parents=True)
    assert memory.kills(tmp_path / "root", mine) == 0
    path.write_text(text)
    assert memory.kills(tmp_path / "root", mine) == 3


def test_a_process_is_told_from_a_later_one_of_its_number():
    pid, began = os.getpid(), identity.started(os.getpid())
    assert identity.alive(pid, began, identity.boot()) is True
    assert identity.alive(pid, "1", identity.boot()) is False
    assert identity.alive(2**22 - 1, began, identity.boot()) is False
    assert identity.alive(pid, began, "another machine") is None


def test_a_key_is_anothers_turn_only_when_it_is_free(tmp_path):
    once, said = Once(tmp_path / "finished"), []
    results = tmp_path / "results"
    results.mkdir()
    (results / "provenance.json").write_text('{"run_key": "k"}')
    began, go = threading.Event(), threading.Event()

    def first() -> None:
        with once.claimed("k", lambda: None) as earlier:
            assert earlier is None
            began.set()
            go.wait(10)
            once.finish("k", results)

    thread = threading.Thread(target=first)
    thread.start()
    began.wait(10)
    with once.claimed("other", lambda: said.append("other")) as earlier:
        assert earlier is None
    threading.Timer(0.7, go.set).start()
    with once.claimed("k", lambda: said.append("k")) as earlier:
        assert earlier == results
    thread.join()
    assert said == ["k"]
    copy_results(results, tmp_path / "copy")
    assert '"reused_from"' in (tmp_path / "copy/provenance.json").read_text()
    (results / "more").touch()
    with once.claimed("k", lambda: None) as earlier:
        assert earlier is None, "it was changed since"


def test_indices_are_written_shortly():
    assert compact([3, 1, 2, 9]) == "1-3,9"
    assert Run(5, -1, (0,), "").slurm(0) == "5"
    assert Run(5, 1000, (1003,), "").slurm(1003) == "5_3"


def test_a_folder_of_results_is_one_for_each_call(submission, tmp_path):
    assert [submission.to(index).name for index in range(3)] == ["0", "1", "2"]
    (tmp_path / "to" / "1").mkdir(parents=True)
    (tmp_path / "to" / "1" / "mine").touch()
    with pytest.raises(InvalidSetting, match="exists already"):
        Submission.create(
            Settings(jobs=tmp_path / "jobs"),
            [CALL] * 2,
            "local",
            Limits(),
            tmp_path / "to",
            many=True,
            reuse=True,
        )
