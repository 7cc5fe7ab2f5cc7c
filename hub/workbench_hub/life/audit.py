"""The audit log: who did what, in lines that are only ever added, each bound to the one before it.

One JSON object a line, a file for each month in the folder ``audit/``.  Each
line carries the sha256 of the whole line before it (``previous``), so that
nobody changes, inserts or removes a line without breaking the chain; any
program that can hash a line can check it.  ``head.json`` holds number and hash
of the newest line, so that a missing end is noticed too.

Whoever can write as the hub's account can still forge the whole chain anew.
Therefore each number and hash also goes to the ordinary log, and `verify`
takes an **anchor**, a ``NUMBER:HASH`` that was written down elsewhere.

A writer that is killed in the middle leaves a line without an end.  The next
one ends that line and says so in an entry of its own; nothing is taken away.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from workbench.errors import BadInput
from workbench_hub.deployment import write

__all__ = ["Anchor", "AuditLog", "Broken", "Entry", "Verdict"]

_NOTHING = "0" * 64
_LONGEST = 16 * 1024  # of one line; a tail of four of them always holds a whole one


class Broken(BadInput):
    """The chain of the audit log does not hold."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line that is known: its number and its hash."""

    number: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``NUMBER:HASH``."""
        number, _, digest = text.partition(":")
        if not number.isdecimal() or len(digest) != len(_NOTHING):
            raise BadInput(text, "is no anchor", "An anchor is NUMBER:HASH, as `audit verify` prints it.")
        return cls(int(number), digest)

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    Parameters
    ----------
    number : int
        Counts from 1.
    time : str
        UTC, ISO 8601.
    event : str
        What happened, for example ``login``.
    actor : str
        Who did it: a user, or a service of ours.
    subject : str
        Whom or what it was done to, where that is somebody else.
    details : dict
        The rest.
    previous : str
        sha256 of the line before.
    hash : str
        sha256 of this line.
    """

    number: int
    time: str
    event: str
    actor: str
    subject: str
    details: dict[str, Any]
    previous: str
    hash: str

    @property
    def anchor(self) -> Anchor:
        """Number and hash."""
        return Anchor(self.number, self.hash)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: the chain holds from entry `first` to `head`; `torn` writers were killed."""

    first: int
    head: Anchor
    torn: int


class AuditLog:
    """The audit log in a folder; several processes may write to it.

    Parameters
    ----------
    folder : Path
        Made, for the owner alone, when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, event: str, *, actor: str, subject: str = "", **details: Any) -> Entry:
        """Write down that something happened, and return when the disk has it.

        Raises
        ------
        OSError
            If the disk does not take it.
        """
        with self._alone():
            head, torn, path = self._end()
            if torn is not None:
                lost = torn.removesuffix(b"\n")
                with path.open("ab") as file:
                    file.write(b"" if torn.endswith(b"\n") else b"\n")
                whole = _parse(lost + b"\n")  # nothing but its end was missing
                admitted = {"bytes": len(lost), "sha256": _digest(lost)}
                head = (whole or self._write(head, "torn", "audit", "", admitted)).anchor
            return self._write(head, event, actor, subject, details)

    def files(self) -> list[Path]:
        """Return the files, oldest first."""
        return sorted(self.folder.glob("[0-9]*.jsonl"))

    def entries(self) -> Iterator[Entry]:
        """Read all entries, oldest first; torn lines are left out."""
        for _, line in self._lines():
            entry = _parse(line)
            if entry is not None:
                yield entry

    def verify(self, anchor: Anchor | None = None) -> Verdict:
        """Check the whole chain.

        Parameters
        ----------
        anchor : Anchor, optional
            A line that must be in it.  Where old files were put away, give the
            last line of those.

        Raises
        ------
        Broken
            Where the chain breaks, with file and line.
        """
        with self._alone():
            return self._verify(anchor)

    def _verify(self, anchor: Anchor | None) -> Verdict:
        last, first, torn = Anchor(0, _NOTHING), 0, 0
        pending: tuple[str, bytes] | None = None  # a torn line, which the next entry has to admit
        met = anchor is None or anchor == last
        for where, line in self._lines():
            entry = _parse(line)
            if pending is not None and not _admits(entry, pending[1]):
                raise Broken(pending[0], "is no entry, and no writer was killed there")
            if entry is None:
                pending = where, line.removesuffix(b"\n")
                continue
            torn, pending = torn + (pending is not None), None
            if not first:
                first = entry.number
                if anchor is not None and anchor.number == first - 1:
                    last = anchor
                    met = True
            if entry.number != last.number + 1 or entry.previous != last.hash:
                raise Broken(where, f"entry {entry.number} does not follow on entry {last.number}")
            last = entry.anchor
            met = met or last == anchor
        self._check_end(last, pending)
        if not met:
            raise Broken(str(self.folder), f"does not hold entry {anchor}")
        return Verdict(first, last, torn + (pending is not None))

    def _check_end(self, last: Anchor, pending: tuple[str, bytes] | None) -> None:
        noted = self._noted()
        if noted is None or noted.number < last.number:
            return  # the writer was killed before it noted the last line
        if noted.number > last.number:
            where = pending[0] if pending else str(self.folder)
            raise Broken(where, f"the chain ends with entry {last.number}, and {noted.number} were written")
        if noted != last:
            raise Broken(str(self.folder), f"entry {last.number} is not the one that was written")

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        for path in self.files():
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    yield f"{path.name}:{number}", line

    def _end(self) -> tuple[Anchor, bytes | None, Path]:
        """Return the last entry, the torn line after it if there is one, and the file of that."""
        torn, place = None, self.folder
        for path in reversed(self.files()):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - 4 * _LONGEST))
                lines = file.read().splitlines(keepends=True)
            for line in reversed(lines):
                entry = _parse(line)
                if entry is not None:
                    return entry.anchor, torn, place
                torn, place = line, path
        return Anchor(0, _NOTHING), torn, place

    def _write(self, head: Anchor, event: str, actor: str, subject: str, details: dict[str, Any]) -> Entry:
        now = datetime.now(UTC)
        line = _line(head, now, event, actor, subject, details)
        path = self.folder / f"{now:%Y-%m}.jsonl"
        # A clock that was set back must not put a line before those that are there.
        path = max([path, *self.files()])
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            written = 0
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        entry = _parse(line)
        assert entry is not None
        write(self.folder / "head.json", json.dumps({"number": entry.number, "hash": entry.hash}), 0o600)
        return entry

    def _noted(self) -> Anchor | None:
        path = self.folder / "head.json"
        return Anchor(**json.loads(path.read_text())) if path.is_file() else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _line(
    head: Anchor, now: datetime, event: str, actor: str, subject: str, details: dict[str, Any]
) -> bytes:
    """Write one line; what is too long for one is left out of it, and that is said."""
    fields = {
        "number": head.number + 1,
        "time": now.isoformat(timespec="milliseconds"),
        "event": event[:200],
        "actor": actor[:200],
        "subject": subject[:200],
        "details": details,
        "previous": head.hash,
    }
    line = json.dumps(fields, default=str).encode()
    if len(line) >= _LONGEST:
        line = json.dumps(fields | {"details": {"left_out_bytes": len(line)}}).encode()
    return line + b"\n"


def _parse(line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return Entry(**json.loads(line), hash=_digest(line))
    except (ValueError, TypeError):
        return None


def _admits(entry: Entry | None, lost: bytes) -> bool:
    return entry is not None and entry.event == "torn" and entry.details.get("sha256") == _digest(lost)


def _digest(line: bytes) -> str:
    return sha256(line).hexdigest()
