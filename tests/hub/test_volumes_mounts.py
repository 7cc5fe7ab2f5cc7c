"""What a server sees: home, folders, and of the archive only what its user may see."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from passing import let_pass
from workbench.errors import InvalidSetting
from workbench_hub.identity import Identity, gids
from workbench_hub.names import safe_name
from workbench_hub.policy import Policy, parse
from workbench_hub.volumes import Mount, Volumes, mounts
from workbench_hub.volumes.folders import prepare_folder
from workbench_hub.volumes.mounts import exposed

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ALICE = Identity("alice", 20101, 20101, ("survey",))
BOB = Identity("Bob B.", 20102, 20102, ("guests",))
CAROL = Identity("carol", 20103, 20103)

POLICY = """\
version: 1
images: {standard: {title: S, build: user}}
profiles: {standard: {title: S}}
home: {method: none}
groups: {survey: {gid: 31000}, guests: {gid: 31001}}
networks:
  CH: {access: open}
  XK_2018: {access: restricted, groups: [survey], years: [2018, 2019]}
  XK_2021: {access: open, years: [2021, 2022]}
  YZ: {access: embargoed, until: 2026-06-02T00:00:00Z, groups: [survey]}
  ZZ: {access: restricted, groups: [survey], stations: open}
folders:
  notes: {group: survey, readers: [guests]}
  closed: {group: guests}
