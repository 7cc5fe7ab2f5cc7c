"""Figures of waveforms: one line a channel, in order of name or of distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from obspy import UTCDateTime

from workbench.errors import NoData
from workbench.kernels._segments import Segment, by_channel, segments
from workbench.kernels._sites import SiteMap
from workbench.maths.geodesy import distance_azimuth
from workbench.nouns import Events, Picks, Stations, Triggers, Waveforms
from workbench.plots import style
from workbench.preferred import preferred_origin

__all__ = ["record", "section"]


def record(
    waveforms: Waveforms,
    picks: Picks | None = None,
    triggers: Triggers | None = None,
    *,
    title: str = "Waveforms",
) -> Any:
    """Draw channels one below the other, each scaled to itself, with picks and triggers.

    Parameters
    ----------
    waveforms : Waveforms
    picks : Picks, optional
        Drawn as a tick on the traces of their station.
    triggers : Triggers, optional
        Drawn as a shaded span; those of one channel on that channel, those of
        a network over all.
    title : str

    Returns
    -------
    bokeh.plotting.figure
    """
    channels = by_channel(segments(waveforms, flat=True))
    rows = {seed_id: float(row) for row, seed_id in enumerate(reversed(channels))}
    figure = _canvas(title, len(rows))
    for seed_id, parts in channels.items():
        _draw(figure, parts, rows[seed_id], 0.45)
    figure.yaxis.ticker = sorted(rows.values())
    figure.yaxis.major_label_overrides = {int(row): name for name, row in rows.items()}
    figure.yaxis.axis_label = "channel"
    if triggers is not None:
        _shade(figure, triggers, rows)
    if picks is not None:
        _ticks(figure, picks, rows)
    return figure


def section(
    waveforms: Waveforms, stations: Stations, events: Events, *, title: str = "Record section"
) -> Any:
    """Draw the first event's waveforms against epicentral distance, with its arrivals.

    One channel a station: the vertical one where there is one.

    Parameters
    ----------
    waveforms : Waveforms
    stations : Stations
    events : Events
        The first event with an origin is the one drawn.
    title : str

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    NoData
        If no event has an origin, or no channel has coordinates.
    """
    event = next((event for event in events if event.origins), None)
    if event is None:
        raise NoData("events", "hold no origin", "Locate them first.")
    origin: Any = preferred_origin(event)
    sites = SiteMap(stations)
    rows: dict[str, float] = {}
    channels = by_channel(segments(waveforms, flat=True))
    chosen = {}
    for seed_id in sorted(channels, key=lambda name: (name[-1] not in "Z3", name), reverse=True):
        chosen[".".join(seed_id.split(".")[:2])] = seed_id
    for seed_id in sorted(chosen.values()):
        site = sites.find(seed_id, origin.time)
        if site is not None:
            rows[seed_id] = float(
                distance_azimuth(origin.latitude, origin.longitude, site.latitude, site.longitude)[0]
            )
    if not rows:
        raise NoData("waveforms", "belong to no station with coordinates", "Give their stations.")
    figure = _canvas(f"{title}: {str(origin.time)[:22]}", max(len(rows), 12))
    reach = (max(rows.values()) - min(rows.values())) or 1.0
    for seed_id, row in rows.items():
        _draw(figure, channels[seed_id], row, 0.5 * reach / max(len(rows), 6))
    figure.text(
        [style.milliseconds(channels[seed_id][-1].end) for seed_id in rows],
        list(rows.values()),
        text=[seed_id.split(".")[1] for seed_id in rows],
        text_font_size="8pt",
        text_color=style.STATION,
        text_align="right",
        y_offset=-3,
    )
    figure.yaxis.axis_label = "epicentral distance (km)"
    by_id = {pick.resource_id.id: pick for pick in event.picks}
    found = [by_id[arrival.pick_id.id] for arrival in origin.arrivals if arrival.pick_id.id in by_id]
    _ticks(
        figure,
        Picks(
            {
                "network": pick.waveform_id.network_code,
                "station": pick.waveform_id.station_code,
                "phase": pick.phase_hint,
                "time": pick.time,
            }
            for pick in found
        ),
        rows,
        0.5 * reach / max(len(rows), 6),
    )
    return figure


def _canvas(title: str, rows: int) -> Any:
    figure = style.new(title, x_axis_type="datetime", height=int(min(160 + 34 * rows, 1100)))
    figure.xaxis.axis_label = "time (UTC)"
    figure.ygrid.grid_line_color = None
    return figure


def _draw(figure: Any, parts: list[Segment], row: float, half: float) -> None:
    """Draw a channel's segments, a gap left open between them."""
    middle = {id(part): float(np.median(part.data)) for part in parts}
    peak = max(float(np.abs(part.data - middle[id(part)]).max()) for part in parts) or 1.0
    for part in parts:
        index, values = style.envelope(part.data)
        times = part.start + index * (1e9 / part.rate)
        figure.line(
            style.milliseconds(times),
            row + half * (values - middle[id(part)]) / peak,
            line_color=style.INK,
            line_width=0.8,
        )


def _ticks(figure: Any, picks: Picks, rows: dict[str, float], half: float = 0.45) -> None:
    for phase in sorted(set(picks.table.phase)):
        x, low, high = [], [], []
        for pick in picks:
            if pick.phase != phase:
                continue
            for seed_id, row in rows.items():
                network, station, _location, channel = seed_id.split(".")
                if station != pick.station or (pick.network and network != pick.network):
                    continue
                exact = getattr(pick, "channel", "")
                if (
                    exact
                    and exact != channel
                    and any(other.split(".")[1] == station and other.split(".")[3] == exact for other in rows)
                ):
                    continue
                x.append(style.milliseconds(pd.Timestamp(pick.time).value))
                low.append(row - half)
                high.append(row + half)
        figure.segment(
            x, low, x, high, line_color=style.phase_colour(phase), line_width=2, legend_label=phase or "pick"
        )
    if len(picks):
        figure.add_layout(figure.legend[0], "right")


def _shade(figure: Any, triggers: Triggers, rows: dict[str, float]) -> None:
    for trigger in triggers:
        on = UTCDateTime(ns=pd.Timestamp(trigger.time).value)
        row = rows.get(getattr(trigger, "channel", "") or "")
        bottom, top = (row - 0.48, row + 0.48) if row is not None else (-0.5, len(rows) - 0.5)
        figure.quad(
            left=style.milliseconds(on.ns),
            right=style.milliseconds((on + trigger.duration_s).ns),
            bottom=bottom,
            top=top,
            fill_color=style.TRIGGER,
            fill_alpha=0.25,
            line_color=None,
        )
