"""Batch jobs from a user's container: equal bytes, homes that stay, and who used how much."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from deployed import Running
from joined import Kernel
from person import Person
from workbench_hub import supervision
from workbench_hub.life.wiring import jobs_of_users
from workbench_hub.volumes.images import ImageQuota
from workbench_slurm.cluster import Cluster

pytestmark = [pytest.mark.docker, pytest.mark.slurm, pytest.mark.services, pytest.mark.timeout(300)]

Eventually = Callable[..., None]


def test_a_call_that_was_submitted_gives_the_bytes_of_the_notebook(anna: Kernel):
    anna.submit_and_compare("XX.K00?..LHZ@2024-01-01/2024-01-11")
    assert anna.run("answer = len(wb.jobs())") >= 1


def test_a_job_runs_as_its_user_in_the_home_and_in_the_image(anna: Kernel):
    image = anna.run("answer = os.environ['JUPYTER_IMAGE_SPEC']")
    anna.good(
        "cd; sbatch --wait --output=out.txt --wrap='id -u; id -G; pwd; "
        '$WORKBENCH_LAUNCHER $JUPYTER_IMAGE_SPEC -- sh -c "echo \\$JUPYTER_IMAGE_SPEC; workbench --version"\''
    )
    uid, groups, where, inside, *_ = anna.good("cat ~/out.txt").splitlines()
    assert uid == str(anna.uid)
    assert "30001" in groups.split()
    assert where == str(anna.home)
    assert inside == image


def test_a_home_stays_while_jobs_of_its_user_wait_or_run(
    site: Running, ben: Kernel, cluster: Cluster, eventually: Eventually
):
    quota = ImageQuota(site.state / "homes")
    ben.good("cd; sbatch --output=/dev/null --wrap='until [ -e go ]; do sleep 0.2; done; echo well > done'")
    eventually(lambda: "RUNNING" in cluster.ask("squeue", "--noheader", "--format=%T"), 30, "a job")
    ben.good("cd; sbatch --output=/dev/null --dependency=singleton --job-name=wrap --wrap='echo well > then'")
    jobs_of = jobs_of_users(site.deployment)
    assert {job.state for job in jobs_of("ben")} == {"RUNNING", "PENDING"}, "the culler waits for these"
    assert jobs_of("anna") == jobs_of("operator") == []
    ben.person.stop_server()
    assert quota.is_mounted(ben.home)
    (ben.home / "go").touch()
    eventually(lambda: not cluster.ask("squeue", "--noheader"), 40, "the end of both jobs")
    assert (ben.home / "done").read_text() == (ben.home / "then").read_text() == "well\n"
    ben.person.start_server(150)
    ben.person.stop_server()
    eventually(lambda: not quota.is_mounted(ben.home), 20, "a home that nobody needs")
    ben.person.start_server(150)
    ben.begin()
    assert ben.good("cat ~/done ~/then") == "well\nwell"


def test_everybody_sees_what_their_own_jobs_used(
    site: Running, anna: Kernel, ben: Kernel, eventually: Eventually
):
    anna.good("cd; sbatch --wait --output=/dev/null --wrap='sleep 1'")
    ben.good("cd; sbatch --wait --output=/dev/null --wrap='sleep 1'")

    def rows(person: Person) -> dict[str, dict[str, Any]]:
        found = person.http.get("/services/usage/api/usage").json()["jobs"]
        return {row["user"]: row for row in found}

    # Asked at most once a minute.
    eventually(lambda: "anna" in rows(anna.person), 90, "anna's jobs")
    mine = rows(anna.person)
    assert set(mine) == {"anna"}
    assert mine["anna"]["account"] == "everybody"
    assert mine["anna"]["hours"] > 1 / 3600
    with Person(site.url, "operator", site.passwords["operator"]) as operator:
        eventually(lambda: {"anna", "ben"} <= set(rows(operator)), 90, "everybody's jobs")
        assert "Jobs that ended" in operator.http.get("/services/usage/").text


def test_status_and_doctor_speak_of_the_cluster(site: Running, cluster: Cluster):
    status = site.command("status")
    assert status.returncode == 0, status.stdout
    for name in ("slurmctld", *(f"slurmd-{node}" for node in cluster.plan.nodes)):
        assert any(name in line and "well" in line for line in status.stdout.splitlines()), status.stdout
    doctor = site.command("doctor")
    assert doctor.returncode == 0, doctor.stdout
    for door in ("SLURM's controller", "Dask's workers"):
        row = next(line for line in doctor.stdout.splitlines() if f"door: {door}" in line)
        assert row.split()[-2:] == ["open", "open"], row
    assert "a job on each node" in doctor.stdout
    assert "The cluster is well." in doctor.stdout


def test_images_of_the_policy_are_the_clusters(site: Running, cluster: Cluster, user_image: str):
    assert [image.digest for image in cluster.images.all()] == [user_image]
    assert Path(cluster.exec).is_file()


@pytest.mark.long
def test_a_queue_that_outlives_a_power_cut_finds_the_homes_of_its_jobs(
    site: Running, ben: Kernel, cluster: Cluster, eventually: Eventually
):
    quota = ImageQuota(site.state / "homes")
    ben.good("cd; rm -f late; sbatch --begin=now+90 --output=/dev/null --wrap='pwd > late'")
    sleep(7)  # the controller writes its queue down every 5 s
    ben.person.stop_server()

    def gone() -> bool:
        for number in supervision.marked(cluster):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return not supervision.marked(cluster)

    eventually(gone, 20, "the end of the cluster")
    subprocess.run(["umount", str(ben.home)], check=True)
    done = site.command("restart")
    assert done.returncode == 0, done.stderr
    assert quota.is_mounted(ben.home)
    eventually(lambda: not cluster.ask("squeue", "--noheader"), 150, "the job that was to begin later")
    assert (ben.home / "late").read_text().strip() == str(ben.home)
    ben.person.start_server(150)
    ben.begin()


def test_a_job_has_steps(anna: Kernel):
    """On a cluster at the bridge's address, which the machine's name does not stand for."""
    anna.good("cd; sbatch --wait --output=steps --wrap 'srun --label echo here'", 90)
    assert (anna.home / "steps").read_text() == "0: here\n"
