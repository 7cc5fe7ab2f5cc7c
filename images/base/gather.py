"""Lay what ``install`` brought into /added, so that an image gets a layer of that alone."""

import os
from pathlib import Path

BEFORE = Path("/build/before").stat().st_mtime_ns
HOME = "/opt/workbench"


def main() -> None:
    """Move each file that came since."""
    Path(f"/added{HOME}").mkdir(parents=True)
    for folder, folders, names in os.walk(HOME):
        linked = [name for name in folders if Path(folder, name).is_symlink()]
        new = [name for name in (*names, *linked) if Path(folder, name).lstat().st_ctime_ns > BEFORE]
        if new:
            Path(f"/added{folder}").mkdir(parents=True, exist_ok=True)
        for name in new:
            Path(folder, name).rename(f"/added{folder}/{name}")


main()
