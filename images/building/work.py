"""The building itself: each image after its parent, and only what is not there yet."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from building import catalogue, roots, sbom, wheels
from building.catalogue import Entry
from building.engine import Engine
from building.errors import BuildFailed, UnsafeImage
from building.recipes import IMAGES, RECIPES, ROOT, Recipe, order

__all__ = ["Build"]

_PROXY = ROOT / ".venv" / "proxy"
_UNWANTED = shutil.ignore_patterns(".*", "__pycache__", "*.pyc")
_FORGOTTEN = 86400.0


@dataclass(frozen=True)
class Build:
    """A build on one daemon.

    Parameters
    ----------
    engine : Engine
        The daemon that builds and keeps the images.
    out : Path
        Where catalogue and bills of materials are written.
    cache : Path
        Where Debian and wheels are kept from one build to the next.
    root, slim : str
        Where Debian comes from: see `roots.prepare`.
    fresh : bool
        Build all anew.
    keep : bool
        Keep finished images in the cache, and load one that is there: a new daemon gets it in seconds.
    say : callable
        Told what is being done.
    """

    engine: Engine
    out: Path
    cache: Path
    root: str = "auto"
    slim: str = roots.SLIM
    fresh: bool = False
    keep: bool = False
    say: Callable[[str], None] = lambda words: None
    _keys: dict[str, str] = field(default_factory=dict)

    def images(self, names: Iterable[str]) -> dict[str, Entry]:
        """Build images and what they are made from, and enter them into the catalogue."""
        self.engine.check()
        recipes = order(names)
        self.say("Preparing Debian")
        with self._alone():
            self._sweep()
            debian = roots.prepare(self.engine, self.cache, how=self.root, slim=self.slim, fresh=self.fresh)
        built: dict[str, Entry] = {}
        with self._alone(self.engine.url):
            for recipe in recipes:
                built[recipe.name] = self.image(recipe, built, debian, lock=recipe.lock.read_text())
            self.engine.tidy()
        catalogue.add(self.out, built)
        return built

    def image(
        self, recipe: Recipe, built: dict[str, Entry], debian: roots.Root | None = None, *, lock: str
    ) -> Entry:
        """Build one image unless the daemon has it already."""
        extra = [self.library] if recipe.library else []
        with self._context(recipe, lock, extra) as context:
            if recipe.parent:
                below = built[recipe.parent].digest
                return self._make(recipe, context, below, {"BASE": below})
            assert debian is not None, "what has no parent is made from Debian"
            network = "none" if debian.complete else "host"
            return self._make(recipe, context, debian.key, {"ROOT": debian.image}, network)

    def _make(
        self, recipe: Recipe, context: Path, below: str, arguments: dict[str, str], network: str = "none"
    ) -> Entry:
        tag = f"{recipe.image}:{_hash(context, below)[:12]}"
        begun = time.monotonic()
        digest = "" if self.fresh else self.engine.find(tag) or self._load(tag)
        new = not digest
        if new:
            self.say(f"Building {recipe.image}")
            labels = {"org.opencontainers.image.title": recipe.title}
            digest = self.engine.build(
                context, tag, arguments=arguments, labels=labels, network=network, fresh=self.fresh
            )
        entry = replace(self._examine(recipe, digest, tag), seconds=round(time.monotonic() - begun, 1))
        if new:
            self._save(tag)
        self.say(f"{entry.tag}  {entry.size / 1e6:.0f} MB  {entry.seconds:.0f} s  {digest}")
        before = catalogue.read(self.out).get(recipe.name)
        if before is not None and before.digest == digest:
            return replace(entry, seconds=before.seconds)
        return entry

    def _load(self, tag: str) -> str:
        """Take a finished image out of the cache, if it is there."""
        path = self._kept(tag)
        if not self.keep or not path.is_file():
            return ""
        self.engine.do("load", "--quiet", "--input", path)
        return self.engine.find(tag)

    def _save(self, tag: str) -> None:
        """Put a finished image into the cache, in place of an older one of its name."""
        if not self.keep:
            return
        path = self._kept(tag)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        self.engine.do("save", "--output", part, tag)
        for old in path.parent.glob(f"{tag.partition(':')[0]}.*.tar"):
            old.unlink(missing_ok=True)
        part.replace(path)

    def _kept(self, tag: str) -> Path:
        return self.cache / "finished" / f"{tag.replace(':', '.')}.tar"

    @cached_property
    def library(self) -> Path:
        """Our own library, as a wheel."""
        with self._alone():
            return wheels.library(self.cache / "library")

    def _examine(self, recipe: Recipe, digest: str, tag: str) -> Entry:
        """Look into an image: nothing may raise rights; what is in it is written down."""
        inventory: dict[str, Any] = self.engine.ask(digest, IMAGES / "building" / "inventory.py")
        if inventory["problems"]:
            self.engine.do("image", "rm", "--force", digest)
            raise UnsafeImage(recipe.image, "; ".join(inventory["problems"][:10]), "It was removed again.")
        about = self.engine.inspect(digest)
        self.engine.do("tag", digest, f"{recipe.image}:latest")
        bill = self.out / "sbom" / f"{recipe.name}-{digest.removeprefix('sha256:')[:12]}.cdx.json"
        built = about["Created"].partition(".")[0].removesuffix("Z") + "Z"
        sbom.write(bill, sbom.bill(recipe.image, digest, built, inventory))
        libraries = _chief(recipe, inventory["python"])
        parent = RECIPES[recipe.parent].image if recipe.parent in RECIPES else ""
        where = str(bill.relative_to(self.out))
        return Entry(recipe.image, digest, recipe.title, built, where, libraries, about["Size"], tag, parent)

    @contextmanager
    def _alone(self, what: str = "cache") -> Iterator[None]:
        """Wait until no other build is at work with the same: the cache, or a daemon."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with (self.cache / f"{sha256(what.encode()).hexdigest()[:16]}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _sweep(self) -> None:
        """Remove what a build that was killed has left."""
        for path in [*self.cache.glob("*/Dockerfile"), *self.cache.glob("finished/*.part")]:
            if time.time() - path.stat().st_mtime > _FORGOTTEN:
                shutil.rmtree(path.parent) if path.name == "Dockerfile" else path.unlink()

    @contextmanager
    def _context(self, recipe: Recipe, lock: str, extra: list[Path]) -> Iterator[Path]:
        """Gather what a build needs in a folder of its own."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{recipe.name}-", dir=self.cache) as name:
            context = Path(name)
            for path in sorted(recipe.folder.iterdir()):
                _copy(path, context / path.name)
            for script in ("install", "gather.py"):
                shutil.copy(IMAGES / "base" / script, context / script)
            for inside, source in recipe.files:
                _copy(source, context / inside)
            if recipe.proxy:
                _copy_proxy(context / "proxy")
            (context / "wheels").mkdir()
            with self._alone():
                found = wheels.fetch(lock, self.cache / "wheels")
            for wheel in [*found, *extra]:
                os.link(wheel, context / "wheels" / wheel.name)
            whole = lock + "".join(map(wheels.requirement, extra))
            (context / "requirements.lock").write_text(whole)
            _even_out(context)
            yield context


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_UNWANTED)
    else:
        shutil.copy(source, target)


def _even_out(context: Path) -> None:
    """Give files the modes that they have in the image: what the builder's umask was does not count."""
    for path in context.rglob("*"):
        if path.suffix != ".whl" and not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _copy_proxy(target: Path) -> None:
    if not (_PROXY / "node_modules").is_dir():
        raise BuildFailed(str(_PROXY), "the proxy is not installed", "Run `make setup` first.")
    shutil.copytree(_PROXY, target, symlinks=True)


def _hash(context: Path, below: str) -> str:
    """Return what an image is built from, as one hash."""
    found = sha256(below.encode())
    for path in sorted(context.rglob("*")):
        if path.is_file():
            # The lock file holds the hash of each wheel.
            what = path.name if path.suffix == ".whl" else sha256(path.read_bytes()).hexdigest()
            found.update(f"{path.relative_to(context)} {path.stat().st_mode & 0o111} {what}\n".encode())
    return found.hexdigest()


def _chief(recipe: Recipe, installed: list[dict[str, str]]) -> dict[str, str]:
    """Return the libraries that an image is chosen for: what was asked for, not what that needs."""
    asked = set()
    step: Recipe | None = recipe
    while step is not None:
        asked |= wheels.asked(step.asked)
        step = RECIPES.get(step.parent)
    if "seismic-workbench" in asked:
        asked |= {wheels.asked_name(line) for line in _project()["dependencies"]}
    versions = {wheels.canonical(row["name"]): row["version"] for row in installed}
    return {name: versions[name] for name in sorted(asked) if name in versions}


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project
