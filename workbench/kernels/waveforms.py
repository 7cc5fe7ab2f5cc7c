"""Waveforms in, waveforms out: filters and instruments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Le

from workbench.errors import InvalidSetting, NoData
from workbench.kernel import kernel
from workbench.kernels._bands import check_band, filtered, memory
from workbench.kernels._ground import Removal
from workbench.kernels._responses import Motion, Responses
from workbench.kernels._segments import Segment, segments, to_stream
from workbench.maths import spectra
from workbench.notices import progress
from workbench.nouns import Stations, Waveforms
from workbench.units import Count, Decibels, Hertz, Ratio, Seconds


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


def _reach(settings: Any) -> float:
    return Removal(settings.freqmin, settings.freqmax, settings.water_level).reach


@kernel(per="channel", lead=_reach, trail=_reach, cut_tolerance=1e-4)
def remove_response(
    waveforms: Waveforms,
    stations: Stations,
    *,
    output: Literal["DISP", "VEL", "ACC"] = "VEL",
    freqmin: Hertz = 0.05,
    freqmax: Hertz | None = None,
    water_level: Decibels = 60.0,
    digital_filters: Literal["given", "mended"] = "given",
) -> Waveforms:
    """Turn counts into ground motion.

    Each stretch without a gap is divided by the instrument's response in the
    frequency domain, with the response of its epoch; a stretch in which the
    instrument changed is cut there.  All stages count, as evalresp evaluates
    them.  Channels without a response are left out and named.

    Parameters
    ----------
    waveforms : Waveforms
        In counts.
    stations : Stations
        With responses.
    output : {'DISP', 'VEL', 'ACC'}
        Displacement in m, velocity in m/s or acceleration in m/s**2.
    freqmin : Hertz
        Lowest frequency that is kept in full; nothing is kept below half of
        it.  The default suits local and regional records of short-period and
        broadband sensors; a broadband sensor allows less.  A stretch that is
        shorter than two such periods keeps only what it holds, with a notice.
    freqmax : Hertz, optional
        Highest frequency that is kept in full; nothing is kept above 1.2 times
        it.  By default, and at most, 3/4 of the Nyquist frequency, above which
        anti-alias filters cut.
    water_level : Decibels
        A response this far below its largest is raised to that, so that noise
        is not blown up.  It is measured in what the sensor responds to evenly
        (velocity of a seismometer, acceleration of an accelerometer).
    digital_filters : {'given', 'mended'}
        Digital filters in the response that cannot be right are used as they
        are given, with a notice, or mended: coefficients in reverse order are
        turned round, others are left out.

    Returns
    -------
    Waveforms
        float64, with ``stats.unit``.  A straight line is taken off each
        stretch; the ends are not tapered, but within one longest period of
        them the result is less certain.

    Raises
    ------
    InvalidSetting
        If `freqmin` is not below `freqmax`.
    MissingResponse
        If no channel has a usable response.
    NoData
        If no channel has usable samples.

    Notes
    -----
    Cut into windows with `lead` and `trail`, parts and whole agree to 1e-4 of
    the largest ground motion.

    References
    ----------
    Haney, M. M. et al. (2012). Causal instrument corrections for short-period
    and broadband seismometers. Seismological Research Letters 83, 834-845.

    Examples
    --------
    >>> import obspy
    >>> stations = obspy.read_inventory()
    >>> stream = obspy.read().select(channel="EHZ")
    >>> (trace,) = remove_response(stream, stations, output="VEL", freqmin=0.5)
    >>> f"{abs(trace.data).max():.1e} {trace.stats.unit}"
    '5.8e-07 m/s'
    """
    removal = Removal(freqmin, freqmax, water_level)
    removal.check("waveforms.remove_response")
    units = {"DISP": "m", "VEL": "m/s", "ACC": "m/s**2"}
    done = _grounds(waveforms, Responses(stations, digital_filters), removal, output)
    top = f", freqmax={freqmax:g}" if freqmax else ""
    return to_stream(
        done,
        unit=units[output],
        processing=f"waveforms.remove_response(output={output}, freqmin={freqmin:g}{top}, "
        f"water_level={water_level:g}, digital_filters={digital_filters})",
    )


@kernel(per="channel", lead=_reach, trail=_reach, cut_tolerance=1e-4)
def wood_anderson(
    waveforms: Waveforms,
    stations: Stations,
    *,
    wa_gain: Ratio = 2080.0,
    wa_period: Seconds = 0.8,
    wa_damping: Ratio = 0.7,
    freqmin: Hertz = 0.1,
    freqmax: Hertz | None = None,
    water_level: Decibels = 40.0,
    digital_filters: Literal["given", "mended"] = "given",
) -> Waveforms:
    """Make the records that Wood-Anderson seismographs would have written, in mm.

    The instrument is exchanged in one step in the frequency domain, so there
    is no error of a recursive filter at any sampling rate.

    Parameters
    ----------
    waveforms : Waveforms
        In counts, of seismometers or accelerometers.
    stations : Stations
        With responses.
    wa_gain : Ratio
        Static magnification: 2080 as measured by Uhrhammer and Collins and
        adopted by IASPEI; 2800 is the maker's number, which old catalogues used.
    wa_period : Seconds
        Free period.
    wa_damping : Ratio
        Fraction of critical: 0.7 with a magnification of 2080; 0.8 is the
        maker's number.
    freqmin : Hertz
        Lowest frequency that is kept in full.  The instrument itself cuts
        below 1.25 Hz; this keeps the drift of short-period sensors out.
    freqmax : Hertz, optional
        Highest one; by default and at most 3/4 of the Nyquist frequency.
    water_level : Decibels
        See `waveforms.remove_response`; lower here, as a Wood-Anderson hardly
        hears what a sensor is that weak for.
    digital_filters : {'given', 'mended'}
        See `waveforms.remove_response`.

    Returns
    -------
    Waveforms
        float64, trace amplitude in mm (``stats.unit``); gain, period and
        damping stand in ``stats.processing``.

    Raises
    ------
    InvalidSetting
        If `freqmin` is not below `freqmax`, or the period is 0.
    MissingResponse
        If no channel has a usable response.
    NoData
        If no channel has usable samples.

    References
    ----------
    Uhrhammer, R. A. and Collins, E. R. (1990). Synthesis of Wood-Anderson
    seismograms from broadband digital records. BSSA 80, 702-716.
    IASPEI (2013). Summary of magnitude working group recommendations on
    standard procedures for determining earthquake magnitudes from digital data.

    Examples
    --------
    >>> import obspy
    >>> stations = obspy.read_inventory()
    >>> stream = obspy.read().select(channel="EHN")
    >>> (trace,) = wood_anderson(stream, stations)
    >>> f"{abs(trace.data).max():.2f} {trace.stats.unit}"
    '0.06 mm'
    """
    removal = Removal(freqmin, freqmax, water_level)
    removal.check("waveforms.wood_anderson")
    if wa_period <= 0:
        raise InvalidSetting("waveforms.wood_anderson", "wa_period is 0 s", "A Wood-Anderson has 0.8 s.")

    def millimetres(frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
        return 1000 * spectra.wood_anderson(frequency, wa_gain, wa_period, wa_damping)

    done = _grounds(waveforms, Responses(stations, digital_filters), removal, "DISP", millimetres)
    top = f", freqmax={freqmax:g}" if freqmax else ""
    return to_stream(
        done,
        unit="mm",
        processing=f"waveforms.wood_anderson(wa_gain={wa_gain:g}, wa_period={wa_period:g}, "
        f"wa_damping={wa_damping:g}, freqmin={freqmin:g}{top}, water_level={water_level:g}, "
        f"digital_filters={digital_filters})",
    )


def _grounds(
    waveforms: Waveforms,
    responses: Responses,
    removal: Removal,
    motion: Motion,
    further: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.complex128]] | None = None,
) -> list[Segment]:
    """Take the instrument off every channel that has a response.

    Raises
    ------
    MissingResponse
        If there is none.
    """
    parts = segments(waveforms)
    done = []
    for number, segment in enumerate(parts):
        progress(number / len(parts), f"taking the instrument off {segment.id}")
        for part, response in responses.parts(segment):
            ground = removal.ground(part, response, motion, further)
            if ground is not None:
                done.append(ground)
    if not done:
        raise responses.missing(sorted({part.id for part in parts}))
    return done
