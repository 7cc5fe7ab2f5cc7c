"""Batch jobs on a real SLURM that SLURM does not take, or does not begin: it is said why."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from notebooks import CellError
from slurmed import Slurm
from trialbook import Trials

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

Eventually = Callable[..., None]


@pytest.fixture
def drained(slurm_cluster: Slurm) -> Iterator[None]:
    """Let no job begin while the test runs."""
    nodes = ",".join(slurm_cluster.nodes)
    slurm_cluster.root_command("scontrol", "update", f"NodeName={nodes}", "State=DRAIN", "Reason=test")
    yield
    slurm_cluster.root_command("scontrol", "update", f"NodeName={nodes}", "State=RESUME")


def test_a_partition_that_goes_down_is_said(
    slurm_cluster: Slurm, book: Trials, eventually: Eventually, drained: None
):
    book.run("job = wb.submit(trial(), partition='short')")
    assert book.told()["state"] == "pending"
    slurm_cluster.root_command("scontrol", "update", "PartitionName=short", "State=DOWN")
    try:
        words = "The job: the partition is down (PartitionDown). Choose another"
        eventually(lambda: book.told()["error"].startswith(words), 20, "the reason")
        assert book.told()["state"] == "pending"
        with pytest.raises(CellError, match=r"Unavailable: Partition short: is down .* These are up: main"):
            book.run("wb.submit(trial(), partition='short')")
    finally:
        slurm_cluster.root_command("scontrol", "update", "PartitionName=short", "State=UP")
    book.run("job.cancel().wait(60)", 70)


def test_an_account_that_may_not_use_a_partition_is_said(
    slurm_cluster: Slurm, book: Trials, eventually: Eventually
):
    slurm_cluster.root_command("scontrol", "update", "PartitionName=short", "AllowAccounts=others")
    try:
        book.run("job = wb.submit(trial(), partition='short')")
        words = "The job: the account may not use the partition ("
        eventually(lambda: book.told()["error"].startswith(words), 20, "the reason")
        assert "Name another as account=" in book.told()["error"]
        book.run("job.cancel().wait(60)", 70)
    finally:
        slurm_cluster.root_command("scontrol", "update", "PartitionName=short", "AllowAccounts=ALL")


WRONG = {
    "an unknown partition": ("partition='fast'", "InvalidSetting: Partition fast: is unknown to SLURM"),
    "too long": (
        "walltime='9d'",
        "InvalidSetting: walltime of 12960 minutes: is more than partition main",
    ),
    "too much": ("memory='9 TiB'", "InvalidSetting: 1 cores and 9437184 MiB: are more than any node"),
}


@pytest.mark.parametrize(("how", "begin"), WRONG.values(), ids=WRONG)
def test_what_slurm_would_not_take_is_no_job(book: Trials, how: str, begin: str):
    before = book.run("answer = len(wb.jobs())")
    with pytest.raises(CellError) as caught:
        book.run(f"wb.submit(trial(), {how})")
    assert str(caught.value).startswith(begin)
    assert book.run("answer = len(wb.jobs())") == before


def test_an_image_that_is_not_there_is_named(slurm_cluster: Slurm, book: Trials):
    digest = "sha256:" + "0" * 64
    book.run(
        "from workbench.settings import Settings\n"
        f"settings = Settings(image={digest!r}, launcher={str(slurm_cluster.cluster.exec)!r})\n"
        "job = wb.submit(trial(), settings=settings).wait(60)\n",
        70,
    )
    found = book.told()
    assert (found["state"], found["code"]) == ("failed", 2)
    assert f"wb-exec: {digest}: is not in" in found["error"]
    assert "Root adds it" in book.run("answer = job.log()")


def test_what_the_queue_has_forgotten_the_accounts_have_not(
    slurm_cluster: Slurm, book: Trials, missing: Callable[[str, str], None], eventually: Eventually
):
    if not slurm_cluster.cluster.plan.accounting:
        missing("slurm", "accounts are kept where MariaDB is there")
    book.run("job = wb.submit(trial(seconds=600)).cancel().wait(60)", 70)
    number = book.number()
    code = f"from workbench.jobs import slurm; answer = slurm.accounts([{number}])"
    eventually(lambda: book.run(code) == {str(number): "CANCELLED"}, 20, "the accounts")
