"""A small image as a directory: this machine's own Python, shell and coreutils, made in a second."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from plain import libraries

PROGRAMS = ("bash", "cat", "env", "grep", "id", "ls", "mkdir", "mount", "ps", "rm", "sh", "sleep", "touch")
LIBRARIES = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libgomp.so.1", "libexpat.so.1", "libm.so.6"),
    *("librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "libresolv.so.2"),
)
"""What wheels take for granted on any Linux."""
SHIMS = Path(__file__).parents[2] / "images" / "user" / "broker"
_UNWANTED = shutil.ignore_patterns(
    *("test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "pydoc_data"),
    *("__pycache__", "dist-packages", "config-*"),
)


def small_tree(root: Path) -> Path:
    """Write the files of an image to a folder, which is made."""
    for name in (
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "etc",
        "home",
        "proc",
        "dev",
        "sys",
        "tmp",
        "run",
        "var/lib/dpkg",
    ):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    python = Path("/usr/bin/python3").resolve()
    programs = [*(Path(f"/usr/bin/{name}") for name in PROGRAMS), python]
    for path in programs:
        shutil.copy(path, root / "usr/bin" / path.name)
    (root / "usr/bin/python3").symlink_to(python.name)
    library = Path("/usr/lib") / python.name
    shutil.copytree(library, root / "usr/lib" / python.name, ignore=_UNWANTED, symlinks=True)
    loaded = [*programs, *(library / "lib-dynload").glob("*.so")]
    for path in sorted({found for program in loaded for found in libraries(program)}):
        place = root / "usr" / path.relative_to("/usr" if path.is_relative_to("/usr") else "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path.resolve(), place)
    (root / "etc/issue").write_text("small image\n")
    (root / "var/lib/dpkg/status").write_text("")
    return root


def python_tree(root: Path, python: Path) -> Path:
    """Write the files of an image that has what a user's has: a Python with the workbench, a broker's shims.

    The Python's packages have to be shown in it, as archives are, so that they need not be copied.
    """
    small_tree(root)
    program = root / "usr/bin/python"
    program.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    program.chmod(0o755)
    shutil.copytree(SHIMS, root / "opt/workbench/broker")
    places = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name in LIBRARIES:
        found = next((line.split()[-1] for line in places.splitlines() if line.split()[:1] == [name]), None)
        if found is not None:
            shutil.copy(Path(found).resolve(), root / "usr/lib" / name)
    return root
