"""Which origin and which magnitude of an event count, and when it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from obspy.core.event import Event, Magnitude, Origin

__all__ = ["moment", "preferred_magnitude", "preferred_origin"]


def preferred_origin(event: Event) -> Origin | None:
    """Return the preferred origin, or else the last one, or None.

    Examples
    --------
    >>> from obspy import read_events
    >>> preferred_origin(read_events()[0]).latitude
    41.818
    """
    return _preferred(event.origins, event.preferred_origin_id)


def preferred_magnitude(event: Event) -> Magnitude | None:
    """Return the preferred magnitude, or else the last one, or None."""
    return _preferred(event.magnitudes, event.preferred_magnitude_id)


def moment(event: Event) -> int | None:
    """Return when an event was, ns since 1970: its preferred origin, or else its first pick."""
    origin = preferred_origin(event)
    if origin is not None and origin.time is not None:
        return int(origin.time.ns)
    return min((int(pick.time.ns) for pick in event.picks if pick.time is not None), default=None)


def _preferred(found: Sequence[Any], wanted: Any) -> Any:
    # By the id within this event: ObsPy's own look-up goes through all events
    # of the process, in which another may have the same id.
    named = [item for item in found if wanted is not None and item.resource_id.id == wanted.id]
    return named[0] if named else found[-1] if found else None