"""


@pytest.fixture
def policy() -> Policy:
    return parse(POLICY)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    for year, network in (
        *((2018, "CH"), (2018, "XK"), (2018, "ZZ"), (2021, "XK"), (2021, "YZ"), (2021, "GE"), (2023, "XK")),
    ):
        folder = root / str(year) / network / "STA" / "HHZ.D"
        folder.mkdir(parents=True)
        (folder / f"{network}.STA..HHZ.D.{year}.001").write_text(network)
    (root / "stations" / "history").mkdir(parents=True)
    for name in ("CH.STA.xml", "XK.STA.xml", "YZ.STA.xml", "ZZ.STA.xml", "notes.txt"):
        (root / "stations" / name).write_text(name)
    (root / "events").mkdir()
    (root / "events" / "catalogue.xml").write_text("")
    (root / ".workbench").mkdir()
    (root / ".workbench" / "index.sqlite").write_text("what lies where, in all networks")
    (root / "README.md").write_text("what this is")
    return root


def seen(found: list[Mount], archive: Path) -> list[str]:
    return [str(mount.target.relative_to(archive)) for mount in found if mount.target.is_relative_to(archive)]


def mounted(identity: Identity, policy: Policy, archive: Path, at: datetime = NOW) -> list[Mount]:
    root = archive.parent
    return mounts(identity, policy, archive, at, homes=root / "homes", folders=root / "folders")


def test_what_is_hidden_is_exposed_where_permissions_show_it(policy: Policy, archive: Path):
    def found(at: datetime = NOW) -> list[str]:
        return sorted(str(path.relative_to(archive)) for path in exposed(policy, archive, at))

    closed = ["2018/XK", "2018/ZZ", "2021/GE", "2021/YZ", "2023/XK"]
    files = ["stations/XK.STA.xml", "stations/YZ.STA.xml", "stations/notes.txt"]
    assert found() == sorted([".workbench", *closed, *files, "stations/history"])
    for name in (".workbench", "2018/XK", "2018/ZZ", "2021/GE", "2023/XK"):
        (archive / name).chmod(0o750)
    for name in files:
        (archive / name).chmod(0o640)
    assert found() == ["2021/YZ", "stations/history"]
    (archive / "stations" / "history").chmod(0o750)
    assert found(NOW + timedelta(days=2)) == [], "the embargo is over"
    archive.chmod(0o750)
    assert found() == [], "nobody gets in at all"
    everything = parse(POLICY.partition("networks:")[0] + "networks: {'*': {access: open}}\n")
    archive.chmod(0o755)
    assert list(exposed(everything, archive, NOW)) == []
    assert list(exposed(policy, archive / "nowhere", NOW)) == []


def test_only_the_networks_that_somebody_may_see(policy, archive):
    everybody = ["2018/CH", "2021/XK", "README.md", "events", "stations/CH.STA.xml", "stations/ZZ.STA.xml"]
    assert seen(mounted(CAROL, policy, archive), archive) == everybody
    survey = sorted(
        [*everybody, "2018/XK", "2018/ZZ", "2021/YZ", "stations/XK.STA.xml", "stations/YZ.STA.xml"]
    )
    assert sorted(seen(mounted(ALICE, policy, archive), archive)) == survey
    later = datetime(2026, 6, 2, tzinfo=UTC)
    assert sorted(seen(mounted(CAROL, policy, archive, later), archive)) == sorted(
        [*everybody, "2021/YZ", "stations/YZ.STA.xml"]
    )


def test_nothing_of_the_archive_can_be_changed_and_the_home_can(policy, archive):
    found = mounted(BOB, policy, archive)
    writable = [mount for mount in found if not mount.read_only]
    home = archive.parent / "homes" / safe_name(BOB.name)
    assert {mount.target.parent for mount in writable} == {home.parent, archive.parent / "folders"}
    assert all(mount.source == mount.target for mount in writable)


def test_where_nothing_is_hidden_the_archive_is_one_mount(archive):
    policy = parse(POLICY.partition("networks:")[0] + 'networks: {"*": {access: open}}')
    assert seen(mounted(CAROL, policy, archive), archive) == ["."]


def test_links_lead_to_no_other_network(policy, archive, tmp_path, caplog):
    elsewhere = tmp_path / "disk2" / "more"
    elsewhere.mkdir(parents=True)
    (archive / "2019").mkdir()
    (archive / "2019" / "CH").symlink_to("../2018/XK")
    (archive / "2020").mkdir()
    (archive / "2020" / "CH").symlink_to(archive)
    (archive / "2021" / "CH").symlink_to(elsewhere)
    (archive / "2022").symlink_to(archive / "2018")
    (archive / "2024").mkdir()
    (archive / "2024" / "CH").symlink_to("XK")
    (archive / "2024" / "XK").mkdir()
    (archive / "2025").mkdir()
    (archive / "2025" / "CH").symlink_to("/")
    (archive / "stations" / "CH.B.xml").symlink_to("XK.STA.xml")
    found = {mount.target: mount.source for mount in mounted(CAROL, policy, archive)}
    assert [str(path.relative_to(archive)) for path in found if path.name == "CH"] == [
        "2018/CH",
        "2021/CH",
        "2022/CH",
    ]
    assert found[archive / "2021" / "CH"] == elsewhere
    assert archive / "2022" / "XK" in found  # that year of the code is open; it is what the link says
    assert archive / "stations" / "CH.B.xml" not in found
    assert "2019/CH leads to" in caplog.text


def test_without_an_archive_there_is_a_home_still(policy, tmp_path):
    assert [mount.target.name for mount in mounted(CAROL, policy, tmp_path / "none")] == ["carol"]


@pytest.fixture
def bwrap(missing: Callable[[str, str], None]) -> Callable[..., str]:
    """Run a command that sees the programs of this host and some mounts, and nothing else."""
    if shutil.which("bwrap") is None:
        missing("bwrap", "there is no bubblewrap; as root: apt-get install bubblewrap")

    def run(found: list[Mount], *command: str) -> str:
        words = ["bwrap", "--unshare-all", "--tmpfs", "/", "--ro-bind", "/usr", "/usr", "--die-with-parent"]
        for name in ("bin", "lib", "lib64"):
            words += ["--symlink", f"usr/{name}", f"/{name}"]
        for mount in found:
            words += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), str(mount.target)]
        done = subprocess.run([*words, *command], capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    return run


def test_a_sandbox_with_these_mounts_sees_no_other_network(policy, archive, bwrap):
    volumes = Volumes(
        policy, homes=archive.parent / "homes", folders=archive.parent / "folders", archive=archive
    )
    if os.geteuid() == 0:
        volumes.check()
        volumes.prepare(BOB)
    found = [m for m in volumes.mounts(BOB, NOW) if m.source.exists()]
    files = bwrap(found, "find", str(archive), "-type", "f")
    assert {Path(line).name for line in files.splitlines()} == {
        *("CH.STA..HHZ.D.2018.001", "XK.STA..HHZ.D.2021.001", "CH.STA.xml", "ZZ.STA.xml"),
        *("catalogue.xml", "README.md"),
    }
    for path in ("2018/XK", "2021/YZ", "2018/CH/../XK", ".workbench/index.sqlite", "stations/XK.STA.xml"):
        assert "No such file" in bwrap(found, "ls", f"{archive}/{path}")
    said = bwrap(found, "sh", "-c", f"echo x > {archive}/2018/CH/new; echo x > {archive}/2018/CH/STA/HHZ.D/*")
    assert said.count("Read-only file system") == 2


def test_the_wall_taken_down_shows_the_network(policy, archive, bwrap):
    """The tests above can fail: with the whole archive mounted the restricted network is there."""
    found = [Mount(archive, archive)]
    assert "XK.STA..HHZ.D.2018.001" in bwrap(found, "ls", f"{archive}/2018/XK/STA/HHZ.D")


@pytest.fixture
def shared(tmp_path: Path, policy: Policy, missing: Callable[[str, str], None]) -> Path:
    if os.geteuid():
        missing("root", "folders are given to groups by root alone")
    let_pass(tmp_path)
    (tmp_path / "folders").mkdir(mode=0o711)
    return prepare_folder("notes", policy, tmp_path / "folders")


def as_user(identity: Identity, policy: Policy, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"umask 077; {script}"],
        user=identity.uid,
        group=identity.gid,
        extra_groups=gids(identity, policy),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_members_change_what_others_made_whatever_the_umask(shared, policy):
    dora = Identity("dora", 20104, 20104, ("survey",))
    assert shared.stat().st_mode & 0o7777 == 0o2770
    made = as_user(ALICE, policy, f"mkdir {shared}/sub && echo one > {shared}/sub/note")
    assert made.returncode == 0, made.stderr
    assert (shared / "sub" / "note").stat().st_gid == 31000
    changed = as_user(dora, policy, f"echo two >> {shared}/sub/note && cat {shared}/sub/note")
    assert changed.stdout == "one\ntwo\n", changed.stderr


def test_readers_read_and_others_do_not(shared, policy):
    as_user(ALICE, policy, f"mkdir {shared}/sub && echo one > {shared}/sub/note")
    assert as_user(BOB, policy, f"cat {shared}/sub/note").stdout == "one\n"
    for script in (f"echo two > {shared}/sub/note", f"rm {shared}/sub/note", f"touch {shared}/new"):
        assert "Permission denied" in as_user(BOB, policy, script).stderr
    assert "Permission denied" in as_user(CAROL, policy, f"ls {shared}").stderr


def test_who_no_longer_reads_is_shut_out_at_once(shared, policy):
    less = parse(POLICY.replace(", readers: [guests]", ""))
    prepare_folder("notes", less, shared.parent)
    assert "Permission denied" in as_user(BOB, policy, f"ls {shared}").stderr
    left = mounts(BOB, less, shared / "none", NOW, homes=shared, folders=shared)
    assert {mount.target.name for mount in left} == {"closed", safe_name(BOB.name)}


def test_folders_are_mounted_for_members_and_readers(policy, archive):
    folders = archive.parent / "folders"
    ways = {
        identity.name: {
            m.target.name: m.read_only
            for m in mounted(identity, policy, archive)
            if m.target.parent == folders
        }
        for identity in (ALICE, BOB, CAROL)
    }
    assert ways == {"alice": {"notes": False}, "Bob B.": {"notes": True, "closed": False}, "carol": {}}


def test_a_folder_of_a_group_without_a_number_is_refused(tmp_path):
    policy = parse(POLICY.replace("survey: {gid: 31000}", "survey: {}"))
    with pytest.raises(InvalidSetting, match=r"Folder 'notes'.*'survey', which has no gid.*groups\.survey"):
        prepare_folder("notes", policy, tmp_path)
    assert not (tmp_path / "notes").exists()


def test_a_folder_that_is_a_link_is_not_followed(tmp_path, policy):
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "notes").symlink_to("target")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        prepare_folder("notes", policy, tmp_path)
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o700
