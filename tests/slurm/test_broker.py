"""The broker before a real cluster, with tokens of a real hub: what users' servers can do there."""

from __future__ import annotations

import pytest

from brokered import Brokered

pytest_plugins = ["brokers"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]


def test_a_job_is_sent_seen_and_ends(broker: Brokered):
    slurm = broker.slurm
    said = broker.run(
        "sbatch", "--output=job-%j.out", given="#!/bin/sh\nid -u; cat /etc/issue; pwd; sleep 1\n"
    )
    assert said.stdout.startswith("Submitted batch job ")
    job = int(said.stdout.split()[-1])
    seen = broker.run("squeue", "--noheader", "--format=%A|%u|%j").stdout
    assert f"{job}|" in seen
    assert slurm.wait(job) == "COMPLETED", slurm.output(job)
    assert slurm.output(job).split("\n") == ["20101", "small image", str(slurm.home("anna")), ""]
    about = slurm.root_command("scontrol", "show", "job", str(job))
    assert f"image={broker.image}" in about
    assert "Account=everybody" in about
