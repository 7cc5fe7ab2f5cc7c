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
The error of the depth comes from how the misfit grows away from the best depth,
which is right also at an interface, at the surface, and where the depth is not
told at all; the other errors are the usual ones at a known depth, joined with
what the depth's error does to them.  The variance of unit weight joins what was
expected (1, worth 8 observations) with what the residuals show, after Jordan
and Sverdrup (1981): five picks that happen to fit to the millisecond do not
make a location exact.

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

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.errors import BadInput
from workbench.maths.geodesy import azimuth_gaps, distance_azimuth
from workbench.maths.layered import REACH_KM, Layers
from workbench.maths.minimum import lowest
from workbench.maths.search import Start, depths, starts
from workbench.maths.settle import Picks, bisquare, degrees_per_km, model, rays, settle

__all__ = ["Arrivals", "Location", "locate"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_PRIOR = 8.0
"""Observations that the expected variance counts for (Jordan and Sverdrup 1981)."""

_DEEPEST_KM = 700.0
"""No earthquake is known to have been deeper."""

_OF_SQUARES, _OF_WEIGHTS, _OF_LOSS = 0.758, 0.963, 1.254
"""What the bisquare does to normal errors, which would otherwise seem smaller than they are.

With c = 4.685, w the weight and psi = w u: E[w u^2]; E[w] E[psi^2] / E[psi']^2;
and E[psi'] / E[psi^2] (Huber 1981, ch. 7).
"""

_SUFFICIENT, _LOCAL_KM = 10, 50.0
"""Stations, the nearest, that suffice for a location; and what is near in any case."""

_NEAR = 5
"""Stations, the nearest, whose height bounds the depth from above."""

_HOPELESS = 8.0
"""Loss per arrival, above the least one, that a depth between those tried could not make up."""

_CLOSE = 10.0
"""Loss above the least one, as of one wrong pick, that a closer look may well make up."""

_LARGEST_KM = 200.0
"""Standard error of the epicentre beyond which nothing is known."""

_FLAT = 0.25
"""Standard error of the depth, as a part of its range, that says that all are alike (0.29 if even)."""

_COARSE_KM, _SETTLED_KM = 0.05, 1e-3
"""How closely the best depth is found, in each place where it may be, and in the end."""


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

    def ordered(self) -> tuple[Arrivals, npt.NDArray[np.int64]]:
        """Return the arrivals in an order that does not depend on how they came, P before S."""
        order = np.lexsort(
            (self.latitude, self.longitude, self.elevation_km, self.sigma, self.time, self.is_s)
        )
        return Arrivals(
            self.latitude[order],
            self.longitude[order],
            self.elevation_km[order],
            self.is_s[order],
            self.time[order],
            self.sigma[order],
        ), order


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
    _enough(len(arrivals), arrivals.latitude, arrivals.longitude)
    bottom = _bottom(layers[0]) if max_depth is None else max_depth
    ordered, order = arrivals.ordered()
    problem = _Problem(ordered, layers, model_error, bottom)
    fit = problem.solve(start, fix_depth)
    held, depth_error, trend = fix_depth is not None, 0.0, np.zeros(4)
    if not held:
        depth_error, trend = problem.profile(fit)
        if depth_error > min(max_depth_error, _FLAT * (bottom - problem.top)):
            held = True
            fit = problem.solve(start, min(max(default_depth, problem.top), bottom))
    covariance = problem.covariance(fit, depth_error, trend)
    if not max(covariance[0, 0], covariance[1, 1]) <= _LARGEST_KM**2:
        raise BadInput("the picks", "do not tell where the event was", "Add stations in other directions.")
    return _location(problem, fit, covariance, held, order)


def _enough(count: int, latitude: Floats, longitude: Floats) -> None:
    places = len(set(zip(latitude.tolist(), longitude.tolist(), strict=True)))
    if count < 4 or places < 3:
        raise BadInput(
            "the picks",
            f"are {count} that agree, at {places} places",
            "At least four at three stations are needed; look for wrong picks and missing coordinates.",
        )


def _bottom(layers: Layers) -> float:
    if layers.radius_km:
        return _DEEPEST_KM
    return min(_DEEPEST_KM, max(60.0, 2.0 * float(layers.top_km[-1])))


@dataclass(frozen=True, eq=False, slots=True)
class _Fit:
    """The best epicentre and origin time at a depth, with the loss that is left.

    `sigma` is the standard error of each arrival, `scale` how much larger
    residuals were found to be.
    """

    latitude: float
    longitude: float
    depth_km: float
    time: float
    loss: float
    sigma: Floats
    scale: float


class _Problem:
    """The arrivals of one event and the model, and the steps of its location."""

    def __init__(
        self, arrivals: Arrivals, layers: tuple[Layers, Layers], model_error: float, bottom: float
    ) -> None:
        self.arrivals = arrivals
        self.layers = layers
        self.model = model(layers)
        a = arrivals
        self.picks = Picks(a.latitude, a.longitude, a.elevation_km, a.time, int((~a.is_s).sum()))
        self.model_error = model_error
        self.bottom = bottom
        self.top = -float(a.elevation_km.max())
        self.edges = layers[0].interfaces()

    def solve(self, start: tuple[float, float, float] | None, fix_depth: float | None) -> _Fit:
        """Find the best hypocentre, going through all depths or holding one."""
        places = self._places(start, fix_depth)
        first = min(places, key=lambda place: place.misfit)
        self.top = self._top(first)
        sigma = self._sigma(first.latitude, first.longitude, first.depth_km)
        if fix_depth is None:
            places = [place for place in places if place.depth_km > self.top]
            places.insert(0, replace(places[0] if places else first, depth_km=self.top))
        tried = [place.depth_km for place in places]
        sweep = self._sweep(places, sigma)
        best = min(sweep, key=lambda fit: fit.loss)
        sigma = self._sigma(best.latitude, best.longitude, best.depth_km)
        scale = self._scale(best, sigma)
        if fix_depth is None:
            ends = [
                self._between(replace(seed, sigma=sigma, scale=scale), above, below)
                for seed, above, below in self._brackets(sweep, tried)
            ]
            best = min(ends, key=lambda fit: fit.loss)
            best = self._between(
                best,
                max(best.depth_km - 2 * _COARSE_KM, self.top),
                min(best.depth_km + 2 * _COARSE_KM, self.bottom),
                _SETTLED_KM,
            )
        else:
            best = replace(best, sigma=sigma, scale=scale)
        return self._settle(best, best.depth_km, settled=1e-5)

    def _sweep(self, places: list[Start], sigma: Floats) -> list[_Fit]:
        """Fit the epicentre at the depths to try, from the likeliest outwards until it is hopeless."""
        middle = min(range(len(places)), key=lambda k: places[k].misfit)
        found: dict[int, _Fit] = {}
        for side in (range(middle, len(places)), range(middle - 1, -1, -1)):
            for k in side:
                found[k] = self._settle(_seed(places[k], sigma), places[k].depth_km, first=True)
                if found[k].loss > min(fit.loss for fit in found.values()) + _HOPELESS * sigma.size:
                    break
        return [found[k] for k in sorted(found)]

    def _brackets(self, sweep: list[_Fit], tried: list[float]) -> list[tuple[_Fit, float, float]]:
        """Return where to look closer: a fit and the depths around it, within a zone of the model.

        The misfit has a kink at each interface and may have a minimum in each
        zone, so the zones next to the best are looked at too, and all that are
        not much worse.
        """
        edges = [self.top, *(z for z in self.edges if self.top < z < self.bottom), self.bottom]
        best = min(sweep, key=lambda fit: fit.loss)
        home = int(np.searchsorted(edges[1:-1], best.depth_km))
        found = []
        for zone, (upper, lower) in enumerate(itertools.pairwise(edges)):
            inside = [fit for fit in sweep if upper <= fit.depth_km <= lower]
            if not inside:
                continue
            seed = min(inside, key=lambda fit: fit.loss)
            if abs(zone - home) <= 1 or seed.loss < best.loss + _CLOSE:
                k = tried.index(seed.depth_km)
                above = max(upper, tried[max(k - 1, 0)])
                below = min(lower, tried[min(k + 1, len(tried) - 1)])
                found.append((seed, above, below))
        return found

    def _places(self, start: tuple[float, float, float] | None, fix_depth: float | None) -> list[Start]:
        a = self.arrivals
        tried = self._depths() if fix_depth is None else (fix_depth,)
        if start is None:
            return starts(
                a.latitude, a.longitude, a.elevation_km, a.is_s, a.time, a.sigma, self.layers, tried
            )
        latitude, longitude, depth = start
        tried = tuple(sorted({*tried, depth})) if fix_depth is None else tried
        return [self._from(latitude, longitude, z, float(z != depth)) for z in tried]

    def _depths(self) -> tuple[float, ...]:
        """Return depths to try, one at least in each zone of the model."""
        edges = [self.top, *self.edges]
        middles = [(a + b) / 2 for a, b in itertools.pairwise(edges) if a < b < self.bottom]
        return tuple(sorted({*depths(self.bottom), *middles}))

    def _from(self, latitude: float, longitude: float, depth: float, misfit: float) -> Start:
        """Return a place to start from, with the origin time that the median arrival says."""
        travel = rays(self.picks, self.model, latitude, longitude, depth)[2]
        return Start(latitude, longitude, depth, float(np.median(self.arrivals.time - travel)), misfit)

    def _top(self, place: Start) -> float:
        """Return the shallowest depth: the height of the highest of the nearest stations."""
        a = self.arrivals
        distance, _ = distance_azimuth(place.latitude, place.longitude, a.latitude, a.longitude)
        heights = sorted(set(zip(distance.tolist(), a.elevation_km.tolist(), strict=True)))
        return -max(height for _, height in heights[:_NEAR])

    def _sigma(self, latitude: float, longitude: float, depth: float) -> Floats:
        """Join the errors of picks and model; infinite where the layers do not reach."""
        traced = rays(self.picks, self.model, latitude, longitude, depth)
        away = np.hypot(traced[0], depth)
        near = np.unique(away.round(6))[:_SUFFICIENT].max()
        farther = np.maximum(away / max(near, _LOCAL_KM), 1.0)
        sigma = np.hypot(self.arrivals.sigma, self.model_error * traced[2] * farther)
        if self.layers[0].radius_km:
            sigma[traced[0] > REACH_KM] = math.inf
            if int(np.isfinite(sigma).sum()) < 4:
                raise BadInput(
                    "the picks",
                    f"are from stations more than {REACH_KM:g} km away",
                    "The layered model ends there; locate distant events with a global program.",
                )
        return sigma

    def _scale(self, fit: _Fit, sigma: Floats) -> float:
        """Size of the residuals in standard errors, from their median, and at least 1.

        At least 1 because picks that fit better than their errors are no reason
        to throw out one that fits as it should.
        """
        traced = rays(self.picks, self.model, fit.latitude, fit.longitude, fit.depth_km)
        size = np.abs(self.arrivals.time - fit.time - traced[2])[np.isfinite(sigma)]
        spread = float(np.median(size / sigma[np.isfinite(sigma)]))
        return max(1.0, 1.4826 * spread * math.sqrt(size.size / max(size.size - 4, 1)))

    def _settle(self, seed: _Fit, depth: float, *, first: bool = False, settled: float = 3e-3) -> _Fit:
        latitude, longitude, time, loss = settle(
            self.picks,
            self.model,
            seed.sigma * seed.scale,
            not first,
            seed.latitude,
            seed.longitude,
            depth,
            seed.time,
            1e-2 if first else settled,
        )
        return replace(seed, latitude=latitude, longitude=longitude, depth_km=depth, time=time, loss=loss)

    def _between(self, seed: _Fit, above: float, below: float, tolerance: float = _COARSE_KM) -> _Fit:
        """Find the best depth around a good one."""
        tried: dict[float, _Fit] = {}

        def loss(depth: float) -> float:
            near = min(tried.values(), key=lambda fit: abs(fit.depth_km - depth), default=seed)
            tried[depth] = self._settle(near, depth)
            return tried[depth].loss

        lowest(loss, above, seed.depth_km, below, tolerance)
        return min(tried.values(), key=lambda fit: fit.loss)

    def profile(self, fit: _Fit) -> tuple[float, Floats]:
        """Go away from the best depth until the misfit tells that it is wrong.

        Returns
        -------
        error : float
            Standard error of the depth, km.
        trend : ndarray, shape (4,)
            What a kilometre of depth does to east, north, depth and time.
        """
        unit = _OF_LOSS * fit.scale**2 / self._variance(fit)
        found = {0.0: (fit, 0.0)}
        for sign in (-1.0, 1.0):
            offset, seed, done = 0.1, fit, False
            while not done:
                depth = min(max(fit.depth_km + sign * offset, self.top), self.bottom)
                if depth == seed.depth_km:
                    break
                seed = self._settle(seed, depth)
                excess = max(seed.loss - fit.loss, 0.0) * unit
                found[depth - fit.depth_km] = (seed, excess)
                done = excess > 16.0 or depth in (self.top, self.bottom)
                offset *= 2
        offsets = np.array(sorted(found))
        # The root of the excess is straight where the misfit is a parabola.
        root = np.sqrt([found[offset][1] for offset in offsets])
        fine = np.linspace(offsets[0], offsets[-1], 2001)
        likely = np.exp(-(np.interp(fine, offsets, root) ** 2) / 2)
        error = math.sqrt(float((likely * fine**2).sum() / likely.sum()))
        ends = [offsets[np.argmin(np.abs(offsets - sign * error))] for sign in (-1.0, 1.0)]
        return error, _trend(found[ends[0]][0], found[ends[1]][0])

    def residuals(self, fit: _Fit) -> tuple[Floats, Floats, Floats]:
        """Return the rays, the residuals (s) and their weights (0 to 1)."""
        traced = rays(self.picks, self.model, fit.latitude, fit.longitude, fit.depth_km)
        residual = self.arrivals.time - fit.time - traced[2]
        weight = bisquare(np.abs(residual) / (fit.sigma * fit.scale))
        weight[np.isinf(fit.sigma)] = 0.0
        return traced, residual, weight

    def _variance(self, fit: _Fit) -> float:
        """Variance of unit weight: what was expected joined with what is seen."""
        _, residual, weight = self.residuals(fit)
        seen = float((weight * (residual / fit.sigma) ** 2).sum()) / _OF_SQUARES
        return (_PRIOR + seen) / (_PRIOR + max(int((weight > 0).sum()) - 4, 0))

    def covariance(self, fit: _Fit, depth_error: float, trend: Floats) -> Floats:
        """Covariance of east, north, depth and time; infinite where nothing is told."""
        traced, _, weight = self.residuals(fit)
        angle = np.radians(traced[1])
        jacobian = np.column_stack(
            (-traced[3] * np.sin(angle), -traced[3] * np.cos(angle), np.ones(angle.size))
        )
        normal = (jacobian.T * (weight / fit.sigma**2)) @ jacobian
        size = np.sqrt(np.diag(normal))
        covariance = np.full((4, 4), math.inf)
        if not (size > 0).all():
            return covariance
        values, vectors = np.linalg.eigh(normal / np.outer(size, size))
        if values[0] < 1e-12:
            return covariance
        known = [0, 1, 3]
        covariance = np.outer(trend, trend) * depth_error**2
        covariance[np.ix_(known, known)] += (
            _OF_WEIGHTS * self._variance(fit) * ((vectors / values) @ vectors.T) / np.outer(size, size)
        )
        return covariance


def _location(problem: _Problem, fit: _Fit, covariance: Floats, held: bool, order: Ints) -> Location:
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
        covariance=covariance,
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


def _seed(place: Start, sigma: Floats) -> _Fit:
    return _Fit(place.latitude, place.longitude, place.depth_km, place.time, math.inf, sigma, 1.0)


def _trend(upper: _Fit, lower: _Fit) -> Floats:
    """Return what a kilometre of depth does to east, north, depth and time."""
    deeper = lower.depth_km - upper.depth_km
    if deeper <= 0:
        return np.array([0.0, 0.0, 1.0, 0.0])
    east_degrees, north_degrees = degrees_per_km(upper.latitude)
    change = np.array(
        [
            (lower.longitude - upper.longitude) / east_degrees,
            (lower.latitude - upper.latitude) / north_degrees,
            deeper,
            lower.time - upper.time,
        ]
    )
    return change / deeper
