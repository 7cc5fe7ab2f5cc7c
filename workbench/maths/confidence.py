"""How well a hypocentre is known.

The error of the depth comes from how the misfit grows away from the best depth,
where all travel times of P, and all of S, may be wrong by one factor each: the
model's velocities are no better known than that, and without a station near by
such a factor is hard to tell from another depth.  The errors of epicentre and
origin time are the usual ones at a known depth, joined with what the depth's
error does to them.

References
----------
Jordan, T. H., Sverdrup, K. A. (1981). Teleseismic location techniques and their
application to earthquake clusters in the South-Central Pacific. BSSA 71, 1105-1130.
Huber, P. J. (1981). Robust Statistics. Wiley, chapter 7.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from workbench.maths.hypocentre import Fit, Problem
from workbench.maths.settle import degrees_per_km

__all__ = ["covariance", "profile"]

Floats = npt.NDArray[np.float64]

_PRIOR = 8.0
"""Observations that the expected variance counts for (Jordan and Sverdrup 1981)."""

_OF_SQUARES, _OF_WEIGHTS, _OF_LOSS = 0.758, 0.963, 1.254
"""What the bisquare does to normal errors, which would otherwise seem smaller than they are.

With c = 4.685, w the weight and psi = w u: E[w u^2]; E[w] E[psi^2] / E[psi']^2;
and E[psi'] / E[psi^2] (Huber 1981, ch. 7).
"""

_SINGULAR = 1e-12
"""Smallest eigenvalue, of the largest being about 1, with which epicentre and time are told at all."""

_WITHOUT_DEPTH = [0, 1, 3]


def profile(problem: Problem, fit: Fit) -> tuple[float, Floats]:
    """Go away from the best depth until the misfit tells that it is wrong.

    Returns
    -------
    error : float
        Standard error of the depth, km.
    trend : ndarray, shape (4,)
        What a kilometre of depth does to east, north, depth and time.
    """
    unit = _OF_LOSS * fit.scale**2 / _variance(problem, fit)
    least = _eased(problem, fit)
    found = {0.0: (fit, 0.0)}
    for sign in (-1.0, 1.0):
        offset, seed, done = 0.1, fit, False
        while not done:
            depth = min(max(fit.depth_km + sign * offset, problem.top), problem.bottom)
            if depth == seed.depth_km:
                break
            seed = problem.settle(seed, depth)
            excess = max(_eased(problem, seed) - least, 0.0) * unit
            found[depth - fit.depth_km] = (seed, excess)
            done = excess > 16.0 or depth in (problem.top, problem.bottom)
            offset *= 2
    offsets = np.array(sorted(found))
    # The root of the excess is straight where the misfit is a parabola.
    root = np.sqrt([found[offset][1] for offset in offsets])
    fine = np.linspace(offsets[0], offsets[-1], 2001)
    likely = np.exp(-(np.interp(fine, offsets, root) ** 2) / 2)
    error = math.sqrt(float((likely * fine**2).sum() / likely.sum()))
    ends = [offsets[np.argmin(np.abs(offsets - sign * error))] for sign in (-1.0, 1.0)]
    return error, _trend(found[ends[0]][0], found[ends[1]][0])


def covariance(problem: Problem, fit: Fit, depth_error: float, trend: Floats) -> Floats:
    """Return the covariance of east, north, depth and time; infinite where nothing is told.

    Parameters
    ----------
    problem, fit : Problem, Fit
    depth_error : float
        Standard error of the depth, km.
    trend : ndarray, shape (4,)
        What a kilometre of depth does to east, north, depth and time.

    Returns
    -------
    ndarray, shape (4, 4)
    """
    traced, _, weight = problem.residuals(fit)
    angle = np.radians(traced[1])
    jacobian = np.column_stack((-traced[3] * np.sin(angle), -traced[3] * np.cos(angle), np.ones(angle.size)))
    normal = (jacobian.T * (weight / fit.sigma**2)) @ jacobian
    size = np.sqrt(np.diag(normal))
    if not (size > 0).all():
        return np.full((4, 4), math.inf)
    values, vectors = np.linalg.eigh(normal / np.outer(size, size))
    if values[0] < _SINGULAR:
        return np.full((4, 4), math.inf)
    at_depth = (vectors / values) @ vectors.T / np.outer(size, size)
    found = np.outer(trend, trend) * depth_error**2
    found[np.ix_(_WITHOUT_DEPTH, _WITHOUT_DEPTH)] += _OF_WEIGHTS * _variance(problem, fit) * at_depth
    return found


def _eased(problem: Problem, fit: Fit) -> float:
    """Loss that is left where the times of P, and those of S, may be wrong by a factor each.

    The factors are known to the error of the model beforehand.  Epicentre and origin time
    give way with them; a single step of Gauss and Newton is near enough.
    """
    if problem.model_error == 0.0:
        return fit.loss
    traced, residual, weight = problem.residuals(fit)
    weight = weight / (fit.sigma * fit.scale) ** 2
    angle, is_s = np.radians(traced[1]), problem.arrivals.is_s
    jacobian = np.column_stack(
        (
            -traced[3] * np.sin(angle),
            -traced[3] * np.cos(angle),
            np.ones(angle.size),
            np.where(is_s, 0.0, traced[2] * problem.model_error),
            np.where(is_s, traced[2] * problem.model_error, 0.0),
        )
    )
    normal = (jacobian.T * weight) @ jacobian + np.diag([0.0, 0.0, 0.0, 1.0, 1.0])
    pull = (jacobian.T * weight) @ residual
    return fit.loss - float(pull @ np.linalg.lstsq(normal, pull, rcond=_SINGULAR)[0])


def _variance(problem: Problem, fit: Fit) -> float:
    """Variance of unit weight: what was expected joined with what is seen."""
    _, residual, weight = problem.residuals(fit)
    seen = float((weight * (residual / fit.sigma) ** 2).sum()) / _OF_SQUARES
    return (_PRIOR + seen) / (_PRIOR + max(int((weight > 0).sum()) - 4, 0))


def _trend(upper: Fit, lower: Fit) -> Floats:
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
