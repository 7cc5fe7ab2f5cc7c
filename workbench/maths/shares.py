"""Shares: much of one kind of work, done by several threads at once.

Only for compiled loops that release the GIL, and whose parts do not depend on
each other: so the answer does not depend on how they are shared out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

__all__ = ["CORES", "shared"]

CORES = min(len(os.sched_getaffinity(0)), 4)
"""Threads at most: what there is, and not all of a large machine, which others use too."""

_ENOUGH = 1 << 21
"""Samples from which on it takes longer to work on them than to start threads, by ten times and more."""


def shared(work: Callable[[int, int], None], number: int, size: int) -> None:
    """Do some work for all of `number` parts, those from the one to before the other at a time.

    Parameters
    ----------
    work : callable
        Takes the first part and the one after the last.
    number : int
    size : int
        Samples in all of them.

    Examples
    --------
    >>> done = []
    >>> shared(lambda first, stop: done.extend(range(first, stop)), 5, 10)
    >>> done
    [0, 1, 2, 3, 4]
    """
    threads = min(CORES, number)
    if threads < 2 or size < _ENOUGH:
        work(0, number)
        return
    limits = [number * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, first, stop) for first, stop in pairwise(limits)]:
            done.result()
