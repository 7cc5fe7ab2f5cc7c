"""What is remembered of each server's last end, so that its user can read it when he comes back.

One small file a server in a directory that only the hub reads; it outlives
the hub, and is gone when the server has started well again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from workbench_hub.containers.evidence import Diagnosis
from workbench_hub.deployment import write

__all__ = ["Notice", "Record"]

_LOG = logging.getLogger("workbench_hub.containers")
_MOST_NOTICES = 20


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened in a session that goes on: a kernel that ran out of memory."""

    at: str
    words: str


@dataclass(frozen=True, slots=True)
class _Remembered:
    ended: Diagnosis | None = None
    notices: tuple[Notice, ...] = ()
    oom_kills: int = 0


_JSON = TypeAdapter(_Remembered)


class Record:
    """What is remembered of one server."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ended(self) -> Diagnosis | None:
        """Why the server ended or did not start; None if it was stopped, or runs."""
        return self._read().ended

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What happened in this session, the newest last."""
        return self._read().notices

    @property
    def oom_kills(self) -> int:
        """How many processes that ran out of memory the user was told of."""
        return self._read().oom_kills

    def end(self, diagnosis: Diagnosis) -> None:
        """Remember why the server ended."""
        self._write(replace(self._read(), ended=diagnosis))

    def note(self, words: str, oom_kills: int) -> None:
        """Remember something that happened."""
        known = self._read()
        notice = Notice(datetime.now(UTC).isoformat(timespec="seconds"), words)
        notices = (*known.notices, notice)[-_MOST_NOTICES:]
        self._write(replace(known, notices=notices, oom_kills=oom_kills))

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> _Remembered:
        try:
            return _JSON.validate_json(self.path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return _Remembered()  # it only tells; a server starts without it

    def _write(self, remembered: _Remembered) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write(self.path, _JSON.dump_json(remembered, indent=1).decode(), mode=0o600)
        except OSError as error:
            # It only tells; on a full disk servers still run, and their users still hear why one does not.
            _LOG.warning("%s is not remembered: %s", self.path.stem, error)
