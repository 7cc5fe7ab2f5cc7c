"""Trees under a URL: whatever fsspec reaches, from a web server to an object store."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from workbench.archive.records import scan_file
from workbench.archive.trees import SETTLED_S, Headers, Status
from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench.maths.shares import threads

__all__ = ["RemoteTree", "public"]

_TAGS = ("ETag", "etag", "Content-MD5", "md5", "md5Hash", "checksum", "crc32c", "version_id", "ino")
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified", "created")
"""What file systems call the version of a file, and its time of change."""

_CONNECT_S, _SILENT_S = 15.0, 60.0
"""How long a web server may take to answer, and to go on."""

_AHEAD = 16 * 2**20
"""What is asked for at once of a file whose headers are read, in bytes."""

_SECRETS = re.compile(r"(?<=://)[^/@\s]*@")


class RemoteTree:
    """Files below a URL.

    Nothing is asked before it is needed.  What a folder holds, and which
    version of a file there is, is asked again after a while; what is read of a
    file is checked to be of one version.

    Parameters
    ----------
    url : str
        Whatever fsspec knows: ``s3://bucket/archive``, ``https://host/archive/``,
        ``hdfs://host/archive``, ``memory://archive``.
    options : mapping
        Of its file system: ``anon=True``, ``key=...``, ``secret=...`` and so on.
    fresh_s : float
        For how long a listing holds, seconds.
    """

    parallel = 8
    """How many files are worth asking for at once."""
    large = 0
    """What takes time is the way there and back, which is as long for small ones."""

    def __init__(self, url: str, options: Mapping[str, Any], fresh_s: float) -> None:
        self.url = url
        self._options = dict(options)
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._system: tuple[Any, str] | None = None
        self._listings: dict[str, tuple[float, dict[str, Status | None]]] = {}
        self._statuses: dict[str, tuple[float, Status | None]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "options": self._options, "fresh_s": self._fresh_s}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # what is cached stays behind

    def __repr__(self) -> str:
        return f"RemoteTree({public(self.url)!r})"

    def full(self, path: str) -> str:
        """Return the name of a file as a person would look for it, without passwords."""
        return f"{public(self.url).rstrip('/')}/{path}"

    def names(self, folder: str) -> list[str]:
        """Return what is in a folder, sorted.

        Raises
        ------
        Unavailable
            If the root itself is not there, or does not answer.
        """
        return sorted(self._listing(folder))

    def has(self, path: str) -> bool:
        """Tell whether there is such a file or folder."""
        folder, _, name = path.rpartition("/")
        return name in self._listing(folder)

    def statuses(self, paths: Sequence[str]) -> list[Status | None]:
        """Return the status of each file, None for those that are not there."""
        found: dict[str, Status | None] = {}
        unknown = []
        for path in paths:
            folder, _, name = path.rpartition("/")
            listed = self._listing(folder)
            if name not in listed or listed[name] is not None:
                found[path] = listed.get(name)
            else:
                unknown.append(path)
        # A web server lists names only; each file has to be asked for.
        with threads(self.parallel) as pool:
            found.update(zip(unknown, pool.map(self._status, unknown), strict=True))
        return [found[path] for path in paths]

    def headers(self, path: str) -> Headers | None:
        """Read the headers of all records of a file; None if it is gone."""
        before = self._status(path, fresh=True)
        if before is None:
            return None
        try:
            found = scan_file(_Blocks(self, path, before[0]), together=True)  # type: ignore[arg-type]
        except FileNotFoundError:
            return None
        after = self._status(path, fresh=True)
        return Headers(before, found, before == after and time.time() - before[1] / 1e9 >= SETTLED_S)

    def ranges(self, path: str, status: Status, wanted: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Read bytes (offset, length) of one version of a file; None if that is there no longer."""
        system, full = self._place(path)
        starts = [offset for offset, _ in wanted]
        ends = [offset + length for offset, length in wanted]
        try:
            with self._asking(path):
                if len(wanted) == 1:
                    parts = [system.cat_file(full, start=starts[0], end=ends[0])]
                else:
                    parts = system.cat_ranges([full] * len(wanted), starts, ends, on_error="raise")
        except FileNotFoundError:
            parts = None
        # Asked afterwards: if the file is the same still, so it was in between.
        if parts is None or self._status(path, fresh=True) != status:
            self._forget(path)
            return None
        return [
            self._checked(path, bytes(part), start, end, status[0])
            for part, start, end in zip(parts, starts, ends, strict=True)
        ]

    def read(self, path: str) -> bytes | None:
        """Read a file; None if it is gone."""
        system, full = self._place(path)
        try:
            with self._asking(path):
                return bytes(system.cat_file(full))
        except FileNotFoundError:
            return None

    def block(self, path: str, start: int, end: int, size: int) -> bytes:
        """Read a part of a file, which has `size` bytes."""
        system, full = self._place(path)
        with self._asking(path):
            part = bytes(system.cat_file(full, start=start, end=end))
        return self._checked(path, part, start, end, size)

    def _checked(self, path: str, part: bytes, start: int, end: int, size: int) -> bytes:
        if len(part) == end - start:
            return part
        if len(part) == size:
            # Web servers may send the whole file, whatever they are asked for.
            return part[start:end]
        raise Unavailable(
            self.full(path),
            f"was cut off: {len(part)} of {end - start} bytes came",
            "Try again; if it stays so, look at the server.",
        )

    def _place(self, path: str) -> tuple[Any, str]:
        """Return the file system, and what it calls a file."""
        with self._lock:
            if self._system is None:
                with self._asking(""):
                    self._system = _open(self.url, self._options)
            system, root = self._system
        return system, f"{root.rstrip('/')}/{path}" if path else root

    def _listing(self, folder: str) -> dict[str, Status | None]:
        with self._lock:
            known = self._listings.get(folder)
        if known is not None and time.monotonic() - known[0] < self._fresh_s:
            return known[1]
        found: dict[str, Status | None] = {}
        parent, _, own = folder.rpartition("/")
        if folder and own not in self._listing(parent):
            return found
        system, full = self._place(folder)
        try:
            with self._asking(folder):
                system.invalidate_cache(full)
                entries = system.ls(full, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            if not folder:
                raise Unavailable(
                    public(self.url), "is not there", "Check the URL, and who may read it."
                ) from None
            entries = []
        for entry in entries:
            name = str(entry["name"]).rstrip("/").rpartition("/")[2]
            # Listings of web servers have links to sort them by.
            if name and not set(name) & set("?#") and str(entry["name"]).rstrip("/") != full.rstrip("/"):
                known_size = entry.get("type") != "directory" and entry.get("size") is not None
                found[name] = _status(entry) if known_size else None
        with self._lock:
            self._listings[folder] = time.monotonic(), found
        return found

    def _status(self, path: str, *, fresh: bool = False) -> Status | None:
        with self._lock:
            known = self._statuses.get(path)
        if not fresh and known is not None and time.monotonic() - known[0] < self._fresh_s:
            return known[1]
        system, full = self._place(path)
        found: Status | None = None
        try:
            with self._asking(path):
                system.invalidate_cache(full.rpartition("/")[0])
                entry = system.info(full)
                if entry.get("type") != "directory":
                    found = _status(entry)
        except FileNotFoundError:
            pass
        with self._lock:
            self._statuses[path] = time.monotonic(), found
        return found

    def _forget(self, path: str) -> None:
        with self._lock:
            self._statuses.pop(path, None)
            self._listings.pop(path.rpartition("/")[0], None)

    @contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Make errors of ours of those of the file system; that a file is not there is the caller's."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, WorkbenchError):
            raise
        except Exception as error:
            raise self._trouble(path, error) from error

    def _trouble(self, path: str, error: Exception) -> WorkbenchError:
        name = self.full(path) if path else public(self.url)
        said = public(" ".join(str(error).split()))[:200] or type(error).__name__
        if isinstance(error, ImportError):
            return InvalidSetting(
                public(self.url),
                f"needs a package that is not installed ({said})",
                "Install it beside the workbench, or name another URL.",
            )
        if isinstance(error, ValueError) and "Protocol not known" in said:
            return InvalidSetting(public(self.url), f"is no URL that is known ({said})", "See fsspec's list.")
        if isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403):
            return Unavailable(
                name, f"is not given to you ({said})", "Check the credentials, or ask who keeps the archive."
            )
        return Unavailable(
            name, f"cannot be reached ({said})", "Check the URL and the network, or try again later."
        )


