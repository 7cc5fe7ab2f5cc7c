"""Files that are looked at first, to see where they belong, and taken later."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from workbench import wire
from workbench.errors import UnreadableFile
from workbench.notices import Notice, listen, notice
from workbench.wire import Datum
from workbench.wire.archives import LIMIT
from workbench.wire.sample import Sample

__all__ = ["Reader", "is_text"]

_SUFFIXES = {
    "Waveforms": frozenset(
        {".mseed", ".msd", ".ms", ".miniseed", ".seed", ".sac", ".gse", ".gse2", ".slist"}
    ),
    "Stations": frozenset({".stationxml"}),
    "Events": frozenset({".quakeml", ".qml"}),
}


def is_text(path: Path) -> bool:
    """Whether a file begins as text, with something in it."""
    with path.open("rb") as file:
        text = Sample(file.read(4096), str(path)).text
    return bool(text and text.strip())


@dataclass
class _Look:
    data: list[Datum] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    error: UnreadableFile | None = None


class Reader:
    """Reads each file once; what was said and raised on the way is said and raised when it is taken.

    Parameters
    ----------
    limit : int
        Most bytes that one file may have, also after unpacking.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._seen: dict[Path, _Look] = {}

    def look(self, path: Path) -> set[str]:
        """Return the nouns in a file.

        Raises
        ------
        UnreadableFile
            If it is broken, and does not even look like one noun.
        """
        seen = self._look(path)
        if seen.error is None:
            return {datum.noun for datum in seen.data}
        meant = {noun for noun, suffixes in _SUFFIXES.items() if path.suffix.lower() in suffixes}
        if not meant:
            try:
                meant = {wire.sniff(path.read_bytes(), str(path))[0]}
            except (OSError, UnreadableFile):
                raise seen.error from None
        return meant

    def take(self, path: Path) -> list[Datum]:
        """Return the objects in a file, and say what there was to say.

        Raises
        ------
        UnreadableFile
            If it is broken.
        """
        seen = self._look(path)
        for said in seen.notices:
            notice(said.subject, said.problem, said.remedy, loss=said.loss)
        if seen.error is not None:
            raise seen.error
        return seen.data

    def _look(self, path: Path) -> _Look:
        key = path.absolute()
        if key not in self._seen:
            seen = _Look()
            with listen() as heard:
                try:
                    seen.data = wire.read_all(path, limit=self.limit)
                except UnreadableFile as error:
                    seen.error = error
            seen.notices = heard.notices
            self._seen[key] = seen
        return self._seen[key]
