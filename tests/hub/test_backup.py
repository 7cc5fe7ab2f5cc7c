"""Backups of what runs, brought back into nothing: a real hub, real PostgreSQL, real file systems."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from jupyterhub import orm, roles
from sqlalchemy.orm import Session

from deployed import PROGRAM
from livehub import live_hub
from person import Person
from postgres import cluster, programs
from workbench.errors import BadInput, InvalidSetting, NoData, ResourceExceeded, Unavailable
from workbench.settings import Settings
from workbench_hub import database
from workbench_hub.deployment import Deployment
from workbench_hub.life import backups, dumps, wiring
from workbench_hub.life.restoring import restore
from workbench_hub.life.usage import Sample
from workbench_hub.policy.work import Announcement

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def back(folder: Path, state: Path, **settings: object) -> Deployment:
    """Bring a backup back into a directory."""
    deployment = Deployment(Settings(state=state, **settings))
    restore(deployment, folder, backups.verify(folder))
    return Deployment(Settings(state=state, **settings))


@pytest.fixture
def embedded(tmp_path) -> Deployment:
    deployment = Deployment(Settings(state=tmp_path / "state", profile="embedded"))
    deployment.create()
    deployment.choose_ports()
    (deployment.state / "profile").write_text("embedded")
    wiring.audit_of(deployment).append("login", actor="anna")
    return deployment


@pytest.mark.services
def test_a_hub_that_was_lost_comes_back_with_its_users_tokens_and_homes(tmp_path):
    state, target = tmp_path / "state", tmp_path / "backups"
    with live_hub(state) as hub, Person(hub.url, "anna", hub.passwords["anna"]) as anna:
        anna.start_server()
        token = anna.token()
        note = state / "homes" / "anna" / "notes" / "first.txt"
        note.parent.mkdir()
        note.write_text("found it")
        wiring.announcements_of(hub.deployment).add(Announcement(text="Power cut"))
        made = subprocess.run(
            [PROGRAM, "backup", target, "--homes"],
            env=os.environ | {"WORKBENCH_STATE": str(state)},
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
    (folder,) = target.glob("workbench-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))
    lost = wiring.audit_of(hub.deployment).verify().head.number
    shutil.rmtree(state)

    again = back(folder, state)
    assert note.read_text() == "found it"
    assert 0 < wiring.audit_of(again).verify().head.number <= lost
    with live_hub(state, passwords=hub.passwords) as hub:
        answer = httpx.get(f"{hub.api}/user", headers={"Authorization": f"token {token}"}, trust_env=False)
        assert answer.json()["name"] == "anna"
        with Person(hub.url, "anna", hub.passwords["anna"]) as anna:
            assert anna.logged_in
            assert "Power cut" in anna.http.get("/hub/home").text


@contextmanager
def session_of(url: str) -> Iterator[Session]:
    session = orm.new_session_factory(url)()
    engine = session.get_bind()
    try:
        yield session
    finally:
        session.close()
        engine.dispose()


def add_user(url: str, name: str) -> str:
    """Put a user and a token into a hub's database, as the hub does."""
    with session_of(url) as session:
        for role in roles.get_default_roles():
            roles.create_role(session, role)
        if not session.query(orm.OAuthClient).count():
            session.add(orm.OAuthClient(identifier="jupyterhub", secret="", redirect_uri=""))
        user = orm.User(name=name)
        session.add(user)
        roles.assign_default_roles(session, user)
        session.commit()
        token = user.new_api_token(note="kept")
        session.commit()
        return str(token)


def owner(url: str, token: str) -> str:
    with session_of(url) as session:
        found = orm.APIToken.find(session, token)
        return str(found.user.name) if found and found.user else ""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the account of PostgreSQL can enter."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-backup-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def hosted(place, missing) -> Deployment:
    """What a deployment with containers keeps; nothing of it runs."""
    if os.geteuid():
        missing("root", "the profile host is for root")
    if programs() is None:
        missing("postgresql", "there is no initdb; as root: apt-get install postgresql")
    return host_deployment(place / "state")


