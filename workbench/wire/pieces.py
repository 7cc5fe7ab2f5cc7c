"""Pieces: waveforms in the one order and cut that the same samples always have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from obspy import Trace

from workbench.errors import BadInput
from workbench.nouns import Waveforms

__all__ = ["Piece", "join", "pieces"]


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Samples of one channel in a row: int32, float32 or float64."""

    id: str
    start: int
    rate: float
    data: npt.NDArray[Any]

    @property
    def stop(self) -> float:
        """When the next sample would be, nanoseconds since 1970."""
        return self.start + len(self.data) * 1e9 / self.rate


def pieces(waveforms: Waveforms) -> list[Piece]:
    """Split at gaps, join what touches, drop what is there twice, sort."""
    return join([piece for trace in waveforms for piece in _split(trace)])


def join(found: list[Piece]) -> list[Piece]:
    """Join pieces that touch, drop those that are there twice, sort."""
    rows: list[list[Piece]] = []
    for piece in _sorted(found):
        last = rows[-1][-1] if rows else None
        if last is not None and _same(last, piece):
            continue
        if last is not None and _touch(last, piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [_join(row) for row in rows]


def _sorted(found: list[Piece]) -> Iterator[Piece]:
    def place(piece: Piece) -> tuple[str, int, float, int]:
        return piece.id, piece.start, piece.rate, len(piece.data)

    # The samples decide only where nothing else does: as bytes they are a copy.
    for _, alike in groupby(sorted(found, key=place), key=place):
        group = list(alike)
        yield from group if len(group) == 1 else sorted(group, key=lambda piece: piece.data.tobytes())


def _split(trace: Trace) -> Iterator[Piece]:
    if trace.data.dtype.kind == "S":
        # A log channel: no samples, and nothing computed has them.
        return
    values = np.ma.getdata(trace.data)
    data = _plain(values, trace.id)
    rate = float(trace.stats.sampling_rate)
    start = trace.stats.starttime.ns
    if not np.ma.isMaskedArray(trace.data) or not np.ma.is_masked(trace.data):
        if len(data):
            yield Piece(trace.id, start, rate, data)
        return
    bad = np.ma.getmaskarray(trace.data)
    edges = np.flatnonzero(np.diff(np.concatenate(([True], bad, [True])).astype(np.int8)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        yield Piece(trace.id, start + round(int(first) * 1e9 / rate), rate, data[first:stop])


def _plain(data: npt.NDArray[Any], channel: str) -> npt.NDArray[Any]:
    """Bring samples to a type that miniSEED has."""
    kind = data.dtype
    if kind.kind in "iub":
        if kind.itemsize > 2 and kind != np.int32 and len(data):
            low, high = int(data.min()), int(data.max())
            if low < -(2**31) or high >= 2**31:
                raise BadInput(
                    channel,
                    f"has integer samples from {low} to {high}, more than 32 bits hold",
                    "Convert them to float64 first.",
                )
        return data.astype(np.int32, copy=False)
    if kind in (np.float32, np.float64):
        return data.astype(kind.newbyteorder("="), copy=False)
    if kind == np.float16:
        return data.astype(np.float32)
    raise BadInput(
        channel, f"has samples of type {kind}, which miniSEED cannot hold", "Use int32 or float64."
    )


def _same(a: Piece, b: Piece) -> bool:
    return (a.id, a.start, a.rate) == (b.id, b.start, b.rate) and np.array_equal(
        a.data, b.data, equal_nan=a.data.dtype.kind == "f"
    )


def _touch(a: Piece, b: Piece) -> bool:
    near = abs(b.start - a.stop) * a.rate < 0.25e9
    return a.id == b.id and a.rate == b.rate and a.data.dtype == b.data.dtype and near


def _join(row: list[Piece]) -> Piece:
    if len(row) == 1:
        return row[0]
    first = row[0]
    return Piece(first.id, first.start, first.rate, np.concatenate([piece.data for piece in row]))
