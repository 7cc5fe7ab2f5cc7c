"""The search for the hypocentre that fits the arrivals of one event best.

`Problem` holds the arrivals and the model.  It goes through the depths, fits
epicentre and origin time at each, and looks closer where the fit is good.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.errors import BadInput
from workbench.maths.geodesy import distance_azimuth
from workbench.maths.layered import REACH_KM, Layers
from workbench.maths.minimum import lowest
from workbench.maths.search import Start, depths, starts
from workbench.maths.settle import Picks, bisquare, model, rays, settle

__all__ = ["Arrivals", "Fit", "Problem"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_SUFFICIENT, _LOCAL_KM = 10, 50.0
"""Stations, the nearest, that suffice for a location; and what is near in any case."""

_NEAR = 5
"""Stations, the nearest, whose height bounds the depth from above."""

_HOPELESS = 8.0
"""Loss per arrival, above the least one, that a depth between those tried could not make up."""

_CLOSE = 10.0
"""Loss above the least one, as of one wrong pick, that a closer look may well make up."""

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


@dataclass(frozen=True, eq=False, slots=True)
class Fit:
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


class Problem:
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

    def solve(self, start: tuple[float, float, float] | None, fix_depth: float | None) -> Fit:
        """Find the best hypocentre, going through all depths or holding one."""
        places = self._places(start, fix_depth)
        first = min(places, key=lambda place: place.misfit)
        self.top = min(self._top(first), self.bottom)
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
        return self.settle(best, best.depth_km, settled=1e-5)

    def _sweep(self, places: list[Start], sigma: Floats) -> list[Fit]:
        """Fit the epicentre at the depths to try, from the likeliest outwards until it is hopeless."""
        middle = min(range(len(places)), key=lambda k: places[k].misfit)
        found: dict[int, Fit] = {}
        for side in (range(middle, len(places)), range(middle - 1, -1, -1)):
            for k in side:
                found[k] = self.settle(_seed(places[k], sigma), places[k].depth_km, first=True)
                if found[k].loss > min(fit.loss for fit in found.values()) + _HOPELESS * sigma.size:
                    break
        return [found[k] for k in sorted(found)]

    def _brackets(self, sweep: list[Fit], tried: list[float]) -> list[tuple[Fit, float, float]]:
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

    def _scale(self, fit: Fit, sigma: Floats) -> float:
        """Size of the residuals in standard errors, from their median, and at least 1.

        At least 1 because picks that fit better than their errors are no reason
        to throw out one that fits as it should.
        """
        traced = rays(self.picks, self.model, fit.latitude, fit.longitude, fit.depth_km)
        size = np.abs(self.arrivals.time - fit.time - traced[2])[np.isfinite(sigma)]
        spread = float(np.median(size / sigma[np.isfinite(sigma)]))
        return max(1.0, 1.4826 * spread * math.sqrt(size.size / max(size.size - 4, 1)))

    def settle(self, seed: Fit, depth: float, *, first: bool = False, settled: float = 3e-3) -> Fit:
        """Fit epicentre and origin time at a depth, beginning with those of another fit.

        The `first` time residuals are only bounded in their pull; afterwards
        large ones lose their weight altogether.
        """
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

    def _between(self, seed: Fit, above: float, below: float, tolerance: float = _COARSE_KM) -> Fit:
        """Find the best depth around a good one."""
        tried: dict[float, Fit] = {}

        def loss(depth: float) -> float:
            near = min(tried.values(), key=lambda fit: abs(fit.depth_km - depth), default=seed)
            tried[depth] = self.settle(near, depth)
            return tried[depth].loss

        lowest(loss, above, seed.depth_km, below, tolerance)
        return min(tried.values(), key=lambda fit: fit.loss)

    def residuals(self, fit: Fit) -> tuple[Floats, Floats, Floats]:
        """Return the rays, the residuals (s) and their weights (0 to 1)."""
        traced = rays(self.picks, self.model, fit.latitude, fit.longitude, fit.depth_km)
        residual = self.arrivals.time - fit.time - traced[2]
        weight = bisquare(np.abs(residual) / (fit.sigma * fit.scale))
        weight[np.isinf(fit.sigma)] = 0.0
        return traced, residual, weight


def _seed(place: Start, sigma: Floats) -> Fit:
    return Fit(place.latitude, place.longitude, place.depth_km, place.time, math.inf, sigma, 1.0)
