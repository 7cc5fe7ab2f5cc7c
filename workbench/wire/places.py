"""Places of one station in several files, compared."""

from __future__ import annotations

import math
from collections.abc import Iterator

from obspy.core.inventory import Channel, Network, Station

from workbench.notices import notice

__all__ = ["compare"]

_FAR_M = 100.0
"""Two places of one station that are further apart than this get a notice, metres."""

_METRES_PER_DEGREE = 111_195.0


def _nodes(station: Station) -> Iterator[Station | Channel]:
    yield from station.channels or [station]


def compare(found: list[tuple[str, Network, Station]]) -> None:
    """Say where two files put one station at different places."""
    by_code: dict[str, list[tuple[str, Station | Channel]]] = {}
    for name, network, station in found:
        nodes = by_code.setdefault(f"{network.code}.{station.code}", [])
        nodes.extend((name, node) for node in _nodes(station))
    for code, nodes in sorted(by_code.items()):
        told: set[tuple[str, str]] = set()
        for index, (first, a) in enumerate(nodes):
            for second, b in nodes[index + 1 :]:
                if first == second or (first, second) in told or not _overlap(a, b):
                    continue
                apart, height = _apart(a, b)
                if apart > _FAR_M or height > _FAR_M:
                    told.add((first, second))
                    _tell(code, (first, a), (second, b), apart, height)


def _tell(
    code: str,
    one: tuple[str, Station | Channel],
    other: tuple[str, Station | Channel],
    apart: float,
    height: float,
) -> None:
    def place(node: Station | Channel) -> str:
        return f"{float(node.latitude):.5f}, {float(node.longitude):.5f}, {float(node.elevation or 0):g} m"

    notice(
        code,
        f"stands at {place(one[1])} in {one[0]} and at {place(other[1])} in {other[0]}"
        f" ({apart:.0f} m apart, {height:.0f} m in elevation)",
        f"{one[0]} is used for its channels; correct the other.",
        loss=False,
    )


def _overlap(a: Station | Channel, b: Station | Channel) -> bool:
    """Whether two epochs have time in common: a station may move between epochs."""
    first = a.end_date is None or b.start_date is None or b.start_date < a.end_date
    return bool(first and (b.end_date is None or a.start_date is None or a.start_date < b.end_date))


def _apart(a: Station | Channel, b: Station | Channel) -> tuple[float, float]:
    """Return the distance and the difference in elevation, metres."""
    north = (float(b.latitude) - float(a.latitude)) * _METRES_PER_DEGREE
    turn = (float(b.longitude) - float(a.longitude) + 180) % 360 - 180
    east = turn * _METRES_PER_DEGREE * math.cos(math.radians(float(a.latitude)))
    return math.hypot(north, east), abs(float(b.elevation or 0.0) - float(a.elevation or 0.0))
