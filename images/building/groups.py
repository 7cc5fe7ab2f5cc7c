"""A group's own image: the user's, and the libraries that the group asks for.

A group's folder holds ``requirements.txt`` and, where it wants, ``image.toml``
(``title = "..."``) and ``examples/``.  No version of the user's image changes
by it, so that what is computed in either is the same, and Dask's workers go on
understanding both.
"""

from __future__ import annotations

import re
import tempfile
import tomllib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from building import catalogue, wheels
from building.catalogue import Entry
from building.errors import BuildFailed
from building.recipes import IMAGES, RECIPES, Recipe, order
from building.work import Build

__all__ = ["build_group", "lock", "recipe"]

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){0,39}")
_HEAD = "# Locked for {}\n"


def build_group(build: Build, folder: Path) -> Entry:
    """Build a group's image after the user's, and enter both into the catalogue."""
    group = recipe(folder)
    below = build.images(["user"])
    built = build.image(group, below, lock=lock(build.cache, folder))
    build.engine.tidy()
    catalogue.add(build.out, {group.name: built})
    return built


def recipe(folder: Path) -> Recipe:
    """Return what a group's folder describes, checked before anything is built."""
    name = folder.name
    if not _NAME.fullmatch(name) or name in RECIPES or name in ("root", "latest"):
        remedy = f"Small letters, digits and single hyphens, at most 40, and none of: {', '.join(RECIPES)}."
        raise BuildFailed(name, "is no name for a group's image", remedy)
    if not (folder / "requirements.txt").is_file():
        raise BuildFailed(str(folder), "has no requirements.txt", "Write one: a library a line.")
    title = _title(folder / "image.toml") or f"The workbench with the libraries of {name}"
    examples = folder / "examples"
    files = ((f"examples/{name}", examples),) if examples.is_dir() else ()
    return Recipe(
        name, title, "user", IMAGES / "group", files=files, requirements=folder / "requirements.txt"
    )


def lock(cache: Path, folder: Path) -> str:
    """Return the group's locked requirements, resolved anew where these or the user's image changed."""
    requirements = (folder / "requirements.txt").read_text()
    _refuse(folder / "requirements.txt", requirements)
    pinned = _below()
    head = _HEAD.format(sha256("\n".join([requirements, *pinned]).encode()).hexdigest())
    path = folder / "requirements.lock"
    if path.is_file() and path.read_text().startswith(head):
        return path.read_text()
    with tempfile.TemporaryDirectory(prefix="group-", dir=cache) as name:
        constraints = Path(name) / "constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in pinned))
        try:
            found = wheels.resolve(folder / "requirements.txt", constraints, Path(name) / "wheels")
        except BuildFailed as error:
            remedy = "Ask for a version that goes with the user's image, as wheels for Python 3.11."
            raise BuildFailed(str(folder / "requirements.txt"), error.problem, remedy) from error
        there = {line.partition("==")[0] for line in pinned}
        new = [wheel for wheel in found if wheels.name_of(wheel) not in there]
        text = head + "".join(map(wheels.requirement, new))
    # A folder that may only be read is resolved at each build.
    with suppress(PermissionError):
        path.write_text(text)
    return text


def _title(path: Path) -> str:
    try:
        described = tomllib.loads(path.read_text()) if path.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise BuildFailed(str(path), f"is no TOML: {error}", 'It may say: title = "Volcanology"') from error
    title = described.get("title", "")
    if not isinstance(title, str) or len(title) > 80 or not title.isprintable():
        raise BuildFailed(str(path), "its title is no line of at most 80 letters")
    return title


def _refuse(path: Path, text: str) -> None:
    """Take names and versions only: an option or an address would say where else things come from."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].strip()
        if words.startswith("-") or "://" in words or words.startswith((".", "/")) or "@" in words:
            remedy = "Name a library and its version, such as  obspy>=1.4"
            raise BuildFailed(f"{path}:{number}", f"{words!r} is no library's name", remedy)


def _below() -> list[str]:
    """Return all packages of the user's image, each with its version."""
    pinned = []
    for image in order(["user"]):
        for name, lines in wheels.entries(image.lock.read_text()).items():
            version = re.match(r"[^=]+==([^\s;\\]+)", lines)
            pinned += [f"{name}=={version[1]}"] if version else []
    return sorted(pinned)
