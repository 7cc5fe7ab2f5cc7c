"""Numbers as people say them; on its own, since it is also used inside of containers."""

from __future__ import annotations

__all__ = ["duration", "size"]

_HOUR = 3600


def size(count: float) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> size(2 * 2**30), size(1536 * 2**20), size(700)
    ('2 GiB', '1.5 GiB', '700 B')
    """
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= factor:
            return f"{count / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Return a stretch of time as people say it.

    Examples
    --------
    >>> duration(3.2), duration(600), duration(9000)
    ('3 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"
