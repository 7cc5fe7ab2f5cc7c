"""What a surface allows: which forms of input, which links, how much, which archives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.wire.archives import LIMIT

if TYPE_CHECKING:
    from workbench.archive import Source, Sources
    from workbench.calls.reader import Reader
    from workbench.settings import Settings

__all__ = ["Policy"]


@dataclass(frozen=True)
class Policy:
    """Where the data of a Call may come from.

    The default is that of a command line or a notebook: whoever runs it may
    read what the operating system lets them read.  `web` is that of a service,
    which reads on behalf of a stranger.

    Parameters
    ----------
    forms : frozenset of str
        Which of ``selection``, ``href``, ``value``, ``path`` are allowed.
    base : Path, optional
        Folder that paths are relative to; by default the current one.
    links : tuple of str
        What a link has to begin with.
    max_bytes : int
        Most bytes that one input may have, also after unpacking.
    settings : Settings, optional
        Where the archives are; read from the environment if needed.
    sources : sequence of Source, optional
        Archives to use instead of those of the settings.
    reader : Reader, optional
        Files that have been looked at already.
    """

    forms: frozenset[str] = frozenset({"selection", "href", "value", "path"})
    base: Path | None = None
    links: tuple[str, ...] = ("https://", "http://")
    max_bytes: int = LIMIT
    settings: Settings | None = None
    sources: Sequence[Source] | None = field(default=None, compare=False)
    reader: Reader | None = field(default=None, compare=False)

    @classmethod
    def web(cls, settings: Settings, links: tuple[str, ...] = (), **more: Any) -> Policy:
        """Return what a web service allows: no paths, listed links, small bodies."""
        return cls(
            forms=frozenset({"selection", "href", "value"}),
            links=links,
            max_bytes=settings.max_bytes,
            settings=settings,
            **more,
        )

    def archives(self) -> Sources:
        """Return the sources that selections are looked up in, in order."""
        from workbench.archive import Sources, default_sources

        if self.sources is not None:
            return Sources(self.sources)
        return default_sources(self.settings)
