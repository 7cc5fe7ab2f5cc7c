"""The archive: day files of waveforms, StationXML and QuakeML under one root."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from obspy import Stream, Trace, UTCDateTime

from workbench.archive.bundles import Bundle, bundles
from workbench.archive.events import EventStore
from workbench.archive.files import trouble
from workbench.archive.index import Index
from workbench.archive.layout import day_file
from workbench.archive.records import record_blocks
from workbench.archive.sdsreader import SdsReader
from workbench.archive.stations import StationStore
from workbench.archive.traces import from_stream
from workbench.archive.writer import Written, write
from workbench.errors import NoData, UnreadableFile, WorkbenchError
from workbench.notices import notice

__all__ = ["Archive"]


class Archive(SdsReader):
    """An SDS archive with an index.

    Parameters
    ----------
    root : path
        Where it is; it need not exist yet.
    index : path, optional
        Database of the index; by default under the root, or in the state
        directory (``WORKBENCH_STATE``) if the root is read-only.

    Examples
    --------
    >>> import tempfile
    >>> from obspy import read
    >>> archive = Archive(tempfile.mkdtemp())
    >>> archive.write(read()).samples
    9000
    >>> t = read()[0].stats.starttime
    >>> print(archive.get_waveforms("BW", "RJOB", "", "EHZ", t + 1, t + 2))
    1 Trace(s) in Stream:
    BW.RJOB..EHZ | 2009-08-24T00:20:04.000000Z - 2009-08-24T00:20:05.000000Z | 100.0 Hz, 101 samples
    """

    def __init__(self, root: str | os.PathLike[str], *, index: str | os.PathLike[str] | None = None) -> None:
        self.root = Path(root).expanduser().absolute()
        super().__init__(
            Index(self.root, _index_path(self.root) if index is None else Path(index).absolute())
        )

    def __repr__(self) -> str:
        return f"Archive({str(self.root)!r})"

    @property
    def stations(self) -> StationStore:
        """The StationXML files."""
        return StationStore(self.root)

    @property
    def events(self) -> EventStore:
        """The QuakeML files."""
        return EventStore(self.root)

    @property
    def locks(self) -> Path:
        """Folder of the locks, one a station."""
        return self.root / ".workbench" / "locks"

    def write(
        self,
        data: Stream | Trace | bytes | Path,
        *,
        encoding: str | None = None,
        record_length: int | None = None,
    ) -> Written:
        """Add waveforms; nothing that is there is changed or lost.

        Parameters
        ----------
        data : Stream, Trace, bytes or Path
            Traces, or miniSEED records, which are kept as they are.
        encoding : str, optional
            Of traces: STEIM1, STEIM2, INT16, INT32, FLOAT32 or FLOAT64; by
            default what they were read with, or what suits their type.
        record_length : int, optional
            Of traces, in bytes; by default what they were read with, or 4096.

        Returns
        -------
        Written
            What is new, what was known, and what contradicts.

        Raises
        ------
        BadInput
            If nothing of it can be archived; what only a part of it suffers
            from is a notice.
        """
        if isinstance(data, Path):
            return self._write_file(data)
        if isinstance(data, bytes):
            return self._write(*bundles(data))
        stream = Stream([data]) if isinstance(data, Trace) else data
        runs, problems = from_stream(stream, encoding=encoding, record_length=record_length)
        found, more = bundles(b"", runs)
        return self._write(found, problems + more)

    def _write_file(self, path: Path) -> Written:
        done = Written()
        problems: list[WorkbenchError] = []
        some, at = False, 0
        try:
            with path.open("rb") as file:
                for block in record_blocks(file):
                    found, more = bundles(block, offset=at)
                    problems += more
                    some |= bool(found)
                    done.add(self._write(found, []))
                    at += len(block)
        except OSError as error:
            raise trouble(path, error) from error
        named: list[WorkbenchError] = [
            UnreadableFile(f"{path}: {one.subject}", one.problem, one.remedy) for one in problems
        ]
        if not some:
            raise named[0] if named else NoData(str(path), "holds no miniSEED records", "Check the file.")
        _name(named, nothing=False)
        return done

    def _write(self, found: dict[str, Bundle], problems: list[WorkbenchError]) -> Written:
        _name(problems, nothing=not found)
        done = write(self.root, self.locks, found)
        changed = (day_file(self.root, path) for path in done.files)
        self.index.look(file for file in changed if file is not None)
        for seed_id, first, number in done.conflicts:
            notice(
                seed_id,
                f"{number} samples from {UTCDateTime(ns=first)} on differ from those archived",
                "Both are kept; compare them with 'workbench archive check'.",
                loss=False,
            )
        return done


def _name(problems: list[WorkbenchError], *, nothing: bool) -> None:
    if problems and nothing:
        raise problems[0]
    for problem in problems:
        notice(problem.subject, problem.problem, problem.remedy)


def _index_path(root: Path) -> Path:
    inside = root / ".workbench"
    nearest = next(folder for folder in (inside, *inside.parents) if folder.exists())
    if os.access(nearest, os.W_OK):
        return inside / "index.sqlite"
    # Settings are slow to import, and few archives are read-only.
    from workbench.settings import Settings

    digest = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return Settings().state_dir / "indexes" / f"{digest}.sqlite"
