"""Batch jobs of this machine: they give what the notebook gives, once for equal Calls."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import obspy
import pytest

import workbench as wb
from workbench import wire
from workbench.calls import run
from workbench.errors import BadInput, InvalidSetting, NoData
from workbench.jobs.batch import jobs, submit

pytest_plugins = ["batching"]


def runs(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_job_gives_the_bytes_of_the_notebook(settings, waveforms, tmp_path):
    call = {"process": "triggers.sta_lta", "inputs": {"waveforms": waveforms, "sta": 0.5, "lta": 5.0}}
    job = submit(call, tmp_path / "found", kind="local", settings=settings)
    found, here = job.result(60), run(call)
    assert found.canonical() == here.canonical()
    assert found.run_key == here.run_key
    assert (job.state, job.status.exit_code) == ("done", 0)
    assert job.to == tmp_path / "found"
    assert {path.name for path in job.to.iterdir()} == {"result.csv", "provenance.json", "log.jsonl"}
    assert (job.to / "result.csv").read_bytes() == wire.encode(here.value, "text/csv")
    assert "3 triggers" in job.log()
    about = json.loads((job.to / "provenance.json").read_text())
    assert about["run_key"] == here.run_key


def test_what_is_wrong_is_told_as_it_would_be_here(settings, waveforms, tmp_path):
    bad = {"value": base64.b64encode(b"\x00" * 100).decode()}
    nothing = {"selection": "XX.NONE..HHZ@2020-01-01/2020-01-02"}
    calls = [{"process": "triggers.sta_lta", "inputs": {"waveforms": data}} for data in (bad, nothing)]
    sent = submit(calls, kind="local", settings=settings).wait(60)
    assert [one.exit_code for one in sent.statuses] == [4, 3]
    assert sent.states == {"failed": 2}
    for job, kind in zip(sent, (BadInput, NoData), strict=True):
        with pytest.raises(kind):
            job.result()
        assert f"error: {job.error}" in job.log()
    # A Call that is wrong in itself is no job at all.
    with pytest.raises(InvalidSetting, match="sta"):
        submit({"process": "triggers.sta_lta", "inputs": {"sta": "long"}}, kind="local", settings=settings)
    with pytest.raises(InvalidSetting, match="no Call"):
        submit([], kind="local", settings=settings)
    assert len(jobs(settings=settings)) == 2


def test_an_earlier_result_is_not_overwritten(settings, waveforms, tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "mine").touch()
    call = {"process": "triggers.sta_lta", "inputs": {"waveforms": waveforms}}
    with pytest.raises(InvalidSetting, match="exists already"):
        submit(call, tmp_path / "found", kind="local", settings=settings)
    assert not jobs(settings=settings)


def test_equal_calls_at_one_time_compute_once(send, tmp_path):
    mark = tmp_path / "mark"
    first, second = (send(seconds=3, mark=str(mark)) for _ in range(2))
    results = [job.result(60) for job in (first, second)]
    assert runs(mark) == 1
    assert results[0].canonical() == results[1].canonical()
    reused = [job.status.reused for job in (first, second)]
    assert sorted(map(bool, reused)) == [False, True]
    # A third, later, takes it too; one that is to compute, computes.
    assert send(seconds=3, mark=str(mark)).wait(60).status.reused
    again = send(seconds=3, mark=str(mark), limits={"reuse": False}).wait(60)
    assert (again.state, again.status.reused, runs(mark)) == ("done", "", 2)


def test_what_was_changed_since_is_not_passed_on(send, tmp_path):
    mark = tmp_path / "mark"
    first = send(mark=str(mark)).wait(60)
    file = next(first.to.glob("result.*"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    second = send(mark=str(mark)).wait(60)
    assert (second.state, second.status.reused, runs(mark)) == ("done", "", 2)


def test_one_that_fails_does_not_stand_in_the_way_of_its_equal(send, tmp_path):
    mark = tmp_path / "mark"
    first = send(seconds=600, mark=str(mark), end="kill")
    second = send(seconds=600, mark=str(mark), end="kill")
    assert first.cancel().wait(30).state == "cancelled"
    second.cancel().wait(30)
    assert {first.state, second.state} == {"cancelled"}


def test_a_list_of_jobs_is_a_table(send, settings, capsys):
    first = send(seconds=600)
    second = send(end="fail")
    second.wait(60)
    listed = jobs(settings=settings)
    assert [job.id for job in listed] == [second.id, first.id]
    lines = repr(listed).splitlines()
    assert lines[0].split() == ["job", "process", "state", "where", "since", "what"]
    assert "told to fail" in lines[1]
    assert "<td>failed</td>" in listed._repr_html_()
    assert wb.jobs(settings=settings)[0].id == second.id
    assert jobs(first.id[:-2], settings)[0].id == first.id
    with pytest.raises(InvalidSetting, match="not one of yours"):
        jobs("2001", settings)
    with pytest.raises(InvalidSetting, match="has not ended"):
        first.remove()
    first.cancel().wait(30)
    second.remove()
    assert [job.id for job in jobs(settings=settings)] == [first.id]


def test_paths_hold_wherever_the_job_runs(settings, tmp_path, monkeypatch):
    obspy.read().write(tmp_path / "data.mseed", format="MSEED")
    (tmp_path / "call.json").write_text(
        json.dumps({"process": "triggers.sta_lta", "inputs": {"waveforms": {"path": "data.mseed"}, "lta": 5}})
    )
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert len(submit(tmp_path / "call.json", kind="local", settings=settings).result(60).value) == 3
    monkeypatch.chdir(tmp_path)
    call = json.loads((tmp_path / "call.json").read_text())
    assert len(submit(call, kind="local", settings=settings).result(60).value) == 3


def test_jobs_are_nobody_elses(send, settings):
    job = send().wait(60)
    for path in (settings.jobs_dir, job.submission.folder, job.submission.folder.parent):
        assert path.stat().st_mode & 0o077 == 0


def test_a_terminal_submits_and_looks_without_slurm(tmp_path):
    obspy.read().write(tmp_path / "data.mseed", format="MSEED")
    environment = {**os.environ, "WORKBENCH_JOBS": str(tmp_path / "jobs")}

    def workbench(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "workbench.cli", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    sent = workbench(
        "submit", "triggers.sta_lta", "data.mseed", "--lta", "5", "--where", "local", "-o", "out"
    )
    assert "1 job sent to this machine" in sent.stderr
    name = sent.stdout.strip()
    done = workbench("jobs", "wait", name)
    assert (done.returncode, done.stdout.splitlines()[1].split()[2]) == (0, "done")
    assert (tmp_path / "out/result.csv").is_file()
    assert "3 triggers" in workbench("jobs", "log", name).stdout
    nothing = workbench("submit", "triggers.sta_lta", "XX.NO..HHZ@2020-01-01/2020-01-02", "--where", "local")
    failed = workbench("jobs", "wait", nothing.stdout.strip())
    assert failed.returncode == 3
    assert workbench("jobs", "show", "2001").returncode == 2
