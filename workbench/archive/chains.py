"""Chains: runs put together, as far as one continues another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.archive.layout import DAY_NS
from workbench.archive.runs import Run, same_grid

__all__ = ["join"]

Samples = npt.NDArray[Any]


def join(runs: Iterable[Run]) -> list[Run]:
    """Join runs that follow each other or overlap with the same samples.

    Runs that overlap with other samples, or between the samples of another,
    stay apart: which is right is not known here, and nothing is dropped.

    Returns
    -------
    list of Run
        Sorted by channel, start and rate.
    """
    ordered = sorted(runs, key=lambda run: (run.id, run.start, run.rate, -len(run.data)))
    done: list[Run] = []
    chains: list[_Chain] = []
    for run in ordered:
        alive = [chain for chain in chains if chain.reaches(run)]
        done += [chain.run() for chain in chains if chain not in alive]
        chains = alive
        shared = [chain.shared(run) for chain in chains]
        if len(run.data) in shared:
            continue
        fitting = next((k for k, number in enumerate(shared) if number is not None), None)
        if fitting is None:
            chains.append(_Chain(run))
        else:
            chains[fitting].grow(run, shared[fitting] or 0)
    done += [chain.run() for chain in chains]
    return sorted(done, key=lambda run: (run.id, min(run.start, _eve(run)), run.rate))


def _eve(run: Run) -> int:
    """Return the last moment before the midnight that a leap second precedes."""
    return run.last // DAY_NS * DAY_NS - 1 if run.leap else run.start


class _Chain:
    """A run that grows; its parts are put together once, at the end."""

    def __init__(self, run: Run) -> None:
        self.first = run
        self.last = run.last
        self.leap = run.leap
        self.size = len(run.data)
        self.parts = [run.data]

    def run(self) -> Run:
        data = np.concatenate(self.parts) if len(self.parts) > 1 else self.parts[0]
        return replace(self.first, data=data, last=self.last, leap=self.leap)

    def reaches(self, run: Run) -> bool:
        return run.id == self.first.id and run.start <= self.last + 1.5 * self.first.step

    def shared(self, run: Run) -> int | None:
        """Return how many samples a run has in common with the end of this, or None if it does not fit."""
        if abs(1 - run.rate / self.first.rate) >= 1e-4 or run.data.dtype != self.first.data.dtype:
            return None
        step = self.first.step
        if self.leap:
            # Numbers after a leap second repeat, so only the very same run is known again.
            same = run.leap and run.start == self.first.start and np.array_equal(run.data, self.run().data)
            return len(run.data) if same else None
        if run.start > self.last + step / 2:
            return 0
        back = same_grid(run.start, self.last, step)
        if back is None or back >= self.size:
            return None
        number = min(back + 1, len(run.data))
        same = _equal(self._tail(back + 1)[:number], run.data[:number])
        return number if same else None

    def grow(self, run: Run, skip: int) -> None:
        """Add the samples of a run from number `skip` on."""
        self.parts.append(run.data[skip:])
        self.size += len(run.data) - skip
        self.last, self.leap = run.last, run.leap

    def _tail(self, number: int) -> Samples:
        taken: list[Samples] = []
        left = number
        for part in reversed(self.parts):
            taken.append(part[max(0, len(part) - left) :])
            left -= len(taken[-1])
            if not left:
                break
        return np.concatenate(taken[::-1])


def _equal(a: Samples, b: Samples) -> bool:
    return np.array_equal(a, b, equal_nan=bool(np.issubdtype(a.dtype, np.floating)))
