"""Waveforms in, waveforms out: filters and instruments."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Le

from workbench.errors import InvalidSetting, NoData
from workbench.kernel import kernel
from workbench.kernels._bands import check_band, filtered, memory
from workbench.kernels._segments import segments, to_stream
from workbench.notices import progress
from workbench.nouns import Waveforms
from workbench.units import Count, Hertz


def _filter_lead(settings: Any) -> float:
    return memory(settings.corners, settings.freqmin, settings.freqmax)


def _filter_trail(settings: Any) -> float:
    return _filter_lead(settings) if settings.zerophase else 0.0


@kernel(per="channel", lead=_filter_lead, trail=_filter_trail, cut_tolerance=1e-8)
def filter(
    waveforms: Waveforms,
    *,
    freqmin: Hertz | None = None,
    freqmax: Hertz | None = None,
    corners: Annotated[Count, Le(10)] = 4,
    zerophase: bool = False,
) -> Waveforms:
    """Keep a band of frequencies, with a Butterworth filter.

    Each stretch without a gap is filtered by itself.  The filter starts as if
    the first sample had stood for ever, so an offset makes no step at the
    beginning, and nothing has to be tapered away or subtracted.

    Parameters
    ----------
    waveforms : Waveforms
    freqmin : Hertz, optional
        Lower corner; alone it makes a high-pass.
    freqmax : Hertz, optional
        Upper corner; alone it makes a low-pass.  A channel whose Nyquist
        frequency lies below it is filtered without it, with a notice.
    corners : Count
        Poles of the filter; 4 falls by 24 dB an octave.
    zerophase : bool
        Filter forwards and backwards: no delay, twice the steepness, but a
        precursor before each onset.  Leave it off before picking.

    Returns
    -------
    Waveforms
        A trace for each stretch without a gap, float64, in the unit of the input.

    Raises
    ------
    InvalidSetting
        Without a corner, or with `freqmin` not below `freqmax`.
    NoData
        If no channel can be filtered.

    Notes
    -----
    Cut into windows with `lead` (and `trail`, with zero phase) the parts agree
    with the whole to 1e-8 of the largest change within the input.

    References
    ----------
    Oppenheim, A. V. and Schafer, R. W. (2010). Discrete-Time Signal
    Processing, 3rd ed., chapter 7. Pearson.

    Examples
    --------
    >>> import obspy
    >>> stream = obspy.read()
    >>> [trace.id for trace in filter(stream, freqmin=1.0, freqmax=10.0)]
    ['BW.RJOB..EHE', 'BW.RJOB..EHN', 'BW.RJOB..EHZ']
    """
    if freqmin is None and freqmax is None:
        raise InvalidSetting("waveforms.filter", "there is no corner", "Give freqmin, freqmax or both.")
    check_band("waveforms.filter", freqmin, freqmax)
    parts = segments(waveforms)
    done = []
    for number, part in enumerate(parts):
        progress(number / len(parts), f"filtering {part.id}")
        band = filtered(part, freqmin=freqmin, freqmax=freqmax, corners=corners, zerophase=zerophase)
        if band is not None:
            done.append(band)
    if not done:
        raise NoData(
            "waveforms.filter",
            "no channel is sampled fast enough for the band",
            "Lower freqmin, or take others.",
        )
    named = [f"{name}={value:g}" for name, value in (("freqmin", freqmin), ("freqmax", freqmax)) if value]
    passes = ", zerophase" if zerophase else ""
    return to_stream(done, processing=f"waveforms.filter({', '.join(named)}, corners={corners}{passes})")