class _Blocks(io.RawIOBase):
    """A file that is read from one end to the other, much of it at a time."""

    def __init__(self, tree: RemoteTree, path: str, size: int) -> None:
        super().__init__()
        self._tree, self._path, self._size = tree, path, size
        self._at = self._first = 0
        self._ahead = b""

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from any place on."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, room: Any) -> int:
        """Fill a buffer with the next bytes; return how many there were."""
        if not self._first <= self._at < self._first + len(self._ahead):
            end = min(self._at + _AHEAD, self._size)
            self._ahead = self._tree.block(self._path, self._at, end, self._size) if end > self._at else b""
            self._first = self._at
        into = memoryview(room).cast("B")
        part = memoryview(self._ahead)[self._at - self._first :][: len(into)]
        into[: len(part)] = part
        self._at += len(part)
        return len(part)


def public(text: str) -> str:
    """Return text with URLs in it, without user names and passwords.

    Examples
    --------
    >>> public("ftp://me:secret@host/archive")
    'ftp://host/archive'
    """
    return _SECRETS.sub("", text)


def _open(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    # Its web client is slow to import.
    from fsspec.core import url_to_fs

    if url.startswith(("http://", "https://")) and "client_kwargs" not in options:
        from aiohttp import ClientTimeout

        patience = ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
        options = {**options, "client_kwargs": {"timeout": patience}}
    system, root = url_to_fs(url, **options)
    return system, str(root)


def _status(entry: Mapping[str, Any]) -> Status:
    """Return size, time of change (ns), and a number made of all that tells versions apart."""
    changed = next((entry[name] for name in _TIMES if entry.get(name) is not None), None)
    marks = [str(entry[name]) for name in (*_TAGS, *_TIMES) if entry.get(name) is not None]
    digest = hashlib.sha256("\0".join(marks).encode()).digest()
    return int(entry.get("size") or 0), _nanoseconds(changed), int.from_bytes(digest[:7], "big")


def _nanoseconds(changed: Any) -> int:
    if isinstance(changed, str):
        try:
            changed = parsedate_to_datetime(changed)
        except ValueError:
            return 0
    if isinstance(changed, datetime):
        changed = (changed if changed.tzinfo else changed.replace(tzinfo=UTC)).timestamp()
    return round(float(changed) * 1e9) if isinstance(changed, int | float) else 0