def host_deployment(state: Path, **settings: object) -> Deployment:
    deployment = Deployment(Settings(state=state, profile="host", **settings))
    deployment.create()
    deployment.choose_ports()
    shutil.copy(deployment.policy_file, deployment.policy_in_force)
    return deployment


def test_our_own_postgresql_comes_back(hosted, place):
    with dumps.running(hosted.postgres, hosted.tokens["database"]):
        token = add_user(hosted.database_url, "anna")
        usage = wiring.usage_of(hosted)
        usage.record([Sample("anna", "", NOON)], NOON + timedelta(hours=2))
    assert not database.ready(hosted.postgres), "it was stopped again"
    folder = backups.backup(hosted, place / "backups")
    assert {path.name for path in (folder / "databases").iterdir()} == {"hub.dump", "usage.dump"}
    shutil.rmtree(hosted.state)

    again = back(folder, hosted.state, profile="host")
    with dumps.running(again.postgres, again.tokens["database"]):
        assert owner(again.database_url, token) == "anna"
        (total,) = wiring.usage_of(again).totals(NOON, NOON + timedelta(days=1))
    assert (total.user, total.hours) == ("anna", 2)
    assert [path.name for path in (again.state / "restored-policy").iterdir()] == ["policy.yaml"]


def test_a_postgresql_of_the_site_comes_back_with_what_it_was(hosted, place):
    """What came into the database after the backup is gone, what was there before is back."""
    with cluster() as site:
        url = site.create("hub")
        deployment = host_deployment(place / "site", database=url)
        kept = add_user(url, "anna")
        folder = backups.backup(deployment, place / "backups")
        later = add_user(url, "bert")
        site.sql("DELETE FROM users WHERE name = 'anna'", "hub")
        shutil.rmtree(deployment.state)
        back(folder, place / "site", profile="host", database=url)
        assert owner(url, kept) == "anna"
        assert owner(url, later) == ""
        site.kill()
        with pytest.raises(Unavailable, match="failed"):
            backups.backup(host_deployment(place / "site", database=url), place / "other")
        assert list((place / "other").iterdir()) == []


def test_a_home_with_a_quota_comes_back_as_one(hosted, place, missing):
    from workbench_hub.volumes.images import ImageQuota

    homes = hosted.homes
    quota = ImageQuota(homes)
    try:
        for name, uid in (("anna", 10001), ("bert", 10002)):
            quota.ensure(homes / name, uid, uid, 32 * 2**20, 10_000)
            (homes / name / "data").write_text(f"{name}'s")
            os.chown(homes / name / "data", uid, uid)
        quota.release(homes / "bert")
    except (OSError, Unavailable) as error:
        missing("loop", f"no file system in a file can be mounted here: {error}")
    try:
        folder = backups.backup(hosted, place / "backups", homes=True)
        assert not quota.is_mounted(homes / "bert"), "it was mounted for the time of the backup"
    finally:
        for name in ("anna", "bert"):
            quota.release(homes / name)
    shutil.rmtree(hosted.state)
    again = back(folder, hosted.state, profile="host")
    quota = ImageQuota(again.homes)
    try:
        for name, uid in (("anna", 10001), ("bert", 10002)):
            home = again.homes / name
            assert list(home.iterdir()) == []
            quota.ensure(home, uid, uid, 32 * 2**20, 10_000)
            assert (home / "data").read_text() == f"{name}'s"
            assert (home / "data").stat().st_uid == home.stat().st_uid == uid
            limit = quota.usage(home).limit
            assert limit is not None
            assert limit <= 32 * 2**20
    finally:
        for name in ("anna", "bert"):
            quota.release(again.homes / name)


@pytest.mark.parametrize("what", ["change", "remove", "add", "manifest"])
def test_a_backup_that_was_laid_hands_on_is_refused(embedded, tmp_path, what):
    folder = backups.backup(embedded, tmp_path / "backups")
    assert backups.verify(folder).files.keys() == {"state.tar"}
    if what == "change":
        with (folder / "state.tar").open("r+b") as file:
            file.seek(600)
            file.write(b"?")
    elif what == "remove":
        (folder / "state.tar").unlink()
    elif what == "add":
        (folder / "databases" / "hub.sqlite").write_text("mine")
    else:
        (folder / "manifest.json").write_text("{}")
    with pytest.raises(BadInput):
        backups.verify(folder)


