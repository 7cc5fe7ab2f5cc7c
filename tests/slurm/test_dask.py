"""Dask on a real SLURM: workers come and go, are lost, and are nobody else's."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notebooks import ARRAYS, Notebook
from slurmed import Slurm

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

Eventually = Callable[..., None]

START = """
from workbench.jobs.clusters import check, cluster
import os
client = cluster({how}, kind="slurm", wait=40)
answer = client.scheduler.address
"""
SLOW = """
import time
def slow(number):
    time.sleep(0.4)
    return number ** 2
futures = client.map(slow, range({first}, {first} + 24))
"""
REACH = """
there = list(client.scheduler_info()["workers"])
parts = [client.submit(lambda n: bytes([n]) * 1000, n, workers=[w]) for n, w in enumerate(there)]
answer = client.submit(lambda p: [len(x) for x in p], parts, workers=there[:1]).result(timeout=30)
"""


@pytest.fixture(scope="module")
def book(slurm_cluster: Slurm, person_python: Path) -> Iterator[Notebook]:
    """Return anna's notebook, in which the tests start one cluster after the other."""
    slurm_cluster.clean()
    with Notebook(slurm_cluster, person_python) as opened:
        yield opened
    slurm_cluster.clean()


@pytest.fixture(scope="module")
def pair(book: Notebook, slurm_cluster: Slurm) -> str:
    """Start a cluster of two workers; return the address of its scheduler."""
    book.run("client.close()" if book.run("answer = 'client' in globals()") else "")
    address = str(book.run(START.format(how="2"), 90))
    book.run("client.wait_for_workers(2, timeout=40)")
    return address


def jobs(slurm: Slurm) -> list[str]:
    return slurm.root_command("squeue", "--noheader", "--format=%A").split()


def test_workers_come_when_there_is_work_and_leave_when_there_is_none(
    slurm_cluster: Slurm, book: Notebook, eventually: Eventually
):
    address = book.run(START.format(how="minimum=0, maximum=2"), 90)
    assert address.startswith("tls://")
    assert jobs(slurm_cluster) == []
    book.send(ARRAYS)
    eventually(lambda: len(jobs(slurm_cluster)) == 2, 30, "two jobs")
    assert book.answer() is True
    eventually(lambda: not jobs(slurm_cluster), 40, "an empty queue")
    # And they come again.
    assert book.run("answer = client.submit(sum, range(10)).result(timeout=60)", 70) == 45
    book.run("client.close()")
    eventually(lambda: not jobs(slurm_cluster), 20, "an empty queue")


def test_what_the_first_worker_waits_for_is_said(slurm_cluster: Slurm, book: Notebook):
    nodes = ",".join(slurm_cluster.nodes)
    book.run(START.format(how="minimum=0, maximum=1"), 90)
    slurm_cluster.root_command("scontrol", "update", f"NodeName={nodes}", "State=DRAIN", "Reason=test")
    try:
        book.run("late = client.submit(sum, range(10)); import time; time.sleep(30)", 60)
    finally:
        slurm_cluster.root_command("scontrol", "update", f"NodeName={nodes}", "State=RESUME")
    told = [said for said in book.warnings if "has no worker yet" in said]
    assert told, book.warnings
    assert "Work begins when one comes" in told[0]
    assert book.run("answer = late.result(timeout=90)", 100) == 45
    book.run("client.close()")


def test_workers_run_on_all_nodes_as_their_user_and_reach_each_other(slurm_cluster: Slurm, book: Notebook):
    slurm = slurm_cluster
    book.run(START.format(how=f"3, memory='{int(slurm.cluster.plan.memory * 0.6)} MiB'"), 90)
    book.run("client.wait_for_workers(3, timeout=40)")
    seen = book.run("answer = sorted(client.run(lambda: os.environ['SLURMD_NODENAME']).values())")
    assert seen == sorted(slurm.nodes)
    assert book.run("answer = sorted(set(client.run(os.getuid).values()))") == [slurm.people["anna"].uid]
    assert book.run(REACH) == [1000] * 3
    book.run("client.close()")


def test_a_worker_that_is_killed_costs_nothing(
    slurm_cluster: Slurm, book: Notebook, pair: str, eventually: Eventually
):
    pids = book.run("answer = list(client.run(os.getpid).values())")
    book.run(SLOW.format(first=0))
    eventually(lambda: book.run("answer = sum(f.done() for f in futures)") >= 4, 30, "some results")
    os.kill(pids[0], signal.SIGKILL)
    assert book.run("answer = client.gather(futures)") == [n**2 for n in range(24)]
    # Another takes its place.
    book.run("client.wait_for_workers(2, timeout=60)", 70)
    eventually(lambda: len(jobs(slurm_cluster)) == 2, 20, "two jobs")


