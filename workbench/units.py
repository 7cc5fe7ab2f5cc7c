"""Units of the settings: named types that carry a UCUM code and bounds.

A setting of a kernel is written with one of these names, so that the help
reads ``sta: Seconds = 1.0`` and every surface (command line, web, form)
knows the unit and the bounds without being told again.

A number travels as a plain number in the declared unit.  Bounds can be
tightened where a kernel needs it::

    corner: Annotated[Hertz, Le(50)]

References
----------
The Unified Code for Units of Measure, https://ucum.org
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le
from typing_extensions import TypeAliasType

__all__ = [
    "Count",
    "Decibels",
    "Degrees",
    "DepthKm",
    "Fraction",
    "Hertz",
    "Kilometres",
    "KmPerSecond",
    "Magnitude",
    "Metres",
    "Ratio",
    "Seconds",
    "SignedSeconds",
    "Unit",
]


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number.

    Parameters
    ----------
    ucum : str
        UCUM code, for example ``s``, ``Hz``, ``km/s``; ``1`` for a pure number.
    datum : str, optional
        What the number counts from, where zero needs saying.
    """

    ucum: str
    datum: str = ""


Seconds = TypeAliasType("Seconds", Annotated[float, Unit("s"), Ge(0)])
"""A duration in seconds, not negative."""

SignedSeconds = TypeAliasType("SignedSeconds", Annotated[float, Unit("s")])
"""A time shift in seconds, of either sign."""

Hertz = TypeAliasType("Hertz", Annotated[float, Unit("Hz"), Gt(0)])
"""A frequency in hertz, above zero."""

Kilometres = TypeAliasType("Kilometres", Annotated[float, Unit("km"), Ge(0)])
"""A distance in kilometres, not negative."""

DepthKm = TypeAliasType("DepthKm", Annotated[float, Unit("km", "below sea level"), Ge(-10), Le(6371)])
"""A depth in kilometres below sea level; negative above it."""

Metres = TypeAliasType("Metres", Annotated[float, Unit("m")])
"""A length in metres, of either sign."""

KmPerSecond = TypeAliasType("KmPerSecond", Annotated[float, Unit("km/s"), Gt(0)])
"""A velocity in kilometres a second, above zero."""

Degrees = TypeAliasType("Degrees", Annotated[float, Unit("deg"), Ge(-360), Le(360)])
"""An angle in degrees."""

Ratio = TypeAliasType("Ratio", Annotated[float, Unit("1"), Gt(0)])
"""A pure number above zero, such as an STA/LTA ratio or Vp/Vs."""

Decibels = TypeAliasType("Decibels", Annotated[float, Unit("dB"), Ge(0)])
"""A ratio of amplitudes in decibels, not negative."""

Fraction = TypeAliasType("Fraction", Annotated[float, Unit("1"), Ge(0), Le(1)])
"""A pure number from 0 to 1, such as a probability."""

Magnitude = TypeAliasType("Magnitude", Annotated[float, Unit("1"), Ge(-5), Le(12)])
"""A magnitude, or a term that is added to one."""

Count = TypeAliasType("Count", Annotated[int, Ge(1)])
"""A whole number of things, at least one."""
