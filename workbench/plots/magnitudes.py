"""Station magnitudes against distance: what stands out, and whether distance is corrected right."""

from __future__ import annotations

import math
from typing import Any

from workbench.errors import NoData
from workbench.kernels._sites import SiteMap
from workbench.maths.geodesy import distance_azimuth
from workbench.nouns import Events, Stations
from workbench.plots import style
from workbench.preferred import preferred_magnitude, preferred_origin

__all__ = ["station_magnitudes"]


def station_magnitudes(events: Events, stations: Stations, *, title: str = "Station magnitudes") -> Any:
    """Draw the first event's station magnitudes against hypocentral distance.

    Parameters
    ----------
    events : Events
        The first event with station magnitudes is the one drawn.
    stations : Stations
    title : str

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    NoData
        If no event has station magnitudes.
    """
    event = next((event for event in events if event.station_magnitudes and event.origins), None)
    if event is None:
        raise NoData("events", "hold no station magnitudes", "Run magnitudes.local first.")
    origin: Any = preferred_origin(event)
    sites = SiteMap(stations)
    distance, size, label = [], [], []
    for one in event.station_magnitudes:
        code = f"{one.waveform_id.network_code or ''}.{one.waveform_id.station_code}"
        site = sites.find(code, origin.time)
        if site is None:
            continue
        flat = float(distance_azimuth(origin.latitude, origin.longitude, site.latitude, site.longitude)[0])
        distance.append(math.hypot(flat, (origin.depth or 0.0) / 1000 + site.elevation_km))
        size.append(one.mag)
        label.append(one.waveform_id.station_code)
    figure = style.new(f"{title}: {str(origin.time)[:22]}", tools="box_zoom,reset,save", height=360)
    figure.xaxis.axis_label = "hypocentral distance (km)"
    network = preferred_magnitude(event)
    kind = "magnitude" if network is None else network.magnitude_type or "magnitude"
    figure.yaxis.axis_label = kind
    figure.scatter(distance, size, size=9, color=style.STATION, legend_label="station")
    figure.text(
        distance, size, text=label, text_font_size="8pt", text_color=style.INK, x_offset=7, y_offset=4
    )
    if network is not None and distance:
        figure.line(
            [min(distance), max(distance)],
            [network.mag, network.mag],
            line_color=style.EVENT,
            line_width=2,
            legend_label=f"network {kind} {network.mag:.2f}",
        )
    figure.add_layout(figure.legend[0], "right")
    return figure
