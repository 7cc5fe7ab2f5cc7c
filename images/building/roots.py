"""The Debian below all images: a slim image where a registry answers, debootstrap where none does."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from building.engine import Engine
from building.errors import BuildFailed
from building.recipes import IMAGES

__all__ = ["SLIM", "SUITE", "Root", "current", "packages", "prepare"]

SUITE = "bookworm"
SLIM = f"debian:{SUITE}-slim"
PACKAGES = IMAGES / "base" / "packages.txt"

_REGISTRY_PATIENCE = 90.0
_OLDEST = 7 * 86400.0
_USELESS = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/cache/apt",
    "var/log",
)


@dataclass(frozen=True, slots=True)
class Root:
    """A Debian that images are built from."""

    image: str
    key: str
    complete: bool
    """Whether all packages are in it already, so that the build needs no network."""


def packages() -> list[str]:
    """Return the Debian packages of every image."""
    lines = (line.partition("#")[0].strip() for line in PACKAGES.read_text().splitlines())
    return [line for line in lines if line]


def prepare(engine: Engine, cache: Path, *, how: str, slim: str = SLIM, fresh: bool = False) -> Root:
    """Return the Debian to build from.

    Parameters
    ----------
    how : {"auto", "registry", "debootstrap"}
        Where it may come from; by itself, from a registry if one answers.
    slim : str
        What a registry is asked for.
    fresh : bool
        Make it anew, and use nothing of the cache.
    """
    if how != "debootstrap":
        digest = _pull(engine, slim)
        if digest:
            return Root(digest, digest, complete=False)
        if how == "registry":
            raise BuildFailed(slim, "no registry answers", "Build with --root debootstrap, which needs none.")
    return _bootstrap(engine, cache, fresh=fresh)


def _pull(engine: Engine, slim: str) -> str:
    try:
        engine.do("pull", "--quiet", slim, timeout=_REGISTRY_PATIENCE)
    except BuildFailed:
        return ""
    return engine.digest(slim)


def _bootstrap(engine: Engine, cache: Path, *, fresh: bool) -> Root:
    mirrors = _mirrors()
    wanted = "\n".join([SUITE, *packages(), *mirrors, Path(__file__).read_text()])
    key = hashlib.sha256(wanted.encode()).hexdigest()
    tar = cache / "roots" / f"{SUITE}-{key[:16]}.tar"
    if fresh or not current(tar):
        _make(tar, mirrors)
    identity = f"{key[:16]}-{tar.stat().st_mtime_ns}"
    tag = f"workbench-root:{identity}"
    image = engine.find(tag)
    if not image:
        with tar.open("rb") as stream:
            image = engine.do("import", "-", tag, stdin=stream)
    return Root(image, identity, complete=True)


def current(tar: Path) -> bool:
    """Whether a packed Debian is there and not so old that it lacks a week of security updates."""
    return tar.is_file() and time.time() - tar.stat().st_mtime < _OLDEST


def _make(tar: Path, mirrors: Sequence[str]) -> None:
    """Install Debian into a folder and pack it."""
    if not shutil.which("debootstrap"):
        raise BuildFailed("debootstrap", "the command is not here", "As root: apt-get install debootstrap")
    if os.geteuid():
        raise BuildFailed("debootstrap", "only root can install a Debian", "Run the build as root.")
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="root-", dir=tar.parent) as folder:
        root = Path(folder) / "root"
        include = f"--include={','.join(packages())}"
        first = mirrors[0].split()[0] if mirrors else None
        _run(["debootstrap", "--variant=minbase", include, SUITE, str(root), *filter(None, [first])])
        _upgrade(root, mirrors)
        _prune(root)
        made = tar.with_suffix(".part")
        # Devices are the container's own business, and differ from it.
        left_out = ["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"]
        options = ["--numeric-owner", "--sort=name", "--one-file-system", *left_out]
        _run(["tar", "-C", str(root), *options, "-cf", str(made), "."])
        for old in tar.parent.glob("*.tar"):
            old.unlink()
        made.replace(tar)


def _mirrors() -> list[str]:
    """Return where this machine's own apt gets the same Debian from, its security updates included."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"]
    done = subprocess.run([*command, "Created-By: Packages"], capture_output=True, text=True, check=False)
    found = []
    for line in dict.fromkeys(done.stdout.split()):
        uri, release, component = line.split("|")
        if release in (SUITE, f"{SUITE}-updates", f"{SUITE}-security") and component == "main":
            found.append(f"{uri} {release} {component}")
    return (
        sorted(found, key=lambda line: line.split()[1]) if any(f" {SUITE} " in line for line in found) else []
    )


def _upgrade(root: Path, mirrors: Sequence[str]) -> None:
    """Bring in the security updates, which debootstrap knows nothing of."""
    if mirrors:
        text = "".join(f"deb {line}\n" for line in mirrors)
        (root / "etc" / "apt" / "sources.list").write_text(text)
    quiet = ["-qq", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Languages=none"]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    _run(["chroot", str(root), "apt-get", *quiet, "update"], environment)
    _run(["chroot", str(root), "apt-get", *quiet, "--yes", "dist-upgrade"], environment)


def _prune(root: Path) -> None:
    """Remove what nobody reads in a container, and what belongs to the machine that built it."""
    for name in _USELESS:
        for path in (root / name).iterdir() if (root / name).is_dir() else []:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.rmtree(root / "var" / "lib" / "apt" / "lists", ignore_errors=True)
    for name in ("etc/resolv.conf", "etc/hostname", "etc/machine-id", "etc/apt/sources.list"):
        (root / name).unlink(missing_ok=True)
    for path in root.glob("var/cache/debconf/*-old"):
        path.unlink()


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BuildFailed(" ".join(command[:2]), f"exit code {done.returncode}:\n{words}")