def test_what_is_cancelled_comes_again(
    slurm_cluster: Slurm, book: Notebook, pair: str, eventually: Eventually
):
    first = jobs(slurm_cluster)
    assert len(first) == 2
    book.run(SLOW.format(first=100))
    slurm_cluster.run("scancel", *first)
    assert book.run("answer = client.gather(futures)", 90) == [n**2 for n in range(100, 124)]
    eventually(lambda: len(jobs(slurm_cluster)) == 2, 60, "other workers")
    assert not {*first} & {*jobs(slurm_cluster)}
    book.run("client.wait_for_workers(2, timeout=60)", 70)


JOIN = """
import asyncio, ssl
from pathlib import Path
from distributed.comm.core import connect
from distributed.security import Security
from workbench.jobs.sessions import security
found = {}
async def by_dask(address, keys):
    comm = await connect(address, timeout=4, **keys.get_connection_args("client"))
    await comm.write({"op": "identity", "reply": True})
    return (await comm.read())["type"]
async def by_hand(address):
    # Who shows no certificate is told so, or cut off, before a byte of Dask's comes.
    open_to_all = ssl._create_unverified_context()
    reader, writer = await asyncio.open_connection(*address[6:].split(":"), ssl=open_to_all)
    return await reader.readexactly(1)
def attempt(name, what):
    try:
        found[name] = asyncio.run(asyncio.wait_for(what, 8))
    except Exception as error:
        found[name] = type(error).__name__
for part, address in {"scheduler": SCHEDULER, "worker": WORKER}.items():
    attempt(part + " in plain", by_dask(address.replace("tls", "tcp"), Security()))
    attempt(part + " without a certificate", by_hand(address))
    attempt(part + " with keys", by_dask(address, KEYS))
answer = found
"""


def join(book: Notebook, keys: str, scheduler: str, worker: str) -> dict[str, str]:
    """Try to reach a cluster with some keys; return what came of each try."""
    places = f"SCHEDULER, WORKER, KEYS = {scheduler!r}, {worker!r}, {keys}"
    found: dict[str, str] = book.run(JOIN.replace("found = {}", f"found = {{}}\n{places}"), 90)
    return found


FETCH = """
import urllib.request, urllib.error
try:
    answer = urllib.request.urlopen({url!r}, timeout=5).status
except urllib.error.HTTPError as error:
    answer = error.code, error.headers.get("Location")
"""


def test_nobody_else_joins_sees_or_ends_it(
    slurm_cluster: Slurm, book: Notebook, pair: str, person_python: Path
):
    worker = book.run("answer = list(client.scheduler_info()['workers'])[0]")
    session = book.run("answer = str(client.cluster.session.folder)")
    port = book.run("answer = client.cluster.scheduler.services['dashboard'].port")
    page = book.run("answer = client.dashboard_link")
    assert 42000 <= int(worker.rpartition(":")[2]) <= 42999
    with Notebook(slurm_cluster, person_python, "ben") as other:
        tried = join(other, "Security.temporary()", pair, worker)
        assert len(tried) == 6
        refused = {"CommClosedError", "FatalCommClosedError", "OSError", "SSLError", "IncompleteReadError",
                   "ConnectionResetError", "TimeoutError"}  # fmt: skip
        assert {*tried.values()} <= refused, tried
        for path in ("/", "/status", "/sitemap.json", "/info/main/workers.html", "/json/counts.json"):
            assert other.run(FETCH.format(url=f"http://127.0.0.1:{port}{path}")) == [404, None]
    # Its owner, who knows the way and has the keys, gets there.
    assert book.run(FETCH.format(url=page)) == 200
    mine = join(book, f"security(Path({session!r}))", pair, worker)
    assert (mine["scheduler with keys"], mine["worker with keys"]) == ("Scheduler", "Worker")
    assert {mine[name] for name in mine if "with keys" not in name} <= refused
    slurm = slurm_cluster
    job = jobs(slurm)[0]
    for words in (
        ("cat", f"{session}/key.pem"),
        ("ls", session),
        ("scancel", job),
        ("ls", f"{session}/../.."),
    ):
        assert slurm.run(*words, user="ben", check=False).returncode, words
    assert slurm.run("squeue", "--noheader", user="ben").stdout == ""
    assert slurm.state(int(job)) == "RUNNING"
    keys = slurm.root_command("find", session, "-name", "*.pem", "-printf", "%m %U\n")
    assert {*keys.splitlines()} == {f"600 {slurm.people['anna'].uid}"}
    assert book.run("answer = client.submit(sum, [1, 2]).result(timeout=30)") == 3
