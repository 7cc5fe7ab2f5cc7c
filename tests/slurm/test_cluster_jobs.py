"""Jobs on a real cluster: as their user, over its nodes, within what they asked for."""

from __future__ import annotations

import pytest

from slurmed import UIDS, VOLCANO, Slurm

pytestmark = [pytest.mark.slurm]


def test_a_job_runs_over_three_nodes(slurm: Slurm):
    job = slurm.submit("srun --label sh -c 'echo $SLURMD_NODENAME'", "--nodes=3", "--ntasks=3")
    assert slurm.wait(job) == "COMPLETED"
    found = [line.split(": ")[1] for line in slurm.output(job).splitlines()]
    assert sorted(found) == sorted(slurm.nodes)


def test_a_job_runs_as_its_user_in_their_groups(slurm: Slurm):
    job = slurm.submit("id -u; id -G; echo $HOME; echo $SLURM_JOB_USER; pwd", "--export=NONE")
    assert slurm.wait(job) == "COMPLETED"
    uid, home = UIDS["anna"], str(slurm.home("anna"))
    assert slurm.output(job).splitlines() == [f"{uid}", f"{uid} {VOLCANO}", home, "anna", home]
