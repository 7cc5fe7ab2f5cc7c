"""Filtering of segments, with the corners that each sampling rate allows."""

from __future__ import annotations

from dataclasses import replace

from workbench.errors import InvalidSetting
from workbench.kernels._segments import Segment
from workbench.maths.filters import butterworth_sos, decay_rate, initial_state, sosfilt, sosfiltfilt
from workbench.notices import notice

__all__ = ["FORGOTTEN", "check_band", "filtered", "memory"]

FORGOTTEN = 28.0
"""Decay times after which a filter has forgotten: exp(-28) is 7e-13.

The poles of a Butterworth filter lie close together, which multiplies that by
some powers of the elapsed time; what is left is below 1e-8 of the signal.
"""

_NYQUIST_SHARE = 0.99
"""An upper corner above this share of the Nyquist frequency filters nothing."""


def check_band(kernel: str, freqmin: float | None, freqmax: float | None) -> None:
    """Refuse a band that is upside down.

    Raises
    ------
    InvalidSetting
        If `freqmin` is not below `freqmax`.
    """
    if freqmin is not None and freqmax is not None and freqmin >= freqmax:
        raise InvalidSetting(
            kernel,
            f"freqmin = {freqmin:g} Hz is not below freqmax = {freqmax:g} Hz",
            "Give the lower corner as freqmin and the upper one as freqmax.",
        )


def memory(corners: int, freqmin: float | None, freqmax: float | None) -> float:
    """Return the seconds after which a filter has forgotten what was before."""
    if freqmin is None and freqmax is None:
        return 0.0
    return FORGOTTEN / decay_rate(corners, freqmin, freqmax)


def filtered(
    segment: Segment,
    *,
    freqmin: float | None,
    freqmax: float | None,
    corners: int = 4,
    zerophase: bool = False,
) -> Segment | None:
    """Filter a segment, as far as its sampling rate allows.

    The filter starts as if the first sample had stood for ever, so a large
    offset makes no step; nothing is tapered, nothing is subtracted that
    depends on where the data end.

    Parameters
    ----------
    segment : Segment
    freqmin, freqmax : float or None
        Corners in Hz; both None returns the samples as they are.
    corners : int
        Poles of the prototype.
    zerophase : bool
        Forwards and backwards.

    Returns
    -------
    Segment or None
        None, with a notice, where all of the band lies above the Nyquist frequency.
    """
    nyquist = segment.rate / 2
    if freqmin is not None and freqmin >= _NYQUIST_SHARE * nyquist:
        notice(
            segment.id,
            f"has {segment.rate:g} samples a second, too few for the band above {freqmin:g} Hz",
            f"It is left out; lower freqmin below {nyquist:g} Hz to use it.",
        )
        return None
    if freqmax is not None and freqmax > _NYQUIST_SHARE * nyquist:
        notice(
            segment.id,
            f"has {segment.rate:g} samples a second, so nothing is left to cut above {freqmax:g} Hz",
            "It is filtered without the upper corner.",
            loss=False,
        )
        freqmax = None
    if freqmin is None and freqmax is None:
        return replace(segment, data=segment.data.astype(float))
    sos = butterworth_sos(corners, freqmin, freqmax, segment.rate)
    if zerophase:
        pad = int(memory(corners, freqmin, freqmax) * segment.rate) + 1
        return replace(segment, data=sosfiltfilt(sos, segment.data, pad))
    return replace(segment, data=sosfilt(sos, segment.data, initial_state(sos, float(segment.data[0]))))
