"""Homes with a quota: real file systems in images where this machine lets one mount them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from passing import let_pass
from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable
from workbench_hub.health import wait_for
from workbench_hub.identity import Identity
from workbench_hub.policy import Policy, parse
from workbench_hub.volumes import BadHome, Homes, Usage, chosen, release_all
from workbench_hub.volumes.homes import quota_of
from workbench_hub.volumes.images import ImageQuota
from workbench_hub.volumes.projects import ProjectQuota, mounted_at
from workbench_hub.volumes.quotas import NoQuota

MIB = 2**20
ALICE = Identity("alice", 20101, 20101)

POLICY = """
version: 1
images: {standard: {title: S, build: user}}
profiles: {standard: {title: S}}
groups: {big: {home: 48 MiB}, bigger: {home: 64 MiB}}
users: {carol: {uid: 10103, home: 20 MiB}}
home: {quota: 24 MiB, inodes: 10000}
"""


@pytest.fixture
def policy() -> Policy:
    return parse(POLICY)


@pytest.fixture(scope="module")
def root(missing: Callable[[str, str], None]) -> None:
    if os.geteuid():
        missing("root", "homes are given to their users by root alone")


@pytest.fixture(scope="module")
def loop(root: None, tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str, str], None]) -> None:
    """Whether this machine mounts images."""
    probe = tmp_path_factory.mktemp("probe")
    quota = ImageQuota(probe)
    try:
        quota.ensure(probe / "home", 20100, 20100, 16 * MIB, 1000)
    except (Unavailable, FileNotFoundError) as error:
        missing("loop", f"no image can be mounted here: {error}")
    finally:
        quota.release(probe / "home")


@pytest.fixture
def homes(tmp_path: Path, policy: Policy, loop: None) -> Iterator[Homes]:
    homes = Homes(tmp_path / "homes", policy, ImageQuota(tmp_path / "homes"))
    yield homes
    let_go(homes)


def let_go(homes: Homes) -> None:
    """Unmount all homes; who copied the mount table just then holds them a little longer."""

    def gone() -> bool:
        release_all(homes.root)
        devices = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
        table = Path("/proc/self/mountinfo").read_text()
        return f"{homes.root}/" not in table and f"{homes.root}/" not in devices

    wait_for(gone, 60, "the end of all mounts")


def as_user(identity: Identity, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        user=identity.uid,
        group=identity.gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def fill(identity: Identity, home: Path) -> subprocess.CompletedProcess[str]:
    """Write until no more can be written, as the user."""
    return as_user(identity, "dd", "if=/dev/zero", f"of={home}/all", "bs=1M", "count=200", "status=none")


def may_resize() -> bool:
    """Whether this process may resize a file system in use (CAP_SYS_RESOURCE)."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 24 & 1)


def test_a_home_is_its_users_alone_and_ends_at_its_quota(homes, tmp_path):
    let_pass(tmp_path)
    usage = homes.prepare(ALICE)
    home = homes.path(ALICE)
    stat = home.stat()
    assert (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) == (ALICE.uid, ALICE.gid, 0o700)
    assert os.listdir(home) == []
    assert usage.limit is not None
    assert 16 * MIB < usage.limit <= 24 * MIB
    assert usage.share < 0.2
    written = fill(ALICE, home)
    assert "No space left" in written.stderr
    usage = homes.usage(ALICE)
    assert usage.full
    assert usage.share > 0.95
    assert "MiB used (" in str(usage)


def test_a_full_home_is_prepared_like_any_other(homes, tmp_path):
    let_pass(tmp_path)
    homes.prepare(ALICE)
    fill(ALICE, homes.path(ALICE))
    assert homes.prepare(ALICE).full
    homes.release(ALICE)
    assert homes.prepare(ALICE).full
    assert as_user(ALICE, "rm", str(homes.path(ALICE) / "all")).returncode == 0
    assert not homes.prepare(ALICE).full


def test_too_many_files_fill_a_home_too(homes, tmp_path):
    let_pass(tmp_path)
    homes.prepare(ALICE)
    script = f"cd {homes.path(ALICE)} && i=0; while : > f$i; do i=$((i+1)); done"
    assert "No space left" in as_user(ALICE, "sh", "-c", script).stderr
    usage = homes.usage(ALICE)
    assert usage.used / usage.limit < 0.6
    assert usage.share == 1
    assert usage.full


def test_another_user_sees_nothing_of_it(homes, tmp_path):
    let_pass(tmp_path)
    bob = Identity("bob", 20102, 20102)
    homes.prepare(ALICE)
    homes.prepare(bob)
    (homes.path(ALICE) / "secret").write_text("x")
    assert as_user(ALICE, "ls", str(homes.path(ALICE))).stdout == "secret\n"
    assert "Permission denied" in as_user(bob, "ls", str(homes.path(ALICE))).stderr
    assert "Permission denied" in as_user(bob, "ls", str(homes.root)).stderr
    assert "Permission denied" in as_user(bob, "ls", str(homes.quota.images)).stderr


