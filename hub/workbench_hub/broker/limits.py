"""How often somebody may come."""

from __future__ import annotations

from collections import Counter
from time import monotonic

__all__ = ["Minute"]

_MOST_NAMES = 10_000


class Minute:
    """Counts by name what happens in a minute of the clock.

    Parameters
    ----------
    most : int
        How many times a name may come in one.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.left_out = 0
        self._minute = -1
        self._counts: Counter[str] = Counter()

    def admits(self, name: str) -> bool:
        """Count one more; return whether it is within the limit."""
        minute = int(monotonic() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, Counter()
        if len(self._counts) >= _MOST_NAMES and name not in self._counts:
            name = ""  # all further ones together
        self._counts[name] += 1
        admitted = self._counts[name] <= self.most
        self.left_out += not admitted
        return admitted

    def take(self) -> dict[str, int]:
        """Return how many were left out since the last time."""
        left_out, self.left_out = self.left_out, 0
        return {"left_out_before": left_out} if left_out else {}
