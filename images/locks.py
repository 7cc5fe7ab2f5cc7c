"""Write each image's lock file anew: the part of the workbench's own lock that the image needs.

So that every image has the versions that were tested, and that a Dask worker
can never differ from the client.  Run by ``make lock``, after what is locked
was installed: ``.venv/bin/python images/locks.py``; with ``--check`` it only
says whether the files are current.
"""

from __future__ import annotations

import sys
from importlib.metadata import requires

from building import wheels
from building.recipes import RECIPES, ROOT, Recipe
from packaging.requirements import Requirement

sys.path.append(str(ROOT / "hub"))
from environment import LEFT_OUT

_HEAD = "# Written by images/locks.py from requirements.in and the workbench's own lock file.\n"


def main() -> None:
    """Write the files, or compare them."""
    old = [recipe.name for recipe in RECIPES.values() if locked(recipe) != current(recipe)]
    if "--check" in sys.argv[1:]:
        sys.exit(f"Old: {', '.join(old)}. Run `make lock`." if old else 0)
    for name in old:
        RECIPES[name].lock.write_text(locked(RECIPES[name]))
        sys.stdout.write(f"Wrote {RECIPES[name].lock.relative_to(ROOT)}\n")


def current(recipe: Recipe) -> str:
    """Return what is written so far."""
    return recipe.lock.read_text() if recipe.lock.is_file() else ""


def locked(recipe: Recipe) -> str:
    """Return the lock file of an image: what it needs and its parents have not."""
    lines = wheels.entries((ROOT / "requirements.lock").read_text())
    names = needed(recipe)
    parent = RECIPES.get(recipe.parent)
    while parent is not None:
        names -= needed(parent)
        parent = RECIPES.get(parent.parent)
    # Our own library is built with the image.
    return _HEAD + "".join(lines[name] for name in sorted(names - {"seismic-workbench"}))


def needed(recipe: Recipe) -> set[str]:
    """Return the names of all packages that an image's requirements lead to."""
    text = recipe.asked.read_text().splitlines()
    lines = (line.partition("#")[0].strip() for line in text)
    asked = [Requirement(line) for line in lines if line]
    found: set[tuple[str, frozenset[str]]] = set()
    while asked:
        wanted = asked.pop()
        known = (wheels.canonical(wanted.name), frozenset(wanted.extras))
        if known not in found:
            found.add(known)
            asked += below(wanted)
    return {name for name, _ in found}


def below(wanted: Requirement) -> list[Requirement]:
    """Return what a package itself asks for."""
    extras = wanted.extras or {""}
    listed = [Requirement(line) for line in requires(wanted.name) or []]
    return [
        line
        for line in listed
        if line.name not in LEFT_OUT
        and (line.marker is None or any(line.marker.evaluate({"extra": extra}) for extra in (*extras, "")))
    ]


if __name__ == "__main__":
    main()
