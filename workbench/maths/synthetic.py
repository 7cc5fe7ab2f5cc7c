"""Records of a local earthquake, generated: body-wave pulses, codas, noise.

These are not wave-equation seismograms.  They hold what detection, picking,
location and magnitude depend on: onsets that are exact in time, pulses whose
corner frequency follows from size and attenuation, P motion along the ray and
S motion across it, codas of scattered energy, coloured noise.  The same
seed gives the same samples.

References
----------
Brune, J. N. (1970). Tectonic stress and the spectra of seismic shear waves
from earthquakes. JGR 75, 4997-5009 (corner frequency).
Aki, K., Richards, P. G. (2002). Quantitative Seismology, 2nd ed., eq. 4.89
(radiation pattern of a double couple).
Peterson, J. (1993). Observations and modeling of seismic background noise.
USGS Open-File Report 93-322 (the shape of the noise: a peak of
microseisms near 0.2 Hz, and a slow rise towards low frequencies).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["arrival", "corner_frequency", "noise", "radiation"]

Floats = npt.NDArray[np.float64]


def corner_frequency(magnitude: float, shear_velocity: float = 3.4, stress_drop_mpa: float = 3.0) -> float:
    """Corner frequency of a moment magnitude, Hz.

    Parameters
    ----------
    magnitude : float
    shear_velocity : float
        Km/s at the source.
    stress_drop_mpa : float
        3 MPa is the middle of what is observed.

    Examples
    --------
    >>> round(corner_frequency(2.0), 1)
    22.1
    """
    moment = 10 ** (1.5 * magnitude + 9.1)
    radius_m = (7 / 16 * moment / (stress_drop_mpa * 1e6)) ** (1 / 3)
    return 0.37 * shear_velocity * 1e3 / radius_m


def radiation(
    strike: float, dip: float, rake: float, azimuth: float, takeoff: float
) -> tuple[float, float, float]:
    """Amplitudes of P, SV and SH that a double couple sends out along a ray.

    Parameters
    ----------
    strike, dip, rake : float
        Of the fault, degrees.
    azimuth, takeoff : float
        Of the ray; the take-off angle counts from straight down, degrees.

    Examples
    --------
    >>> [round(abs(x), 3) for x in radiation(0, 90, 0, 45, 90)]
    [1.0, 0.0, 0.0]
    """
    d, r, p, i = (math.radians(x) for x in (dip, rake, azimuth - strike, takeoff))
    cos_r, sin_r, cos_d, sin_d = math.cos(r), math.sin(r), math.cos(d), math.sin(d)
    cos_2d, sin_2d = math.cos(2 * d), math.sin(2 * d)
    sin_p, cos_p, sin_2p, cos_2p = math.sin(p), math.cos(p), math.sin(2 * p), math.cos(2 * p)
    sin_i, cos_i, sin_2i, cos_2i = math.sin(i), math.cos(i), math.sin(2 * i), math.cos(2 * i)
    of_p = (
        cos_r * sin_d * sin_i**2 * sin_2p
        - cos_r * cos_d * sin_2i * cos_p
        + sin_r * sin_2d * (cos_i**2 - sin_i**2 * sin_p**2)
        + sin_r * cos_2d * sin_2i * sin_p
    )
    of_sv = (
        sin_r * cos_2d * cos_2i * sin_p
        - cos_r * cos_d * cos_2i * cos_p
        + 0.5 * cos_r * sin_d * sin_2i * sin_2p
        - 0.5 * sin_r * sin_2d * sin_2i * (1 + sin_p**2)
    )
    of_sh = (
        cos_r * cos_d * cos_i * sin_p
        + cos_r * sin_d * sin_i * cos_2p
        + sin_r * cos_2d * cos_i * cos_p
        - 0.5 * sin_r * sin_2d * sin_i * sin_2p
    )
    return of_p, of_sv, of_sh


def arrival(
    n_samples: int,
    rate: float,
    onset_s: float,
    corner_hz: float,
    motion: npt.ArrayLike,
    coda: npt.ArrayLike,
    coda_s: float,
    random: np.random.Generator,
) -> Floats:
    """Ground velocity of one phase on three components, zero before its onset.

    The pulse of displacement is ``t**2 exp(-2 pi f t)``, smooth at the onset
    and of an omega-cube spectrum.  The coda is the pulse again, from random
    directions, with an envelope that decays exponentially.

    Parameters
    ----------
    n_samples : int
    rate : float
        Samples a second.
    onset_s : float
        Time of the onset after the first sample, seconds; need not be a sample.
    corner_hz : float
        Corner frequency f at the station, source and path together.
    motion : array_like, shape (3,)
        Direction and largest amplitude of the direct pulse on Z, N, E.
    coda : array_like, shape (3,)
        Largest amplitude of the coda on Z, N, E over that of the pulse.  Under a
        station rays are steep, so the coda of P is stronger on Z and that of S on N and E.
    coda_s : float
        Time in which the coda falls by a factor e.
    random : numpy.random.Generator

    Returns
    -------
    ndarray, shape (3, n_samples)
        In the unit of `motion`.
    """
    direct = np.asarray(motion, dtype=np.float64)
    out = np.zeros((3, n_samples))
    first = max(0, math.ceil(onset_s * rate))
    # After 12 coda times nothing is left; noise is larger by then.
    last = min(n_samples, first + int(12 * coda_s * rate))
    if first >= last:
        return out
    t = np.arange(first, last) / rate - onset_s
    omega = 2 * math.pi * corner_hz
    pulse = (2 * t - omega * t * t) * np.exp(-omega * t)
    fine = np.linspace(0, 4 / omega, 400)
    pulse /= np.abs((2 * fine - omega * fine**2) * np.exp(-omega * fine)).max()
    kernel = pulse[: max(2, math.ceil(3 * rate / corner_hz))]
    scattered = random.standard_normal((3, t.size)) * np.exp(-t / coda_s)
    scattered *= np.asarray(coda, dtype=np.float64)[:, None]
    size = 1 << (t.size + kernel.size).bit_length()
    coda_waves = np.fft.irfft(np.fft.rfft(scattered, size) * np.fft.rfft(kernel, size), size)[:, : t.size]
    # A short rise keeps the coda from competing with the direct pulse.
    largest = np.abs(coda_waves).max()
    coda_waves *= np.max(coda) * np.linalg.norm(direct) / max(largest, 1e-300)
    coda_waves *= 1 - np.exp(-t * corner_hz)
    out[:, first:last] = direct[:, None] * pulse + coda_waves
    return out


def noise(
    n_samples: int, rate: float, level: float, microseism: float, random: np.random.Generator
) -> Floats:
    """Ground velocity of background noise on one component.

    Parameters
    ----------
    n_samples : int
    rate : float
        Samples a second.
    level : float
        Root mean square above 1 Hz.
    microseism : float
        Root mean square of the microseisms, a peak at 0.2 Hz.
    random : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n_samples,)
        In the unit of `level` and `microseism`.

    Examples
    --------
    >>> quiet = noise(6000, 100.0, 1.0, 0.0, np.random.default_rng(1))
    >>> bool(0.9 < quiet.std() < 2.0)
    True
    """
    size = 1 << (n_samples - 1).bit_length()
    frequency = np.fft.rfftfreq(size, 1 / rate)
    frequency[0] = frequency[1]
    # Power a hertz: falling as 1/f below 1 Hz, flat above, and a peak of microseisms.
    ambient = 1 + 1 / frequency
    peak = np.exp(-0.5 * (np.log(frequency / 0.2) / 0.35) ** 2)
    step = frequency[1]
    high = frequency > 1
    power = level**2 * ambient / (ambient[high].sum() * step) + microseism**2 * peak / (peak.sum() * step)
    # `size` white samples of unit variance have the power 2 / rate a hertz.
    white = np.fft.rfft(random.standard_normal(size))
    white[0] = 0.0
    return np.fft.irfft(white * np.sqrt(power * rate / 2), size)[:n_samples]
