"""What images there are, and what each is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from building.errors import BuildFailed

__all__ = ["IMAGES", "RECIPES", "ROOT", "Recipe", "order"]

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image.

    Parameters
    ----------
    name : str
        What it is called on the command line and in the catalogue.
    title : str
        What people read.
    parent : str
        Name of the image that it is made from; empty for the first.
    folder : Path
        Where its Dockerfile and its locked requirements are.
    files : tuple of (str, Path)
        What else its build needs: the name there, and where it is taken from.
    library : bool
        Whether our own library is installed by it.
    proxy : bool
        Whether the hub's proxy is installed by it.
    requirements : Path, optional
        What people asked for, where that is not in the folder.
    """

    name: str
    title: str
    parent: str
    folder: Path
    files: tuple[tuple[str, Path], ...] = ()
    library: bool = False
    proxy: bool = False
    requirements: Path | None = None

    @property
    def asked(self) -> Path:
        """The requirements that people wrote."""
        return self.requirements or self.folder / "requirements.in"

    @property
    def image(self) -> str:
        """The repository name of the image."""
        return f"workbench-{self.name}"

    @property
    def lock(self) -> Path:
        """The locked requirements that this image adds to its parent's."""
        return self.folder / "requirements.lock"


_ALL = (
    Recipe("base", "Debian, Python and an entry point", "", IMAGES / "base"),
    Recipe(
        "worker",
        "The library, compiled, and Dask",
        "base",
        IMAGES / "worker",
        library=True,
    ),
    # The user's image is the worker's and JupyterLab, so that their Dask can never differ.
    Recipe(
        "user",
        "JupyterLab with ObsPy and the workbench",
        "worker",
        IMAGES / "user",
        files=(("examples", ROOT / "examples"), ("lab", ROOT / "hub" / "workbench_hub" / "lab")),
    ),
    Recipe("api", "The web services", "worker", IMAGES / "api"),
    Recipe(
        "hub",
        "The hub and its proxy, without seismology",
        "base",
        IMAGES / "hub",
        files=tuple((f"hub/{name}", ROOT / "hub" / name) for name in ("jupyterhub_config.py", "policy.yaml")),
        library=True,
        proxy=True,
    ),
)

RECIPES = {recipe.name: recipe for recipe in _ALL}
"""The images of the workbench, each after the one that it is made from."""


def order(names: Iterable[str]) -> list[Recipe]:
    """Return what has to be built for some images, each after its parent.

    Examples
    --------
    >>> [recipe.name for recipe in order(["user"])]
    ['base', 'worker', 'user']
    """
    wanted: set[str] = set()
    for name in names:
        if name not in RECIPES:
            raise BuildFailed(
                name,
                "no image has that name",
                f"There are: {', '.join(RECIPES)}; a group's own is built with --from-user FOLDER.",
            )
        while name:
            wanted.add(name)
            name = RECIPES[name].parent
    return [recipe for recipe in _ALL if recipe.name in wanted]
