"""Packed spans: those of a file as bytes, and of many files as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

import numpy as np

from workbench.archive.selection import Selection
from workbench.archive.spans import KINDS, Row, cut, table, to_spans
from workbench.maths.availability import GRID_NS
from workbench.nouns import Spans

__all__ = ["Parts", "damaged", "pack", "unpack", "unpack_table"]

Parts = Sequence[tuple[str, bytes]]
"""SEED id and packed spans of each of some files."""

_PACKED = np.dtype(list(KINDS.items()))


def pack(rows: Iterable[Row]) -> bytes:
    """Return rows of one channel as bytes."""
    return np.array([row[1:] for row in rows], _PACKED).tobytes()


def damaged(parts: Parts) -> bool:
    """Tell whether there is something that `pack` never makes."""
    return any(len(content) % _PACKED.itemsize for _, content in parts)


def unpack(parts: Parts, start: int, end: int) -> list[Row]:
    """Return the rows that touch a time span (ns, both included).

    Examples
    --------
    >>> rows = [Row("XX.A..HHZ", 0, 9, 1e9, 10, 1), Row("XX.A..HHZ", 20, 29, 1e9, 10, 1)]
    >>> unpack([("XX.A..HHZ", pack(rows))], 10, 50) == rows[1:]
    True
    """
    packed = np.frombuffer(b"".join(content for _, content in parts), _PACKED)
    ids = [seed_id for seed_id, content in parts for _ in range(len(content) // _PACKED.itemsize)]
    rows = map(Row._make, zip(ids, *(packed[name].tolist() for name in KINDS), strict=True))
    touching = (packed["start"] <= end) & (packed["end"] >= start)
    return list(rows) if touching.all() else list(compress(rows, touching.tolist()))


def unpack_table(parts: Parts, selection: Selection) -> Spans:
    """Return the table of the selected parts of spans; the end of the selection does not belong to it.

    The same as that of the rows, and no row is made unless one has to be cut.

    Parameters
    ----------
    parts : Parts
        Of channels that the selection means.
    selection : Selection
    """
    begin, stop = (moment.ns for moment in selection.span)
    packed = np.frombuffer(b"".join(content for _, content in parts), _PACKED)
    codes = sorted({tuple(seed_id.split(".")) for seed_id, _ in parts})
    places = {".".join(code): place for place, code in enumerate(codes)}
    number = np.repeat(
        np.array([places[seed_id] for seed_id, _ in parts], np.int64),
        np.array([len(content) // _PACKED.itemsize for _, content in parts], np.int64),
    )
    touching = (packed["start"] < stop) & (packed["end"] >= begin)
    if not touching.all():
        packed, number = packed[touching], number[touching]
    if ((packed["start"] < begin) | (packed["end"] >= stop - GRID_NS)).any():
        return to_spans(cut(unpack(parts, begin, stop), selection))
    return table(codes, number, *(packed[name] for name in KINDS))
