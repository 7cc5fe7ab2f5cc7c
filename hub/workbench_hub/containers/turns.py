"""Turns: few servers start at a time, and the others wait for them.

All who come on a Monday morning at once would starve each other, until none
of their servers answers in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache

from workbench.errors import Unavailable

__all__ = ["turn"]


@asynccontextmanager
async def turn(number: int, seconds: float, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Wait until fewer than a number of others start.

    Parameters
    ----------
    number : int
        0 for no limit.
    seconds : float
        Longest time to wait.
    say : callable
        Told in words if there is anybody to wait for.

    Raises
    ------
    Unavailable
        If the turn does not come in time.
    """
    if not number:
        yield
        return
    turns = _turns(asyncio.get_running_loop(), number)
    if turns.locked():
        say("Others start their servers first; yours follows")
    try:
        await asyncio.wait_for(turns.acquire(), seconds)
    except TimeoutError as error:
        raise Unavailable(
            "This machine", "is busy with the starts of others", "Try again in some minutes."
        ) from error
    try:
        yield
    finally:
        turns.release()


@cache
def _turns(_: asyncio.AbstractEventLoop, number: int) -> asyncio.Semaphore:
    return asyncio.Semaphore(number)
