"""What a row of picks says: which phase, how sure, at which channel."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from workbench.errors import BadInput

__all__ = ["number", "phase_of", "seed_id", "sigma_of", "station_of", "text"]

_FIRST = re.compile(r"[ie]?([PS])[NGB*1]?[UDCR+\-?]?[0-4]?", re.IGNORECASE)
"""P and S as they first arrive, with the onset, polarity and weight that some lists add (``IPU0``)."""

_SMALLEST_S = 0.01
"""No onset is read better than this."""


def phase_of(hint: str) -> Literal["P", "S"] | None:
    """Return the first arrival that a phase name stands for.

    Names of branches (Pg, Pn, P*, Sb) are first arrivals somewhere, and a layered
    model finds by itself which is first; reflected, converted and later phases
    (PmP, sP, PKP, Lg) are none.

    Examples
    --------
    >>> [phase_of(name) for name in ("P", "Pn", "S1", "iPu0", "p", "PmP", "PP", "")]
    ['P', 'P', 'S', 'P', 'P', None, None, None]
    """
    found = _FIRST.fullmatch(hint.strip())
    if found is None:
        return None
    return "P" if found[1] in "Pp" else "S"


def seed_id(row: Any) -> str:
    """Return ``NET.STA.LOC.CHA`` of a row of picks."""
    return f"{row.network}.{row.station}.{row.location}.{row.channel}"


def station_of(row: Any) -> str:
    """Return ``NET.STA`` of a row of picks."""
    return f"{row.network}.{row.station}"


def sigma_of(row: Any, error_s: float) -> float:
    """Return the standard error of a pick, s.

    Its own uncertainty if it has one; else `error_s` divided by its
    probability (at least 0.1); else `error_s`.
    """
    own = number(row, "uncertainty_s")
    if own is not None and own > 0:
        return max(own, _SMALLEST_S)
    probability = number(row, "probability")
    if probability is not None:
        return max(error_s / min(max(probability, 0.1), 1.0), _SMALLEST_S)
    return max(error_s, _SMALLEST_S)


def number(row: Any, column: str) -> float | None:
    """Return a number of a row, or None where the column is absent or empty.

    Raises
    ------
    BadInput
        If it is no number.
    """
    value = getattr(row, column, None)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        value = float(value)
    except (ValueError, TypeError) as error:
        raise BadInput("Picks", f"column '{column}' has {value!r} in it", "Give numbers.") from error
    return value if math.isfinite(value) else None


def text(row: Any, column: str) -> str:
    """Return a text of a row, empty where the column is absent or empty."""
    value = getattr(row, column, None)
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
