"""Data quality: how much of the data is there, how large it is, and its noise.

Names and definitions are those of MUSTANG, the quality metrics of the IRIS
data centre.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from workbench.errors import NoData
from workbench.kernel import kernel
from workbench.kernels._completeness import measured
from workbench.kernels._spans import by_channel, of_waveforms
from workbench.kernels._windows import moment, nanoseconds
from workbench.nouns import Dataset, Spans, Waveforms
from workbench.units import Seconds

_SLOWEST = 200.0
"""Twice the spacing of the slowest channels that archives hold (UH?, 0.01 Hz), s."""


@kernel(per="channel", lead=_SLOWEST, trail=_SLOWEST, grid=lambda settings: settings.window)
def completeness(
    spans: Spans | Waveforms,
    *,
    window: Annotated[Seconds, Ge(1)] = 86400.0,
    starttime: str | None = None,
    endtime: str | None = None,
) -> Dataset:
    """Measure how much of each channel is there, window by window.

    Given by a selection, it is answered from the index of the archive, and no
    sample is read.  A sample covers the time until the next one is due; what
    is off by half a sample or less is neither a gap nor an overlap; time that
    is covered twice counts once.

    Parameters
    ----------
    spans : Spans or Waveforms
        When channels have data.
    window : Seconds
        Length of the windows, which begin at its multiples since 1970: with
        the default they are the days of UTC.
    starttime, endtime : str, optional
        ISO 8601, UTC: windows from the one to the other, with data or without,
        and of a window that lies partly outside only the part inside.  By
        default whole windows, from the first data of any channel to the last.

    Returns
    -------
    Dataset
        By ``channel`` (SEED id) and ``time`` (begin of the window):
        ``percent_availability`` (100 less the share of all gaps),
        ``num_gaps``, ``max_gap`` (s), ``num_overlaps``, ``max_overlap`` (s),
        ``num_samples``; of windows of whole days also ``num_records``.  A
        window without data is one gap, as long as the window.

    Raises
    ------
    InvalidSetting
        If a time cannot be read, or all windows are shorter than a sample.
    NoData
        If there is no span.
    ResourceExceeded
        If there would be too many windows.

    Notes
    -----
    Cut into tiles along the windows, parts and whole agree to the bit.  A gap
    at the edge of a window counts in each window that has more than half a
    sample of it, as in ObsPy's ``MSEEDMetadata``; but there any gap at the
    very edge counts, here only one of more than half a sample.  Samples and
    overlaps are counted as they lie in the records: what is there twice counts
    twice.  Records count where they begin; 0 means that they are not known.

    References
    ----------
    Casey, R. et al. (2018). Assuring the quality of IRIS data with MUSTANG.
    Seismological Research Letters 89, 630-639.
    Trani, L., Koymans, M., Atkinson, M., Sleeman, R. and Filgueira, R. (2017).
    WFCatalog: a catalogue for seismological waveform data. Computers &
    Geosciences 106, 101-108.

    Examples
    --------
    >>> import obspy
    >>> found = completeness(obspy.read().select(channel="EHZ"), window=10.0)
    >>> found["percent_availability"].values.round(2).tolist()
    [[70.0, 100.0, 100.0, 30.0]]
    >>> found["max_gap"].values.tolist()
    [[3.0, 0.0, 0.0, 7.0]]
    """
    name = "quality.completeness"
    length = nanoseconds(name, "window", window)
    begin, end = moment(name, "starttime", starttime), moment(name, "endtime", endtime)
    found = by_channel(spans if isinstance(spans, Spans) else of_waveforms(spans))
    if not found:
        raise NoData("the spans", "hold nothing", "Check the selection and the time span.")
    return measured(name, found, length, begin, end)
