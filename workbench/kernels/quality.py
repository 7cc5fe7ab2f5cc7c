"""Data quality: how much of the data is there, how large it is, and its noise.

Names and definitions are those of MUSTANG, the quality metrics of the IRIS
data centre.
"""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Lt

from workbench.errors import NoData
from workbench.kernel import kernel
from workbench.kernels._amplitudes import amplitudes, velocities
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
    if not found.ids:
        raise NoData("the spans", "hold nothing", "Check the selection and the time span.")
    return measured(name, found, length, begin, end)


@kernel(per="channel", lead=_ROUNDED, trail=_ROUNDED, grid=lambda settings: settings.window)
def rms(
    waveforms: Waveforms,
    *,
    window: Annotated[Seconds, Ge(1)] = 86400.0,
    subwindow: Annotated[Seconds, Ge(1)] = 3600.0,
) -> Dataset:
    """Measure how large the samples of each channel are, window by window.

    The RMS is that of the samples about their mean, in counts, over all samples
    that there are: a gap weighs nothing.  Where samples are there twice, they
    count once; where two versions differ, neither counts.

    Parameters
    ----------
    waveforms : Waveforms
        In counts.
    window : Seconds
        Length of the windows, which begin at its multiples since 1970: with
        the default they are the days of UTC.
    subwindow : Seconds
        Length of the parts of a window that are kept too; `window` is a
        multiple of it.

    Returns
    -------
    Dataset
        By ``channel`` (SEED id) and ``time`` (begin of the window):
        ``sample_rms``, ``sample_mean``, ``sample_min``, ``sample_max``
        (counts).  By ``offset`` (s after the begin of the window) also: ``n``
        (samples), ``mean``, ``m2`` (squares of the distances from the mean,
        summed), from which any windows can be put together.

    Raises
    ------
    InvalidSetting
        If `window` is no multiple of `subwindow`.
    NoData
        If no channel has usable samples.

    Notes
    -----
    Cut into tiles along the windows, parts and whole agree to the bit: whole
    numbers are summed exactly (squares in 128 bits), so that the numbers are
    those of exact arithmetic, rounded once; floats are summed pairwise in the
    order of time within each sub-window, and sub-windows are merged in a fixed
    order.  Only where different versions of the same samples cross the edge of
    a tile may the parts keep more of them.  A median cannot be put together
    from parts and is not measured.

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
    return amplitudes(name, waveforms, *divided(name, window, subwindow))


def _around(settings: Any) -> float:
    return Bands(settings.bands).reach + _ROUNDED


@kernel(per="channel", lead=_around, trail=_around, grid=lambda settings: settings.window)
def ground_rms(
    waveforms: Waveforms,
    stations: Stations,
    *,
    bands: tuple[Hertz, ...] = (0.1, 1.0, 10.0),
    window: Annotated[Seconds, Ge(1)] = 86400.0,
    subwindow: Annotated[Seconds, Ge(1)] = 3600.0,
) -> Dataset:
    """Measure how much the ground moves in bands of frequency, window by window.

    The instrument is taken off in the frequency domain, sub-window by
    sub-window with some time around it, and the ground velocity squared and
    averaged over all samples that there are.

    Parameters
    ----------
    waveforms : Waveforms
        In counts.
    stations : Stations
        With responses.
    bands : Hertz
        Corners of bands that touch: 0.1,1,10 are two.
    window : Seconds
        Length of the windows, which begin at its multiples since 1970.
    subwindow : Seconds
        Length of the parts of a window; `window` is a multiple of it.

    Returns
    -------
    Dataset
        By ``channel`` (SEED id), ``time`` (begin of the window) and ``band``:
        ``velocity_rms`` (m/s); by ``offset`` (s after the begin of the window)
        also ``velocity_part_rms``.  NaN where there are no data, where a band
        reaches above 0.9 of the Nyquist frequency, and where a stretch without
        a gap is shorter than two of the longest periods of a band.

    Raises
    ------
    InvalidSetting
        If `window` is no multiple of `subwindow`, or the bands do not grow.
    MissingResponse
        If no channel has a usable response.
    NoData
        If no channel has usable samples.

    Notes
    -----
    Cut into tiles along the windows, parts and whole agree to the bit, as each
    sub-window is worked out by itself.

    References
    ----------
    Haney, M. M. et al. (2012). Causal instrument corrections for short-period
    and broadband seismometers. Seismological Research Letters 83, 834-845.

    Examples
    --------
    >>> import obspy
    >>> stream, stations = obspy.read().select(channel="EHZ"), obspy.read_inventory()
    >>> found = ground_rms(stream, stations, bands=(1.0, 10.0), window=60.0, subwindow=60.0)
    >>> f"{found['velocity_rms'].item():.1e} {found['velocity_rms'].attrs['units']}"
    '6.9e-08 m/s'
    """
    name = "quality.ground_rms"
    length, part = divided(name, window, subwindow)
    chosen = Bands(bands)
    chosen.check(name)
    return velocities(name, waveforms, Responses(stations), chosen, length, part)


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
