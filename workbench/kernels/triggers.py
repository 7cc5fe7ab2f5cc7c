"""Triggers of single channels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench.kernel import kernel
from workbench.kernels._detections import Detector
from workbench.nouns import Triggers, Waveforms
from workbench.units import Hertz, Ratio, Seconds

_COLUMNS = ["time", "duration_s", "n_stations", "stations", "channel", "peak"]


def _detector(settings: Any) -> Detector:
    return Detector(
        kind=settings.kind,
        sta=settings.sta,
        lta=settings.lta,
        on=settings.on,
        off=settings.off,
        freqmin=settings.freqmin,
        freqmax=settings.freqmax,
        max_duration=settings.max_duration,
    )


@kernel(
    per="channel",
    lead=lambda settings: _detector(settings).lead,
    trail=lambda settings: settings.max_duration,
    cut_tolerance=1e-5,
)
def sta_lta(
    waveforms: Waveforms,
    *,
    kind: Literal["recursive", "classic"] = "recursive",
    sta: Seconds = 1.0,
    lta: Seconds = 30.0,
    on: Ratio = 3.5,
    off: Ratio = 1.5,
    freqmin: Hertz | None = 1.0,
    freqmax: Hertz | None = 10.0,
    max_duration: Seconds = 120.0,
) -> Triggers:
    """Find where the short-term average of a channel stands out of its long-term one.

    The averages are of the squared samples in the band from `freqmin` to
    `freqmax` (Butterworth, 4 corners, causal).  Each stretch without a gap
    begins anew, and triggers nothing before its long average has filled.

    Parameters
    ----------
    waveforms : Waveforms
    kind : {'recursive', 'classic'}
        ``recursive``: averages with exponentially fading weights.
        ``classic``: plain means over the last `sta` and the last `lta` seconds.
    sta : Seconds
        Short average: a few periods of the signal.
    lta : Seconds
        Long average: longer than the signal, or it follows it.
    on, off : Ratio
        A trigger begins where the ratio reaches `on` and lasts while it is
        `off` or more.
    freqmin, freqmax : Hertz, optional
        Corners of the band; by default that of local and regional P waves,
        above the microseism.  None leaves that side open, and both None takes
        the samples as they are, offset and all.
    max_duration : Seconds
        A longer trigger is ended here, and there is no new one before the
        ratio has been below `off`.

    Returns
    -------
    Triggers
        A row a trigger of a channel: ``time`` of its first sample,
        ``duration_s``, ``n_stations`` (1), ``stations`` (``NET.STA``),
        ``channel`` (SEED id), ``peak`` (largest ratio).

    Raises
    ------
    InvalidSetting
        If the settings contradict each other.
    NoData
        If no channel has usable samples.

    Notes
    -----
    The classic ratio is a fixed function of the samples in its windows, so
    with no filter parts of any cut agree to the bit.  The filter and the
    recursive averages never forget entirely; with `lead` the ratios of parts
    and whole agree to 1e-5 of their value.

    References
    ----------
    Allen, R. V. (1978). Automatic earthquake recognition and timing from
    single traces. BSSA 68, 1521-1532.
    Withers, M. et al. (1998). A comparison of select trigger algorithms for
    automated global seismic phase and event detection. BSSA 88, 95-106.

    Examples
    --------
    >>> import obspy
    >>> found = sta_lta(obspy.read().select(channel="EHZ"), sta=0.5, lta=3.0, freqmax=20.0)
    >>> print(found.table[["time", "channel"]].to_string(header=False, index=False))
    2009-08-24 00:20:07.780 BW.RJOB..EHZ
    """
    detector = Detector(kind, sta, lta, on, off, freqmin, freqmax, max_duration)
    detector.check("triggers.sta_lta")
    rows = [
        {
            "time": np.datetime64(found.on, "ns"),
            "duration_s": (found.off - found.on) / 1e9,
            "n_stations": 1,
            "stations": found.station,
            "channel": found.id,
            "peak": found.peak,
        }
        for _, detections in detector.detections(waveforms)
        for found in detections
    ]
    return Triggers(pd.DataFrame(rows, columns=_COLUMNS))
