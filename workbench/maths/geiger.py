"""Location of one event from its arrival times, by Geiger's method.

The hypocentre and origin time that fit the arrivals best, in the sense of a
robust, weighted sum of squares, are found by damped Gauss-Newton steps with
exact ray times and derivatives.  The steps are taken in epicentre and origin
time, and the depth is gone through from the top of the model to its bottom:
travel times in layers have kinks at the interfaces, where steps in depth stick,
and often more than one minimum, of which steps find only the nearest.

Weights
-------
Each arrival counts with 1/sigma^2, where sigma joins the error of the pick and
the error of the model, the latter a fraction of the travel time: a crustal
model is off by some per cent, so a station at 200 km says little about a
hypocentre that stations at 10 km see.  Beyond the ten nearest stations (and
beyond 50 km) the fraction itself grows in proportion to distance.  Errors of
the model are alike for all stations that are far, a wrong velocity of the
mantle above all, and a hundred of them with one error would outvote ten that
are near.  Hypoinverse and HYPO71 take weight from far stations for the same reason.

Residuals far larger than sigma are wrong picks, not noise.  After a first fit
that bounds their pull (Huber) the rest is done with Tukey's bisquare, which
takes away their weight altogether.

Errors
------
They follow from `workbench.maths.confidence`.  The variance of unit weight joins
what was expected (1, worth 8 observations) with what the residuals show, after
Jordan and Sverdrup (1981): five picks that happen to fit to the millisecond do
not make a location exact.

References
----------
Geiger, L. (1912). Probability method for the determination of earthquake
epicenters from the arrival time only. Bull. St. Louis Univ. 8, 60-71.
Jordan, T. H., Sverdrup, K. A. (1981). Teleseismic location techniques and their
application to earthquake clusters in the South-Central Pacific. BSSA 71, 1105-1130.
Beaton, A. E., Tukey, J. W. (1974). The fitting of power series, meaning
polynomials, illustrated on band-spectroscopic data. Technometrics 16, 147-185.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import BadInput
from workbench.maths.confidence import covariance, profile
from workbench.maths.geodesy import azimuth_gaps
from workbench.maths.hypocentre import Arrivals, Fit, Problem
from workbench.maths.layered import Layers

__all__ = ["Arrivals", "Location", "locate"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_DEEPEST_KM = 700.0
"""No earthquake is known to have been deeper."""

_LARGEST_KM = 200.0
"""Standard error of the epicentre beyond which nothing is known."""

_FLAT = 0.25
"""Standard error of the depth, as a part of its range, that says that all are alike (0.29 if even)."""


@dataclass(frozen=True, eq=False)
class Location:
    """A hypocentre, how well it is known, and what each arrival says about it.

    Attributes
    ----------
    latitude, longitude, depth_km, time : float
        Degrees, km below sea level, seconds after the caller's reference.
    covariance : ndarray, shape (4, 4)
        Of east, north, depth (km) and time (s).
    depth_fixed : bool
        Whether the depth was set and not found.
    residual, weight, distance_km, azimuth, takeoff : ndarray, shape (n,)
        Seconds (observed minus computed); 0 to 1 relative to the best arrival,
        0 where it was left out; km; degrees from north at the epicentre;
        degrees from straight down.
    rms : float
        Weighted root mean square residual, s.
    gap, secondary_gap : float
        Largest azimuthal gap, and the largest that the loss of one station opens.
    """

    latitude: float
    longitude: float
    depth_km: float
    time: float
    covariance: Floats
    depth_fixed: bool
    residual: Floats
    weight: Floats
    distance_km: Floats
    azimuth: Floats
    takeoff: Floats
    rms: float
    gap: float
    secondary_gap: float


def locate(
    arrivals: Arrivals,
    layers: tuple[Layers, Layers],
    *,
    model_error: float = 0.02,
    start: tuple[float, float, float] | None = None,
    fix_depth: float | None = None,
    default_depth: float = 10.0,
    max_depth: float | None = None,
    max_depth_error: float = 15.0,
) -> Location:
    """Find the hypocentre and origin time of one event.

    The result does not depend on the order of the arrivals, to the bit.

    Parameters
    ----------
    arrivals : Arrivals
        At least four, at three places or more.
    layers : tuple of Layers
        For P and for S; the second is not looked at if no arrival is S.
    model_error : float
        Error of a computed travel time as a fraction of it.
    start : tuple of float, optional
        Latitude, longitude and depth to start from in place of a search.
    fix_depth : float, optional
        Hold the depth here, km.
    default_depth : float
        Where the depth is held if the arrivals do not tell it, km.
    max_depth : float, optional
        Deepest that may come out, km.  By default twice the depth of the
        model's last row, at least 60 km: of what lies deeper a flat model knows
        nothing; 700 km for a round one.
    max_depth_error : float
        Standard error, km, beyond which the depth counts as not told.

    Raises
    ------
    BadInput
        If the arrivals are too few, or do not tell where the event was.

    Examples
    --------
    >>> from workbench.maths.geodesy import distance_azimuth
    >>> from workbench.velocity import VelocityModel
    >>> model = VelocityModel((0.0,), (6.0,), (3.5,))
    >>> layers = (Layers.of(model, "P"), Layers.of(model, "S"))
    >>> lat, lon = np.array([46.2, 45.9, 46.0, 46.1, 46.0]), np.array([7.0, 7.3, 6.7, 7.2, 7.0])
    >>> km, _ = distance_azimuth(46.05, 7.05, lat, lon)
    >>> time = layers[0].arrivals(8.0, 0.0, km)[0] + 3.0
    >>> picks = Arrivals(lat, lon, np.zeros(5), np.zeros(5, bool), time, np.full(5, 0.05))
    >>> found = locate(picks, layers)
    >>> round(found.latitude, 4), round(found.longitude, 4), round(found.depth_km, 2), round(found.time, 3)
    (46.05, 7.05, 8.0, 3.0)
    """
    _enough(len(arrivals), arrivals.latitude, arrivals.longitude)
    bottom = _bottom(layers[0]) if max_depth is None else max_depth
    ordered, order = arrivals.ordered()
    problem = Problem(ordered, layers, model_error, bottom)
    fit = problem.solve(start, fix_depth)
    held, depth_error, trend = fix_depth is not None, 0.0, np.zeros(4)
    if not held:
        depth_error, trend = profile(problem, fit)
        if depth_error > min(max_depth_error, _FLAT * (bottom - problem.top)):
            held = True
            fit = problem.solve(start, min(max(default_depth, problem.top), bottom))
    errors = covariance(problem, fit, depth_error, trend)
    if not max(errors[0, 0], errors[1, 1]) <= _LARGEST_KM**2:
        raise BadInput("the picks", "do not tell where the event was", "Add stations in other directions.")
    return _location(problem, fit, errors, held, order)


def _enough(count: int, latitude: Floats, longitude: Floats) -> None:
    """Refuse what no location could come of."""
    places = len(set(zip(latitude.tolist(), longitude.tolist(), strict=True)))
    if count < 4 or places < 3:
        raise BadInput(
            "the picks",
            f"are {count} that agree, at {places} places",
            "At least four at three stations are needed; look for wrong picks and missing coordinates.",
        )


def _bottom(layers: Layers) -> float:
    """Return the deepest that may come out."""
    if layers.radius_km:
        return _DEEPEST_KM
    return min(_DEEPEST_KM, max(60.0, 2.0 * float(layers.top_km[-1])))


def _location(problem: Problem, fit: Fit, errors: Floats, held: bool, order: Ints) -> Location:
    """Put a result together, with the arrivals in the order they came in."""
    traced, residual, weight = problem.residuals(fit)
    used = weight > 0
    a = problem.arrivals
    _enough(int(used.sum()), a.latitude[used], a.longitude[used])
    weight = weight / fit.sigma**2
    places = np.unique(traced[:2, used], axis=1)
    gap, second = azimuth_gaps(places[1])
    back = np.argsort(order)
    return Location(
        latitude=fit.latitude,
        longitude=(fit.longitude + 540.0) % 360.0 - 180.0,
        depth_km=fit.depth_km,
        time=fit.time,
        covariance=errors,
        depth_fixed=held,
        residual=residual[back],
        weight=(weight / weight.max())[back],
        distance_km=traced[0][back],
        azimuth=traced[1][back],
        takeoff=traced[5][back],
        rms=math.sqrt(float((weight * residual**2).sum() / weight.sum())),
        gap=gap,
        secondary_gap=second,
    )
