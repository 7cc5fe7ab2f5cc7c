"""The daemon that the other tests run containers on: apart from the machine's, and gone afterwards."""

from __future__ import annotations

import pytest

import dockerd

pytestmark = pytest.mark.docker


def test_a_daemon_of_our_own_comes_back_after_a_kill_and_keeps_live_restore(docker_daemon):
    before = docker_daemon.pid
    docker_daemon.kill()
    docker_daemon.start()
    assert docker_daemon.pid != before
    with docker_daemon.client() as client:
        assert client.info()["LiveRestoreEnabled"]
        assert client.info()["DockerRootDir"].startswith(str(docker_daemon.root))


def test_nothing_is_left_of_a_daemon(tmp_path, missing, monkeypatch):
    reason = dockerd.why_not()
    if reason:
        missing("docker", reason)
    monkeypatch.delenv(dockerd.KEPT, raising=False)
    with dockerd.own_daemon() as daemon:
        root = daemon.root
        assert daemon.processes()
    assert not root.exists()
    assert not daemon.processes()
    with open("/proc/mounts") as mounts:
        assert str(root) not in mounts.read()
