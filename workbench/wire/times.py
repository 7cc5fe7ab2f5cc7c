"""Times as text: ISO 8601, UTC, no digit more than there is."""

from __future__ import annotations

import numpy as np

__all__ = ["iso"]


def iso(ns: int) -> str:
    """Write nanoseconds since 1970 as text, to the microsecond, or finer if it has finer.

    Examples
    --------
    >>> iso(1_000_000_000_500_000_000)
    '2001-09-09T01:46:40.500000Z'
    >>> iso(1)
    '1970-01-01T00:00:00.000000001Z'
    """
    unit = "us" if ns % 1000 == 0 else "ns"
    return f"{np.datetime64(ns, 'ns').astype(f'datetime64[{unit}]')}Z"
