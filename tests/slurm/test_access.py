"""The same from a user's server by both ways to SLURM: munge's socket, and the broker that wants a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brokered import Brokered
from notebooks import ARRAYS, Notebook
from ordinary import folders_of
from slurmed import UIDS, Slurm
from trialbook import Trials

pytest_plugins = ["brokers", "opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]

Eventually = Callable[..., None]
Open = Callable[..., Notebook]
LOOK = """
def look():
    import os
    from pathlib import Path
    token = any("TOKEN" in name for name in os.environ)
    return Path("/etc/issue").read_text().strip(), os.environ["JUPYTER_IMAGE_SPEC"], os.getuid(), token
"""


@pytest.fixture(params=["munge", "broker"])
def opened(
    request: pytest.FixtureRequest,
    slurm: Slurm,
    person_python: Path,
    python_image: str,
    placed: Callable[..., tuple[Path, str]],
) -> Iterator[Open]:
    """Open a notebook of anna's that gets to SLURM in one way."""
    more: dict[str, str] = {"JUPYTER_IMAGE_SPEC": python_image}
    if request.param == "munge":
        packages = [{"path": str(path)} for path in folders_of(person_python)]
        more["WORKBENCH_LAUNCHER"] = str(placed(read_only=packages)[0])
    else:
        broker: Brokered = request.getfixturevalue("broker")
        more |= {**broker.environment("anna"), "SLURM_CONF": "/nonexistent"}
    notebooks: list[Notebook] = []

    def open_one(kind: type[Notebook] = Notebook) -> Notebook:
        notebooks.append(kind(slurm, person_python, more=more))
        return notebooks[-1]

    yield open_one
    for one in notebooks:
        one.close()


def jobs(slurm: Slurm) -> list[str]:
    return slurm.root_command("squeue", "--noheader", "--format=%A").split()


def test_a_cluster_comes_works_and_goes(
    slurm: Slurm, opened: Open, python_image: str, eventually: Eventually
):
    book = opened()
    start = "import workbench as wb\nclient = wb.cluster(minimum=0, maximum=2, wait=60)\n"
    book.run(start + LOOK, 90)
    assert jobs(slurm) == []
    book.send(ARRAYS)
    eventually(lambda: len(jobs(slurm)) == 2, 40, "two workers")
    assert book.answer() is True
    issue, digest, uid, token = book.run("answer = client.submit(look).result(timeout=60)", 70)
    assert (issue, digest, uid, token) == ("small image", python_image, UIDS["anna"], False)
    eventually(lambda: not jobs(slurm), 60, "an empty queue")
    book.run("client.close()")


def test_plain_dask_jobqueue_works(slurm: Slurm, opened: Open, eventually: Eventually):
    book = opened()
    book.run(
        "from dask_jobqueue import SLURMCluster\n"
        "from distributed import Client\n"
        "from distributed.security import Security\n"
        "import os\n"
        "launcher, digest = os.environ['WORKBENCH_LAUNCHER'], os.environ['JUPYTER_IMAGE_SPEC']\n"
        "cluster = SLURMCluster(cores=1, memory='1GiB', walltime='00:10:00', nanny=False,\n"
        "    python=f'{launcher} {digest} -- python', security=Security.temporary(), protocol='tls://',\n"
        "    shared_temp_directory=os.path.expanduser('~'), local_directory='/tmp',\n"
        "    job_extra_directives=['--export=NONE'], log_directory=os.path.expanduser('~/logs'))\n"
        "cluster.adapt(minimum=0, maximum=2)\n"
        "client = Client(cluster, set_as_default=False)\n"
        "answer = client.submit(sum, [1, 2]).result(timeout=90)\n",
        120,
    )
    assert book.run("answer = client.submit(sum, [1, 2, 3]).result(timeout=60)", 70) == 6
    book.run("client.close(); cluster.close()")
    eventually(lambda: not jobs(slurm), 40, "an empty queue")


def test_batch_jobs_are_sent_seen_and_cancelled(opened: Open, eventually: Eventually):
    book = opened(Trials)
    book.run("job = wb.submit(picking, kind='slurm').wait(90)", 100)
    assert book.told()["state"] == "done", book.run("answer = job.log()")
    assert book.run("answer = job.result().canonical() == wb.Call(**picking).run().canonical()")
    book.run(
        "many = wb.submit([{**picking, 'inputs': {**picking['inputs'], 'lta': 4.0 + n}} for n in range(3)])"
    )
    book.run("many.wait(120)", 130)
    assert book.run("answer = dict(many.states)") == {"done": 3}
    book.run("job = wb.submit(trial(seconds=60))")
    eventually(lambda: book.told()["state"] == "running", 60, "a job that runs")
    book.run("job.cancel()")
    eventually(lambda: book.told()["state"] == "cancelled", 60, "its end")


def test_what_slurm_refuses_is_said_in_words(opened: Open):
    book = opened()
    code = (
        "import workbench as wb\n"
        "try:\n    wb.cluster(1, partition='nonesuch')\n"
        "except wb.errors.WorkbenchError as error:\n    answer = str(error)\n"
    )
    assert "nonesuch" in book.run(code, 60)
