"""What was built: a file that names each image by its digest, for administrators to choose from."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["FILE", "Entry", "add", "read"]

FILE = "catalogue.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image that was built."""

    image: str
    digest: str
    title: str
    built: str
    sbom: str
    libraries: dict[str, str]
    size: int
    tag: str
    parent: str = ""
    seconds: float = 0.0
    """How long the building took; nothing where it was there already."""


def read(folder: Path) -> dict[str, Entry]:
    """Return what was built into a folder so far."""
    path = folder / FILE
    listed = json.loads(path.read_text()) if path.is_file() else {}
    return {name: Entry(**entry) for name, entry in listed.items()}


def add(folder: Path, entries: dict[str, Entry]) -> Path:
    """Add images to the catalogue of a folder, each in place of an older one of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = {name: asdict(entry) for name, entry in sorted((read(folder) | entries).items())}
    path = folder / FILE
    handle, part = tempfile.mkstemp(dir=folder, prefix=FILE)
    with os.fdopen(handle, "w") as file:
        file.write(json.dumps(listed, indent=1) + "\n")
    Path(part).chmod(0o644)
    Path(part).replace(path)
    return path