def test_nothing_in_a_home_acts_as_another_or_as_a_device(homes):
    homes.prepare(ALICE)
    _, options = mounted_at(homes.path(ALICE), Path("/proc/self/mountinfo").read_text())
    assert {"nosuid", "nodev"} <= options


def test_a_home_outlives_its_mount(homes):
    homes.prepare(ALICE)
    (homes.path(ALICE) / "notes").write_text("kept")
    homes.release(ALICE)
    assert os.listdir(homes.path(ALICE)) == []
    assert homes.usage(ALICE).limit == 24 * MIB
    homes.prepare(ALICE)
    assert (homes.path(ALICE) / "notes").read_text() == "kept"


def test_a_home_that_is_worked_in_is_not_let_go(homes):
    homes.prepare(ALICE)
    with (homes.path(ALICE) / "open").open("w"):
        homes.release(ALICE)
        assert homes.quota.is_mounted(homes.path(ALICE))
    homes.release(ALICE)
    assert not homes.quota.is_mounted(homes.path(ALICE))


def test_a_home_grows_while_it_is_worked_in(homes):
    homes.prepare(ALICE)
    before = homes.usage(ALICE).limit
    (homes.path(ALICE) / "notes").write_text("kept")
    larger = replace(ALICE, groups=("big",))
    after = homes.prepare(larger).limit
    # Some machines do not let even root do that: then the next start does it.
    assert (after > before + 20 * MIB) == may_resize()
    homes.release(ALICE)
    assert homes.prepare(larger).limit > before + 20 * MIB
    assert (homes.path(ALICE) / "notes").read_text() == "kept"


def test_a_home_shrinks_when_it_rests_and_never_below_what_is_in_it(homes):
    larger = replace(ALICE, groups=("bigger",))
    homes.prepare(larger)
    (homes.path(ALICE) / "data").write_bytes(os.urandom(30 * MIB))
    homes.release(ALICE)
    assert homes.prepare(ALICE).limit > 30 * MIB
    assert (homes.path(ALICE) / "data").stat().st_size == 30 * MIB
    (homes.path(ALICE) / "data").unlink()
    homes.release(ALICE)
    assert homes.prepare(ALICE).limit <= 24 * MIB


def test_images_take_what_is_written_and_not_what_is_allowed(homes):
    homes.prepare(ALICE)
    image = homes.quota.image(homes.path(ALICE))
    assert image.stat().st_size == 24 * MIB
    assert image.stat().st_blocks * 512 < 6 * MIB
    assert image.stat().st_mode & 0o777 == 0o600


def test_a_half_made_image_is_made_again(homes):
    homes.root.mkdir()
    homes.quota.images.mkdir()
    homes.quota.image(homes.path(ALICE)).with_suffix(".part").write_text("half")
    assert homes.prepare(ALICE).limit
    assert [path.name for path in homes.quota.images.iterdir()] == ["alice.ext4"]


def test_a_broken_image_is_mended_or_refused_with_what_the_system_says(homes):
    homes.prepare(ALICE)
    homes.release(ALICE)
    homes.quota.image(homes.path(ALICE)).write_bytes(b"\0" * MIB)
    with pytest.raises(Unavailable, match=r"e2fsck.*alice"):
        homes.prepare(ALICE)


def test_a_plain_home_from_before_is_not_hidden_by_an_image(homes, caplog):
    home = homes.root / "alice"
    home.mkdir(parents=True)
    (home / "thesis").write_text("x")
    os.chown(home, ALICE.uid, ALICE.gid)
    assert homes.prepare(ALICE).limit is None
    assert (home / "thesis").read_text() == "x"
    assert "has no quota: it is a plain directory" in caplog.text


CHOOSE = """
import sys
from pathlib import Path
from workbench_hub.volumes import chosen
print(chosen("auto", Path(sys.argv[1])).method)
"""


def test_once_there_are_images_nothing_else_is_chosen(homes, tmp_path):
    """Where the Docker daemon would not see what is mounted, not even a home without quota is."""
    homes.prepare(ALICE)
    # Known by its name: a process that waits for the end of its input.
    program = Path(shutil.copy("/bin/cat", tmp_path / "dockerd"))
    command = [sys.executable, "-c", CHOOSE, str(homes.root)]
    with subprocess.Popen([program], stdin=subprocess.PIPE) as daemon:
        wait_for(lambda: Path(f"/proc/{daemon.pid}/comm").read_text() == "dockerd\n", 10, "its name")
        here = subprocess.run(command, capture_output=True, text=True)
        apart = subprocess.run(["unshare", "--mount", *command], capture_output=True, text=True)
    assert here.stdout == "loop\n", here.stderr
    assert "needs the host's mounts, and this process has its own" in apart.stderr


