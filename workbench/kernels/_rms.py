"""Sub-windows of channels: how many samples, their mean, their spread."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from workbench.kernels._segments import Segment
from workbench.maths.availability import first_sample
from workbench.maths.moments import Moments, exact, merge, of_floats, sums

__all__ = ["Parts", "bounds", "counted"]

Integers = npt.NDArray[np.int64]


def bounds(segment: Segment, edges: Integers) -> Integers:
    """Return the first sample of a segment that is not before each edge (ns)."""
    step, n = 1e9 / segment.rate, len(segment.data)
    return np.array([first_sample(segment.start, step, n, edge) for edge in edges.tolist()], np.int64)


class Parts:
    """The sub-windows of one channel, filled segment by segment.

    Parameters
    ----------
    edges : ndarray of int, shape (n_parts + 1,)
        Where they begin, and where the last of them ends, ns.
    """

    def __init__(self, edges: Integers) -> None:
        self.edges = edges
        number = len(edges) - 1
        # Whole numbers: samples, their sum, and their squares in two parts.
        self._sums = np.zeros((number, 4), np.int64)
        self.least, self.most = np.full(number, np.inf), np.full(number, -np.inf)
        self._floats: dict[int, list[npt.NDArray[np.float64]]] = {}

    def add(self, segment: Segment) -> None:
        """Take the samples of a segment; segments come in the order of time."""
        begin = max(int(np.searchsorted(self.edges, segment.start, side="right")) - 1, 0)
        stop = min(int(np.searchsorted(self.edges, segment.end, side="right")) + 1, len(self.edges) - 1)
        limits = bounds(segment, self.edges[begin : stop + 1])
        if segment.data.dtype == np.int32:
            self.put(begin, sums(cast("npt.NDArray[np.int32]", segment.data), limits))
            return
        for part, (first, last) in enumerate(pairwise(limits.tolist()), begin):
            values = np.asarray(segment.data[first:last], np.float64)
            if len(values):
                self._floats.setdefault(part, []).append(values)
                self.least[part] = min(self.least[part], values.min())
                self.most[part] = max(self.most[part], values.max())

    def put(self, begin: int, found: Integers) -> None:
        """Take sums of whole numbers, of the sub-windows from number `begin` on."""
        some = slice(begin, begin + len(found))
        self._sums[some] += found[:, :4]
        full = found[:, 0] > 0
        low, high = np.where(full, found[:, 4], np.inf), np.where(full, found[:, 5], -np.inf)
        self.least[some] = np.minimum(self.least[some], low)
        self.most[some] = np.maximum(self.most[some], high)

    def moments(self) -> list[Moments]:
        """Return those of each sub-window."""
        found = [exact(n, total, (upper << 32) + lower) for n, total, upper, lower in self._sums.tolist()]
        for part, values in self._floats.items():
            joined = values[0] if len(values) == 1 else np.concatenate(values)
            found[part] = merge([found[part], of_floats(joined)])
        return found

    def whole(self, first: int, stop: int, parts: list[Moments]) -> tuple[float, float]:
        """Return mean and standard deviation of several sub-windows, exact where all samples are whole."""
        if any(part in self._floats for part in range(first, stop)):
            one = merge(parts[first:stop])
            return one.mean, math.sqrt(one.m2 / one.n)
        n, total, upper, lower = self._sums[first:stop].sum(axis=0).tolist()
        if not n:
            return math.nan, math.nan
        squares = (upper << 32) + lower
        return total / n, math.sqrt((n * squares - total * total) / (n * n))


def counted(parts: Parts, each: int) -> dict[str, npt.NDArray[Any]]:
    """Return the variables of `quality.rms` for one channel.

    Parameters
    ----------
    parts : Parts
    each : int
        Sub-windows of a window.
    """
    found = parts.moments()
    windows = [parts.whole(first, first + each, found) for first in range(0, len(found), each)]
    least, most = parts.least.reshape(-1, each).min(axis=1), parts.most.reshape(-1, each).max(axis=1)
    full = np.isfinite(least)
    return {
        "sample_rms": np.array([spread for _, spread in windows]),
        "sample_mean": np.array([mean for mean, _ in windows]),
        "sample_min": np.where(full, least, np.nan),
        "sample_max": np.where(full, most, np.nan),
        "n": np.array([one.n for one in found], np.int64).reshape(-1, each),
        "mean": np.array([one.mean if one.n else np.nan for one in found]).reshape(-1, each),
        "m2": np.array([one.m2 if one.n else np.nan for one in found]).reshape(-1, each),
    }
