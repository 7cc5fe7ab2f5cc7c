"""Workers and batch jobs run in the image of the notebook that sends them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ordinary import folders_of
from slurmed import Slurm
from smallimage import small_tree
from trialbook import Trials

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]
pytest_plugins = ["opening"]

LIBRARIES = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libgomp.so.1", "libexpat.so.1", "libm.so.6"),
    *("librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "libresolv.so.2"),
)
"""What wheels take for granted on any Linux."""


@pytest.fixture(scope="module")
def image(slurm_cluster: Slurm, person_python: Path) -> str:
    """Return the digest of an image whose `python` has the workbench.

    The packages are shown in it as archives are, so that they need not be copied.
    """
    tree = small_tree(slurm_cluster.root / "with-python")
    program = tree / "usr/bin/python"
    program.write_text(f'#!/bin/sh\nexec {person_python} "$@"\n')
    program.chmod(0o755)
    places = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name in LIBRARIES:
        found = next((line.split()[-1] for line in places.splitlines() if line.split()[:1] == [name]), None)
        if found is not None:
            shutil.copy(Path(found).resolve(), tree / "usr/lib" / name)
    done = slurm_cluster.command("image", "add", f"{tree}/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def book(
    slurm: Slurm, person_python: Path, image: str, placed: Callable[..., tuple[Path, str]]
) -> Iterator[Trials]:
    """Return a notebook that has that image."""
    packages = [{"path": str(path)} for path in folders_of(person_python)]
    launcher, _ = placed(read_only=packages)
    more = {"JUPYTER_IMAGE_SPEC": image, "WORKBENCH_LAUNCHER": str(launcher), "SECRET": "secret"}
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


def test_workers_run_in_it(slurm: Slurm, book: Trials, image: str):
    book.run(LOOK + "client = wb.cluster(2, wait=60)", 90)
    assert book.run("answer = client.submit(look).result(timeout=60)", 70) == [
        "small image",
        image,
        None,
        "/archive",
    ]
    assert book.run("answer = client.submit(sum, [1, 2]).result(timeout=60)", 70) == 3
    book.run("client.close()")


def test_batch_jobs_run_in_it_and_see_what_they_name(
    slurm: Slurm, book: Trials, image: str, open_folder: Path
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
    assert f" {image} -- env " in script
    assert "secret" not in script
    assert (open_folder / "results/first/result.csv").is_file()
