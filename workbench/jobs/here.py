"""Tiles worked off in this process, one after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable

from workbench.jobs.job import Job
from workbench.jobs.tilework import Outcome, work
from workbench.jobs.units import Tile

__all__ = ["POLL_S", "here"]

POLL_S = 0.2
"""How often it is looked whether somebody else has finished a tile."""


def here(job: Job, tiles: Iterable[Tile], retries: int = 1) -> Generator[tuple[Tile, Outcome]]:
    """Work off tiles; those that another process is at come last.

    Parameters
    ----------
    job : Job
    tiles : iterable of Tile
    retries : int
        How often a tile that failed is tried again.
    """
    later: deque[tuple[Tile, int]] = deque()
    for tile in tiles:
        outcome = work(job, tile)
        if outcome.state == "busy":
            later.append((tile, retries))
        elif _again(outcome, retries):
            later.append((tile, retries - 1))
        else:
            yield tile, outcome
    idle = 0
    while later:
        tile, left = later.popleft()
        outcome = work(job, tile)
        if outcome.state == "busy":
            later.append((tile, left))
            idle += 1
            if idle >= len(later):
                threading.Event().wait(POLL_S)
                idle = 0
        elif _again(outcome, left):
            later.append((tile, left - 1))
        else:
            idle = 0
            yield tile, outcome


def _again(outcome: Outcome, left: int) -> bool:
    return outcome.state == "failed" and not outcome.lasting and left > 0
