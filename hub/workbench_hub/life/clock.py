"""Whether the clocks agree: this machine's with those of its neighbours, and with itself a moment ago."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic

import httpx

from workbench.errors import Unavailable

__all__ = ["TOLERANCE", "Clock", "skew"]

TOLERANCE = timedelta(seconds=30)
"""From here on tokens, logs and picks are wrong in ways that people notice."""


def skew(url: str, timeout: float = 5.0) -> timedelta:
    """Return by how much the clock of a server is ahead of ours, to about a second.

    Parameters
    ----------
    url : str
        Anything that answers by HTTP says its time with it.
    timeout : float, optional
        Seconds.

    Raises
    ------
    Unavailable
        If it does not answer, or does not say the time.
    """
    before = datetime.now(UTC)
    try:
        answer = httpx.head(url, timeout=timeout, trust_env=False)
        said = parsedate_to_datetime(answer.headers["Date"])
    except (httpx.HTTPError, KeyError, ValueError) as error:
        raise Unavailable(url, f"does not say the time ({error!r})") from error
    after = datetime.now(UTC)
    # It was said somewhere between, and without the part of a second.
    return said + timedelta(seconds=0.5) - before - (after - before) / 2


class Clock:
    """Notices when somebody sets this machine's clock.

    Parameters
    ----------
    wall : callable, optional
        The clock that people read.
    steady : callable, optional
        Seconds of the clock that nobody sets.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._last = wall(), steady()

    def look(self) -> tuple[timedelta, timedelta]:
        """Return how much time passed since the last look, and by how much the clock was set meanwhile."""
        now, steady = self._wall(), self._steady()
        passed = timedelta(seconds=steady - self._last[1])
        jump = now - self._last[0] - passed
        self._last = now, steady
        return passed, jump
