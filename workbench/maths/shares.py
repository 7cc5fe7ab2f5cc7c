"""Shares: much of one kind of work, done by several threads at once.

Only for compiled loops that release the GIL, and whose parts do not depend on
each other: so the answer does not depend on how they are shared out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

__all__ = ["CORES", "cores", "shared", "threads"]

_MOST = 4
"""Not all of a large machine, which others use too."""


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many threads a work may have: what there is, unless ``OMP_NUM_THREADS`` says less.

    In a container or a job it does: a share of the processors' time is not seen otherwise.
    """
    said = environment.get("OMP_NUM_THREADS", "")
    given = int(said) if said.isdigit() and int(said) else _MOST
    return min(len(os.sched_getaffinity(0)), given, _MOST)


CORES = cores()

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
    many = min(CORES, number)
    if many < 2 or size < _ENOUGH:
        work(0, number)
        return
    limits = [number * k // many for k in range(many + 1)]
    with threads(many) as pool:
        for done in [pool.submit(work, first, stop) for first, stop in pairwise(limits)]:
            done.result()


@contextmanager
def threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Lend threads; what they have not begun when the block fails, or is interrupted, is left alone."""
    with ThreadPoolExecutor(number) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
