"""Confidence regions of a location, from its covariance.

Covariances are of east, north and depth (down), in km^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Ellipse", "Ellipsoid", "ellipse", "ellipsoid", "radius"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Half axes in km, and the azimuth of the longer one (0 to 180 degrees)."""

    major: float
    minor: float
    azimuth: float


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """Half axes in km, and how they lie, in degrees.

    Attributes
    ----------
    major, intermediate, minor : float
        Half axes.
    plunge, azimuth : float
        Of the major axis where it points down: 0 to 90 and 0 to 360.
    rotation : float
        About the major axis, clockwise as seen along it, 0 to 180.  At 0 the minor
        axis lies in the vertical plane through the major one, and the
        intermediate axis is level (QuakeML-BED 1.2, Tait-Bryan angles).
    """

    major: float
    intermediate: float
    minor: float
    plunge: float
    azimuth: float
    rotation: float


def radius(confidence: float, dimensions: int) -> float:
    """Size, in standard errors, of a region that holds the truth with a probability.

    Parameters
    ----------
    confidence : float
        0 to 1.
    dimensions : {1, 2, 3}
        How many coordinates are to be right together.

    Examples
    --------
    >>> [round(radius(0.68, n), 3) for n in (1, 2, 3)]
    [0.994, 1.51, 1.872]
    """
    low, high = 0.0, 10.0
    for _ in range(60):
        k = (low + high) / 2
        level = math.erf(k / math.sqrt(2))
        if dimensions == 2:
            level = 1 - math.exp(-k * k / 2)
        elif dimensions == 3:
            level -= math.sqrt(2 / math.pi) * k * math.exp(-k * k / 2)
        low, high = (k, high) if level < confidence else (low, k)
    return k


def ellipse(covariance: Floats, confidence: float) -> Ellipse:
    """Region that holds the epicentre.

    Parameters
    ----------
    covariance : ndarray, shape (2, 2) or larger
        Of east, north, and what follows.
    confidence : float
        0 to 1.

    Examples
    --------
    >>> ellipse(np.diag([4.0, 1.0]), 0.39346934)
    Ellipse(major=2.0, minor=1.0, azimuth=90.0)
    """
    values, vectors = np.linalg.eigh(covariance[:2, :2])
    minor, major = np.sqrt(np.maximum(values, 0.0)) * radius(confidence, 2)
    azimuth = math.degrees(math.atan2(vectors[0, 1], vectors[1, 1])) % 180.0
    return Ellipse(_round(major), _round(minor), _round(azimuth))


def ellipsoid(covariance: Floats, confidence: float) -> Ellipsoid:
    """Region that holds the hypocentre.

    Parameters
    ----------
    covariance : ndarray, shape (3, 3) or larger
        Of east, north, depth, and what follows.
    confidence : float
        0 to 1.

    Examples
    --------
    >>> found = ellipsoid(np.diag([1.0, 4.0, 9.0]), 0.68)
    >>> found.plunge, round(found.major / found.minor, 6)
    (90.0, 3.0)
    """
    # North, east, down: right-handed, as the angles are.
    values, vectors = np.linalg.eigh(covariance[np.ix_([1, 0, 2], [1, 0, 2])])
    minor, intermediate, major = np.sqrt(np.maximum(values, 0.0)) * radius(confidence, 3)
    axis = vectors[:, 2] if vectors[2, 2] >= 0 else -vectors[:, 2]
    plunge = math.asin(min(axis[2], 1.0))
    azimuth = math.atan2(axis[1], axis[0]) if math.hypot(axis[0], axis[1]) > 1e-12 else 0.0
    # At rotation 0 the intermediate axis is `level` and the minor axis is `steep`.
    level = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    steep = np.cross(axis, level)
    rotation = math.atan2(-float(vectors[:, 0] @ level), float(vectors[:, 0] @ steep))
    return Ellipsoid(
        _round(major),
        _round(intermediate),
        _round(minor),
        _round(math.degrees(plunge)),
        _round(math.degrees(azimuth) % 360.0),
        _round(math.degrees(rotation) % 180.0),
    )


def _round(value: float) -> float:
    """Drop digits that mean nothing and differ from one processor to the next."""
    return float(round(value, 6))
