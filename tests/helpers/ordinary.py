"""A Python that an ordinary user of this machine can run, with the workbench as it is now.

The tests' own may lie where only root gets, and the sources may change while a
test runs.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from plugins import install_trials

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "workbench", ROOT / "hub/workbench_hub")
HIDDEN = ("/tmp", "/dev/shm")


def ordinary_python(folder: Path) -> Path:
    """Make an environment in a folder, which everybody may read; return its Python."""
    sources = folder / "sources"
    for package in PACKAGES:
        shutil.copytree(package, sources / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    # Who may not write there would compile all of it anew, in each process.
    assert compileall.compile_dir(sources, quiet=1)
    return _environment(folder, sources, install_trials(folder / "plugins"), _libraries(folder / "libraries"))


def with_more(python: Path, folder: Path, *places: Path) -> Path:
    """Make another environment, which has what such a one has, and what is in further places."""
    return _environment(folder, *places, *_places(python))


def _environment(folder: Path, *places: Path) -> Path:
    binary = next((path for path in _candidates() if _runs_for_all(path)), None)
    assert binary is not None, "no Python of this version that an ordinary user can run"
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for path in (site, folder / "bin"):
        path.mkdir(parents=True)
    (folder / "bin/python").symlink_to(binary)
    (folder / "pyvenv.cfg").write_text(f"home = {binary.parent}\ninclude-system-site-packages = false\n")
    (site / "all.pth").write_text("".join(f"{place}\n" for place in places))
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    return folder / "bin/python"


def folders_of(python: Path) -> list[Path]:
    """Return what an image has to show for such a Python to run in it."""
    folder = python.parents[1]
    return [folder, *(path for path in _places(python) if not path.is_relative_to(folder))]


def _places(python: Path) -> list[Path]:
    (named,) = python.parents[1].glob("lib/*/site-packages/all.pth")
    return [Path(line) for line in named.read_text().splitlines()]


def _libraries(folder: Path) -> Path:
    """Return where the libraries are; where jobs and users do not see them, they are put into a folder."""
    own = Path(sysconfig.get_path("purelib"))
    if _open(own) and not any(own.is_relative_to(place) for place in HIDDEN):
        return own
    shutil.copytree(own, folder, symlinks=True, copy_function=_link)
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _open(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents)


def _candidates() -> list[Path]:
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return [Path(sys.executable).resolve(), Path("/usr/bin") / name, Path("/usr/local/bin") / name]


def _runs_for_all(path: Path) -> bool:
    return path.is_file() and _open(path) and os.access(path, os.X_OK) and bool(path.stat().st_mode & 0o001)
