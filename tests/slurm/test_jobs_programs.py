"""A program that is not Python, sent by sbatch: compiled here, run on a node, the bytes of the notebook."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ordinary import with_more
from sited import compiled, install_peaks
from slurmed import Slurm
from trialbook import Trials

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def book(slurm_cluster: Slurm, person_python: Path, missing: Callable[[str, str], None]) -> Iterator[Trials]:
    """Return anna's notebook, in which a distribution of a site declares a program."""
    for name in ("gcc", "bwrap"):
        if shutil.which(name) is None:
            missing(name, f"as root: apt-get install {'bubblewrap' if name == 'bwrap' else name}")
    site = slurm_cluster.root / "site"
    site.mkdir()
    install_peaks(site / "declared", compiled("peaks.c", site, "gcc", "-lm"))
    python = with_more(person_python, site / "python", site / "declared")
    slurm_cluster.clean()
    with Trials(slurm_cluster, python) as opened:
        opened.run(
            "def peaks(least):\n"
            "    return {'process': 'site_peaks.peaks', 'inputs': {'waveforms': data, 'least': least}}\n"
        )
        yield opened
    slurm_cluster.clean()


def test_it_gives_the_bytes_of_the_notebook(slurm_cluster: Slurm, book: Trials):
    book.run("here = wb.Call(**peaks(300)).run(); job = wb.submit(peaks(300), to='peaks').wait(90)", 100)
    found = book.told()
    assert (found["state"], found["code"]) == ("done", 0), book.run("answer = job.log()")
    assert found["node"] in slurm_cluster.nodes
    assert book.run("answer = len(here.value.table)") == 3
    assert book.run("answer = job.result().canonical() == here.canonical()")
    assert book.run("answer = job.result().run_key == here.run_key")
    about = json.loads((slurm_cluster.home("anna") / "peaks/provenance.json").read_text())
    assert about["job"] == str(book.number())


def test_of_many_each_is_what_its_setting_says(book: Trials):
    book.run("several = wb.submit([peaks(least) for least in (1, 400, 10**6)]).wait(120)", 130)
    assert book.run("answer = several.states") == {"done": 3}
    assert book.run("answer = [len(one.result().value.table) for one in several]") == book.run(
        "answer = [len(wb.Call(**peaks(least)).run().value.table) for least in (1, 400, 10**6)]"
    )


def test_another_program_in_its_place_is_refused_on_the_node(slurm_cluster: Slurm, book: Trials):
    program = slurm_cluster.root / "site/peaks"
    before = program.read_bytes()
    program.write_bytes(before + b"\0")
    try:
        book.run("job = wb.submit(peaks(301)).wait(90)", 100)
    finally:
        program.write_bytes(before)
    found = book.told()
    assert found["state"] == "failed", found
    assert str(program) in found["error"]
