"""A folder of results, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench import wire
from workbench.calls import Call, Result
from workbench.errors import UnreadableFile
from workbench.notices import Notice

__all__ = ["read_results"]

_BESIDE = {"provenance.json", "log.jsonl"}


def read_results(folder: Path) -> Result:
    """Read what `workbench.calls.results.write_results` wrote.

    Raises
    ------
    UnreadableFile
        If something of it is missing or broken.
    """
    try:
        about = json.loads((folder / "provenance.json").read_bytes())
        names = list(about["outputs"])
        files = {path.name: path for path in folder.iterdir() if path.name not in _BESIDE}
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableFile(str(folder), "holds no results", "Retry the job.") from error
    return Result(
        call=Call.of(about["call"]),
        outputs={name: _read(folder, name, files) for name in names},
        notices=[Notice(**item) for item in about["notices"]],
        run_key=about["run_key"],
        fingerprints=about["inputs"],
        code=about["code"],
        environment=about["environment"],
        started=about["started"],
        duration_s=about["duration_s"],
    )


def _read(folder: Path, name: str, files: dict[str, Path]) -> Any:
    path = next((path for file, path in sorted(files.items()) if file.partition(".")[0] == name), None)
    if path is None:
        raise UnreadableFile(str(folder), f"lacks the output '{name}'", "Retry the job.")
    data = wire.read_all(path)
    return wire.merge(data[0].noun, data) if data else None
