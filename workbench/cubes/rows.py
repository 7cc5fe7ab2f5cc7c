"""A row of a cube: the samples of one channel put where their times say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Row"]

_THERE, _CONTRADICTED = 1, 2


class Row:
    """A stretch of a channel's axis, filled piece by piece.

    Where two pieces have different samples at one place neither is known to
    be right, and the place stays empty.  Whatever the order of the pieces,
    and wherever else the row is cut, the same places hold the same samples.

    Parameters
    ----------
    first : int
        Number on the grid of the first place.
    size : int
    dtype : dtype
        Of the samples.
    shifts : bool
        Keep also how far the time of each sample is from that of its place.

    Examples
    --------
    >>> row = Row(100, 4, np.dtype(np.int32))
    >>> row.put(99, np.array([7, 8, 9], np.int32))
    >>> row.put(101, np.array([5, 6], np.int32))
    >>> row.parts()["data"].tolist(), row.parts()["valid"].tolist(), row.contradicted
    ([8, 0, 6, 0], [True, False, True, False], 1)
    """

    def __init__(self, first: int, size: int, dtype: npt.DTypeLike, *, shifts: bool = False) -> None:
        self.first = first
        self.size = size
        self._data: npt.NDArray[Any] = np.zeros(size, dtype)
        self._state = np.zeros(size, np.uint8)
        self._shift = np.zeros(size, "timedelta64[ns]") if shifts else None

    @property
    def contradicted(self) -> int:
        """How many places have samples that contradict each other."""
        return int(np.count_nonzero(self._state == _CONTRADICTED))

    @property
    def full(self) -> bool:
        """Whether something is known of each place."""
        return bool(self._state.all())

    def put(self, number: int, samples: npt.NDArray[Any], shift: int = 0) -> None:
        """Put in samples, the first of which is at a number on the grid.

        Parameters
        ----------
        number : int
        samples : ndarray, shape (n_samples,)
        shift : int
            Nanoseconds from the times of their places to theirs.
        """
        begin = max(number - self.first, 0)
        end = min(number - self.first + len(samples), len(self._state))
        if begin >= end:
            return
        skip = self.first + begin - number
        fresh = samples[skip : skip + end - begin]
        state, data = self._state[begin:end], self._data[begin:end]
        free: Any = state == 0
        if free.all():
            free = slice(None)
        else:
            differs = data != fresh
            if data.dtype.kind == "f":
                differs &= ~(np.isnan(data) & np.isnan(fresh))
            state[differs & ~free] = _CONTRADICTED
        data[free] = fresh[free]
        state[free] = _THERE
        if self._shift is not None:
            self._shift[begin:end][free] = np.timedelta64(shift, "ns")

    def fill(self, other: Row) -> None:
        """Take from another row of the same stretch what nothing is known of here."""
        free = self._state == 0
        for mine, theirs in ((self._data, other._data), (self._state, other._state)):
            mine[free] = theirs[free]
        if self._shift is not None and other._shift is not None:
            self._shift[free] = other._shift[free]

    def parts(self) -> dict[str, npt.NDArray[Any]]:
        """Return ``data``, ``valid`` and, if they are kept, ``t_shift``; empty places hold zeros."""
        valid = self._state == _THERE
        for part in (self._data, self._shift):
            if part is not None:
                part[~valid] = part.dtype.type(0)
        found = {"data": self._data, "valid": valid}
        return found if self._shift is None else {**found, "t_shift": self._shift}
