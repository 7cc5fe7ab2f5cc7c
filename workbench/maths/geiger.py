"""Location of one event from its arrival times, by Geiger's method.

The hypocentre and origin time that fit the arrivals best, in the sense of a
robust, weighted sum of squares, are found by damped Gauss-Newton steps
(Levenberg-Marquardt) with exact ray times and derivatives, from several
starting points that a grid search proposes.

Weights
-------
Each arrival counts with 1/sigma^2, where sigma joins the error of the pick and
the error of the model, the latter a fraction of the travel time: a crustal
model is off by some per cent, so a station at 200 km says little about a
hypocentre that stations at 10 km see.  This is the distance weighting; there
are no radii to set.

Residuals far larger than sigma are wrong picks, not noise.  After a first fit
that bounds their pull (Huber) the rest is done with Tukey's bisquare, which
takes away their weight altogether.

Errors
------
The variance of unit weight joins what was expected (1, worth 8 observations)
with what the residuals show, after Jordan and Sverdrup (1981): five picks that
happen to fit to the millisecond do not make a location exact.

References
----------
Geiger, L. (1912). Probability method for the determination of earthquake
epicenters from the arrival time only. Bull. St. Louis Univ. 8, 60-71.
Jordan, T. H., Sverdrup, K. A. (1981). Teleseismic location techniques and their
application to earthquake clusters in the South-Central Pacific. BSSA 71, 1105-1130.
Marquardt, D. W. (1963). J. SIAM 11, 431-441.
Beaton, A. E., Tukey, J. W. (1974). Technometrics 16, 147-185.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.errors import BadInput
from workbench.maths.geodesy import azimuth_gaps, distance_azimuth
from workbench.maths.layered import REACH_KM, Layers
from workbench.maths.search import Start, starts

__all__ = ["Arrivals", "Location", "locate"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_PRIOR = 8.0
"""Observations that the expected variance counts for (Jordan and Sverdrup 1981)."""

_HUBER, _BISQUARE = 1.345, 4.685
"""Tuning constants: 95 % efficiency where the errors are normal."""

_A, _E2 = 6378.137, 0.00669437999014
"""Equatorial radius (km) and squared eccentricity of WGS84."""

_DEEPEST_KM = 700.0
_NEAR = 5
"""Stations, the nearest, whose height bounds the depth from above."""

_SETTLED_KM, _SETTLED_S = 1e-5, 1e-6
"""A step this small ends the search."""

_LARGEST_KM = 200.0
"""Standard error of the epicentre beyond which nothing is known."""


@dataclass(frozen=True, eq=False)
class Arrivals:
    """The arrival times of one event, as columns.

    Attributes
    ----------
    latitude, longitude : ndarray, shape (n,)
        Degrees, of the station of each arrival.
    elevation_km : ndarray, shape (n,)
    is_s : ndarray of bool, shape (n,)
        True for S, False for P.
    time : ndarray, shape (n,)
        Seconds after a reference of the caller's.
    sigma : ndarray, shape (n,)
        Standard error of each pick, s.
    """

    latitude: Floats
    longitude: Floats
    elevation_km: Floats
    is_s: Bools
    time: Floats
    sigma: Floats

    def __len__(self) -> int:
        return self.time.size

    def take(self, order: npt.NDArray[np.int64]) -> Arrivals:
        """Return the arrivals in another order."""
        return Arrivals(
            self.latitude[order],
            self.longitude[order],
            self.elevation_km[order],
            self.is_s[order],
            self.time[order],
            self.sigma[order],
        )


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
    _check(arrivals)
    # One order for all, so that sums come out the same to the bit.
    order = np.lexsort(
        (
            arrivals.sigma,
            arrivals.elevation_km,
            arrivals.longitude,
            arrivals.latitude,
            arrivals.time,
            arrivals.is_s,
        )
    )
    bottom = _bottom(layers[0]) if max_depth is None else max_depth
    problem = _Problem(arrivals.take(order), layers, model_error, bottom)
    fit = problem.solve(start, fix_depth)
    covariance = fit.covariance(None if fix_depth is None else 0.0)
    held = fix_depth is not None
    if not held and (not covariance[2, 2] <= max_depth_error**2 or fit.depth_km >= bottom - _SETTLED_KM):
        held = True
        fit = problem.solve(start, min(default_depth, bottom))
        covariance = fit.covariance(max_depth_error)
    if not max(covariance[0, 0], covariance[1, 1]) <= _LARGEST_KM**2:
        raise BadInput("the picks", "do not tell where the event was", "Add stations in other directions.")
    back = np.argsort(order)
    used = fit.weight > 0
    places = np.unique(np.stack((fit.rays.azimuth[used], fit.rays.distance[used])), axis=1)
    gap, second = azimuth_gaps(places[0])
    weighted = fit.weight / fit.sigma**2
    return Location(
        latitude=fit.latitude,
        longitude=(fit.longitude + 540.0) % 360.0 - 180.0,
        depth_km=float(fit.depth_km),
        time=float(fit.time),
        covariance=covariance,
        depth_fixed=held,
        residual=fit.residual[back],
        weight=(weighted / weighted.max())[back],
        distance_km=fit.rays.distance[back],
        azimuth=fit.rays.azimuth[back],
        takeoff=fit.rays.takeoff[back],
        rms=math.sqrt(float((weighted * fit.residual**2).sum() / weighted.sum())),
        gap=gap,
        secondary_gap=second,
    )


def _check(arrivals: Arrivals) -> None:
    if len(arrivals) < 4:
        raise BadInput("the picks", f"are only {len(arrivals)}", "At least four are needed.")
    places = len(set(zip(arrivals.latitude, arrivals.longitude, strict=True)))
    if places < 3:
        raise BadInput("the picks", f"are from {places} place(s)", "At least three stations are needed.")


def _bottom(layers: Layers) -> float:
    if layers.radius_km:
        return _DEEPEST_KM
    return min(_DEEPEST_KM, max(60.0, 2.0 * float(layers.top_km[-1])))


@dataclass(frozen=True, eq=False, slots=True)
class _Rays:
    """Distances, azimuths at the epicentre, and first arrivals, in the order of the picks."""

    distance: Floats
    azimuth: Floats
    time: Floats
    dt_dx: Floats
    dt_dz: Floats
    takeoff: Floats

    def jacobian(self) -> Floats:
        """Change of arrival times with east, north, depth (km) and origin time (s)."""
        angle = np.radians(self.azimuth)
        return np.column_stack(
            (-self.dt_dx * np.sin(angle), -self.dt_dx * np.cos(angle), self.dt_dz, np.ones(angle.size))
        )


@dataclass(frozen=True, eq=False, slots=True)
class _Fit:
    """A trial hypocentre with its rays, residuals and weights."""

    latitude: float
    longitude: float
    depth_km: float
    time: float
    rays: _Rays
    residual: Floats
    sigma: Floats
    weight: Floats

    def covariance(self, depth_error: float | None) -> Floats:
        """Covariance of east, north, depth and time; infinite where nothing is told.

        Parameters
        ----------
        depth_error : float or None
            Standard error of a depth that is held, km; None for one that was found.
        """
        jacobian = self.rays.jacobian()
        scaled = self.weight / self.sigma**2
        normal = (jacobian.T * scaled) @ jacobian
        n_free = 4 if depth_error is None else 3
        misfit = float((scaled * self.residual**2).sum())
        variance = (_PRIOR + misfit) / (_PRIOR + max(int((self.weight > 0).sum()) - n_free, 0))
        if depth_error is not None:
            # A held depth is a datum of its own, with an error of its own.
            normal[2, 2] += variance / max(depth_error, 1e-6) ** 2
        size = np.sqrt(np.diag(normal))
        if not (size > 0).all():
            return np.full((4, 4), math.inf)
        values, vectors = np.linalg.eigh(normal / np.outer(size, size))
        if values[0] < 1e-12:
            return np.full((4, 4), math.inf)
        return variance * (vectors / values) @ vectors.T / np.outer(size, size)


class _Problem:
    """The arrivals and the model, with what is worked out from them once."""

    def __init__(
        self, arrivals: Arrivals, layers: tuple[Layers, Layers], model_error: float, bottom: float
    ) -> None:
        self.arrivals = arrivals
        self.layers = layers
        self.model_error = model_error
        self.bottom = bottom
        self.n_p = int((~arrivals.is_s).sum())

    def trace(self, latitude: float, longitude: float, depth_km: float) -> _Rays:
        """Trace the rays to all stations; P come before S."""
        a, n = self.arrivals, self.n_p
        distance, azimuth = distance_azimuth(latitude, longitude, a.latitude, a.longitude)
        p = self.layers[0].arrivals(depth_km, -a.elevation_km[:n], distance[:n])
        if n == len(a):
            return _Rays(distance, azimuth, *p)
        s = self.layers[1].arrivals(depth_km, -a.elevation_km[n:], distance[n:])
        return _Rays(distance, azimuth, *(np.concatenate(pair) for pair in zip(p, s, strict=True)))

    def solve(self, start: tuple[float, float, float] | None, fix_depth: float | None) -> _Fit:
        """Go down from each starting point, and keep the best end."""
        begin = self._starts(start, fix_depth)
        free = fix_depth is None
        sigma = self._sigma(self.trace(begin[0].latitude, begin[0].longitude, begin[0].depth_km))
        top = self._top(begin[0])
        ends = []
        for place in begin:
            fit = self._at(
                place.latitude,
                place.longitude,
                max(place.depth_km, top) if free else place.depth_km,
                None,
                sigma,
            )
            for bisquare in (False, True):
                fit = self._descend(fit, bisquare, free, top, 12)
            ends.append(fit)
        scale = min(_scale(fit) for fit in ends)
        best = min(ends, key=lambda fit: _loss(fit.residual, fit.sigma, scale, True))
        sigma = self._sigma(best.rays)
        best = self._at(best.latitude, best.longitude, best.depth_km, best.time, sigma)
        return self._checked(self._descend(best, True, free, top, 60))

    def _starts(self, start: tuple[float, float, float] | None, fix_depth: float | None) -> list[Start]:
        if start is not None:
            latitude, longitude, depth = start
            return [Start(latitude, longitude, depth if fix_depth is None else fix_depth, 0.0, 0.0)]
        a = self.arrivals
        depths = _depths(self.bottom) if fix_depth is None else np.array([fix_depth])
        return starts(a.latitude, a.longitude, a.elevation_km, a.is_s, a.time, a.sigma, self.layers, depths)

    def _top(self, start: Start) -> float:
        """Shallowest depth: the highest of the stations that are nearest."""
        a = self.arrivals
        distance, _ = distance_azimuth(start.latitude, start.longitude, a.latitude, a.longitude)
        heights = dict(sorted(zip(distance.tolist(), a.elevation_km.tolist(), strict=True)))
        return -max(list(heights.values())[:_NEAR])

    def _sigma(self, rays: _Rays) -> Floats:
        sigma = np.hypot(self.arrivals.sigma, self.model_error * rays.time)
        if self.layers[0].radius_km:
            sigma[rays.distance > REACH_KM] = math.inf
        if int(np.isfinite(sigma).sum()) < 4:
            raise BadInput(
                "the picks",
                f"are from stations more than {REACH_KM:g} km away",
                "Locate distant events with a global program.",
            )
        return sigma

    def _at(
        self, latitude: float, longitude: float, depth_km: float, time: float | None, sigma: Floats
    ) -> _Fit:
        """Trace the rays of a trial; without a time, the median of what the arrivals say is taken."""
        rays = self.trace(latitude, longitude, depth_km)
        origin = self.arrivals.time - rays.time
        if time is None:
            time = float(np.median(origin[np.isfinite(sigma)]))
        weight = np.isfinite(sigma).astype(np.float64)
        return _Fit(latitude, longitude, depth_km, time, rays, origin - time, sigma, weight)

    def _descend(self, fit: _Fit, bisquare: bool, free: bool, top: float, most: int) -> _Fit:
        """Damped Gauss-Newton steps at one scale of residuals."""
        scale = _scale(fit)
        loss = _loss(fit.residual, fit.sigma, scale, bisquare)
        damping = 1e-3
        for _ in range(most):
            weight = _weights(fit.residual, fit.sigma, scale, bisquare)
            jacobian = fit.rays.jacobian()
            scaled = weight / fit.sigma**2
            normal = (jacobian.T * scaled) @ jacobian
            slope = jacobian.T @ (scaled * fit.residual)
            while damping < 1e9:
                step = _step(normal, slope, damping, free, top - fit.depth_km, self.bottom - fit.depth_km)
                trial = self._moved(fit, step)
                lower = _loss(trial.residual, trial.sigma, scale, bisquare)
                if lower <= loss:
                    break
                damping *= 6
            else:
                break
            fit, loss, damping = trial, lower, max(damping / 10, 1e-9)
            if np.abs(step[:3]).max() < _SETTLED_KM and abs(step[3]) < _SETTLED_S:
                break
        return replace(fit, weight=_weights(fit.residual, fit.sigma, scale, bisquare))

    def _moved(self, fit: _Fit, step: Floats) -> _Fit:
        sine = math.sin(math.radians(fit.latitude))
        bent = 1 - _E2 * sine * sine
        north_km = _A * (1 - _E2) / bent**1.5
        east_km = _A / math.sqrt(bent) * max(math.cos(math.radians(fit.latitude)), 1e-6)
        latitude = min(max(fit.latitude + math.degrees(step[1] / north_km), -90.0), 90.0)
        longitude = fit.longitude + math.degrees(step[0] / east_km)
        return self._at(latitude, longitude, fit.depth_km + step[2], fit.time + step[3], fit.sigma)

    def _checked(self, fit: _Fit) -> _Fit:
        used = fit.weight > 0
        a = self.arrivals
        places = len(set(zip(a.latitude[used].tolist(), a.longitude[used].tolist(), strict=True)))
        if used.sum() < 4 or places < 3:
            raise BadInput(
                "the picks",
                f"agree at {places} place(s) with {int(used.sum())} arrivals only",
                "Four arrivals at three stations must agree; look for wrong picks.",
            )
        return fit


def _depths(bottom: float) -> Floats:
    """Depths to start from: 0, 4, 8 km, then ever further apart."""
    depths = [0.0, 4.0]
    while depths[-1] < bottom:
        depths.append(depths[-1] + max(4.0, 0.4 * depths[-1]))
    return np.minimum(np.array(depths), bottom)


def _scale(fit: _Fit) -> float:
    """Size of the normalised residuals, from their median, and at least 1.

    At least 1 because picks that fit better than their errors are no reason to
    throw out one that fits as it should.
    """
    known = np.isfinite(fit.sigma)
    size = np.abs(fit.residual[known] / fit.sigma[known])
    return max(1.0, 1.4826 * float(np.median(size)) * math.sqrt(size.size / max(size.size - 4, 1)))


def _loss(residual: Floats, sigma: Floats, scale: float, bisquare: bool) -> float:
    size = np.abs(residual) / (sigma * scale)
    if bisquare:
        inside = np.minimum(size / _BISQUARE, 1.0) ** 2
        return float((1 - (1 - inside) ** 3).sum()) * _BISQUARE**2 / 6
    return float(np.where(size <= _HUBER, size**2 / 2, _HUBER * (size - _HUBER / 2)).sum())


def _weights(residual: Floats, sigma: Floats, scale: float, bisquare: bool) -> Floats:
    size = np.abs(residual) / (sigma * scale)
    if bisquare:
        weight = (1 - np.minimum(size / _BISQUARE, 1.0) ** 2) ** 2
    else:
        weight = _HUBER / np.maximum(size, _HUBER)
    weight[np.isinf(sigma)] = 0.0
    return weight


def _step(normal: Floats, slope: Floats, damping: float, free: bool, lowest: float, highest: float) -> Floats:
    """Solve for a damped step; the depth stays between its bounds."""
    damped = normal + damping * np.diag(np.diag(normal)) + 1e-12 * np.trace(normal) * np.eye(4)
    if free:
        step = np.linalg.solve(damped, slope)
        if lowest <= step[2] <= highest:
            return step
        at = min(max(step[2], lowest), highest)
    else:
        at = 0.0
    rest = [0, 1, 3]
    step = np.zeros(4)
    step[2] = at
    step[rest] = np.linalg.solve(damped[np.ix_(rest, rest)], slope[rest] - damped[rest, 2] * at)
    return step
