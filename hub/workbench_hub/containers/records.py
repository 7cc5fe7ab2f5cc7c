"""What is remembered of each server's last end, so that its user can read it when he comes back.

One small file a server in a directory that only the hub reads; it outlives
the hub, and is gone when the server has started well again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench_hub.containers.evidence import Diagnosis
from workbench_hub.deployment import write

__all__ = ["Notice", "Record"]

_MOST_NOTICES = 20


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened in a session that goes on: a kernel that ran out of memory."""

    at: str
    words: str


class Record:
    """What is remembered of one server."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ended(self) -> Diagnosis | None:
        """Why the server ended or did not start; None if it was stopped, or runs."""
        values = self._read().get("ended")
        return Diagnosis.from_json(values) if values else None

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What happened in this session, the newest last."""
        return tuple(Notice(**notice) for notice in self._read().get("notices", ()))

    @property
    def oom_kills(self) -> int:
        """How many processes that ran out of memory the user was told of."""
        return int(self._read().get("oom_kills", 0))

    def end(self, diagnosis: Diagnosis) -> None:
        """Remember why the server ended."""
        self._write(self._read() | {"ended": diagnosis.as_json()})

    def note(self, words: str, oom_kills: int) -> None:
        """Remember something that happened."""
        known = self._read()
        notice = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "words": words}
        notices = [*known.get("notices", ()), notice][-_MOST_NOTICES:]
        self._write(known | {"notices": notices, "oom_kills": oom_kills})

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}  # it only tells; a server starts without it

    def _write(self, values: dict[str, Any]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self.path, json.dumps(values, indent=1), mode=0o600)
