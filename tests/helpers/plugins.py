"""Kernels of somebody else's, installed as a distribution of theirs is."""

from __future__ import annotations

import shutil
from pathlib import Path


def install_trials(folder: Path) -> Path:
    """Install the kernels of `trials` in a folder, for whoever has it on their path."""
    about = folder / "trials-1.0.dist-info"
    about.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("trials.py"), folder)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: trials\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[workbench.kernels]\ntrials = trials\n")
    for path in (folder, about, *folder.glob("*.py"), *about.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder
