"""Names for uids, and which way holds jobs to their memory: without any cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import InvalidSetting
from workbench_hub.wrapped import environment, library
from workbench_slurm import enforcement
from workbench_slurm.cluster import Cluster
from workbench_slurm.users import User, Users


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(tmp_path / "users")


def names(users: Users, database: str = "passwd") -> dict[str, list[str]]:
    lines = (users.folder / database).read_text().splitlines()
    return {line.split(":")[0]: line.split(":") for line in lines}


def test_the_machines_accounts_stay(users: Users):
    users.refresh()
    assert names(users)["root"][2] == "0"
    assert users.all() == []


def test_a_user_gets_a_name_groups_and_a_home(users: Users):
    anna = User("anna", 20001, 20001, "/home/anna", {"volcano": 30001, "all": 30002}, ["volcano", "all"])
    users.add(anna)
    users.add(User("ben", 20002, 20100, "/srv/ben", {"all": 30002}))
    assert names(users)["anna"][1:] == ["*", "20001", "20001", "", "/home/anna", "/bin/sh"]
    groups = names(users, "group")
    assert groups["all"][2:] == ["30002", "anna,ben"]
    assert groups["volcano"][2:] == ["30001", "anna"]
    assert users.all()[0] == anna
    users.add(User("anna", 20001, 20001, "/home/anna"))
    assert "volcano" not in names(users, "group")
    users.remove("anna")
    users.remove("anna")
    assert [user.name for user in users.all()] == ["ben"]
    assert "anna" not in names(users)


def test_programs_see_them(users: Users, missing: Callable[[str, str], None]):
    if library() is None:
        missing("slurm", "there is no nss_wrapper; as root: apt-get install libnss-wrapper")
    users.add(User("anna", 20001, 20001, "/home/anna", {"volcano": 30001}))
    done = subprocess.run(["id", "anna"], env={"PATH": "/usr/bin:/bin", **environment(users.folder)},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split() == ["uid=20001(anna)", "gid=20001(anna)", "groups=20001(anna),30001(volcano)"]


BAD = {
    "root": User("evil", 0, 20001, "/h"),
    "a group of root": User("evil", 20001, 0, "/h"),
    "a further group of root": User("evil", 20001, 20001, "/h", {"x": 0}),
    "an account of the machine": User("evil", 999, 20001, "/h"),
    "nobody": User("evil", 2**32 - 1, 20001, "/h"),
    "a second line": User("evil\nroot2", 20001, 20001, "/h"),
    "a second field": User("evil:x:0", 20001, 20001, "/h"),
    "an option": User("-evil", 20001, 20001, "/h"),
    "no name": User("", 20001, 20001, "/h"),
    "a home of two lines": User("evil", 20001, 20001, "/h\nroot2:x:0:0::/:/bin/sh"),
    "a home with a shell": User("evil", 20001, 20001, "/h:/bin/bash"),
    "a relative home": User("evil", 20001, 20001, "h"),
    "a group of two lines": User("evil", 20001, 20001, "/h", {"a\nb": 30001}),
    "an account with a comma": User("evil", 20001, 20001, "/h", {}, ["a,b"]),
    "the name of the machine's": User("daemon", 20001, 20001, "/h"),
    "the name of root": User("root", 20001, 20001, "/h"),
}


@pytest.mark.parametrize("user", BAD.values(), ids=BAD)
def test_what_no_passwd_file_should_have_is_refused(users: Users, user: User):
    users.refresh()
    before = users.passwd.read_bytes(), users.group.read_bytes()
    with pytest.raises(InvalidSetting):
        users.add(user)
    assert (users.passwd.read_bytes(), users.group.read_bytes()) == before


def test_nobody_takes_anothers_number(users: Users):
    users.add(User("anna", 20001, 20001, "/home/anna"))
    with pytest.raises(InvalidSetting, match="anna has uid 20001 already"):
        users.add(User("ben", 20001, 20002, "/h"))
    # Who is there may get another number.
    users.add(User("anna", 20002, 20002, "/h"))
    assert [(user.name, user.uid) for user in users.all()] == [("anna", 20002)]


def test_the_best_way_that_a_machine_allows(tmp_path: Path):
    first, second, none = tmp_path / "v1", tmp_path / "v2", tmp_path / "none"
    for name in ("freezer", "memory", "cpuacct"):
        (first / name).mkdir(parents=True)
    second.mkdir()
    (second / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    none.mkdir()
    assert enforcement.found(first).name == "cgroup/v1"
    assert enforcement.found(second).name == "cgroup/v2"
    assert enforcement.found(none).name == "polling"
    # Both are there, and memory is counted by the first: as on a machine that is half way.
    (second / "cgroup.controllers").write_text("hugetlb\n")
    assert enforcement.found(second).name == "polling"
    assert enforcement.chosen("polling").name == "polling"
    with pytest.raises(InvalidSetting, match="auto, cgroup/v1"):
        enforcement.chosen("hope")


@pytest.mark.parametrize(("given", "words"), [
    ({"nodes": 0}, "less than one"),
    ({"nodes": 100_000}, "MB each"),
    ({"limits": "hope"}, "no way of enforcing"),
])  # fmt: skip
def test_a_cluster_that_cannot_be_is_refused(tmp_path: Path, given: dict[str, object], words: str):
    wanted = {"nodes": 1, "address": None, "memory": None, "silence": 30, "limits": "auto", **given}
    cluster = Cluster(Path("/var/lib/nowhere"))
    with pytest.raises(InvalidSetting, match=words):
        cluster.choose(**wanted)  # type: ignore[arg-type]
    assert not cluster.state.exists()


@pytest.mark.parametrize("place", ["/tmp/x", "/dev/shm/x"])
def test_a_directory_that_jobs_cannot_see_is_refused(place: str):
    with pytest.raises(InvalidSetting, match="hidden from jobs"):
        Cluster(Path(place)).choose(1, address=None, memory=None, silence=30, limits="auto")
