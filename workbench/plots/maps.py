"""A map of stations and epicentres, in degrees and to scale."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workbench.errors import NoData
from workbench.kernels._sites import SiteMap
from workbench.nouns import Events, Stations
from workbench.plots import style
from workbench.preferred import preferred_magnitude, preferred_origin

__all__ = ["station_map"]

_KM_PER_DEGREE = 111.195
"""Mean length of a degree of a great circle."""


def station_map(
    stations: Stations, events: Events | None = None, truth: Events | None = None, *, title: str = "Map"
) -> Any:
    """Draw stations, epicentres with their error ellipses, and the truth where it is known.

    Parameters
    ----------
    stations : Stations
    events : Events, optional
        Preferred origins, drawn with size by magnitude.
    truth : Events, optional
        Origins to compare with.
    title : str

    Returns
    -------
    bokeh.plotting.figure

    Raises
    ------
    NoData
        If there is nothing with coordinates to draw.
    """
    sites = SiteMap(stations)
    codes = sites.codes()
    found = [(code, site) for code in codes if (site := sites.find(code)) is not None]
    origins = _origins(events)
    known = _origins(truth)
    latitudes = [site.latitude for _, site in found] + [o["latitude"] for o in origins + known]
    longitudes = [site.longitude for _, site in found] + [o["longitude"] for o in origins + known]
    if not latitudes:
        raise NoData("map", "there is nothing with coordinates", "Give stations or located events.")
    figure = _canvas(title, latitudes, longitudes)
    figure.scatter(
        [site.longitude for _, site in found],
        [site.latitude for _, site in found],
        marker="triangle",
        size=11,
        color=style.STATION,
        legend_label="station",
    )
    figure.text(
        [site.longitude for _, site in found],
        [site.latitude for _, site in found],
        text=[code.split(".")[1] for code, _ in found],
        text_font_size="8pt",
        text_color=style.INK,
        x_offset=7,
        y_offset=4,
    )
    for label, colour, marker, rows in (
        ("truth", style.TRUTH, "cross", known),
        ("located", style.EVENT, "star", origins),
    ):
        if not rows:
            continue
        for row in rows:
            _ellipse(figure, row, colour)
        glyph = figure.scatter(
            "longitude",
            "latitude",
            source=_source(rows),
            marker=marker,
            size="size",
            fill_color=colour,
            line_color=colour,
            fill_alpha=0.8,
            line_width=2 if marker == "cross" else 1,
            legend_label=label,
        )
        _hover(figure, glyph)
    figure.add_layout(figure.legend[0], "right")
    return figure


def _canvas(title: str, latitudes: list[float], longitudes: list[float]) -> Any:
    from bokeh.models import Range1d

    stretch = math.cos(math.radians(float(np.mean(latitudes))))
    half = 0.6 * max(np.ptp(latitudes), np.ptp(longitudes) * stretch, 0.02)
    lat0 = (max(latitudes) + min(latitudes)) / 2
    lon0 = (max(longitudes) + min(longitudes)) / 2
    figure = style.new(
        title,
        width=740,
        height=620,
        tools="pan,wheel_zoom,box_zoom,reset,save",
        x_range=Range1d(lon0 - half / stretch, lon0 + half / stretch),
        y_range=Range1d(lat0 - half, lat0 + half),
        frame_width=520,
        frame_height=520,
    )
    figure.xaxis.axis_label = "longitude (degrees east)"
    figure.yaxis.axis_label = "latitude (degrees north)"
    scale = _round(2 * half * _KM_PER_DEGREE / 4)
    x = lon0 - 0.9 * half / stretch
    y = lat0 - 0.9 * half
    figure.line([x, x + scale / (_KM_PER_DEGREE * stretch)], [y, y], line_width=3, color=style.INK)
    figure.text([x], [y], text=[f"{scale:g} km"], y_offset=-6, text_font_size="9pt", text_color=style.INK)
    return figure


def _round(value: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... that is not above a value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (5, 2, 1) if step * power <= value)


def _origins(events: Events | None) -> list[dict[str, Any]]:
    rows = []
    for event in events or ():
        origin = preferred_origin(event)
        if origin is None:
            continue
        size = preferred_magnitude(event)
        depth = math.nan if origin.depth is None else origin.depth / 1000
        rows.append(
            {
                "time": str(origin.time)[:22],
                "latitude": origin.latitude,
                "longitude": origin.longitude,
                "depth": round(depth, 2),
                "magnitude": "" if size is None else f"{size.magnitude_type or 'M'} {size.mag:.2f}",
                "size": 16 if size is None else 12 + 4 * max(size.mag, 0),
                "uncertainty": origin.origin_uncertainty,
            }
        )
    return rows


def _ellipse(figure: Any, row: dict[str, Any], colour: str) -> None:
    shape = row["uncertainty"]
    if shape is None or shape.max_horizontal_uncertainty is None or shape.min_horizontal_uncertainty is None:
        return
    turn = np.linspace(0, 2 * np.pi, 73)
    azimuth = math.radians(shape.azimuth_max_horizontal_uncertainty or 0)
    along = shape.max_horizontal_uncertainty / 1000 * np.cos(turn)
    across = shape.min_horizontal_uncertainty / 1000 * np.sin(turn)
    north = along * math.cos(azimuth) - across * math.sin(azimuth)
    east = along * math.sin(azimuth) + across * math.cos(azimuth)
    figure.line(
        row["longitude"] + east / (_KM_PER_DEGREE * math.cos(math.radians(row["latitude"]))),
        row["latitude"] + north / _KM_PER_DEGREE,
        line_color=colour,
        line_width=1.5,
    )


def _source(rows: list[dict[str, Any]]) -> Any:
    from bokeh.models import ColumnDataSource

    names = [name for name in rows[0] if name != "uncertainty"]
    return ColumnDataSource({name: [row[name] for row in rows] for name in names})


def _hover(figure: Any, glyph: Any) -> None:
    from bokeh.models import HoverTool

    figure.add_tools(
        HoverTool(
            renderers=[glyph],
            tooltips=[
                ("origin time", "@time"),
                ("latitude", "@latitude{0.0000}"),
                ("longitude", "@longitude{0.0000}"),
                ("depth (km)", "@depth"),
                ("magnitude", "@magnitude"),
            ],
        )
    )
