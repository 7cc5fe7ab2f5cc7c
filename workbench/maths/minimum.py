"""The lowest point of a function of one variable."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["lowest"]

_GOLDEN = (3 - math.sqrt(5)) / 2


def lowest(
    function: Callable[[float], float], left: float, start: float, right: float, tolerance: float
) -> float:
    """Find a minimum between two ends, by parabolas where they help and golden sections where not.

    Kinks do no harm.  Where there are several minima, one is found that is no
    higher than the function at `start`.

    Parameters
    ----------
    function : callable
    left, start, right : float
        The ends, and a point between them (or at one of them) to begin with.
    tolerance : float
        How close to come.

    References
    ----------
    Brent, R. P. (1973). Algorithms for Minimization without Derivatives, ch. 5.

    Examples
    --------
    >>> round(lowest(lambda x: abs(x - 3.0), 0.0, 2.0, 10.0, 1e-4), 3)
    3.0
    """
    x = w = v = start
    fx = fw = fv = function(x)
    step = before = 0.0
    while True:
        middle = (left + right) / 2
        if abs(x - middle) <= 2 * tolerance - (right - left) / 2:
            return x
        # A parabola through the three best points so far.
        r, q = (x - w) * (fx - fv), (x - v) * (fx - fw)
        p, q = (x - v) * q - (x - w) * r, 2 * (q - r)
        if q > 0:
            p = -p
        q = abs(q)
        if abs(before) > tolerance and abs(p) < abs(q * before / 2) and q * (left - x) < p < q * (right - x):
            before, step = step, p / q
            if min(x + step - left, right - x - step) < 2 * tolerance:
                step = math.copysign(tolerance, middle - x)
        else:
            before = (right if x < middle else left) - x
            step = _GOLDEN * before
        at = x + (step if abs(step) >= tolerance else math.copysign(tolerance, step))
        value = function(at)
        if value <= fx:
            left, right = (x, right) if at >= x else (left, x)
            v, w, x, fv, fw, fx = w, x, at, fw, fx, value
        else:
            left, right = (at, right) if at < x else (left, at)
            if value <= fw or w == x:
                v, w, fv, fw = w, at, fw, value
            elif value <= fv or v in (x, w):
                v, fv = at, value
