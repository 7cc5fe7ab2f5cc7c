"""What makes an event, and what one is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.maths.association.times import Spread

__all__ = ["Found", "Rules"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes an event.

    Attributes
    ----------
    error : Spread
        How far arrivals scatter.
    evidence : float
        Log of the likelihood ratio to chance that an event must have.
    min_picks, min_stations : int
        Picks, and stations that have them, at least.
    coda : float
        Rate at which a station that has picks of an event gets further ones
        from its coda, for each label, 1/s.
    """

    error: Spread
    evidence: float
    min_picks: int
    min_stations: int
    coda: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """An event.

    Attributes
    ----------
    place : ndarray, shape (3,)
        x, y and depth, km.
    origin : float
        Origin time, s.
    evidence : float
        Log of the likelihood ratio to chance.
    reach, p, s : float
        Distance to which stations see it, km; probability of picks within.
    picks, phases, stations : ndarray of int, shape (n,)
        Which picks it has, as what (0 for P, 1 for S), and where.
    residual, error : ndarray, shape (n,)
        Observed minus computed, and the standard error expected, s.
    half, change : ndarray, shape (3,), and float
        Half the size of the cell it came from, and the change of times in it.
    """

    place: Floats
    origin: float
    evidence: float
    reach: float
    p: float
    s: float
    picks: Ints
    phases: Ints
    stations: Ints
    residual: Floats
    error: Floats
    half: Floats = field(repr=False)
    change: float = field(repr=False)
