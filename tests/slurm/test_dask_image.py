"""Workers and batch jobs run in the image of the notebook that sends them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ordinary import folders_of
from slurmed import Slurm
from trialbook import Trials

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]
pytest_plugins = ["opening"]


@pytest.fixture
def book(
    slurm: Slurm, person_python: Path, python_image: str, placed: Callable[..., tuple[Path, str]]
) -> Iterator[Trials]:
    """Return a notebook that has that image."""
    packages = [{"path": str(path)} for path in folders_of(person_python)]
    launcher, _ = placed(read_only=packages)
    more = {"JUPYTER_IMAGE_SPEC": python_image, "WORKBENCH_LAUNCHER": str(launcher), "SECRET": "secret"}
    with Trials(slurm, person_python, more=more) as opened:
        yield opened


LOOK = """
def look():
    import os
    from pathlib import Path
    issue = Path("/etc/issue").read_text().strip()
    return issue, os.environ["JUPYTER_IMAGE_SPEC"], os.environ.get("SECRET"), os.environ["WORKBENCH_ARCHIVE"]
os.environ["WORKBENCH_ARCHIVE"] = "/archive"
"""


def test_workers_run_in_it(slurm: Slurm, book: Trials, python_image: str):
    book.run(LOOK + "client = wb.cluster(2, wait=60)", 90)
    assert book.run("answer = client.submit(look).result(timeout=60)", 70) == [
        "small image",
        python_image,
        None,
        "/archive",
    ]
    assert book.run("answer = client.submit(sum, [1, 2]).result(timeout=60)", 70) == 3
    book.run("client.close()")


def test_batch_jobs_run_in_it_and_see_what_they_name(
    slurm: Slurm, book: Trials, python_image: str, open_folder: Path
):
    """Also files and folders of results that are not in the home."""
    for name, uid in (("data", 0), ("results", slurm.people["anna"].uid)):
        (open_folder / name).mkdir()
        shutil.chown(open_folder / name, uid, uid)
    book.run("obspy.read().write('data.mseed', format='MSEED')")
    shutil.copy(slurm.home("anna") / "data.mseed", open_folder / "data")
    book.run(
        f"data = {{'path': '{open_folder}/data/data.mseed'}}\n"
        "call = {**picking, 'inputs': {'waveforms': data, 'lta': 5.0}}\n"
        f"job = wb.submit(call, to='{open_folder}/results/first').wait(90)\n",
        100,
    )
    assert book.told()["state"] == "done", book.run("answer = job.log()")
    assert book.run("answer = job.result().canonical() == wb.Call(**call).run().canonical()")
    script = (Path(book.run("answer = str(job.submission.folder)")) / "script.sh").read_text()
    assert f" {python_image} -- env " in script
    assert "secret" not in script
    assert (open_folder / "results/first/result.csv").is_file()
