"""What a session gets to work with SLURM is read from slurm.conf and the policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import InvalidSetting
from workbench_hub import scheduling
from workbench_hub.policy.work import Slurm
from workbench_hub.scheduling import Scheduler, access

CONF = """\
# of a site
ClusterName=centre
SlurmctldHost=control(192.0.2.7)
slurmctldport=6001-6004   # more than one
AuthInfo=socket=/run/own/socket,ttl=60
AccountingStorageType=accounting_storage/slurmdbd
AccountingStoragePort=6005
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "slurm.conf").write_text(CONF)
    return tmp_path / "etc" / "slurm.conf"


def test_munge_gets_configuration_socket_and_the_ports_that_its_commands_ask(conf: Path):
    rules = Slurm(worker_ports="5000:5009", scheduler_ports="5100:5109", partition="long")
    given = access(Scheduler(conf), rules)
    assert [(door.port, door.last) for door in given.doors] == [(6001, 0), (6005, 0), (5000, 5009)]
    assert given.mounts == ((conf.parent, str(conf.parent), True), (Path("/run/own"), "/run/own", True))
    assert given.environment == {
        "SLURM_CONF": str(conf),
        "WORKBENCH_LAUNCHER": "wb-exec",
        "WORKBENCH_PARTITION": "long",
        "WORKBENCH_SCHEDULER_PORTS": "5100:5109",
        "WORKBENCH_WORKER_PORTS": "5000:5009",
    }


def test_what_slurm_conf_leaves_out_is_as_slurm_has_it(conf: Path):
    conf.write_text("ClusterName=centre\nSlurmctldHost=control\n")
    there = Scheduler(conf)
    assert (there.controller, there.accounting) == (6817, None)
    assert there.munge == Path("/run/munge/munge.socket.2")


def test_an_own_cluster_has_its_launcher_and_knows_its_images(conf: Path, tmp_path: Path):
    digest = f"sha256:{'0' * 64}"
    own = Scheduler(conf, tmp_path)
    assert own.launcher == str(tmp_path / "etc" / "wb-exec")
    assert not own.has(digest)
    (tmp_path / "images" / digest).mkdir(parents=True)
    (tmp_path / "images" / digest / "image.json").touch()
    assert own.has(digest)
    assert Scheduler(conf).has(digest), "of a site's images nothing is known here"


def test_what_a_start_found_is_known_until_the_next(conf: Path, tmp_path: Path):
    run = tmp_path / "run"
    run.mkdir()
    assert scheduling.found(run) is None
    for there in (Scheduler(conf), Scheduler(conf, tmp_path), None):
        scheduling.remember(run, there)
        assert scheduling.found(run) == there
    scheduling.remember(run, Scheduler(conf))
    conf.unlink()
    there = scheduling.found(run)
    assert there is not None
    assert there.controller == 6001, "a file that is gone keeps nobody from a server"
    with pytest.raises(InvalidSetting, match=r"slurm\.conf: cannot be read \(No such file"):
        scheduling.remember(run, Scheduler(conf))
