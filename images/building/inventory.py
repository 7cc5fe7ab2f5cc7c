"""Say what is in an image, and what should not be: run in the image itself, with Debian's Python alone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

_KERNELS = {"/dev", "/proc", "/sys"}
_HOME = "/opt/workbench"


def main() -> None:
    """Write all of it as JSON."""
    problems = sorted(set(walk()))
    json.dump({"debian": debian(), "python": python(), "problems": problems}, sys.stdout)


def debian() -> list[dict[str, str]]:
    """Return Debian's packages."""
    form = "${Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n"
    listed = subprocess.check_output(["/usr/bin/dpkg-query", "--show", f"--showformat={form}"], text=True)
    rows = [line.split("\t") for line in listed.splitlines()]
    return [
        {"name": name, "version": version, "architecture": architecture}
        for name, version, architecture, status in rows
        if status == "installed"
    ]


def python() -> list[dict[str, str]]:
    """Return the packages of the environment."""
    folder = next(iter(sorted(_sites())), "")
    found = {found.metadata["Name"]: found for found in distributions(path=[folder])}
    return [
        {"name": name, "version": found.version, "license": _license(found)}
        for name, found in sorted(found.items(), key=lambda item: item[0].lower())
    ]


def _sites() -> list[str]:
    return [str(folder) for folder in Path(_HOME).glob("lib/*/site-packages")]


def _license(found: Distribution) -> str:
    expression = found.metadata["License-Expression"]
    if expression:
        return str(expression)
    trove = [line for line in found.metadata.get_all("Classifier", []) if line.startswith("License :: ")]
    words = trove[-1].rpartition(" :: ")[2] if trove else str(found.metadata["License"] or "")
    return words.strip().partition("\n")[0][:100]


def walk() -> Iterator[str]:
    """Yield each file that gives its reader more than it should."""
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if f"{folder}/{name}".replace("//", "/") not in _KERNELS]
        for name in (*folders, *names):
            path = f"{folder}/{name}".replace("//", "/")
            yield from judge(path, os.lstat(path))


def judge(path: str, about: os.stat_result) -> Iterator[str]:
    """Yield what is wrong with one file."""
    if stat.S_ISLNK(about.st_mode):
        return
    if about.st_mode & (stat.S_ISUID | stat.S_ISGID):
        yield f"{path} is set-uid or set-gid"
    if about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX:
        yield f"{path} can be written by everybody"
    if "security.capability" in os.listxattr(path, follow_symlinks=False):
        yield f"{path} carries capabilities"
    if path.startswith(_HOME) and (about.st_uid or about.st_gid):
        yield f"{path} is not root's"


main()
