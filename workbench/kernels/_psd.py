"""Power spectral densities of channels, window by window."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.errors import NoData
from workbench.kernels._responses import Response, Responses
from workbench.kernels._segments import Segment, segments
from workbench.kernels._windows import parts_of
from workbench.maths.availability import first_sample
from workbench.maths.noise import Octaves, flat, fourier_length, power
from workbench.notices import notice, progress
from workbench.nouns import Dataset, Waveforms

__all__ = ["densities"]

Floats = npt.NDArray[np.float64]

_TINY = float(np.finfo(np.float64).tiny)
_DEAD_SAMPLES, _DEAD_SECONDS = 50, 2.0
"""One value that repeats this often is a dead sensor, or a gap that somebody filled."""
_LEAST = 4
"""Samples of a piece that make a spectrum at all."""


def densities(kernel: str, waveforms: Waveforms, responses: Responses, length: int, step: int) -> Dataset:
    """Measure all windows of all channels.

    Parameters
    ----------
    kernel : str
        Who asks.
    waveforms : Waveforms
    responses : Responses
    length, step : int
        Length of a window, and from one to the next, ns.
    """
    found: dict[str, dict[int, tuple[npt.NDArray[np.int64], Floats]]] = {}
    answered = False
    parts = segments(waveforms, flat=True)
    for number, segment in enumerate(parts):
        progress(number / len(parts), f"measuring {segment.id}")
        if not _long(segment, length):
            continue
        for part, response in responses.parts(segment):
            answered = True
            for time, numbers, levels in _windows(part, response, length, step):
                found.setdefault(part.id, {}).setdefault(time, (numbers, levels))
    if not found:
        if any(_long(segment, length) for segment in parts) and not answered:
            raise responses.missing(sorted({segment.id for segment in parts}))
        raise NoData(
            kernel,
            f"no channel has a window of {length / 1e9:g} s without a gap",
            "Take shorter windows, or other data.",
        )
    return _table(found, length, step)


def _long(segment: Segment, length: int) -> bool:
    """Whether a segment has the samples of a window."""
    size = int(segment.rate * length / 1e9)
    if fourier_length(size) < _LEAST:
        notice(
            segment.id,
            f"has a sample every {1 / segment.rate:g} s, and a window is {length / 1e9:g} s",
            "It is left out; take longer windows.",
        )
        return False
    return len(segment.data) >= size


def _windows(
    part: Segment, response: Response, length: int, step: int
) -> list[tuple[int, npt.NDArray[np.int64], Floats]]:
    """Return begin, periods and levels of each window that lies in a stretch."""
    size = int(part.rate * length / 1e9)
    piece = fourier_length(size)
    spacing = 1e9 / part.rate
    octaves = Octaves(part.rate, piece)
    frequency = np.fft.rfftfreq(piece, 1 / part.rate).astype(np.float64)
    correction: Floats | None = None
    done = []
    begin = -(-(part.start - int(spacing)) // step) * step
    for time in range(begin, part.end + 1, step):
        first = int(first_sample(part.start, spacing, len(part.data), time))
        if part.time_of(first) - time >= spacing:
            continue  # the window begins before the data
        if first + size > len(part.data):
            break
        data = part.data[first : first + size]
        if flat(data, max(_DEAD_SAMPLES, round(_DEAD_SECONDS * part.rate))):
            notice(
                part.id,
                "keeps one value for a while",
                "Those windows are left out; check the sensor and the telemetry.",
            )
            continue
        if correction is None:
            correction = _to_acceleration(response, frequency)
        spectrum = power(data, part.rate, piece)[1:] * correction
        done.append((time, octaves.numbers, octaves.means(10 * np.log10(np.maximum(spectrum, _TINY)))))
    return done


def _to_acceleration(response: Response, frequency: Floats) -> Floats:
    """Return what turns power of counts into power of ground acceleration, above 0 Hz."""
    counts = np.abs(response.spectrum(frequency, float(frequency[1])))[1:]
    factor: Floats = np.abs(response.to("ACC", frequency)[1:]) ** 2 / np.maximum(counts, 1e-150) ** 2
    return factor


def _table(
    found: dict[str, dict[int, tuple[npt.NDArray[np.int64], Floats]]], length: int, step: int
) -> Dataset:
    from xarray import Dataset

    times = sorted({time for windows in found.values() for time in windows})
    axis = parts_of(np.array([times[0], times[-1]]), step)
    numbers = np.unique(np.concatenate([each for windows in found.values() for each, _ in windows.values()]))
    levels = np.full((len(found), len(axis), len(numbers)), np.nan)
    for row, windows in enumerate(found.values()):
        for time, (own, values) in windows.items():
            levels[row, (time - times[0]) // step, np.searchsorted(numbers, own)] = values
    return Dataset(
        {
            "psd": (
                ("channel", "time", "period"),
                levels,
                {"long_name": "power spectral density of ground acceleration", "units": "dB"},
            )
        },
        {
            "channel": list(found),
            "time": ("time", axis.view("M8[ns]"), {"long_name": "begin of window", "window_s": length / 1e9}),
            "period": ("period", Octaves.periods(numbers), {"long_name": "period", "units": "s"}),
        },
        {"title": "Noise", "reference": "1 (m/s**2)**2/Hz"},
    )
