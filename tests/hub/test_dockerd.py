"""The daemon that the other tests run containers on: apart from the machine's, and gone afterwards."""

from __future__ import annotations

import pytest

import dockerd

pytestmark = pytest.mark.docker


def test_a_daemon_of_our_own_comes_back_after_a_kill_and_keeps_live_restore(mortal_daemon):
    before = mortal_daemon.pid
    mortal_daemon.kill()
    mortal_daemon.start()
    assert mortal_daemon.pid != before
    with mortal_daemon.client() as client:
        assert client.info()["LiveRestoreEnabled"]
        assert client.info()["DockerRootDir"].startswith(str(mortal_daemon.root))


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
