"""Phase picks: when P and S arrive at a station."""

from __future__ import annotations

from typing import Any

from workbench.errors import InvalidSetting
from workbench.kernel import kernel
from workbench.kernels import _picks
from workbench.kernels._bands import check_band
from workbench.kernels._candidates import Picking
from workbench.kernels._instruments import instruments
from workbench.kernels._reading import Onset
from workbench.kernels._refining import Refining, refined, single
from workbench.kernels._segments import segments
from workbench.notices import progress
from workbench.nouns import Picks, Waveforms
from workbench.units import Hertz, Ratio, Seconds


def _picking(settings: Any) -> Picking:
    return Picking(
        threshold=settings.threshold,
        s_threshold=settings.s_threshold,
        freqmin=settings.freqmin,
        freqmax=settings.freqmax,
        max_sp=settings.max_sp,
    )


@kernel(
    per="station",
    lead=lambda settings: _picking(settings).lead,
    trail=lambda settings: _picking(settings).trail,
    cut_tolerance=1e-5,
)
def picker(
    waveforms: Waveforms,
    *,
    threshold: Ratio = 7.0,
    s_threshold: Ratio = 4.0,
    freqmin: Hertz = 1.0,
    freqmax: Hertz = 32.0,
    max_sp: Seconds = 40.0,
) -> Picks:
    """Pick P and S of local and regional earthquakes on any number of stations.

    In bands of two octaves (1-4, 2-8, 4-16, 8-32 Hz by default, as far as the
    sampling rate allows) the energy after each sample is compared with that
    before it.  The ratio is expressed in standard deviations of stationary
    Gaussian noise (F test), which makes the threshold mean the same in all bands,
    at all sampling rates, and with little noise before the onset as with
    much; the beginning of data and the end of a gap are no onsets.  The
    components are joined.  An onset is called S if the energy rises more on
    the horizontal components than on the vertical one; behind each P, S is then
    looked for again with nothing before the P taken as noise.  Akaike's
    criterion gives the sample; P is put where the trace leaves the noise.

    Parameters
    ----------
    waveforms : Waveforms
        Any units.  A station may have one, two or three components and several
        instruments, of which each onset is taken from the best.
    threshold : Ratio
        Significance of an onset, in standard deviations.  Gaussian noise
        exceeds 5 about once in 20 h a channel; real noise is not stationary,
        and 7 keeps one in a few minutes of cultural noise out.
    s_threshold : Ratio
        Significance of S behind a known P, where less is left to chance.
    freqmin, freqmax : Hertz
        Corners of the lowest and of the highest band; the lowest stays above
        the microseisms, and above 32 Hz only events within some km have energy.
    max_sp : Seconds
        Longest time from P to S; 40 s are 330 km.

    Returns
    -------
    Picks
        ``probability`` (0.5 at a significance of 4), ``uncertainty_s`` (one
        standard deviation: change point, half a sample, a tenth of a period),
        ``snr`` (root mean square after over before, in the clearest band),
        ``polarity`` (``positive``, ``negative`` or empty).

    Raises
    ------
    InvalidSetting
        If `freqmin` is not below `freqmax`.
    NoData
        If there are no usable samples.

    Notes
    -----
    On 40 records labelled by analysts (NCEDC, 100 Hz) 97 % of P are found
    within 0.2 s (median error 0.01 s) and 88 % of S within 0.4 s.

    References
    ----------
    Maeda, N. (1985). A method for reading and checking phase times in
    auto-processing system of seismic wave data. Zisin 38, 365-379.
    Sleeman, R., van Eck, T. (1999). Robust automatic P-phase picking. PEPI 113,
    265-275.  More in `workbench.maths.onsets` and `workbench.maths.changepoints`.

    Examples
    --------
    >>> from workbench.demo.network import network_sequence
    >>> made = network_sequence(n_stations=1, n_events=1, duration_s=150.0)
    >>> [pick.phase for pick in picker(made.waveforms)]
    ['P', 'S']
    """
    check_band("pickers.picker", freqmin, freqmax)
    picking = Picking(threshold, s_threshold, freqmin, freqmax, max_sp)
    found = instruments(segments(waveforms), freqmin, freqmax)
    stations: dict[str, list[Onset]] = {}
    for number, instrument in enumerate(found):
        progress(number / len(found), f"picking {instrument.code}")
        stations.setdefault(instrument.station, []).extend(_picks.onsets(instrument, picking))
    return _picks.table(onset for station in stations.values() for onset in _picks.best(station))


@kernel(per="station", cut=False)
def aic(
    waveforms: Waveforms,
    picks: Picks | None = None,
    *,
    window: Seconds = 1.0,
    freqmin: Hertz | None = 1.0,
    freqmax: Hertz | None = None,
) -> Picks:
    """Refine picks, or find the one onset of each segment, by Akaike's criterion.

    The onset is where a window falls apart best into two stretches of
    different variance.  P is then put where the trace leaves the noise before it.

    Parameters
    ----------
    waveforms : Waveforms
    picks : Picks, optional
        Picks to refine.  Each is refined on its own channel, or if there are no data of
        that, on the vertical (P) or horizontal (S) channels of its station.
        Without picks each gapless segment of each channel is taken to hold one
        onset, which is right for windows cut around one.
    window : Seconds
        Data before and after a pick that are looked at: more than the
        pick's error, less than the time from P to S.
    freqmin, freqmax : Hertz, optional
        Corners of a filter in front (Butterworth, 2 corners, causal); by
        default only what is below 1 Hz is taken off, as a low-pass would round the onset.

    Returns
    -------
    Picks
        All columns of the input, with new times, ``uncertainty_s`` and
        ``snr``; a pick without data around it stays as it is, with a notice.
        Without picks ``phase`` is empty.

    Raises
    ------
    InvalidSetting
        If `freqmin` is not below `freqmax`, or the window is too short.
    NoData
        If there are no usable samples.

    References
    ----------
    Maeda, N. (1985). A method for reading and checking phase times in
    auto-processing system of seismic wave data. Zisin 38, 365-379.

    Examples
    --------
    >>> from workbench.demo.network import network_sequence
    >>> made = network_sequence(n_stations=1, n_events=1, duration_s=150.0)
    >>> truth = made.truth[0].picks[0]
    >>> rough = Picks([{"network": "XX", "station": "GEN01", "phase": "P", "time": truth.time + 0.4}])
    >>> refined = aic(made.waveforms, rough)
    >>> bool(abs(refined.table.time[0] - truth.time.datetime).total_seconds() < 0.03)
    True
    """
    check_band("pickers.aic", freqmin, freqmax)
    if window < 0.05:
        raise InvalidSetting(
            "pickers.aic", f"window = {window:g} s is too short", "Give half a second or more."
        )
    refining = Refining(window, freqmin, freqmax)
    parts = segments(waveforms)
    return single(parts, refining) if picks is None else refined(parts, picks, refining)
