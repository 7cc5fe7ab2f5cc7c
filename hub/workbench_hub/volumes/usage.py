"""How full a home is, in numbers and in words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "of_file_system", "size"]

_LITTLE = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a home is used."""

    used: int | None
    """Bytes; None where nobody counts them."""
    limit: int | None
    """Bytes; None where there is no quota."""
    files: int | None = None
    most_files: int | None = None
    free: int = 0
    """Bytes that can still be written, for whatever reason."""

    @property
    def share(self) -> float:
        """How much of the quota is used, by bytes or by files: 1 is full."""
        pairs = ((self.used, self.limit), (self.files, self.most_files))
        return max((used / most for used, most in pairs if used is not None and most), default=0.0)

    @property
    def full(self) -> bool:
        """Whether next to nothing can be written."""
        return self.free < _LITTLE or self.share >= 1.0

    def __str__(self) -> str:
        if self.used is None or self.limit is None:
            return f"{size(self.free)} can still be written; there is no quota"
        return f"{size(self.used)} of {size(self.limit)} used ({min(self.share, 1):.0%})"


def of_file_system(path: Path, *, counted: bool) -> Usage:
    """Ask the file system.

    Parameters
    ----------
    path : Path
    counted : bool
        Whether the file system, at this path, is the home's alone.
    """
    stat = os.statvfs(path)
    free = stat.f_bavail * stat.f_frsize
    if not counted:
        return Usage(None, None, free=free)
    used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    return Usage(
        used=used,
        limit=used + free,  # as df counts: the file system keeps a little for itself
        files=stat.f_files - stat.f_ffree,
        most_files=stat.f_files,
        free=free,
    )


def size(number: int) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> size(0), size(1536 * 2**20), size(2**40)
    ('0 B', '1.5 GiB', '1 TiB')
    """
    value, units = float(number), ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.1f}".removesuffix(".0") + f" {units[0]}"
