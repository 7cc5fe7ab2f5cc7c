"""SLURM from real containers by the broker: the container has a token, and nothing else that leads there."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from deployed import Running, newest_logs
from hosted import write_policy
from joined import Kernel
from notebooks import ARRAYS
from person import Person
from workbench_hub import supervision
from workbench_slurm.cluster import Cluster

pytestmark = [pytest.mark.docker, pytest.mark.slurm, pytest.mark.services]

Eventually = Callable[..., None]


@pytest.fixture(scope="module", autouse=True)
def _broker(site: Running) -> Iterator[None]:
    """Change the policy while everything runs: from now on the broker is the way."""
    policy, before = site.policy, site.policy.read_text()
    write_policy(policy, slurm={"cluster": "own", "nodes": 3, "access": "broker"})
    done = site.command("reload")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{newest_logs(site.state)}"
    yield
    policy.write_text(before)
    done = site.command("reload")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{newest_logs(site.state)}"
    assert "broker" not in supervision.states(site.deployment)


@pytest.fixture(scope="module")
def anna(site: Running, _broker: None) -> Iterator[Kernel]:
    """Open a new notebook of anna's, who is in the group volcano; SLURM's own squeue tries its luck in it."""
    for kernel in anew(site, "anna"):
        # It looks for a controller for a minute, beside the tests.
        kernel.run(
            "direct = subprocess.Popen(['/usr/bin/squeue'], env={**os.environ, 'SLURM_CONF': ''}, text=True,"
            " stdout=subprocess.PIPE, stderr=subprocess.STDOUT)"
        )
        yield kernel


@pytest.fixture(scope="module")
def ben(site: Running, _broker: None) -> Iterator[Kernel]:
    """Open a new notebook of ben's, who is in no group."""
    yield from anew(site, "ben")


def anew(site: Running, name: str) -> Iterator[Kernel]:
    """Open a notebook in a server that begins with the policy as it is now, and ends with it."""
    with Person(site.url, name, site.passwords[name]) as person:
        person.stop_server()
    kernel = Kernel(site, name)
    yield kernel
    kernel.person.stop_server()
    kernel.close()


def in_a_job(book: Kernel, script: str) -> str:
    """Run a script by sbatch; return what it said."""
    (book.home / "job.sh").write_text(f"#!/bin/sh\n{script}\n")
    number = book.good("cd; sbatch --parsable --output=said job.sh")
    book.good(f'until [ -z "$(squeue -h -t PD,R,CG -j {number} -o %A)" ]; do sleep 0.5; done')
    return (book.home / "said").read_text().strip()


def test_a_container_has_no_way_to_slurm_but_the_broker(anna: Kernel, cluster: Cluster):
    for name in ("sbatch", "squeue", "scancel"):
        assert anna.good(f"command -v {name}") == f"/opt/workbench/broker/{name}"
    for path in (cluster.conf, cluster.munge_socket, "/run/munge"):
        assert anna.shell(f"ls {path}")[0], path
    assert "main" in anna.good("sinfo")


def test_the_doctor_finds_it_well(site: Running, anna: Kernel):
    done = site.command("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Broker: with a token of nobody's" in done.stdout
    assert "door: the broker" in done.stdout


def test_the_doctor_finds_both_directions_open(anna: Kernel):
    said = anna.good("workbench doctor cluster", 150)
    for what in ("node to scheduler", "scheduler to worker"):
        assert f"ok  {what}" in said, said


def test_from_no_workers_to_two_and_back(anna: Kernel, cluster: Cluster, eventually: Eventually):
    anna.run("client = wb.cluster(maximum=2)", 90)
    assert cluster.ask("squeue", "--noheader") == ""
    assert anna.run(ARRAYS, 150)
    assert {*cluster.ask("squeue", "--noheader", "--format=%U").split()} == {str(anna.uid)}
    image, there = anna.run(
        "answer = [os.environ['JUPYTER_IMAGE_SPEC'],"
        " client.submit(lambda: os.environ['JUPYTER_IMAGE_SPEC']).result(timeout=60)]"
    )
    assert image == there
    eventually(lambda: cluster.ask("squeue", "--noheader") == "", 60, "the end of workers without work")
    anna.run("client.close()")


def test_a_call_that_was_submitted_gives_the_bytes_of_the_notebook(anna: Kernel):
    anna.submit_and_compare("OP.STA..HHZ@2020-03-01T00:00:00/2020-03-01T00:01:00")


def test_a_job_sees_what_its_users_server_sees(site: Running, anna: Kernel, ben: Kernel):
    """Which the policy says; the files are open to everybody on the node."""
    archive = site.more["WORKBENCH_ARCHIVE"]
    for book, hidden in ((anna, set()), (ben, {"EM", "VO"})):
        seen = in_a_job(book, f"ls {archive}/2020").split()
        assert seen == book.good(f"ls {archive}/2020").split()
        assert {"EM", "OP", "VO"} - {*seen} == hidden
    script = "env | grep -c TOKEN; ls /run/munge; squeue; ls ~/.. | wc -l; id -u"
    tokens, *rest = in_a_job(anna, script).splitlines()
    assert tokens == "0"
    assert any("JUPYTERHUB_API_TOKEN" in line or "WORKBENCH_BROKER" in line for line in rest)
    assert rest[-2:] == ["1", str(anna.uid)]


def test_the_broker_comes_back_and_nothing_is_lost(site: Running, ben: Kernel, eventually: Eventually):
    before = site.pid("broker")
    os.kill(before, signal.SIGKILL)
    assert in_a_job(ben, "echo here") == "here"
    eventually(lambda: site.pid("broker") != before and site.all_well(), 30, "the broker")


def test_what_is_refused_is_in_the_audit_log(site: Running, ben: Kernel):
    code, said = ben.shell("sbatch --uid=0 --wrap=id")
    assert (code, "--uid" in said) == (1, True)
    path = max((site.state / "audit").glob("*.jsonl"))
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["event"], last["actor"]) == ("job refused", "ben")
    assert ben.good("printenv JUPYTERHUB_API_TOKEN") not in path.read_text()


def test_slurms_own_commands_find_no_cluster(anna: Kernel):
    code, said = anna.run("said, _ = direct.communicate(timeout=90)\nanswer = [direct.returncode, said]", 100)
    assert code, said
