"""A backup back into an empty state directory: all of it, or nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from workbench.errors import InvalidSetting, Unavailable
from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment
from workbench_hub.life import dumps, wiring
from workbench_hub.life.audit import Anchor
from workbench_hub.life.backups import Home, Manifest
from workbench_hub.volumes.images import ImageQuota

__all__ = ["restore"]


def restore(deployment: Deployment, folder: Path, manifest: Manifest) -> None:
    """Bring a backup back.

    Parameters
    ----------
    deployment : Deployment
        Whose state directory is missing or empty.
    folder : Path
        A backup that `workbench_hub.life.backups.verify` found whole.
    manifest : Manifest
        What that returned.

    Raises
    ------
    InvalidSetting
        If something is there already, or the profile is another one.
    """
    state = deployment.state
    if deployment.exists and supervision.pid(deployment) is not None:
        raise InvalidSetting(str(state), "is that of a workbench that runs", "`make down` first.")
    if state.exists() and any(state.iterdir()):
        remedy = "Move it away, or name another directory by WORKBENCH_STATE."
        raise InvalidSetting(str(state), "is not empty", remedy)
    asked = deployment.settings.profile
    if asked and asked != manifest.profile:
        remedy = f"WORKBENCH_PROFILE={manifest.profile}, or leave it out."
        raise InvalidSetting(str(folder), f"is of the profile {manifest.profile}, not {asked}", remedy)
    state.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        _fill(deployment, folder, manifest)
    except BaseException:
        # Half a state would be started as if it were whole.
        for path in state.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        raise


def _fill(deployment: Deployment, folder: Path, manifest: Manifest) -> None:
    state = deployment.state
    _untar(folder / "state.tar", state)
    if (folder / "policy.tar").is_file():
        # Beside the state, not over a policy that somebody edited since.
        (state / "restored-policy").mkdir(mode=0o700)
        _untar(folder / "policy.tar", state / "restored-policy")
    if (folder / "homes.tar").is_file():
        _untar(folder / "homes.tar", state)
    for name, home in manifest.images.items():
        _image(deployment.homes, name, home)
    fresh = Deployment(Settings(**deployment.settings.model_dump() | {"profile": manifest.profile}))
    fresh.create()
    databases = {
        "hub": fresh.database_url,
        "usage": wiring.usage_url(fresh),
    }
    with ExitStack() as stack:
        if fresh.on_host and not fresh.settings.database.get_secret_value():
            stack.enter_context(dumps.running(fresh.postgres, fresh.tokens["database"]))
        for name, url in databases.items():
            for path in (folder / "databases").glob(f"{name}.*"):
                dumps.load(path, url)
    audit = wiring.audit_of(fresh)
    audit.verify(Anchor.parse(manifest.anchor) if not manifest.anchor.startswith("0:") else None)
    audit.append("restore", actor="restore", path=str(folder), made=manifest.made.isoformat())


def _image(homes: Path, name: str, home: Home) -> None:
    """Make a home that was a file system in a file one again, with its quota."""
    quota, place = ImageQuota(homes), homes / name
    quota.images.mkdir(mode=0o700, exist_ok=True)
    image = quota.image(place)
    part = image.with_suffix(".part")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.ftruncate(descriptor, home.bytes)
    os.close(descriptor)
    owner = f"root_owner={home.uid}:{home.gid},lazy_itable_init=1,nodiscard"
    _run("mkfs.ext4", "-q", "-m", "0", "-N", str(home.files), "-E", owner, "-d", str(place), str(part))
    part.rename(image)
    for path in place.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _untar(path: Path, target: Path) -> None:
    _run(
        *("tar", "--extract", f"--file={path}", f"--directory={target}", "--numeric-owner"),
        *("--preserve-permissions", "--xattrs", "--acls", "--delay-directory-restore"),
    )


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(words[0], f"failed: {done.stderr.strip()}")
