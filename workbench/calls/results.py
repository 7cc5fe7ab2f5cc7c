"""What a Call gives: the outputs, what was said on the way, and the record of where they come from."""

from __future__ import annotations

import getpass
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench import wire
from workbench.calls.call import Call
from workbench.calls.files import replacing_folder, write_bytes
from workbench.errors import InvalidSetting
from workbench.notices import Notice

__all__ = ["Result", "check_free", "user_name", "write_output", "write_results"]


@dataclass(frozen=True)
class Result:
    """The outcome of a Call.

    Attributes
    ----------
    call : Call
    outputs : dict of str to object
        The nouns that came out, by name; ``result`` where there is one.
    notices : list of Notice
        What was left out or changed on the way.
    run_key : str
        Names what was computed; empty if it was not asked for.
    fingerprints : dict of str to str
        SHA-256 of each data input.
    code, environment : str
        Version of the code; digest of the environment.
    started : str
        When it began, UTC.
    duration_s : float
        How long it took, seconds.
    """

    call: Call
    outputs: dict[str, Any]
    notices: list[Notice] = field(default_factory=list)
    run_key: str = ""
    fingerprints: dict[str, str] = field(default_factory=dict)
    code: str = ""
    environment: str = ""
    started: str = ""
    duration_s: float = 0.0

    @property
    def value(self) -> Any:
        """The one output, or all of them by name."""
        return next(iter(self.outputs.values())) if len(self.outputs) == 1 else self.outputs

    @property
    def complete(self) -> bool:
        """Whether no data were left out."""
        return not any(said.loss for said in self.notices)

    def canonical(self) -> dict[str, bytes]:
        """Return the canonical bytes of each output."""
        return {name: wire.canonical(value) for name, value in self.outputs.items()}

    def provenance(self) -> dict[str, Any]:
        """Return where the outputs come from, as JSON."""
        return {
            "call": self.call.to_json(),
            "run_key": self.run_key,
            "inputs": self.fingerprints,
            "outputs": {name: wire.fingerprint(value) for name, value in self.outputs.items()},
            "code": self.code,
            "environment": self.environment,
            "host": platform.node(),
            "user": user_name(),
            "job": os.environ.get("SLURM_JOB_ID", ""),
            "started": self.started,
            "duration_s": self.duration_s,
            "complete": self.complete,
            "notices": [asdict(said) for said in self.notices],
        }


def write_output(value: Any, path: Path) -> None:
    """Write one output as what the suffix of `path` stands for, whole or not at all.

    Raises
    ------
    InvalidSetting
        If the noun is not written as that.
    """
    noun = wire.noun(value)
    media = wire.media_of(noun, path.suffix.lower() or ".")
    if media == "application/vnd.zarr+zip":
        from workbench.wire import dataset

        with replacing_folder(path) as part:
            dataset.write_folder(value, part / "store")
            for item in list((part / "store").iterdir()):
                item.replace(part / item.name)
            (part / "store").rmdir()
        return
    write_bytes(path, wire.codec(noun).encode(value, media))


def write_results(result: Result, folder: Path, log: list[dict[str, Any]]) -> list[Path]:
    """Write a folder of results, which appears by rename when all of it is there.

    ``result.<suffix>`` (or a file for each output), ``provenance.json``,
    ``log.jsonl``.

    Raises
    ------
    InvalidSetting
        If the folder exists and holds something else.
    """
    check_free(folder)
    names = []
    with replacing_folder(folder) as part:
        for name, value in result.outputs.items():
            wanted = _wanted(result.call, name)
            noun = wire.noun(value)
            media = wire.media_of(noun, wanted)
            names.append(f"{name}{wire.codec(noun).MEDIA[media]}")
            write_output(value, part / names[-1])
        record = json.dumps(result.provenance(), indent=2, ensure_ascii=False)
        write_bytes(part / "provenance.json", record.encode() + b"\n")
        lines = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in log)
        write_bytes(part / "log.jsonl", lines.encode())
    return [folder / name for name in names]


def check_free(folder: Path) -> None:
    """Refuse a folder of results that is there already.

    Raises
    ------
    InvalidSetting
        If it exists and is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidSetting(
            str(folder), "exists already", "Results are never overwritten: name another folder."
        )


def _wanted(call: Call, name: str) -> str:
    asked = (call.outputs or {}).get(name)
    form = asked.format if asked is not None else None
    return str((form or {}).get("mediaType", ""))


def user_name() -> str:
    """Return who runs this."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run under a number that has no name.
        return str(os.getuid())
