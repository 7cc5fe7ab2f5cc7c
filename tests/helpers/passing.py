"""A way for other users into the folders of tests, which pytest closes."""

from __future__ import annotations

import tempfile
from pathlib import Path

__all__ = ["let_pass"]


def let_pass(path: Path) -> None:
    """Let everybody pass through a folder of a test, and those that it is in."""
    everybody = Path(tempfile.gettempdir())
    for folder in (path, *path.parents):
        if folder == everybody or folder == folder.parent:
            return
        mode = folder.stat().st_mode
        if mode & 0o011 != 0o011:
            folder.chmod(mode & 0o7777 | 0o011)
