"""The tree of an image as a directory: what may be in it, and one hash over all of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path

from workbench.errors import BadInput

__all__ = ["UnfitTree", "examine", "harden", "tree_hash"]

_NEEDED = "usr/bin/env"
_SHOWN = 10
_LOOSE = stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH


class UnfitTree(BadInput):
    """A directory that cannot be an image for everybody."""


def harden(root: Path) -> None:
    """Give a tree to root, and take from it what gives rights or lets others write.

    Sticky folders for everybody (/tmp) become plain ones: an image is shown read-only.
    """
    for path in (root, *_below(root)):
        found = path.lstat()
        if found.st_uid or found.st_gid:
            os.chown(path, 0, 0, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & (_LOOSE | stat.S_ISVTX):
            path.chmod(stat.S_IMODE(found.st_mode) & ~(_LOOSE | stat.S_ISVTX))


def examine(root: Path) -> None:
    """See that a tree is root's alone and gives nobody any right.

    Raises
    ------
    UnfitTree
        With what is wrong.
    """
    problems = [problem for path in (root, *_below(root)) if (problem := _judge(path))]
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise UnfitTree(str(root), "; ".join(problems[:_SHOWN]) + more)
    if not (root / _NEEDED).is_file():
        raise UnfitTree(
            str(root), f"has no /{_NEEDED}", "wb-exec starts commands with that of GNU coreutils."
        )


def tree_hash(root: Path) -> str:
    """Return a hash over names, kinds, rights of access and contents of all that is in a tree."""
    whole = sha256()
    for path in sorted(_below(root), key=lambda path: os.fsencode(path.relative_to(root))):
        found = path.lstat()
        what = "-"
        if stat.S_ISLNK(found.st_mode):
            what = str(path.readlink())
        elif stat.S_ISREG(found.st_mode):
            with path.open("rb") as file:
                what = file_digest(file, "sha256").hexdigest()
        line = f"{path.relative_to(root)}\0{found.st_mode:o}\0{what}\n"
        whole.update(os.fsencode(line))
    return whole.hexdigest()


def _judge(path: Path) -> str:
    found = path.lstat()
    if found.st_uid or found.st_gid:
        return f"{path} is not root's"
    if stat.S_ISLNK(found.st_mode):
        return ""
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return f"{path} is neither file nor folder"
    if found.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return f"{path} is set-uid or set-gid"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path} can be written by others"
    if "security.capability" in os.listxattr(path, follow_symlinks=False):
        return f"{path} carries capabilities"
    return ""


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield Path(folder, name)