def test_a_full_disk_below_makes_no_new_home_and_locks_nobody_out(homes, tmp_path, loop):
    """The images lie on a small file system of their own here."""
    disk = ImageQuota(tmp_path)
    disk.ensure(tmp_path / "disk", 0, 0, 300 * MIB, 1000)
    small = Homes(tmp_path / "disk" / "homes", homes.policy, ImageQuota(tmp_path / "disk" / "homes"))
    try:
        small.prepare(ALICE)
        subprocess.run(["dd", "if=/dev/zero", f"of={tmp_path}/disk/fill", "bs=1M"], capture_output=True)
        with pytest.raises(ResourceExceeded, match=r"is full.*administrator.*'bob'"):
            small.prepare(Identity("bob", 20102, 20102))
        usage = small.prepare(ALICE)
        assert usage.full
        assert usage.share < 0.5
    finally:
        (tmp_path / "disk" / "fill").unlink(missing_ok=True)
        let_go(small)
        disk.release(tmp_path / "disk")
        wait_for(lambda: not disk.is_mounted(tmp_path / "disk"), 60, "the end of the disk")


def test_the_home_of_another_uid_is_refused(homes):
    homes.prepare(ALICE)
    with pytest.raises(BadHome, match=r"belongs to the uid 20101.*chown -R 30101:30101"):
        homes.prepare(Identity("alice", 30101, 30101))


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_link_in_place_of_a_home_is_not_followed(tmp_path, policy, root, kind):
    homes = Homes(tmp_path / "homes", policy, NoQuota())
    homes.root.mkdir()
    target = tmp_path / "target"
    target.mkdir()
    if kind == "link":
        (homes.root / "alice").symlink_to(target)
    else:
        (homes.root / "alice").write_text("")
    with pytest.raises(BadHome, match="is a link or a file"):
        homes.prepare(ALICE)
    assert target.stat().st_uid == 0


def test_homes_without_quota_say_what_the_disk_takes(tmp_path, policy, root):
    homes = Homes(tmp_path / "homes", policy, chosen("none", tmp_path))
    usage = homes.prepare(ALICE)
    assert usage.limit is None
    assert usage.free <= shutil.disk_usage(tmp_path).free + 64 * MIB
    assert "there is no quota" in str(usage)
    assert homes.usage(Identity("nobody-yet", 20110, 20110)) is None


@pytest.mark.parametrize(
    "name", ["../../etc", "Älice Müller", "a b", ".hidden", "-rf", "x" * 200, "💥", "a/../b"]
)
def test_odd_names_have_homes_below_the_root(tmp_path, policy, root, name):
    homes = Homes(tmp_path / "homes", policy, NoQuota())
    homes.prepare(Identity(name, 20120, 20120))
    assert [path for path in homes.root.iterdir() if not path.name.startswith(".")] == [
        homes.path(Identity(name, 20120, 20120))
    ]


def test_who_has_more_by_a_group_or_a_name(policy):
    assert quota_of(ALICE, policy) == 24 * MIB
    assert quota_of(replace(ALICE, groups=("big", "bigger")), policy) == 64 * MIB
    assert quota_of(Identity("carol", 20103, 20103, groups=("big",)), policy) == 20 * MIB


def test_a_way_that_does_not_work_here_is_refused_with_the_reason(tmp_path, root, missing):
    if ProjectQuota.works(tmp_path):
        missing("no-quota", "the file system has project quotas")
    with pytest.raises(InvalidSetting, match="prjquota"):
        chosen("project", tmp_path)
    assert chosen("auto", tmp_path).method in ("loop", "none")


def test_project_quotas_are_seen_in_the_mount_table(tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(
        "29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "40 29 8:2 / /srv/ho\\040mes rw,relatime shared:2 - xfs /dev/sdb1 rw,attr2,inode64,prjquota\n"
        "41 40 8:3 / /srv/ho\\040mes/apart rw,relatime shared:3 - xfs /dev/sdc1 rw,attr2,noquota\n"
    )
    assert ProjectQuota.works(Path("/srv/ho mes/alice"), str(table))
    assert not ProjectQuota.works(Path("/srv/ho mes/apart/x"), str(table))
    assert not ProjectQuota.works(Path("/srv"), str(table))


def test_project_quotas_keep_a_home_in_its_bounds(tmp_path, policy, loop, missing):
    """On an ext4 file system with project quotas, where the kernel has them."""
    image, disk = tmp_path / "disk.ext4", tmp_path / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(128 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota", image], check=True)
    done = subprocess.run(["mount", "-o", "loop,prjquota", image, disk], capture_output=True, text=True)
    if done.returncode:
        missing("project-quota", "this kernel has no quotas for ext4")
    try:
        let_pass(tmp_path)
        let_pass(disk)
        homes = Homes(disk / "homes", policy, chosen("auto", disk))
        assert homes.quota.method == "project"
        homes.prepare(ALICE)
        assert fill(ALICE, homes.path(ALICE)).returncode
        assert homes.usage(ALICE).share > 0.95
        assert homes.prepare(ALICE).limit == 24 * MIB
    finally:
        subprocess.run(["umount", disk], check=True)


def test_words_of_usage():
    assert str(Usage(950 * MIB, 1000 * MIB, 10, 100, 50 * MIB)) == "950 MiB of 1000 MiB used (95%)"
    assert not Usage(950 * MIB, 1000 * MIB, 10, 100, 50 * MIB).full
    assert Usage(1, 1000 * MIB, 100, 100, 50 * MIB).full
