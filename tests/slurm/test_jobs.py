"""Batch jobs on a real SLURM: they give what the notebook gives, and outlive it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slurmed import Slurm
from trialbook import Trials

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

Eventually = Callable[..., None]


def test_a_job_gives_the_bytes_of_the_notebook(slurm_cluster: Slurm, book: Trials):
    book.run("here = wb.Call(**picking).run(); job = wb.submit(picking, to='found/first')")
    assert book.run("answer = job.result(90).canonical() == here.canonical()", 100)
    assert book.run("answer = job.result().run_key == here.run_key")
    assert book.run(
        "answer = Path('found/first/result.csv').read_bytes() == wire.encode(here.value, 'text/csv')"
    )
    found = book.told()
    assert (found["state"], found["code"]) == ("done", 0)
    assert found["node"] in slurm_cluster.nodes
    assert "3 triggers" in book.run("answer = job.log()")
    about = json.loads((slurm_cluster.home("anna") / "found/first/provenance.json").read_text())
    assert about["job"] == str(book.number())


def test_many_are_an_array_of_which_each_ends_in_its_way(slurm_cluster: Slurm, book: Trials):
    book.run(
        "nothing = {'process': 'triggers.sta_lta',"
        " 'inputs': {'waveforms': {'selection': 'XX.NO..HHZ@2020-01-01/2020-01-02'}}}\n"
        "broken = {'process': 'triggers.sta_lta', 'inputs': {'waveforms': {'value': 'AAAA'}}}\n"
        "several = wb.submit([trial(seconds=0.1), nothing, broken, trial(end='kill'), trial(end='fail')],"
        " to='many', memory='1 GiB')\n"
        "several.wait(120)\n",
        130,
    )
    assert book.run("answer = several.states") == {"done": 1, "failed": 4}
    assert book.run("answer = [one.exit_code for one in several.statuses]") == [0, 3, 4, 1, 1]
    problems = book.run("answer = [one.problem for one in several.statuses]")
    assert "no archive holds waveforms" in problems[1]
    assert "SIGKILL" in problems[3]
    assert "told to fail" in problems[4]
    assert [path.name for path in (slurm_cluster.home("anna") / "many").iterdir()] == ["0"]
    # Only what failed is sent again.
    book.run("several.retry().wait(120)", 130)
    assert book.run("answer = [one.attempt for one in several.statuses]") == [1, 2, 2, 2, 2]
    lines = book.run("answer = repr(several)").splitlines()
    assert len(lines) == 6
    assert lines[1].split()[2] == "done"


def test_jobs_are_cancelled_that_run_and_that_wait(
    slurm_cluster: Slurm, book: Trials, eventually: Eventually
):
    book.run("job = wb.submit(trial(seconds=600))")
    book.running(eventually)
    nodes = ",".join(slurm_cluster.nodes)
    slurm_cluster.root_command("scontrol", "update", f"NodeName={nodes}", "State=DRAIN", "Reason=test")
    try:
        book.run("second = wb.submit(trial(seconds=601))")
        eventually(lambda: "drained" in book.run("answer = second.status.doing"), 30, "the reason")
        assert book.told("second")["state"] == "pending"
        book.run("job.cancel(); second.cancel()")
        book.run("job.wait(60); second.wait(60)", 130)
    finally:
        slurm_cluster.root_command("scontrol", "update", f"NodeName={nodes}", "State=RESUME")
    assert book.told()["state"] == "cancelled"
    assert book.told("second")["error"].startswith("The job: was cancelled before it began")
    eventually(lambda: not slurm_cluster.root_command("squeue", "--noheader"), 20, "an empty queue")
    book.run("two = wb.submit([trial(seconds=600, mark='a'), trial(seconds=0.1, mark='b')])")
    book.run("two[0].cancel(); two.wait(60)", 70)
    assert book.run("answer = [one.state for one in two.statuses]") == ["cancelled", "done"]


def test_a_job_outlives_the_notebook_and_another_finds_it(
    slurm_cluster: Slurm, book: Trials, person_python: Path, eventually: Eventually
):
    with Trials(slurm_cluster, person_python) as first:
        name = first.run("job = wb.submit(trial(seconds=600, until='seen')); answer = job.id")
        first.running(eventually)
        first.kill()
    book.run(f"job = wb.jobs({name!r})[0]")
    assert book.told()["state"] == "running"
    (slurm_cluster.home("anna") / "seen").touch()
    assert book.run("answer = job.result(90).value[0].stats.station", 100) == "RJOB"
    assert name in book.run("answer = repr(wb.jobs())")


def test_a_job_is_nobody_elses(slurm_cluster: Slurm, book: Trials, eventually: Eventually):
    slurm = slurm_cluster
    book.run("job = wb.submit(trial(seconds=600, mark='secret'))")
    book.running(eventually)
    folder = book.run("answer = str(job.submission.folder)")
    job = book.number()
    for words in (("ls", folder), ("cat", f"{folder}/job.json"), ("touch", f"{folder}/states/0.cancel"),
                  ("scancel", str(job)), ("ls", f"{folder}/../..")):  # fmt: skip
        assert slurm.run(*words, user="ben", check=False).returncode, words
    assert slurm.run("squeue", "--noheader", user="ben").stdout == ""
    assert slurm.state(job) == "RUNNING"
    book.run("job.cancel().wait(60)", 70)


def test_equal_calls_at_one_time_compute_once(slurm_cluster: Slurm, book: Trials, eventually: Eventually):
    mark = slurm_cluster.home("anna") / "equal"
    call = "trial(seconds=600, mark='equal', until='both', number=0)"
    book.run(f"first, second = (wb.submit({call}) for _ in range(2))")
    # With a node, or without where the first began soon enough.
    found = "answer = ' '.join(one.status.doing for one in (first, second))"
    waits = ("an equal run", "another job")
    eventually(lambda: any(word in book.run(found) for word in waits), 20, "one that waits for the other")
    (slurm_cluster.home("anna") / "both").touch()
    assert book.run("answer = first.result(90).canonical() == second.result(90).canonical()", 190)
    assert len(mark.read_text().splitlines()) == 1
    reused = book.run("answer = [job.status.reused for job in (first, second)]")
    assert sorted(map(bool, reused)) == [False, True]


def test_a_second_waits_for_a_first_that_runs_without_a_node(
    slurm_cluster: Slurm, book: Trials, eventually: Eventually
):
    call = "trial(seconds=600, mark='waits', until='awaited', number=0)"
    book.run(f"first = wb.submit({call})")
    book.running(eventually, "first")
    book.run(f"second = wb.submit({call})")
    eventually(lambda: "another job" in book.run("answer = second.status.doing"), 20, "the reason")
    (slurm_cluster.home("anna") / "awaited").touch()
    assert book.run("answer = second.result(90).canonical() == first.result().canonical()", 100)
    assert len((slurm_cluster.home("anna") / "waits").read_text().splitlines()) == 1


def test_a_call_file_is_submitted_from_a_terminal(slurm_cluster: Slurm, book: Trials, person_python: Path):
    slurm, home = slurm_cluster, slurm_cluster.home("anna")
    slurm.run(person_python, "-c", "import obspy; obspy.read().write('data.mseed', format='MSEED')")
    workbench = (person_python, "-m", "workbench.cli")
    done = slurm.run(*workbench, "submit", "triggers.sta_lta", "data.mseed", "--lta", "5", "-o", "typed")
    assert "sent to SLURM" in done.stderr
    name = done.stdout.strip()
    done = slurm.run(*workbench, "jobs", "wait", name, "--seconds", "90", seconds=100)
    assert f"{name}  triggers.sta_lta  done" in done.stdout
    assert (home / "typed/result.csv").is_file()
    assert "triggers" in slurm.run(*workbench, "jobs", "log", name).stdout
    shown = json.loads(slurm.run(*workbench, "jobs", "show", name, "--json").stdout)
    assert (shown["state"], shown["exit_code"]) == ("done", 0)
    refused = slurm.run(*workbench, "submit", "triggers.sta_lta", "data.mseed", "-o", "typed", check=False)
    assert refused.returncode == 2
    assert "exists already" in refused.stderr
    slurm.run(*workbench, "jobs", "remove", name)
    assert name not in slurm.run(*workbench, "jobs").stdout


def test_sent_again_by_hand_a_script_is_the_same(slurm_cluster: Slurm, book: Trials):
    """What was submitted is on disk as a script, which any sbatch takes."""
    book.run("job = wb.submit({**picking, 'inputs': {**picking['inputs'], 'lta': 6.0}}).wait(90)", 100)
    folder = Path(book.run("answer = str(job.submission.folder)"))
    (folder / "results/0").rename(folder / "first")
    done = slurm_cluster.run("sbatch", "--parsable", folder / "script.sh")
    assert slurm_cluster.wait(int(done.stdout)) == "COMPLETED"
    assert (folder / "results/0/result.csv").read_bytes() == (folder / "first/result.csv").read_bytes()
