"""The grid of a cube: evenly spaced times, exact to the nanosecond however long it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["DAY_NS", "Grid", "follow", "one_rate"]

DAY_NS = 86_400_000_000_000
"""A day, in nanoseconds."""

_LEEWAY = 0.1
"""How far, in samples, a time may go beyond half a sample before it is taken for the next one."""


@dataclass(frozen=True)
class Grid:
    """Evenly spaced times.

    Attributes
    ----------
    origin : int
        Where samples are counted from, ns since 1970: a midnight.
    rate : float
        Samples a second.
    first : int
        Number of the first time, counted from the origin.
    size : int
        How many there are.
    stride : int
        Samples from one to the next.

    Examples
    --------
    >>> grid = Grid(0, 3.0, size=4)
    >>> grid.times().astype(int).tolist()
    [0, 333333333, 666666667, 1000000000]
    >>> grid.number(1_000_000_000)
    3.0
    """

    origin: int
    rate: float
    first: int = 0
    size: int = 0
    stride: int = 1

    @classmethod
    def over(cls, start: int, end: int, rate: float) -> Grid:
        """Return the grid whose times are next to all samples from `start` to `end` (ns, both included)."""
        whole = cls(start // DAY_NS * DAY_NS, rate)
        first = int(np.floor(whole.number(start) + 1e-6))
        last = int(np.ceil(whole.number(end) - 1e-6))
        return replace(whole, first=first, size=last - first + 1)

    @cached_property
    def _period(self) -> tuple[int, int]:
        """So many samples in so many seconds, as exactly as a float can mean it."""
        near = Fraction(self.rate).limit_denominator(10**6)
        exact = near if float(near) == self.rate else Fraction(self.rate)
        return exact.numerator, exact.denominator

    @property
    def step(self) -> float:
        """Nanoseconds from sample to sample."""
        return 1e9 / self.rate

    def time(self, number: int) -> int:
        """Return the time of the sample of a number, counted from the origin, ns since 1970."""
        samples, seconds = self._period
        periods, rest = divmod(number, samples)
        return self.origin + periods * seconds * 1_000_000_000 + round(rest * 1e9 / self.rate)

    def number(self, time: int) -> float:
        """Return the number, with its fraction, of a time in ns since 1970, counted from the origin."""
        samples, seconds = self._period
        periods, rest = divmod(int(time) - self.origin, seconds * 1_000_000_000)
        return periods * samples + rest * self.rate / 1e9

    def times(self, places: npt.ArrayLike | None = None) -> npt.NDArray[np.datetime64]:
        """Return the times at places of the axis, all of them by default."""
        where: Any = np.arange(self.size) if places is None else np.asarray(places)
        samples, seconds = self._period
        step, rest = divmod(seconds * 1_000_000_000, samples)
        if not rest:
            # Nearly always, and many times faster.
            start = self.origin + self.first * step
            return np.asarray(start + where.astype(np.int64) * (self.stride * step), dtype="datetime64[ns]")
        periods, rest = np.divmod(self.first + where.astype(np.int64) * self.stride, samples)
        ns = periods * (seconds * 1_000_000_000) + np.rint(rest * (1e9 / self.rate)).astype(np.int64)
        return np.asarray(self.origin + ns, dtype="datetime64[ns]")

    def places(self, times: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the places, with their fractions, of times on the axis."""
        away = np.asarray(times, dtype="datetime64[ns]").astype(np.int64) - self.origin
        samples, seconds = self._period
        periods, rest = np.divmod(away, seconds * 1_000_000_000)
        return (periods * samples - self.first + rest * (self.rate / 1e9)) / self.stride

    def part(self, where: slice) -> Grid:
        """Return the grid of a slice that goes forward."""
        chosen = range(self.size)[where]
        return replace(
            self,
            first=self.first + chosen.start * self.stride,
            size=len(chosen),
            stride=self.stride * chosen.step,
        )

    def days(self) -> tuple[int, ...]:
        """Return how many of the times lie in each UTC day, from the first day on."""
        if not self.size:
            return (0,)
        start, end = self.time(self.first), self.time(self.first + (self.size - 1) * self.stride)
        midnights = [day * DAY_NS for day in range(start // DAY_NS + 1, end // DAY_NS + 1)]
        edges = [-(-(self._after(time) - self.first) // self.stride) for time in midnights]
        return tuple(np.diff([0, *edges, self.size]).tolist())

    def _after(self, time: int) -> int:
        """Return the number of the first sample at or after a time."""
        number = int(np.floor(self.number(time))) - 1
        while self.time(number) < time:
            number += 1
        return number


def follow(numbers: Iterable[float], lean: float = 0.0) -> tuple[list[int], list[float]]:
    """Round times on a grid to whole numbers, each the way the one before it was.

    A clock that stands half a sample off the grid, more or less, would else
    have its samples now on one side and now on the other.

    Parameters
    ----------
    numbers : iterable of float
        In the order of time.
    lean : float
        What rounding added to the one before the first.

    Returns
    -------
    whole : list of int
        At most 0.6 away.
    leans : list of float
        What rounding added.

    Examples
    --------
    >>> follow([0.5, 10.49, 20.51])[0]
    [0, 10, 20]
    """
    whole, leans = [], []
    for number in numbers:
        near = round(number + lean)
        if abs(near - number) > 0.5 + _LEEWAY:
            near = round(number)
        lean = near - number
        whole.append(near)
        leans.append(lean)
    return whole, leans


def one_rate(one: float, other: float) -> bool:
    """Tell whether two sampling rates are one, as readers of miniSEED decide it."""
    return abs(1 - one / other) < 1e-4
