"""Data quality: how much of the data is there, how large it is, and its noise.

Names and definitions are those of MUSTANG, the quality metrics of the IRIS
data centre.
"""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Lt

from workbench.errors import MissingResponse, NoData
from workbench.kernel import kernel
from workbench.kernels._amplitudes import amplitudes
from workbench.kernels._completeness import measured
from workbench.kernels._psd import densities
from workbench.kernels._responses import Responses
from workbench.kernels._spans import by_channel, of_waveforms
from workbench.kernels._velocity import Bands
from workbench.kernels._windows import divided, moment, nanoseconds
from workbench.nouns import Dataset, Spans, Stations, Waveforms
from workbench.units import Fraction, Hertz, Seconds

_SLOWEST = 200.0
"""Twice the spacing of the slowest channels that archives hold (UH?, 0.01 Hz), s."""

_ROUNDED = 0.001
"""Headers round times: a sample that a window begins with may be named this much earlier, s."""


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


def _around(settings: Any) -> float:
    return Bands(settings.bands).reach + _ROUNDED


@kernel(per="channel", lead=_around, trail=_around, grid=lambda settings: settings.window)
def rms(
    waveforms: Waveforms,
    stations: Stations | None = None,
    *,
    window: Annotated[Seconds, Ge(1)] = 86400.0,
    subwindow: Annotated[Seconds, Ge(1)] = 3600.0,
    bands: tuple[Hertz, ...] = (),
) -> Dataset:
    """Measure how large the samples of each channel are, window by window.

    The RMS is that of the samples about their mean, in counts, over all samples
    that there are: a gap weighs nothing.  Where samples are there twice, they
    count once; where two versions differ, neither counts.

    Parameters
    ----------
    waveforms : Waveforms
        In counts.
    stations : Stations, optional
        With responses; needed for `bands`, and used for nothing else.
    window : Seconds
        Length of the windows, which begin at its multiples since 1970: with
        the default they are the days of UTC.
    subwindow : Seconds
        Length of the parts of a window that are kept too; `window` is a
        multiple of it.
    bands : Hertz
        Corners of bands that touch: 0.1,1,10 are two.  With them the RMS of
        the ground velocity in each band is measured as well.

    Returns
    -------
    Dataset
        By ``channel`` (SEED id) and ``time`` (begin of the window):
        ``sample_rms``, ``sample_mean``, ``sample_min``, ``sample_max``
        (counts).  By ``offset`` (s after the begin of the window) also: ``n``
        (samples), ``mean``, ``m2`` (squares of the distances from the mean,
        summed), from which any windows can be put together.  With `bands`:
        ``velocity_rms`` by ``band`` (m/s), and ``velocity_part_rms`` by
        ``band`` and ``offset``.

    Raises
    ------
    InvalidSetting
        If `window` is no multiple of `subwindow`, or the bands are none.
    MissingResponse
        If bands are wanted and no channel has a usable response.
    NoData
        If no channel has usable samples.

    Notes
    -----
    Cut into tiles along the windows, parts and whole agree to the bit: whole
    numbers are summed exactly (squares in 128 bits), so that the numbers are
    those of exact arithmetic, rounded once; floats are summed pairwise in the
    order of time within each sub-window, and sub-windows are merged in a fixed
    order; ground velocity is worked out for each sub-window by itself.  Only
    where different versions of the same samples cross the edge of a tile may
    the parts keep more of them.  A median cannot be put together from parts
    and is not measured.

    References
    ----------
    Casey, R. et al. (2018). Assuring the quality of IRIS data with MUSTANG.
    Seismological Research Letters 89, 630-639.
    Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for
    computing the sample variance. The American Statistician 37, 242-247.

    Examples
    --------
    >>> import obspy
    >>> found = rms(obspy.read().select(channel="EHZ"), window=20.0, subwindow=5.0)
    >>> found["sample_rms"].values.round(2).tolist()
    [[318.56, 209.66]]
    >>> found["n"].values[0].tolist()
    [[200, 500, 500, 500], [500, 500, 300, 0]]
    """
    name = "quality.rms"
    length, part = divided(name, window, subwindow)
    chosen = Bands(bands)
    chosen.check(name)
    if bands and stations is None:
        raise MissingResponse("stations", "are not given, and bands need their responses", "Give StationXML.")
    responses = Responses(stations) if bands and stations is not None else None
    return amplitudes(name, waveforms, length, part, chosen, responses)


def _step(settings: Any) -> float:
    return float(settings.length * (1 - settings.overlap))


@kernel(per="channel", lead=_ROUNDED, trail=lambda settings: settings.length, grid=_step)
def psd(
    waveforms: Waveforms,
    stations: Stations,
    *,
    length: Annotated[Seconds, Ge(1)] = 3600.0,
    overlap: Annotated[Fraction, Lt(1)] = 0.5,
) -> Dataset:
    """Measure the noise of each channel: its power spectral density, window by window.

    The method of McNamara and Buland: 13 or more pieces of a window that
    overlap by 3/4, each without its straight line and tapered, are averaged;
    the instrument is taken off; levels are averaged over whole octaves, every
    eighth of an octave.

    Parameters
    ----------
    waveforms : Waveforms
        In counts.
    stations : Stations
        With responses.
    length : Seconds
        Length of a window.
    overlap : Fraction
        What a window has in common with the next one.  Windows begin at
        multiples of the rest of `length` since 1970.

    Returns
    -------
    Dataset
        By ``channel`` (SEED id), ``time`` (begin of the window) and ``period``
        (s, powers of two to the eighths): ``psd``, in dB relative to
        1 (m/s**2)**2/Hz.  NaN for windows with a gap, with a value that
        repeats for 2 s and 50 samples, and for periods that a sampling rate
        does not have.

    Raises
    ------
    InvalidSetting
        If windows do not begin at whole nanoseconds.
    MissingResponse
        If no channel has a usable response.
    NoData
        If no window is without a gap.

    Notes
    -----
    Agrees with ObsPy's ``PPSD`` with its defaults, for windows without a gap
    and the same `period_limits`, to 0.01 dB.  Cut into tiles along the
    windows, parts and whole agree to the bit.

    References
    ----------
    McNamara, D. E. and Buland, R. P. (2004). Ambient noise levels in the
    continental United States. BSSA 94, 1517-1527.

    Examples
    --------
    >>> import obspy
    >>> found = psd(obspy.read().select(channel="EHZ"), obspy.read_inventory(), length=10.0)
    >>> found["psd"].sel(period=0.5).values.round(1).tolist()
    [[-123.5, -123.9, -138.5, -144.8]]
    """
    name = "quality.psd"
    window = nanoseconds(name, "length", length)
    step = nanoseconds(name, "length * (1 - overlap)", length * (1 - overlap))
    return densities(name, waveforms, Responses(stations), window, step)
