"""What stays apart where users' containers and a cluster meet."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployed import Running
from joined import Kernel
from workbench_slurm.cluster import Cluster

pytestmark = [pytest.mark.docker, pytest.mark.slurm, pytest.mark.services, pytest.mark.timeout(300)]

Eventually = Callable[..., None]

REACH = """
import socket
def reach(host, port):
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        return type(error).__name__
    return "open"
"""
JOIN = """
import asyncio
from distributed import Client
from workbench.jobs.sessions import Session
from workbench.settings import Settings
async def join(address, security):
    try:
        async with Client(address, security=security, asynchronous=True, timeout=5):
            return "joined"
    except Exception as error:
        return type(error).__name__
async def talk(address, security):
    from distributed.core import rpc
    try:
        async with rpc(address, connection_args=security.get_connection_args("worker"), timeout=5) as worker:
            return str(await asyncio.wait_for(worker.identity(), 5))
    except Exception as error:
        return type(error).__name__
mine = Session(Settings())
"""


@pytest.fixture
def theirs(anna: Kernel, eventually: Eventually) -> Iterator[dict[str, str]]:
    """Return where a cluster of anna's is: its scheduler, one of its workers, its keys and the job."""
    anna.run("client = wb.cluster(1)\nclient.wait_for_workers(1, timeout=60)", 90)
    found = anna.run(
        "answer = {'scheduler': client.scheduler.address,"
        " 'worker': list(client.scheduler_info()['workers'])[0],"
        " 'keys': str(client.cluster.session.folder),"
        " 'job': client.cluster.workers[list(client.cluster.workers)[0]].job_id}"
    )
    yield found
    anna.run("client.close()")


def test_another_user_neither_reaches_joins_nor_reads_a_cluster(
    ben: Kernel, theirs: dict[str, str], cluster: Cluster
):
    ben.run(REACH + JOIN)
    host, port = theirs["scheduler"].removeprefix("tls://").split(":")
    assert ben.run(f"answer = reach({host!r}, {port})") != "open", "a neighbour"
    assert ben.run(f"answer = await join({theirs['scheduler']!r}, mine.security)", 30) != "joined"
    # The ports of workers are open to all containers: what keeps others out is the certificate.
    host, port = theirs["worker"].removeprefix("tls://").split(":")
    assert ben.run(f"answer = reach({host!r}, {port})") == "open"
    refused = ben.run(f"answer = await talk({theirs['worker']!r}, mine.security)", 30)
    assert "Error" in refused, refused
    assert ben.shell(f"ls {theirs['keys']}")[0]
    assert ben.shell(f"cat {cluster.munge}/key")[0]
    assert not Path(theirs["keys"]).stat().st_mode & 0o077


def test_another_user_neither_sees_reads_nor_cancels_a_job(
    anna: Kernel, ben: Kernel, theirs: dict[str, str], cluster: Cluster, eventually: Eventually
):
    job = theirs["job"]
    assert job not in ben.good("squeue --noheader --format=%A").split()
    assert "#SBATCH" not in ben.shell(f"scontrol write batch_script {job} -")[1]
    assert ben.shell(f"scontrol hold {job}")[0]
    ben.shell(f"scancel {job}")
    assert "RUNNING" in cluster.ask("squeue", "--noheader", f"--jobs={job}", "--format=%T")
    accounts = "sacct --noheader --parsable2 --allocations --format=JobIDRaw"
    # slurmdbd learns of a job within some seconds.
    eventually(lambda: job in anna.good(accounts).split(), 30, "the job in its user's accounts")
    assert job not in ben.good(accounts).split()
    assert anna.good(f"scontrol write batch_script {job} -").startswith("#!")


def test_a_job_reaches_nobodys_keys_or_home_and_only_the_data_of_its_user(
    site: Running, anna: Kernel, ben: Kernel, theirs: dict[str, str], cluster: Cluster
):
    archive = site.more["WORKBENCH_ARCHIVE"]
    look = (
        f"cat {theirs['keys']}/key.pem; ls {anna.home}; cat {cluster.munge}/key; ls {site.state}/secrets; "
        f"ls {site.state}/logs; ls {site.state}/audit; ls {site.state}/run; ls {site.state}/hub"
    )
    said = job(ben, look)
    assert said.count("Permission denied") == 8, said
    listed = f"ls {archive}/2020/OP {archive}/2020/VO {archive}/2020/EM"
    for who, seen in ((anna, 3), (ben, 1)):
        for words in (listed, f"$WORKBENCH_LAUNCHER $JUPYTER_IMAGE_SPEC -- {listed}"):
            assert job(who, words).count("\nSTA") == seen, who.name


def test_a_container_reaches_the_controller_and_no_node(ben: Kernel, cluster: Cluster):
    ben.run(REACH)
    plan = cluster.plan
    assert ben.run(f"answer = reach({plan.address!r}, {plan.ports['controller']})") == "open"
    for node in plan.nodes:
        assert ben.run(f"answer = reach({plan.address!r}, {plan.ports[node]})") != "open"


def test_this_machine_knows_itself_at_the_bridges_address(cluster: Cluster):
    """Docker would give what leaves the containers' network another sender."""
    with (
        socket.create_server((cluster.plan.address, 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as heard,
    ):
        assert heard.getpeername()[0] == cluster.plan.address


def test_nobody_gives_themselves_another_name_or_root(ben: Kernel, cluster: Cluster):
    assert ben.shell("sbatch --uid=20000 --wrap=id")[0]
    assert ben.shell("sbatch --uid=0 --wrap=id")[0]
    assert cluster.ask("squeue", "--noheader") == ""
    folder = ben.run("answer = str(Path(os.environ['SLURM_CONF']).parent)")
    assert ben.shell(f"touch {folder}/slurm.conf")[0]
    assert ben.shell(f"rm {cluster.munge_socket}")[0]


def job(kernel: Kernel, words: str) -> str:
    """Run a command in a job; return what it said."""
    kernel.run(
        "done = subprocess.run(['sbatch', '--wait', '--output=said.txt'], input='#!/bin/sh\\n' + "
        f"{words!r}.replace('$WORKBENCH_LAUNCHER', os.environ['WORKBENCH_LAUNCHER'])"
        ".replace('$JUPYTER_IMAGE_SPEC', os.environ['JUPYTER_IMAGE_SPEC']),"
        " text=True, cwd=os.environ['HOME'], capture_output=True)"
    )
    return "\n" + kernel.good("cat ~/said.txt")
