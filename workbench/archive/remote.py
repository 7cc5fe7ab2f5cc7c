"""An SDS archive under a URL, as a source."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from workbench.archive.index import Index
from workbench.archive.remotetree import RemoteTree, public
from workbench.archive.sdsreader import SdsReader
from workbench.errors import InvalidSetting

__all__ = ["Remote"]

_SECRET = ("key", "secret", "token", "password", "passwd", "user", "auth", "cookie")


class Remote(SdsReader):
    """An SDS archive that is reached by a URL, read only.

    Laid out as `Archive` does it: day files, StationXML below ``stations``,
    QuakeML below ``events``.  A day file is read once, when it is first asked
    for, or has changed, to index its records; from then on no more of it than
    is asked for.

    Parameters
    ----------
    url : str
        ``s3://bucket/archive``, ``https://host/archive/``, ``hdfs://host/archive``,
        ``memory://archive``, or whatever else fsspec reaches.
    index : path, optional
        Database of the index; by default in the state directory
        (``WORKBENCH_STATE``).
    fresh_s : float
        For how long a listing of a folder holds, seconds.
    **options
        Of fsspec's file system: ``anon=True`` to ask without credentials,
        ``key=...``, ``secret=...``, ``endpoint_url=...``.  What is not given
        is taken from fsspec's own configuration, and the file system's.

    Raises
    ------
    InvalidSetting
        If it is no URL; when it is asked, if a package for it is missing.
    Unavailable
        When it is asked, and does not answer, or not to you.

    Examples
    --------
    >>> Remote("s3://earthquakes/archive", anon=True)
    Remote('s3://earthquakes/archive')
    """

    def __init__(
        self, url: str, *, index: str | os.PathLike[str] | None = None, fresh_s: float = 30.0, **options: Any
    ) -> None:
        if "://" not in url:
            raise InvalidSetting(url, "is no URL", "Write s3://..., https://...; a folder is an Archive.")
        self.url = url
        path = _index_path(url, options) if index is None else Path(index).absolute()
        super().__init__(Index(RemoteTree(url, options, fresh_s), path))

    def __repr__(self) -> str:
        return f"Remote({public(self.url)!r})"


def _index_path(url: str, options: dict[str, Any]) -> Path:
    # Settings are slow to import.
    from workbench.settings import Settings

    # The same URL may be somewhere else by another endpoint; who asks makes no difference.
    places = {name: value for name, value in options.items() if not any(word in name for word in _SECRET)}
    name = "\0".join([public(url), *(f"{key}={places[key]!r}" for key in sorted(places))])
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return Settings().state_dir / "indexes" / f"{digest}.sqlite"