def test_nothing_is_restored_over_something(embedded, tmp_path):
    folder = backups.backup(embedded, tmp_path / "backups")
    with pytest.raises(InvalidSetting, match="is not empty"):
        back(folder, embedded.state)
    with pytest.raises(InvalidSetting, match="of the profile embedded, not host"):
        back(folder, tmp_path / "other", profile="host")


def test_a_restore_that_fails_leaves_nothing_half(embedded, tmp_path, monkeypatch):
    """The audit log in the backup is not the one that its manifest names."""
    folder = backups.backup(embedded, tmp_path / "backups")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["anchor"] = "1:" + "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="does not hold entry 1"):
        back(folder, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_a_backup_belongs_somewhere_else(embedded, tmp_path):
    with pytest.raises(InvalidSetting, match="is in the state directory"):
        backups.backup(embedded, embedded.state / "backups")
    with pytest.raises(NoData, match="nothing to back up"):
        backups.backup(Deployment(Settings(state=tmp_path / "none")), tmp_path / "backups")


def test_a_full_disk_leaves_no_half_backup(embedded, tmp_path, missing):
    target = tmp_path / "small"
    target.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", target], capture_output=True)
    if mounted.returncode:
        missing("root", "no small disk can be mounted")
    try:
        (embedded.state / "large").write_bytes(os.urandom(2**18))
        with pytest.raises((ResourceExceeded, OSError), match=r"full|space"):
            backups.backup(embedded, target)
        assert list(target.iterdir()) == []
    finally:
        subprocess.run(["umount", target], check=True)


def test_only_the_newest_backups_are_kept(tmp_path):
    for day in range(1, 6):
        folder = tmp_path / f"workbench-2026030{day}T033000Z"
        folder.mkdir()
        (folder / "manifest.json").touch()
    half = tmp_path / ".workbench-20260306T033000Z.abc"
    half.mkdir()
    assert [path.name[16:18] for path in backups.expire(tmp_path, 2)] == ["01", "02", "03"]
    assert len(list(tmp_path.iterdir())) == 3


def test_the_commands_say_what_they_did(embedded, tmp_path):
    given = os.environ | {"WORKBENCH_STATE": str(embedded.state)}

    def call(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PROGRAM, *words], env=given | more, capture_output=True, text=True)

    made = call("backup", tmp_path / "backups")
    assert "Not in it: the archive, logs, homes and folders" in made.stdout, made.stderr
    (folder,) = (tmp_path / "backups").iterdir()
    assert "whole: " in call("restore", folder, "--check").stdout
    other = {"WORKBENCH_STATE": str(tmp_path / "other")}
    assert call("restore", folder, **other).returncode == 0
    checked = call("audit", "verify", **other)
    assert checked.returncode == 0
    anchor = checked.stdout.split("anchor")[1].strip()
    assert call("audit", "verify", "--anchor", anchor, **other).returncode == 0
    assert "restore" in call("audit", "show", **other).stdout
    log = next((tmp_path / "other" / "audit").glob("*.jsonl"))
    log.write_text(log.read_text().replace("anna", "eve"))
    broken = call("audit", "verify", **other)
    assert (broken.returncode, "BROKEN" in broken.stderr) == (4, True)
    assert call("announce", "Power cut", "--until", "tomorrow").returncode == 2
    name = call("announce", "Power cut", "--until", "2999-01-01T00:00Z", "--warning").stdout.strip()
    assert name in call("announce").stdout
    assert call("announce", "--remove", name).returncode == 0
    assert call("announce").stdout == ""
    record = wiring.usage_of(embedded)
    record.record([Sample("anna", "", NOON)], NOON + timedelta(minutes=30))
    record.close()
    table = call("usage", "--month", "2026-03", "--csv").stdout
    assert table.splitlines() == [
        "user,hours,gib_hours,core_hours,peak_gib,oom_kills",
        "anna,0.50,0.00,0.00,0.00,0",
    ]
    assert call("usage", "--month", "soon").returncode == 2
