"""Finished tiles: files named by their key, whole or not there at all.

Whatever is killed, and whenever: a tile is written beside its place and renamed
into it, and carries checksums, so that what a power cut leaves is made anew.
Any number of processes, of any number of submissions, share a store; which of
them works on a tile is settled by `workbench.jobs.claims`.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.archive.files import make_folder, trouble
from workbench.errors import InvalidSetting, UnreadableFile
from workbench.jobs.claims import Claim, Waiting, claim
from workbench.settings import Settings
from workbench.wire import packed
from workbench.wire.packed import Packed

__all__ = ["TileStore"]

_KEPT_S = 24 * 3600.0
"""A tile that was written or used this shortly ago is never collected: somebody may be at it."""

_TIDY_S = 3600.0
"""No oftener than this is a store looked through: it takes 11 s where there are a million tiles."""

_PART_S = 3600.0
"""What is half written, or claimed, and older than this was left by somebody who was killed."""


class TileStore:
    """A folder of finished tiles, which its user alone can read.

    Parameters
    ----------
    folder : Path, optional
        By default ``tiles`` in the state directory, or below the home where
        that is not the user's.
    max_bytes : int
        What `collect` keeps.

    Attributes
    ----------
    mark : str
        Name of a file by which another process knows the store that was opened
        from a folder of the same name; empty before that.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, max_bytes: int = 50 * 2**30) -> None:
        self.mark = ""
        self.folder = Path(folder).expanduser().absolute() if folder is not None else _default()
        self.max_bytes = max_bytes
        self._waiting = Waiting()
        self._made: set[Path] = set()

    def __repr__(self) -> str:
        return f"TileStore({str(self.folder)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (str(self.folder), self.max_bytes, self.mark)

    def open(self) -> None:
        """Make the folder, and see that nobody else can read in it.

        Raises
        ------
        InvalidSetting
            If it is somebody else's.
        Unavailable, ResourceExceeded
            If it cannot be made.
        """
        make_folder(self.folder.parent)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            status = self.folder.stat()
            if status.st_uid != os.getuid():
                raise InvalidSetting(
                    str(self.folder), "belongs to another user", "Give a folder of your own as the store."
                )
            if status.st_mode & 0o077:
                self.folder.chmod(0o700)
            # Two who come first at once leave two, and each looks for one of them.
            self.mark = min((path.name for path in self.folder.glob(".mark-*")), default="")
            if not self.mark:
                self.mark = f".mark-{secrets.token_hex(8)}"
                (self.folder / self.mark).touch(mode=0o600)
        except OSError as error:
            raise trouble(self.folder, error) from error

    def seen(self) -> bool:
        """Tell whether this process sees the store that another has opened."""
        return (self.folder / self.mark).exists()

    def use(self, key: str) -> None:
        """Note that a tile is used now, so that it is not collected."""
        with suppress(OSError):
            os.utime(self._path(key))

    def size(self, key: str) -> int:
        """Return how many bytes a tile has; 0 if it is not there."""
        try:
            return self._path(key).stat().st_size
        except OSError:
            return 0

    def head(self, key: str) -> dict[str, Any] | None:
        """Return what is said about a tile, without reading its results; None if it is not there."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                data = file.read(packed.HEAD_BYTES)
                head, begin, size = packed.head_of(data, str(path))
                if not head:
                    head, _, _ = packed.head_of(data + file.read(begin - len(data)), str(path))
                if os.fstat(file.fileno()).st_size != size:
                    raise UnreadableFile(str(path), "is cut off", "It is made anew.")
        except FileNotFoundError:
            return None
        except UnreadableFile:
            path.unlink(missing_ok=True)
            return None
        except OSError as error:
            raise trouble(path, error) from error
        return head

    def read(self, key: str) -> tuple[dict[str, Packed], dict[str, Any]] | None:
        """Return the results of a tile and what is said about it; None if it is not there, or damaged."""
        path = self._path(key)
        try:
            return packed.load(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        except UnreadableFile:
            path.unlink(missing_ok=True)
            return None
        except OSError as error:
            raise trouble(path, error) from error

    def write(self, key: str, outputs: Mapping[str, Packed], more: Mapping[str, Any]) -> int:
        """Finish a tile; return how many bytes it has.

        Raises
        ------
        ResourceExceeded
            If the disk is full or a quota used up; nothing is left behind.
        """
        path = self._path(key)
        try:
            try:
                return self._put(path, packed.dump(outputs, more))
            except OSError as error:
                # What nobody has used for a day makes room for what somebody needs now.
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self.collect(0):
                    raise
                return self._put(path, packed.dump(outputs, more))
        except OSError as error:
            raise trouble(path, error) from error

    def claim(self, key: str) -> Claim | None:
        """Claim a tile to work on it; None if somebody else does.

        Raises
        ------
        ResourceExceeded, Unavailable
            If nothing can be written there.
        """
        path = self._path(key).with_suffix(".claim")
        try:
            self._folder_of(path)
            return claim(path, self._waiting)
        except OSError as error:
            raise trouble(path, error) from error

    def keep(self, name: str, data: bytes) -> Path:
        """Keep an input that many tiles share; return where."""
        path = self.folder / "inputs" / name
        if path.exists():
            with suppress(OSError):
                os.utime(path)
            return path
        try:
            self._put(path, [data])
        except OSError as error:
            raise trouble(path, error) from error
        return path

    def tidy(self) -> None:
        """Collect what is too much, unless somebody has done so a short while ago."""
        stamp = self.folder / ".tidied"
        try:
            if time.time() - stamp.stat().st_mtime < _TIDY_S:
                return
        except OSError:
            pass  # never, until now
        with suppress(OSError):
            stamp.touch(mode=0o600)
            self.collect()

    def collect(self, max_bytes: int | None = None, *, kept_s: float = _KEPT_S) -> int:
        """Remove the tiles that were used longest ago until the rest fits; return the bytes removed.

        Parameters
        ----------
        max_bytes : int, optional
            By default that of the store.
        kept_s : float
            Tiles used within so many seconds stay, whatever the size.
        """
        limit = self.max_bytes if max_bytes is None else max_bytes
        now = time.time()
        total = sum(status.st_size for _, status in self._tiles(now))
        if total <= limit:
            return 0
        removed = 0
        found = ((status.st_mtime, status.st_size, path) for path, status in self._tiles(now))
        for used, size, path in sorted(found):
            if total - removed <= limit or now - used < kept_s:
                break
            path.unlink(missing_ok=True)
            removed += size
        return removed

    def _tiles(self, now: float) -> Iterator[tuple[Path, os.stat_result]]:
        """Go through all tiles and inputs; what was left by somebody who was killed is removed."""
        for path in self.folder.glob("*/*"):
            try:
                status = path.stat()
            except OSError:
                continue
            if path.suffix in (".part", ".claim") and now - status.st_mtime > _PART_S:
                path.unlink(missing_ok=True)
            elif path.suffix == ".tile" or path.parent.name == "inputs":
                yield path, status

    def _put(self, path: Path, parts: list[bytes | memoryview]) -> int:
        """Write a file beside its place, and rename it; nothing is left of one that fails."""
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        self._folder_of(path)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                size = sum(file.write(data) for data in parts)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return size

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.tile"

    def _folder_of(self, path: Path) -> None:
        if path.parent not in self._made:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._made.add(path.parent)


def _again(folder: str, max_bytes: int, mark: str) -> TileStore:
    store = TileStore(folder, max_bytes=max_bytes)
    store.mark = mark
    return store


def _default() -> Path:
    state = Settings().state_dir
    nearest = next(folder for folder in (state, *state.parents) if folder.exists())
    home = Path("~/.local/state/workbench").expanduser()
    return (state if os.access(nearest, os.W_OK) else home) / "tiles"
