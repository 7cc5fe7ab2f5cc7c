"""Which samples are there already, the same or different."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from workbench.archive.runs import ROUNDING_NS, Run, same_grid

__all__ = ["Coverage", "parts"]

Mask = npt.NDArray[np.bool_]


class Coverage:
    """The samples of one channel that are there, found by their time.

    Parameters
    ----------
    runs : iterable of Run
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs = sorted(runs, key=lambda run: run.start)
        self._longest = max((run.last - run.start for run in self._runs), default=0)

    def add(self, run: Run) -> None:
        """Put in another run."""
        insort(self._runs, run, key=lambda item: item.start)
        self._longest = max(self._longest, run.last - run.start)

    def compare(self, run: Run) -> tuple[Mask, Mask]:
        """Compare a run with what is there.

        Returns
        -------
        same : ndarray of bool, shape (n_samples,)
            The sample is there.
        differs : ndarray of bool, shape (n_samples,)
            There is another one at its time, or between it and the next.
            What overlaps is judged run by run: where one sample of an overlap
            differs all of it does, as a version is not made of both.
        """
        same = np.zeros(len(run.data), dtype=bool)
        differs = np.zeros(len(run.data), dtype=bool)
        slack = int(run.step)
        first = bisect_left(self._runs, run.start - self._longest - slack, key=lambda item: item.start)
        stop = bisect_right(self._runs, run.last + slack, key=lambda item: item.start)
        for other in self._runs[first:stop]:
            if other.last < run.start - ROUNDING_NS or other.start > run.last + ROUNDING_NS:
                continue
            if other.leap != run.leap:
                continue  # the numbers of a leap second repeat
            one_rate = abs(1 - other.rate / run.rate) < 1e-4
            offset = same_grid(other.start, run.start, run.step) if one_rate else None
            if offset is None:
                begin = max(0, int(np.ceil((other.start - run.start) / run.step)))
                end = max(0, int(np.floor((other.last - run.start) / run.step)) + 1)
                differs[begin:end] = True
                continue
            begin, end = max(0, -offset), min(len(run.data), len(other.data) - offset)
            if begin >= end:
                continue
            mine, theirs = run.data[begin:end], other.data[begin + offset : end + offset]
            floating = all(np.issubdtype(part.dtype, np.floating) for part in (mine, theirs))
            agree = np.array_equal(mine, theirs, equal_nan=floating)
            (same if agree else differs)[begin:end] = True
        return same, differs & ~same


def parts(run: Run, wanted: Mask) -> list[Run]:
    """Return the parts of a run whose samples are wanted."""
    if wanted.all():
        return [run]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], wanted, [False])).astype(np.int8)))
    return [
        run.part(first, stop) for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]
