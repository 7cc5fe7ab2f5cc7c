"""Counters of control groups: this host's real ones, and both layouts as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench_hub.containers.counters import Counters, own, read

VERSION_1 = {
    "memory/docker/abc/memory.usage_in_bytes": "536866816\n",
    "memory/docker/abc/memory.stat": "cache 1000\ntotal_inactive_file 6866816\n",
    "memory/docker/abc/memory.max_usage_in_bytes": "536870912\n",
    "memory/docker/abc/memory.limit_in_bytes": "536870912\n",
    "memory/docker/abc/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "pids/docker/abc/pids.current": "37\n",
    "pids/docker/abc/pids.max": "1024\n",
    "pids/docker/abc/pids.events": "max 5\n",
    "cpu/docker/abc/cpu.stat": "nr_periods 10\nnr_throttled 3\nthrottled_time 1500000000\n",
    "cpuacct/docker/abc/cpuacct.usage": "2500000000\n",
}
# As Documentation/admin-guide/cgroup-v2.rst of the kernel gives them.
VERSION_2 = {
    "cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
    "system.slice/docker-abc.scope/memory.current": "536866816\n",
    "system.slice/docker-abc.scope/memory.stat": "anon 530000000\nfile 1000\ninactive_file 6866816\n",
    "system.slice/docker-abc.scope/memory.peak": "536870912\n",
    "system.slice/docker-abc.scope/memory.max": "536870912\n",
    "system.slice/docker-abc.scope/memory.events": (
        "low 0\nhigh 0\nmax 118\noom 3\noom_kill 2\noom_group_kill 0\n"
    ),
    "system.slice/docker-abc.scope/pids.current": "37\n",
    "system.slice/docker-abc.scope/pids.max": "1024\n",
    "system.slice/docker-abc.scope/pids.events": "max 5\n",
    "system.slice/docker-abc.scope/cpu.stat": (
        "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n"
        "nr_periods 10\nnr_throttled 3\nthrottled_usec 1500000\n"
    ),
}
EXPECTED = Counters(
    memory=530_000_000,
    memory_peak=536_870_912,
    memory_limit=536_870_912,
    oom_kills=2,
    pids=37,
    pids_limit=1024,
    pids_refused=5,
    cpu_seconds=2.5,
    throttled_seconds=1.5,
)
LAYOUTS = {
    "version 1": (
        VERSION_1,
        "12:pids:/docker/abc\n4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/system.slice/docker.service\n",
    ),
    "version 2": (VERSION_2, "0::/system.slice/docker-abc.scope\n"),
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture(params=LAYOUTS)
def recorded(request, tmp_path):
    files, membership = LAYOUTS[request.param]
    return write(tmp_path / "proc", {"42/cgroup": membership}), write(tmp_path / "groups", files)


def test_reads_both_layouts_alike(recorded):
    proc, groups = recorded
    assert read(42, proc, groups) == EXPECTED


def test_a_process_that_ended_has_none(recorded):
    proc, groups = recorded
    assert read(43, proc, groups) is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_group_that_is_gone_has_none_and_never_those_of_the_host(layout, tmp_path):
    files, membership = LAYOUTS[layout]
    roots = {
        name.replace("/docker/abc", "").rpartition("docker-abc.scope/")[2]: text
        for name, text in files.items()
    }
    proc = write(tmp_path / "proc", {"42/cgroup": membership})
    assert read(42, proc, write(tmp_path / "groups", roots)) is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_container_reads_its_own_where_the_root_would_be(layout, tmp_path):
    files, membership = LAYOUTS[layout]
    inside = {
        name.replace("/docker/abc", "").rpartition("docker-abc.scope/")[2]: text
        for name, text in files.items()
    }
    proc = write(tmp_path / "proc", {"self/cgroup": membership})
    assert own(proc, write(tmp_path / "groups", inside)) == EXPECTED


@pytest.mark.parametrize("unlimited", ["max\n", "9223372036854771712\n"])
def test_says_none_where_there_is_no_limit(unlimited, tmp_path):
    files = VERSION_2 | {"system.slice/docker-abc.scope/memory.max": unlimited}
    proc = write(tmp_path / "proc", {"42/cgroup": LAYOUTS["version 2"][1]})
    found = read(42, proc, write(tmp_path / "groups", files))
    assert found is not None
    assert found.memory_limit is None


def test_an_older_kernel_that_knows_no_peak_says_none(tmp_path):
    files = {name: text for name, text in VERSION_2.items() if not name.endswith("memory.peak")}
    proc = write(tmp_path / "proc", {"42/cgroup": LAYOUTS["version 2"][1]})
    found = read(42, proc, write(tmp_path / "groups", files))
    assert found is not None
    assert found.memory_peak is None


def test_reads_this_very_process(missing):
    found = read(os.getpid())
    if found is None:
        missing("docker", "this host's control groups do not count memory")
    assert found.memory > 2**20
