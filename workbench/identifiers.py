"""QuakeML publicIDs that follow from what they name.

An id is made from the content of the element: the same pick gets the same id
in a notebook, on the cluster and from the web, whichever way the work was cut
into tiles, and two catalogues can be merged without a clash.  Nothing of the
clock, the host or a random number goes in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from obspy.core.event import ResourceIdentifier

__all__ = ["digest", "public_id"]

_AUTHORITY = "smi:workbench"


def digest(parts: Iterable[object]) -> str:
    """Return the first 16 hex digits of a SHA-256 over the parts.

    Parameters
    ----------
    parts : iterable
        Values whose ``repr`` is stable: text, numbers, times, tuples of them.

    Examples
    --------
    >>> digest(["GR.FUR", 1.5]) == digest(["GR.FUR", 1.5])
    True
    """
    sha = hashlib.sha256()
    for part in parts:
        sha.update(repr(part).encode())
        sha.update(b"\x1f")
    return sha.hexdigest()[:16]


def public_id(kind: str, *parts: object) -> ResourceIdentifier:
    """Make the publicID of a QuakeML element.

    Parameters
    ----------
    kind : str
        ``event``, ``origin``, ``pick``, ``arrival``, ``magnitude`` and so on.
    *parts
        What tells this element from all others of its kind.

    Examples
    --------
    >>> public_id("pick", "GR.FUR..HHZ", "P", 1.0).id.startswith("smi:workbench/pick/")
    True
    """
    return ResourceIdentifier(id=f"{_AUTHORITY}/{kind}/{digest(parts)}")
