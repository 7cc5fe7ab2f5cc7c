"""Backups: a folder for each, written while everything runs, with the sha256 of all that is in it.

::

    workbench-20260301T033000Z/
        manifest.json    what it is, and the hash of each file; written last
        state.tar        secrets, audit, uids, announcements, catalogue: the small things of the state
        policy.tar       the policy and its config.d/
        databases/       the hub's and that of usage
        homes.tar        users' homes and shared folders, where asked for

A backup without a manifest is none.  Archive, logs and what is rebuilt at each
start are not in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from workbench.errors import BadInput, InvalidSetting, NoData, ResourceExceeded, Unavailable
from workbench_hub.deployment import Deployment, write
from workbench_hub.life import dumps, wiring
from workbench_hub.volumes.homes import alone
from workbench_hub.volumes.images import ImageQuota

__all__ = ["Home", "Manifest", "backup", "expire", "size", "verify"]

_VERSION = 1
_PREFIX = "workbench-"
_MANIFEST = "manifest.json"
_LEFT_OUT = ("archive", "homes", "folders", "logs", "run", "postgres", "services")
_DATABASES = ("hub/jupyterhub.sqlite*", "life/usage.sqlite*")
_TAR_CHANGED = 1  # a file changed while it was read, which homes in use do


class Home(BaseModel):
    """A home that was a file system in a file."""

    bytes: int
    uid: int
    gid: int
    files: int


class Manifest(BaseModel):
    """What a backup says of itself."""

    version: int
    made: AwareDatetime
    software: str
    profile: str
    state: str
    anchor: str
    """Number and hash of the newest line of the audit log."""
    homes: bool
    images: dict[str, Home]
    files: dict[str, str]
    """sha256 of each file."""


@dataclass(frozen=True)
class _Tree:
    """Something below a folder, for tar."""

    root: Path
    names: tuple[str, ...]


def backup(deployment: Deployment, target: Path, *, homes: bool = False) -> Path:
    """Write a backup, and return its folder.

    Parameters
    ----------
    deployment : Deployment
        Running or not; its PostgreSQL is started for the time where it does not run.
    target : Path
        Where backups are kept.
    homes : bool, optional
        Whether homes and shared folders are in it.

    Raises
    ------
    NoData
        If nothing was ever started here.
    InvalidSetting
        If `target` is in what is backed up.
    """
    if not deployment.exists:
        raise NoData(
            str(deployment.state), "holds nothing to back up", "WORKBENCH_STATE names the directory."
        )
    target = target.absolute()
    if target.resolve().is_relative_to(deployment.state.resolve()):
        raise InvalidSetting(str(target), "is in the state directory", "A backup belongs on another disk.")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = datetime.now(UTC)
    final = target / f"{_PREFIX}{now:%Y%m%dT%H%M%SZ}"
    part = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=target))
    try:
        images = _fill(deployment, part, homes=homes)
        manifest = Manifest(
            version=_VERSION,
            made=now,
            software=version("seismic-workbench"),
            profile=deployment.profile,
            state=str(deployment.state),
            anchor=str(wiring.audit_of(deployment).verify().head),
            homes=homes,
            images=images,
            files={str(path.relative_to(part)): _digest(path) for path in _files(part)},
        )
        write(part / _MANIFEST, manifest.model_dump_json(indent=1), 0o600)
        part.rename(final)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    wiring.folder(deployment).mkdir(mode=0o700, exist_ok=True)
    write(
        wiring.folder(deployment) / "backup.json", json.dumps({"made": now.isoformat(), "path": str(final)})
    )
    wiring.audit_of(deployment).append("backup", actor="backup", path=str(final), homes=homes)
    return final


def verify(folder: Path) -> Manifest:
    """Return the manifest of a backup, if all that it names is there and unchanged.

    Raises
    ------
    BadInput
        If it is no backup, of another version, or not whole.
    """
    try:
        manifest = Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise BadInput(str(folder), "is no backup: it has no manifest that can be read") from error
    if manifest.version != _VERSION:
        raise BadInput(str(folder), f"is of version {manifest.version}; this program reads {_VERSION}")
    there = {str(path.relative_to(folder)): path for path in _files(folder) if path.name != _MANIFEST}
    wrong = sorted(
        name
        for name in {*there, *manifest.files}
        if name not in there or name not in manifest.files or _digest(there[name]) != manifest.files[name]
    )
    if wrong:
        raise BadInput(str(folder), f"is not whole: {', '.join(wrong)}", "Take another backup.")
    return manifest


def expire(target: Path, keep: int) -> list[Path]:
    """Remove all backups of a folder but the newest ones; return what was removed."""
    whole = sorted(path.parent for path in target.glob(f"{_PREFIX}*/{_MANIFEST}"))
    old = whole[:-keep]
    for folder in old:
        shutil.rmtree(folder)
    return old


def size(folder: Path) -> int:
    """Return how many bytes a backup has."""
    return sum(path.stat().st_size for path in _files(folder))


def _fill(deployment: Deployment, part: Path, *, homes: bool) -> dict[str, Home]:
    databases = part / "databases"
    databases.mkdir(mode=0o700)
    with ExitStack() as stack:
        if deployment.on_host and not deployment.settings.database.get_secret_value():
            stack.enter_context(dumps.running(deployment.postgres, deployment.tokens["database"]))
        dumps.dump(deployment.database_url, databases, "hub")
        dumps.dump(wiring.usage_url(deployment), databases, "usage")
    names = tuple(sorted(path.name for path in deployment.state.iterdir() if path.name not in _LEFT_OUT))
    _tar(part / "state.tar", [_Tree(deployment.state, names)], exclude=_DATABASES)
    policy = deployment.policy_file
    beside = tuple(name for name in (policy.name, "config.d") if (policy.parent / name).exists())
    if deployment.on_host:
        _tar(part / "policy.tar", [_Tree(policy.parent, beside)])
    if not homes:
        return {}
    with _mounted(deployment.homes) as images:
        trees = [
            _Tree(deployment.state, tuple(n for n in ("homes", "folders") if (deployment.state / n).is_dir()))
        ]
        exclude = ("homes/.images", "homes/.locks", "homes/*/lost+found")
        _tar(part / "homes.tar", trees, exclude=exclude, most=_TAR_CHANGED)
        return images


@contextmanager
def _mounted(homes: Path) -> Iterator[dict[str, Home]]:
    """Have every home that is a file system in a file at its place, and say what each is."""
    quota, found, ours = ImageQuota(homes), {}, []
    try:
        for image in sorted(quota.images.glob("*.ext4")) if quota.images.is_dir() else []:
            home = homes / image.stem
            with alone(home):
                # Not read-only: its user may begin to work in it meanwhile, or still does elsewhere.
                if not quota.is_mounted(home):
                    home.mkdir(mode=0o700, exist_ok=True)
                    quota.attach(home)
                    ours.append(home)
            stat, space = home.stat(), os.statvfs(home)
            found[home.name] = Home(
                bytes=image.stat().st_size, uid=stat.st_uid, gid=stat.st_gid, files=space.f_files
            )
        yield found
    finally:
        for home in ours:
            with alone(home):
                quota.detach(home)


def _tar(path: Path, trees: list[_Tree], exclude: tuple[str, ...] = (), most: int = 0) -> None:
    words = ["tar", "--create", f"--file={path}", "--numeric-owner", "--xattrs", "--acls", "--sparse"]
    words += ["--anchored", *(f"--exclude={pattern}" for pattern in exclude), "--warning=no-file-ignored"]
    for tree in trees:
        words += [f"--directory={tree.root}", *(f"--add-file={name}" for name in tree.names)]
    _run(*words, most=most)
    path.chmod(0o600)


def _run(*words: str, most: int = 0) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode > most:
        said = done.stderr.strip()
        if "No space left" in said or "Wrote only" in said:
            raise ResourceExceeded(
                "The disk of the backup", "is full", "Make room, or choose another folder."
            )
        raise Unavailable(words[0], f"failed: {said}")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
