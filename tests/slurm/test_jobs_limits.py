"""Batch jobs on a real SLURM that want more than they may have."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notebooks import CellError
from slurmed import Slurm
from trialbook import Trials

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

Eventually = Callable[..., None]


def test_a_job_over_its_time_is_ended_says_so_and_gets_more(
    slurm_cluster: Slurm, book: Trials, eventually: Eventually
):
    """A plain one too; the controller looks at the times of all every half minute."""
    slurm = slurm_cluster
    plain = slurm.submit("sleep 600; echo never", "--time=1")
    book.run("job = wb.submit(trial(seconds=600, until='enough'), walltime='1m')")
    book.running(eventually)
    assert slurm.wait(plain, "RUNNING") == "RUNNING"
    # The shortest limit is a minute: of a job that runs, root may bring the end near.
    for number in (plain, book.number()):
        slurm.root_command("scontrol", "update", f"JobId={number}", "EndTime=now+1second")
    assert slurm.wait(plain) == "TIMEOUT"
    assert "DUE TO TIME LIMIT" in slurm.output(plain)
    assert "never" not in slurm.output(plain)
    book.run("job.wait(60)", 70)
    found = book.told()
    assert (found["state"], found["code"]) == ("timeout", 5)
    assert "took longer than its 1 minutes" in found["error"]
    assert "longer walltime=" in found["error"]
    with pytest.raises(CellError, match="ResourceExceeded"):
        book.run("job.result()")
    assert "DUE TO TIME LIMIT" in book.run("answer = job.log()")
    (slurm.home("anna") / "enough").touch()
    book.run("job.retry(walltime='5m').wait(90)", 100)
    assert book.told()["state"] == "done"


def test_a_job_over_its_memory_says_so_and_gets_more(slurm_cluster: Slurm, book: Trials):
    assert slurm_cluster.cluster.plan.limits.startswith("cgroup"), "this machine has control groups"
    book.run("job = wb.submit(trial(megabytes=700, seconds=1), memory='500 MiB').wait(90)", 100)
    found = book.told()
    assert (found["state"], found["code"]) == ("out-of-memory", 5), book.run("answer = job.log()")
    assert "needed more than its 500 MiB" in found["error"]
    assert "more memory=" in found["error"]
    book.run("job.retry(memory='2 GiB').wait(90)", 100)
    assert book.told()["state"] == "done"


@pytest.fixture
def full(slurm_cluster: Slurm) -> Iterator[Path]:
    """Return a folder of anna's on a disk of one megabyte."""
    folder = slurm_cluster.home("anna") / "full"
    folder.mkdir()
    uid = slurm_cluster.people["anna"].uid
    options = f"size=1m,mode=0700,uid={uid},gid={uid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


def test_results_that_do_not_fit_are_told_and_leave_nothing(book: Trials, full: Path):
    book.run(
        "import numpy as np\n"
        "noise = obspy.Trace(np.random.default_rng(1).integers(-2**20, 2**20, 500_000).astype(np.int32))\n"
        "noise.stats.update({'network': 'XX', 'station': 'A', 'channel': 'HHZ'})\n"
        "noise.write('noise.mseed', format='MSEED')\n"
        "call = {'process': 'trials.wait', 'inputs': {'waveforms': {'path': 'noise.mseed'}}}\n"
        f"job = wb.submit(call, to={str(full / 'found')!r}).wait(90)\n",
        100,
    )
    found = book.told()
    assert (found["state"], found["code"]) == ("failed", 5), found
    assert "No space left" in found["error"]
    assert list(full.iterdir()) == []
    (full / "something").write_bytes(bytes(2**19))


def test_a_job_whose_own_folder_is_full_still_says_how_it_ended(
    slurm_cluster: Slurm, book: Trials, full: Path
):
    book.run(
        f"settings = Settings(jobs=Path({str(full)!r}))\n"
        "job = wb.submit({**picking, 'inputs': {**picking['inputs'], 'lta': 7.0}}, to='outside',\n"
        "                settings=settings, walltime='10m')\n"
        f"filler = open({str(full / 'filler')!r}, 'wb', buffering=0)\n"
        "try:\n"
        "    while filler.write(bytes(4096)): pass\n"
        "except OSError as error:\n"
        "    answer = error.errno\n"
    )
    book.run("job.wait(90)", 100)
    found = book.told()
    assert (found["state"], found["code"]) == ("done", 0), found
    assert (slurm_cluster.home("anna") / "outside/provenance.json").is_file()
    book.run("filler.close(); os.remove(filler.name)")
