"""Butterworth filters as cascades of second-order sections.

The design is the textbook one (prototype poles, frequency transformation,
bilinear transform with pre-warped corners) in plain numpy, because importing
`scipy.signal` takes longer than filtering an hour of data.  The sections have
scipy's layout, ``b0 b1 b2 1 a1 a2`` a row, and tests compare the two.

References
----------
Oppenheim, A. V. and Schafer, R. W. (2010). Discrete-Time Signal Processing,
3rd ed., chapter 7. Pearson.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["butterworth_sos", "decay_rate", "initial_state", "sosfilt", "sosfiltfilt"]

Floats = npt.NDArray[np.float64]

TINY = 1e-200
"""What a filter remembers below this is forgotten."""


def butterworth_sos(order: int, freqmin: float | None, freqmax: float | None, rate: float) -> Floats:
    """Design a Butterworth high-pass, low-pass or band-pass.

    Parameters
    ----------
    order : int
        Number of poles of the prototype ("corners"); a band-pass has twice as many.
    freqmin, freqmax : float or None
        Corners in Hz, where the amplitude is 1/sqrt(2); None leaves that side open.
    rate : float
        Samples a second.

    Returns
    -------
    ndarray, shape (n_sections, 6)
        Sections in the order in which they are applied, the least resonant first.

    Raises
    ------
    ValueError
        Unless ``0 < freqmin < freqmax < rate / 2`` (where given) and there is a corner.

    Examples
    --------
    >>> butterworth_sos(4, 1.0, 10.0, 100.0).shape
    (4, 6)
    """
    corners = [corner for corner in (freqmin, freqmax) if corner is not None]
    if order < 1 or not corners:
        raise ValueError("a filter needs an order of at least 1 and at least one corner")
    if not all(0 < corner < rate / 2 for corner in corners) or corners != sorted(set(corners)):
        raise ValueError(f"corners {corners} Hz do not grow between 0 and {rate / 2:g} Hz")
    warped = [2 * rate * math.tan(math.pi * corner / rate) for corner in corners]
    poles = _poles(order, warped, high=freqmax is None)
    if len(warped) == 2:
        middle = 1j * math.sqrt(warped[0] * warped[1])
        at = (2 * rate + middle) / (2 * rate - middle)
    else:
        at = 1.0 if freqmin is None else -1.0
    rows = []
    for pair, zeros in _sections((2 * rate + poles) / (2 * rate - poles), freqmin, freqmax):
        b, a = np.zeros(3), np.zeros(3)
        b[: len(pair) + 1] = np.poly(zeros[: len(pair)])
        a[: len(pair) + 1] = np.poly(pair).real
        # Unit gain of each section in the middle of the band keeps every one in range.
        gain = abs(np.polyval(a, at)) / abs(np.polyval(b, at))
        rows.append(np.concatenate((b * gain, a)))
    return np.array(rows)


def decay_rate(order: int, freqmin: float | None, freqmax: float | None) -> float:
    """Return how fast the slowest part of a filter dies away, in 1/s.

    What happened `t` seconds ago has shrunk to ``exp(-decay_rate * t)``, so it
    says how much data before a window decide on the filter's output in it.  A
    band-pass may have to go without its upper corner, where that lies above
    the Nyquist frequency, so the slower of the two is returned.
    """
    corners = [2 * math.pi * corner for corner in (freqmin, freqmax) if corner is not None]
    slowest = -_poles(order, corners, high=freqmax is None).real.max()
    if len(corners) == 2:
        slowest = min(slowest, -_poles(order, corners[:1], high=True).real.max())
    return float(slowest)


def initial_state(sos: Floats, level: float) -> Floats:
    """Return the state of a filter that has seen a constant `level` for ever.

    Returns
    -------
    ndarray, shape (n_sections, 2)
    """
    state = np.empty((len(sos), 2))
    for row, (b0, b1, b2, _one, a1, a2) in enumerate(sos):
        out = level * (b0 + b1 + b2) / (1 + a1 + a2)
        state[row, 1] = b2 * level - a2 * out
        state[row, 0] = b1 * level - a1 * out + state[row, 1]
        level = out
    return state


def sosfilt(sos: Floats, x: npt.ArrayLike, state: Floats | None = None) -> Floats:
    """Filter forwards in time.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6)
    x : array_like, shape (n_samples,)
    state : ndarray, shape (n_sections, 2), optional
        What the filter remembers; **changed in place**, so that the next call
        goes on where this one stopped.  By default the filter is at rest.

    Returns
    -------
    ndarray, shape (n_samples,)

    Examples
    --------
    >>> sos = butterworth_sos(2, 1.0, None, 20.0)
    >>> state = initial_state(sos, 5.0)
    >>> bool(abs(sosfilt(sos, [5.0, 5.0], state)).max() < 1e-12)
    True
    """
    if state is None:
        state = np.zeros((len(sos), 2))
    return _cascade(sos, np.ascontiguousarray(x, dtype=np.float64), state)


def sosfiltfilt(sos: Floats, x: npt.ArrayLike, pad: int) -> Floats:
    """Filter forwards and backwards: twice the order, no phase shift.

    Parameters
    ----------
    sos : ndarray, shape (n_sections, 6)
    x : array_like, shape (n_samples,)
    pad : int
        Samples by which the ends are continued, mirrored through the end
        points; at most ``n_samples - 1`` are used.

    Returns
    -------
    ndarray, shape (n_samples,)
    """
    values = np.ascontiguousarray(x, dtype=np.float64)
    pad = max(0, min(pad, len(values) - 1))
    before = 2 * values[0] - values[pad:0:-1]
    after = 2 * values[-1] - values[-2 : -pad - 2 : -1]
    long = np.concatenate((before, values, after))
    forward = _cascade(sos, long, initial_state(sos, long[0]))
    back = _cascade(sos, np.ascontiguousarray(forward[::-1]), initial_state(sos, forward[-1]))[::-1]
    return np.ascontiguousarray(back[pad : pad + len(values)])


def _poles(order: int, corners: list[float], high: bool) -> npt.NDArray[np.complex128]:
    """Poles of the analogue filter with these corners in rad/s."""
    angles = np.pi * np.arange(1 - order, order, 2) / (2 * order)
    prototype = -np.exp(1j * angles)
    if len(corners) == 1:
        return corners[0] / prototype if high else corners[0] * prototype
    product = corners[0] * corners[1]
    half = prototype * (corners[1] - corners[0]) / 2
    root = np.sqrt(half**2 - product)
    far = np.where(np.abs(half + root) > np.abs(half - root), half + root, half - root)
    # The near root from the product, as the difference of two large numbers would lose it.
    return np.concatenate((far, product / far))


def _sections(
    poles: npt.NDArray[np.complex128], freqmin: float | None, freqmax: float | None
) -> list[tuple[tuple[complex, ...], tuple[float, float]]]:
    """Put poles together by two, each two with the zeros nearest to them.

    In a band-pass the lower half of the poles goes with the zeros at 0 Hz and
    the upper half with those at the Nyquist frequency: otherwise the sections
    of a wide band would amplify noise by powers of ten that cancel only at the end.
    """
    is_real = np.abs(poles.imag) <= 1e-9 * np.abs(poles)
    real = sorted(poles[is_real].real)
    upper = sorted(poles[~is_real & (poles.imag > 0)], key=lambda pole: float(np.angle(pole)))
    found: list[tuple[tuple[complex, ...], tuple[float, float]]] = []
    if freqmin is not None and freqmax is not None:
        half = len(upper) // 2
        if real:
            found.append((tuple(real), (1.0, -1.0)))
        for number, pole in enumerate(upper):
            middle = len(upper) % 2 == 1 and number == half
            zeros = (1.0, -1.0) if middle else (1.0, 1.0) if number < half else (-1.0, -1.0)
            found.append(((pole, np.conj(pole)), zeros))
    else:
        zero = 1.0 if freqmax is None else -1.0
        found.extend(((pole,), (zero, zero)) for pole in real)
        found.extend(((pole, np.conj(pole)), (zero, zero)) for pole in upper)
    return sorted(found, key=lambda section: abs(section[0][0]))


@njit(cache=True, nogil=True)
def _cascade(sos, x, state):  # type: ignore[no-untyped-def]
    """Run the sections one after the other over each sample (transposed direct form II)."""
    n_sections = sos.shape[0]
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        value = x[i]
        for s in range(n_sections):
            y = sos[s, 0] * value + state[s, 0]
            first = sos[s, 1] * value - sos[s, 4] * y + state[s, 1]
            second = sos[s, 2] * value - sos[s, 5] * y
            # After the signal ends, numbers too small for a normal float make each step
            # many times slower.
            state[s, 0] = first if abs(first) > TINY else 0.0
            state[s, 1] = second if abs(second) > TINY else 0.0
            value = y
        out[i] = value
    return out
