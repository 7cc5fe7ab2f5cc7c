"""The index of an archive: what lies where in its files, in SQLite.

One row a file, with its size, time of change and inode, and the spans of samples
of its channel; and one row a stretch of records of one channel that follow each
other, with its place in the file.  A span may lie in many stretches.
A file that has changed is read again when it is next asked for, its headers
only.  The index holds nothing that the files do not: it may be deleted at any
time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from workbench.archive.entries import Entry, entry, keep
from workbench.archive.files import lock, make_folder, trouble
from workbench.archive.layout import DayFile
from workbench.archive.packed import Parts, damaged, unpack
from workbench.archive.records import Fault
from workbench.archive.spans import Row
from workbench.archive.stretches import Stretch
from workbench.archive.trees import Status, Tree, tree_of
from workbench.errors import Unavailable, UnreadableFile
from workbench.maths.shares import threads
from workbench.notices import notice, progress

__all__ = ["Held", "Index"]

_T = TypeVar("_T")

_VERSION = 3
_SCHEMA = f"""
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    spans BLOB NOT NULL
);
CREATE TABLE stretch (
    file INTEGER NOT NULL REFERENCES file (id) ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    id TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    rate REAL NOT NULL,
    n INTEGER NOT NULL,
    record_length INTEGER NOT NULL,
    encoding INTEGER NOT NULL,
    leap INTEGER NOT NULL,
    fingerprint TEXT,
    PRIMARY KEY (file, offset)
) WITHOUT ROWID;
CREATE TABLE fault (
    file INTEGER NOT NULL REFERENCES file (id) ON DELETE CASCADE,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    problem TEXT NOT NULL
);
CREATE INDEX fault_file ON fault (file);
PRAGMA user_version = {_VERSION};
"""

_OLD = tuple(f"DROP TABLE IF EXISTS {name}" for name in ("span", "fault", "stretch", "file"))
_STRETCHES = """
SELECT offset, length, id, start, "end", rate, n, record_length, encoding, leap, fingerprint
FROM stretch WHERE file = ? AND start <= ? AND "end" >= ? ORDER BY offset
"""
_FAULTS = "SELECT offset, length, problem FROM fault WHERE file = ? ORDER BY offset"
_FINGERPRINT = """
UPDATE stretch SET fingerprint = ?
WHERE file = (SELECT id FROM file WHERE path = ?) AND offset = ? AND n = ? AND start = ?
"""

_TOGETHER = 64
"""Files that are kept at once."""
_FEW = 16
"""The same of large ones: the first are kept while the others are still being read."""


@dataclass(frozen=True, slots=True)
class Held:
    """What files hold, as the index knows it at one moment.

    Attributes
    ----------
    stretches : list of Stretch
        By file and place.
    faults : list of (str, Fault)
        Bytes that are no good records, by file and place.
    status : dict
        Size, time of change (ns) and inode of each file.
    """

    stretches: list[Stretch]
    faults: list[tuple[str, Fault]]
    status: dict[str, Status]


class Index:
    """The index of one archive.

    Several processes and threads may use it at once.  Each call opens the
    database anew, so that an index can be pickled and forked.

    Parameters
    ----------
    root : Path or Tree
        Of the archive.
    path : Path
        Of the database.
    """

    def __init__(self, root: Path | Tree, path: Path) -> None:
        self.tree = tree_of(root)
        self.path = path

    def look(
        self,
        files: Iterable[DayFile],
        start: int | None = None,
        end: int | None = None,
        *,
        complete: bool = False,
    ) -> Held:
        """Return what the files hold within a time span.

        The headers of those that are new, or have changed, are read first.

        Parameters
        ----------
        files : iterable of DayFile
        start, end : int, optional
            Nanoseconds since 1970, both included.
        complete : bool
            These are all the files there are: forget the others.
        """
        wanted = {file.path: file for file in files}
        there = self.path.exists()
        if not wanted and not there:
            return Held([], [], {})
        bounds = 2**62 if end is None else end, -(2**62) if start is None else start
        with nullcontext() if there else self.kept_open():
            # Mostly nothing has changed, and to ask twice would take twice as long.
            found = None if complete else self._run(lambda base: _held(base, wanted, bounds, current=True))
            if found is None:
                self._refresh(wanted, complete=complete)
                found = self._run(lambda base: _held(base, wanted, bounds))
            return found or Held([], [], {})

    def spans(self, files: Iterable[DayFile], start: int | None = None, end: int | None = None) -> list[Row]:
        """Return the spans of samples in the files that touch a time span.

        As with `look`, the headers of files that are new, or have changed, are
        read first.

        Parameters
        ----------
        files : iterable of DayFile
        start, end : int, optional
            Nanoseconds since 1970, both included.

        Returns
        -------
        list of Row
            Those of the channels that their files are named after, by file.
        """
        bounds = -(2**62) if start is None else start, 2**62 if end is None else end
        return unpack(self.packed(files), *bounds)

    def packed(self, files: Iterable[DayFile]) -> Parts:
        """Return all spans of samples in the files, as they are kept."""
        wanted = {file.path: file for file in files}
        there = self.path.exists()
        if not wanted and not there:
            return []
        with nullcontext() if there else self.kept_open():
            # Mostly nothing has changed, and to ask twice would take twice as long.
            found = self._run(lambda base: _packed(base, wanted, current=True))
            if found is None:
                self._refresh(wanted)
                found = self._run(lambda base: _packed(base, wanted))
            return found or []

    def _refresh(self, wanted: dict[str, DayFile], *, complete: bool = False) -> None:
        """Read the headers of the files that are new, or have changed."""
        changed = self._changed(wanted, complete=complete)
        with self.kept_open() if len(changed) > _TOGETHER else nullcontext():
            done = 0
            for fresh in self._read_all([wanted[path] for path in changed]):
                self.store(fresh)
                done += len(fresh)
                if len(changed) > _TOGETHER:
                    progress(done / len(changed), "reading headers")

    def stale(self, files: Iterable[DayFile]) -> set[str]:
        """Return which files, by their path, are new or have changed since they were looked at."""
        return set(self._changed({file.path: file for file in files}))

    def store(self, fresh: list[tuple[str, Entry | None]]) -> None:
        """Keep what the headers of files say that somebody has read; None for files that are gone."""
        self._run(partial(keep, fresh=fresh))

    def _changed(self, wanted: dict[str, DayFile], *, complete: bool = False) -> list[str]:
        known = self._run(lambda base: _known(base, None if complete else list(wanted)))
        gone = [(known[path][0],) for path in known if path not in wanted]
        if gone:
            self._run(lambda base: base.executemany("DELETE FROM file WHERE id = ?", gone))
        return [path for path, file in wanted.items() if not _is(known.get(path), file)]

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Hold the database open, as whoever closes it last brings all of its log to disk."""
        try:
            held = self._connect()
        except sqlite3.Error:
            yield  # whoever asks next says what is wrong
            return
        with closing(held):
            yield

    def keep_fingerprints(self, found: Iterable[Stretch]) -> None:
        """Keep the fingerprints of stretches."""
        rows = [(one.fingerprint, one.path, one.offset, one.n, one.start) for one in found]
        self._run(lambda base: base.executemany(_FINGERPRINT, rows))

    def _read_all(self, files: list[DayFile]) -> Iterator[list[tuple[str, Entry | None]]]:
        """Read headers, some files at a time; the next are read while the last are seen to."""
        size = sum(file.size for file in files)
        small = self.tree.parallel == 1 or len(files) < 2 or size < self.tree.large * len(files)
        several = _TOGETHER if small else _FEW
        groups = [
            [file.path for file in files[first : first + several]] for first in range(0, len(files), several)
        ]
        if small:
            for group in groups:
                yield [(path, self._read(path)) for path in group]
            return
        with threads(self.tree.parallel) as pool:

            def ask(group: list[str]) -> list[Future[Entry | None]]:
                # Notices go to whoever listens here.
                return [pool.submit(copy_context().run, self._read, path) for path in group]

            asked = ask(groups[0])
            for group, following in zip(groups, [*groups[1:], []], strict=True):
                ahead = ask(following)
                yield [(path, one.result()) for path, one in zip(group, asked, strict=True)]
                asked = ahead

    def _read(self, path: str) -> Entry | None:
        try:
            found = self.tree.headers(path)
        except UnreadableFile as error:
            notice(error.subject, error.problem, error.remedy)
            return None
        return None if found is None else entry(found)

    def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do something in one transaction; a damaged database is made anew."""
        try:
            try:
                return self._once(work)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                self._discard(error)
                return self._once(work)
        except sqlite3.OperationalError as error:
            raise Unavailable(
                str(self.path),
                f"the index cannot be used ({error})",
                "Is the disk full? May you write there? WORKBENCH_STATE may name a folder of your own.",
            ) from error

    def _once(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with closing(self._connect()) as base, base:
            return work(base)

    def _connect(self) -> sqlite3.Connection:
        make_folder(self.path.parent)
        base = sqlite3.connect(self.path, timeout=60)
        try:
            base.execute("PRAGMA synchronous = NORMAL")
            base.execute("PRAGMA foreign_keys = ON")
            if not _current(base):
                # SQLite does not wait its turn to change to WAL, so the first ones queue here.
                with lock(self.path.with_suffix(".lock"), str(self.path)):
                    base.execute("PRAGMA journal_mode = WAL")
                    with base:
                        base.execute("BEGIN IMMEDIATE")
                        if not _current(base):
                            for statement in (*_OLD, *_SCHEMA.split(";")):
                                base.execute(statement)
        except BaseException:
            base.close()
            raise
        return base

    def _discard(self, error: sqlite3.DatabaseError) -> None:
        notice(
            str(self.path),
            f"the index was damaged ({error})",
            "It is made anew from the files; nothing is lost.",
            loss=False,
        )
        for ending in ("", "-wal", "-shm"):
            try:
                self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
            except OSError as problem:
                raise trouble(self.path, problem) from problem


_Known = tuple[Any, int, int, int, int]


def _known(base: sqlite3.Connection, paths: list[str] | None, first: str = "id") -> dict[str, _Known]:
    """Return a column, size, time, inode and whether settled, of the files asked for, or of all."""
    select = f"SELECT path, {first}, size, mtime_ns, inode, settled FROM file"  # noqa: S608
    if paths is None:
        return {row[0]: row[1:] for row in base.execute(select)}
    found = {}
    for begin in range(0, len(paths), 500):
        some = paths[begin : begin + 500]
        marks = ",".join("?" * len(some))
        found.update({row[0]: row[1:] for row in base.execute(f"{select} WHERE path IN ({marks})", some)})
    return found


def _held(
    base: sqlite3.Connection, wanted: dict[str, DayFile], bounds: tuple[int, int], *, current: bool = False
) -> Held | None:
    """Return what is in files; None if they have to be as they are now, and are not."""
    base.execute("BEGIN")  # All of one moment: others may be writing.
    known = _known(base, list(wanted))
    if current and not all(_is(known.get(path), file) for path, file in wanted.items()):
        return None
    numbers = [(known[path][0], path) for path in wanted if path in known]
    return Held(
        [
            Stretch(path, *row)
            for number, path in numbers
            for row in base.execute(_STRETCHES, (number, *bounds))
        ],
        [(path, Fault(*row)) for number, path in numbers for row in base.execute(_FAULTS, (number,))],
        {path: known[path][1:4] for _, path in numbers},
    )


def _is(known: _Known | None, file: DayFile) -> bool:
    """Tell whether a file is the one that the index knows."""
    return known is not None and known[1:] == (file.size, file.mtime_ns, file.inode, 1)


def _packed(base: sqlite3.Connection, wanted: dict[str, DayFile], *, current: bool = False) -> Parts | None:
    """Return the spans in files; None if they have to be of the files as they are now, and are not."""
    known = _known(base, list(wanted), "spans")
    if current and not all(_is(known.get(path), file) for path, file in wanted.items()):
        return None
    parts = [(file.id, known[path][0]) for path, file in wanted.items() if path in known]
    if damaged(parts):
        raise sqlite3.DatabaseError("spans are cut off")
    return parts


def _current(base: sqlite3.Connection) -> bool:
    return bool(base.execute("PRAGMA user_version").fetchone() == (_VERSION,))
