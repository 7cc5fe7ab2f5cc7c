"""Dask on a real SLURM when the notebook that holds the scheduler dies; and without any notebook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from notebooks import CellError, Notebook
from slurmed import Slurm

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

Open = Callable[..., Notebook]
Eventually = Callable[..., None]

START = """
from workbench.jobs.clusters import cluster
client = cluster({how}, kind="slurm")
"""
SESSIONS = """
from pathlib import Path
answer = sorted(map(str, Path("~/.workbench/clusters").expanduser().iterdir()))
"""


def jobs(slurm: Slurm, states: str = "PENDING,RUNNING,COMPLETING") -> list[str]:
    return slurm.root_command("squeue", "--noheader", f"--states={states}", "--format=%A").split()


@pytest.fixture
def drained(slurm: Slurm):
    for node in slurm.nodes:
        slurm.root_command("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    yield
    for node in slurm.nodes:
        slurm.root_command("scontrol", "update", f"NodeName={node}", "State=RESUME")


def test_workers_end_with_the_notebook_and_the_next_one_clears_away(
    slurm: Slurm, notebook: Open, eventually: Eventually
):
    book = notebook()
    memory = int(slurm.cluster.plan.memory * 0.6)
    book.run(START.format(how=f"4, memory='{memory} MiB', death_timeout=5"), 90)
    # Three run, and the fourth waits for a node.
    book.run("client.wait_for_workers(3, timeout=40)")
    eventually(lambda: len(jobs(slurm, "PENDING")) == 1, 20, "a job that waits")
    stale = book.run(SESSIONS)
    assert len(stale) == 1
    book.kill()
    # Those that ran end at once; the fourth begins, finds nobody and ends too.
    eventually(lambda: not jobs(slurm), 60, "an empty queue")
    other = notebook()
    assert other.run(SESSIONS) == stale
    other.run(START.format(how="minimum=0, maximum=1"), 90)
    fresh = other.run(SESSIONS)
    assert len(fresh) == 1
    assert fresh != stale
    other.run("client.close()")
    assert other.run(SESSIONS) == []


def test_jobs_of_a_dead_notebook_are_cancelled_by_the_next(
    slurm: Slurm, notebook: Open, drained: None, eventually: Eventually
):
    book = notebook()
    book.run(START.format(how="2, wait=2"), 60)
    assert "down, drained or reserved" in " ".join(book.warnings)
    left = jobs(slurm)
    assert len(left) == 2
    book.kill()
    assert jobs(slurm) == left
    notebook().run(START.format(how="minimum=0, maximum=1"), 60)
    eventually(lambda: not jobs(slurm), 20, "an empty queue")


def test_a_notebook_that_ends_without_a_word_leaves_nothing(
    slurm: Slurm, notebook: Open, eventually: Eventually
):
    book = notebook()
    book.run(START.format(how="1"), 90)
    book.close()
    assert book.process.returncode == 0
    assert "Traceback" not in book.log.read_text()
    assert notebook().run(SESSIONS) == []
    eventually(lambda: not jobs(slurm), 20, "an empty queue")


def test_a_cancelled_worker_ends_at_once_and_gives_its_tile_back(
    slurm: Slurm, notebook: Open, eventually: Eventually
):
    book = notebook()
    book.run(START.format(how="1, wait=60"), 90)
    book.run(
        "from pathlib import Path\n"
        "def held(path):\n"
        "    import time\n"
        "    from workbench.jobs.claims import Waiting, claim\n"
        "    with claim(Path(path), Waiting()):\n"
        "        time.sleep(100)\n"
        "place = Path('~/held.claim').expanduser()\n"
        "future = client.submit(held, str(place))"
    )
    place = slurm.home("anna") / "held.claim"
    eventually(place.exists, 20, "the claim")
    (job,) = jobs(slurm, "RUNNING")
    slurm.root_command("scancel", job)
    # Else SLURM kills it half a minute later, and the claim holds as long again.
    eventually(lambda: not place.exists(), 8, "the end of the claim")
    eventually(lambda: job not in jobs(slurm), 12, "the end of the job")
    book.run("future.cancel(); client.close()")


def test_a_living_cluster_is_left_alone_by_the_next(slurm: Slurm, notebook: Open):
    first, second = notebook(), notebook()
    first.run(START.format(how="1"), 90)
    second.run(START.format(how="minimum=0, maximum=1"), 60)
    assert len(second.run(SESSIONS)) == 2
    assert first.run("answer = client.submit(sum, [1, 2]).result(timeout=30)") == 3


def test_a_cluster_within_a_job(slurm: Slurm, person_python: Path):
    code = (
        "from workbench.jobs.clusters import cluster\n"
        "if __name__ == '__main__':\n"
        "    with cluster(1, wait=60) as client:\n"
        "        print(type(client.cluster).__name__, client.submit(sum, [1, 2]).result(timeout=30))\n"
    )
    (slurm.home("anna") / "within.py").write_text(code)
    # What SLURM tells a job about itself is not what the workers' jobs ask for.
    job = slurm.submit(f"export SLURM_CONF={slurm.conf} SBATCH_TIMELIMIT=x\n{person_python} within.py")
    assert slurm.wait(job) == "COMPLETED", slurm.output(job)
    assert slurm.output(job).splitlines()[-1] == "Workers 3"


@pytest.fixture
def older(slurm: Slurm) -> dict[str, str]:
    """Return what makes a notebook of anna's have another version of a library than the nodes."""
    shadow = slurm.home("anna") / "shadow/toolz-0.0.1.dist-info"
    shadow.mkdir(parents=True, exist_ok=True)
    (shadow / "METADATA").write_text("Metadata-Version: 2.1\nName: toolz\nVersion: 0.0.1\n")
    return {"PYTHONPATH": str(shadow.parent)}


def test_a_worker_with_other_libraries_is_refused_by_name(
    slurm: Slurm, notebook: Open, older: dict[str, str], eventually: Eventually
):
    book = notebook(more=older)
    said = r"InvalidSetting: Worker \d+: has other libraries: toolz 0\.0\.1 here and 1\.\S+ there"
    with pytest.raises(CellError, match=said):
        book.run(START.format(how="1"), 90)
    eventually(lambda: not jobs(slurm), 20, "the end of its jobs")
    assert book.run(SESSIONS) == []


def test_work_that_no_worker_will_do_fails_with_the_reason(
    slurm: Slurm, notebook: Open, older: dict[str, str]
):
    book = notebook(more=older)
    book.run(START.format(how="minimum=0, maximum=1"), 90)
    with pytest.raises(CellError, match="NoWorkerError"):
        book.run("client.submit(sum, [1]).result(timeout=60)", 70)
    with pytest.raises(CellError, match=r"other libraries: toolz"):
        book.run("from workbench.jobs.clusters import check; check(client)")
    assert "other libraries: toolz" in " ".join(book.warnings)
