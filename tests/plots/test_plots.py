"""Figures show what they were given, and refuse what they cannot show."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from bokeh.embed import file_html
from bokeh.resources import INLINE
from obspy import UTCDateTime
from obspy.core.event import (
    Arrival,
    Catalog,
    Event,
    Magnitude,
    Origin,
    OriginUncertainty,
    Pick,
    StationMagnitude,
    WaveformStreamID,
)
from obspy.geodetics import gps2dist_azimuth

from workbench import plots
from workbench.errors import NoData
from workbench.nouns import Picks, Stations, Triggers
from workbench.plots.style import envelope

START = UTCDateTime("2009-08-24T00:20:03")


@pytest.fixture
def waveforms():
    return obspy.read()


@pytest.fixture
def stations():
    return obspy.read_inventory()


@pytest.fixture
def events():
    where = WaveformStreamID("BW", "RJOB", "", "EHZ")
    pick = Pick(time=START + 5, phase_hint="P", waveform_id=where)
    origin = Origin(
        time=START,
        latitude=47.8,
        longitude=12.7,
        depth=8000,
        arrivals=[Arrival(pick_id=pick.resource_id, phase="P")],
        origin_uncertainty=OriginUncertainty(
            max_horizontal_uncertainty=2000,
            min_horizontal_uncertainty=500,
            azimuth_max_horizontal_uncertainty=90,
        ),
    )
    return Catalog(
        [
            Event(
                picks=[pick],
                origins=[origin],
                magnitudes=[Magnitude(mag=2.5, magnitude_type="ML")],
                station_magnitudes=[StationMagnitude(mag=2.4, waveform_id=where)],
            )
        ]
    )


def glyphs(figure, kind):
    return [r for r in figure.renderers if type(r.glyph).__name__ == kind]


def test_record_draws_every_channel_and_its_picks(waveforms):
    picks = Picks([{"station": "RJOB", "channel": "EHZ", "phase": "P", "time": START + 5}])
    triggers = Triggers([{"time": START + 5, "duration_s": 3, "channel": "BW.RJOB..EHZ"}])
    figure = plots.record(waveforms, picks, triggers)
    assert list(figure.yaxis[0].major_label_overrides.values()) == [
        "BW.RJOB..EHZ",
        "BW.RJOB..EHN",
        "BW.RJOB..EHE",
    ]
    assert len(glyphs(figure, "Line")) == 3
    assert glyphs(figure, "Segment")[0].data_source.data["x0"] == [(START + 5).ns / 1e6]
    (shade,) = glyphs(figure, "Quad")
    assert shade.glyph.right - shade.glyph.left == pytest.approx(3000)
    assert '<script type="text/javascript" src=' not in file_html(figure, INLINE)


def test_a_gap_is_left_open(waveforms):
    (trace,) = waveforms.select(channel="EHZ")
    parts = obspy.Stream([trace.slice(START, START + 5), trace.slice(START + 10, START + 15)])
    assert len(glyphs(plots.record(parts), "Line")) == 2


def test_section_draws_one_channel_a_station_at_its_distance(waveforms, stations, events):
    figure = plots.section(waveforms, stations, events)
    (line,) = glyphs(figure, "Line")
    km = gps2dist_azimuth(47.8, 12.7, 47.737167, 12.795714)[0] / 1000
    assert np.median(line.data_source.data["y"]) == pytest.approx(km, abs=0.2)
    assert len(glyphs(figure, "Segment")[0].data_source.data["x0"]) == 1


def test_map_is_to_scale_and_shows_the_error_ellipse(stations, events):
    figure = plots.station_map(stations, events, events)
    width = (figure.x_range.end - figure.x_range.start) * np.cos(np.radians(47.9))
    assert width == pytest.approx(figure.y_range.end - figure.y_range.start, rel=0.02)
    ellipse = glyphs(figure, "Line")[1].data_source.data
    assert np.ptp(ellipse["y"]) * 111.195 == pytest.approx(1.0, rel=0.02)


def test_station_magnitudes_stand_against_hypocentral_distance(stations, events):
    figure = plots.station_magnitudes(events, stations)
    assert glyphs(figure, "Scatter")[0].data_source.data["y"] == [2.4]


@pytest.mark.parametrize(
    "draw",
    [
        lambda w, s, e: plots.record(obspy.Stream()),
        lambda w, s, e: plots.section(w, s, Catalog()),
        lambda w, s, e: plots.section(w, Stations(), e),
        lambda w, s, e: plots.station_map(Stations()),
        lambda w, s, e: plots.station_magnitudes(Catalog(), s),
    ],
)
def test_nothing_to_draw_is_said(draw, waveforms, stations, events):
    with pytest.raises(NoData):
        draw(waveforms, stations, events)


def test_envelope_keeps_every_peak():
    data = np.zeros(100_000)
    data[[10, 77_777]] = 5, -9
    index, values = envelope(data, columns=100)
    assert {10, 77_777} <= set(index)
    assert values.min() == -9
    assert len(values) <= 200
