"""What a batch job writes about itself: one small file, whole at any moment, also on a full disk.

The notebook that sent the job may be gone, SLURM may have forgotten it: this
file says how it is.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any, Literal, Self

__all__ = ["OVER", "SILENT_SECONDS", "Record", "State", "now", "put"]

State = Literal["pending", "running", "done", "failed", "cancelled", "timeout", "out-of-memory"]

OVER: frozenset[State] = frozenset({"done", "failed", "cancelled", "timeout", "out-of-memory"})
"""States that do not change any more."""

SILENT_SECONDS = 120.0
"""A job that runs gives a sign of life more often than that."""

_SIZE = 4096
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WORDS = 1200


@dataclass(frozen=True, slots=True)
class Record:
    """How a job is.

    Attributes
    ----------
    state : str
    attempt : int
        How often it was begun.
    exit_code : int or None
        0 done, 2 wrong setting, 3 no data, 4 bad data, 5 out of memory, space
        or quota, 1 anything else.
    subject, problem, remedy : str
        What went wrong, and what to do.
    node : str
        Where it runs, or ran.
    slurm : str
        Its number in SLURM, ``NUMBER`` or ``ARRAY_INDEX``.
    pid, began, boot : int, str, str
        Its process, by which it is told from a later one of the same number.
    started, ended : str
        When, UTC.
    fraction : float
        How much of it is done.
    doing : str
    memory : int
        The most that it had, bytes; 0 is not known.
    run_key : str
        What it computes.
    reused : str
        Where an equal run had put the results that it took.
    sure : bool
        Whether the state is more than a guess that SLURM may know better.
    """

    state: State = "pending"
    attempt: int = 0
    exit_code: int | None = None
    subject: str = ""
    problem: str = ""
    remedy: str = ""
    node: str = ""
    slurm: str = ""
    pid: int = 0
    began: str = ""
    boot: str = ""
    started: str = ""
    ended: str = ""
    fraction: float = 0.0
    doing: str = ""
    memory: int = 0
    run_key: str = ""
    reused: str = ""
    sure: bool = True
    touched: float = field(default=0.0, compare=False)
    """When its file was last touched, seconds since 1970; not in the file."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in OVER

    @property
    def silent(self) -> bool:
        """Whether it has given no sign of life for a while."""
        return time() - self.touched > SILENT_SECONDS

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; one that is not there, or is being written in place, is that of a job to come."""
        try:
            touched = path.stat().st_mtime
            known = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return cls()
        names = {item.name for item in fields(cls)} - {"touched"}
        return cls(**{name: value for name, value in known.items() if name in names}, touched=touched)

    def write(self, path: Path, *, durable: bool = True) -> None:
        """Write it, whole or not at all; over what is there, where the disk has no room for more.

        Parameters
        ----------
        path : Path
        durable : bool
            Whether it outlives a power cut.
        """
        told: dict[str, Any] = asdict(self)
        del told["touched"]
        for name in ("subject", "problem", "remedy", "doing"):
            told[name] = told[name][:_WORDS]
        # As long as any of its kind, so that there is room for the next one.
        data = json.dumps(told, ensure_ascii=False).encode().ljust(_SIZE)
        put(path, data, durable=durable)

    def but(self, **changes: Any) -> Self:
        """Return it with changes."""
        return replace(self, **changes)


def put(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all; over what is there, where the disk has no room for another."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        if error.errno not in _FULL or not path.is_file():
            raise
        with path.open("r+b") as file:
            file.write(data)
            file.truncate()
            os.fsync(file.fileno())
    finally:
        part.unlink(missing_ok=True)


def now() -> str:
    """Return the time, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
