"""Dask from a user's container on the deployment's own cluster."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from joined import Kernel
from notebooks import ARRAYS
from workbench_slurm.cluster import Cluster

pytestmark = [pytest.mark.docker, pytest.mark.slurm, pytest.mark.services, pytest.mark.timeout(300)]

Eventually = Callable[..., None]

MAP = """
def mapped(store, client=None, process="quality.completeness"):
    found = wb.map(process, "XX.K*..LHZ", store=Path(store).expanduser(), client=client, progress=False)
    tiles = found.tiles
    return found, [tiles.total, tiles.computed, tiles.reused, tiles.failed]
"""
TRUTH = """
from workbench.demo.known import Known
import numpy as np
truth = Known(channels=6, days=30, rate=1).truth()
def right(found):
    value = found.value.reindex(time=truth["time"])
    names = [name for name in truth.data_vars if name in value]
    for name in names:
        np.testing.assert_array_equal(value[name].values, truth[name].values, err_msg=str(name))
    return len(names)
"""


@pytest.fixture(scope="module")
def book(anna: Kernel) -> Iterator[Kernel]:
    anna.run(MAP + TRUTH)
    yield anna
    anna.run("client.close() if 'client' in globals() else None")


def workers(book: Kernel) -> int:
    return int(book.run("answer = len(client.scheduler_info()['workers'])"))


def test_the_doctor_finds_both_directions_open(anna: Kernel):
    said = anna.good("workbench doctor cluster", 150)
    for what in ("node to scheduler", "scheduler to worker", "worker to worker"):
        assert f"ok  {what}" in said, said


def test_from_no_workers_to_two_and_back(book: Kernel, cluster: Cluster, eventually: Eventually):
    book.run("client = wb.cluster(maximum=2)", 90)
    assert workers(book) == 0
    assert book.run(ARRAYS, 150)
    assert 1 <= workers(book) <= 2
    users = cluster.ask("squeue", "--noheader", "--format=%U").split()
    assert {*users} == {str(book.uid)}
    image, there = book.run(
        "answer = [os.environ['JUPYTER_IMAGE_SPEC'],"
        " client.submit(lambda: os.environ['JUPYTER_IMAGE_SPEC']).result(timeout=60)]"
    )
    assert image == there
    found = book.run("found, counts = mapped('~/first', client); answer = [*counts, right(found)]", 150)
    total, computed, reused, failed, names = found
    assert (computed, reused, failed) == (total, 0, 0)
    assert names >= 5, "what completeness and the truth both have"
    eventually(lambda: workers(book) == 0, 60, "the end of workers without work")
    book.run("client.close()")


def test_a_fan_out_over_three_nodes(book: Kernel, cluster: Cluster):
    memory = int(cluster.plan.memory * 0.6)
    book.run(f"client = wb.cluster(3, memory='{memory} MiB')\nclient.wait_for_workers(3, timeout=60)", 120)
    nodes = book.run("answer = sorted({*client.run(lambda: os.environ['SLURMD_NODENAME']).values()})")
    assert nodes == sorted(cluster.plan.nodes)
    total, computed, reused, failed, _ = book.run(
        "found, counts = mapped('~/three', client); answer = [*counts, right(found)]", 150
    )
    assert (computed, reused, failed) == (total, 0, 0)
    book.run("client.close()")


def test_a_worker_that_is_killed_costs_no_tile_twice(book: Kernel):
    book.run("client = wb.cluster(2)\nclient.wait_for_workers(2, timeout=60)", 120)
    victim = book.processes("workbench.jobs.worker")[-1]
    with at_work(book, "killed", 10, lambda: os.kill(victim, signal.SIGKILL)) as killed:
        total, computed, reused, failed, _ = book.run(
            "found, counts = mapped('~/killed', client); answer = [*counts, right(found)]", 150
        )
    # What it had finished and not yet told of is found when another takes its place.
    assert (computed + reused, failed) == (total, 0)
    assert reused <= 1
    assert 10 <= killed[0] < total, "it was killed in the middle"
    book.run("client.close()")


def test_a_map_goes_on_where_it_was_when_the_notebook_is_killed(book: Kernel, eventually: Eventually):
    """The scheduler dies with it, and workers without a scheduler end."""
    # A job that waited meanwhile would begin, and look for the scheduler, when others have ended.
    book.run("client = wb.cluster(2, death_timeout=5)\nclient.wait_for_workers(2, timeout=60)", 120)
    with at_work(book, "resumed", 10, book.kill) as killed:
        book.leave("found, counts = mapped('~/resumed', client)")
    eventually(lambda: not book.processes("workbench.jobs.worker"), 60, "the end of the workers")
    done = len(tiles(book, "resumed"))
    book.begin()
    book.run(MAP + TRUTH)
    book.run("client = wb.cluster(2)", 90)
    total, computed, reused, failed, _ = book.run(
        "found, counts = mapped('~/resumed', client); answer = [*counts, right(found)]", 150
    )
    assert killed[0] <= done < total
    assert (computed, reused, failed) == (total - done, done, 0)
    book.run("client.close()")


def tiles(book: Kernel, store: str) -> list[Path]:
    """Return the finished tiles of a store."""
    return [*(book.home / store).glob("*/*.tile")]


@contextmanager
def at_work(book: Kernel, store: str, count: int, then: Callable[[], None]) -> Iterator[list[int]]:
    """Do something as soon as some tiles are done; give how many there were."""
    seen: list[int] = []

    def watch() -> None:
        begun = monotonic()
        while monotonic() - begun < 60 and not seen:
            if (found := len(tiles(book, store))) >= count:
                then()
                seen.append(found)
            sleep(0.005)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield seen
    thread.join(60)
    assert seen, "there were never so many tiles"
