"""dask-jobqueue by itself, with the configuration that a site puts into its image."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from notebooks import CellError, Notebook
from slurmed import Slurm
from workbench.jobs.launch import Limits, mebibytes, minutes
from workbench.settings import Settings

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]

CONFIG = Path(__file__).parents[2] / "slurm/jobqueue.yaml"


def test_it_says_what_our_own_clusters_do():
    said = yaml.safe_load(CONFIG.read_text())["jobqueue"]["slurm"]
    limits = Limits()
    assert (said["cores"], mebibytes(said["memory"])) == (limits.cores, limits.memory)
    assert minutes(said["walltime"]) == limits.walltime
    assert said["worker-extra-args"][1] == Settings.model_fields["worker_ports"].default
    assert "--export=NONE" in limits.directives
    assert set(said["job-extra-directives"]) <= set(limits.directives)


def test_a_plain_cluster_works_with_keys_and_not_without(slurm: Slurm, person_python: Path):
    folder = slurm.home("anna") / "dask"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    shutil.copy(CONFIG, folder)
    with Notebook(slurm, person_python, more={"DASK_CONFIG": str(folder)}) as book:
        book.run(
            "from dask_jobqueue import SLURMCluster\n"
            "from distributed import Client\n"
            "from distributed.security import Security\n"
            "cluster = SLURMCluster(nanny=False, security=Security.temporary())\n"
            "cluster.scale(1)\n"
            "client = Client(cluster, set_as_default=False)\n"
            "client.wait_for_workers(1, timeout=60)\n"
            "answer = client.submit(sum, [1, 2]).result(timeout=30)\n",
            90,
        )
        keys = slurm.root_command(
            "find", str(slurm.home("anna")), "-name", ".dask-jobqueue*", "-printf", "%m "
        )
        assert set(keys.split()) == {"600"}
        book.run("client.close(); cluster.close()")
        with pytest.raises(CellError, match=r"(?i)encryption"):
            book.run("SLURMCluster(nanny=False)")
