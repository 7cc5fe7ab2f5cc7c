"""The heat map: each cell is the window that it shows, and says so when it is tapped."""

from __future__ import annotations

import functools
import http.server
import threading

import numpy as np
import obspy
import pytest
import xarray as xr
from bokeh.embed import file_html
from bokeh.events import Tap
from bokeh.resources import INLINE
from obspy import Stream, Trace, UTCDateTime

from workbench import plots, wire
from workbench.errors import BadInput, NoData
from workbench.kernels.quality import completeness, psd, rms
from workbench.plots.heatmap import cells

T0 = UTCDateTime(2020, 3, 1)
MINUTE = 60 * 10**9


def stream() -> Stream:
    """Three channels, one of which stops and one of which begins late."""
    random = np.random.default_rng(0)
    return Stream(
        Trace(
            random.normal(0, 10.0**station, n).astype(np.int32),
            {"network": "XX", "station": f"S{station}", "channel": "LHZ", "starttime": T0 + start},
        )
        for station, (start, n) in enumerate([(0, 600), (0, 230), (300, 300)], 1)
    )


@pytest.fixture(scope="module")
def complete() -> xr.Dataset:
    return completeness(stream(), window=60.0)


def milliseconds(time: UTCDateTime) -> float:
    return time.ns / 1e6


def test_cells_are_channels_and_windows(complete):
    found = cells(complete)
    assert found.name == "percent_availability"
    assert found.channels == ["XX.S1..LHZ", "XX.S2..LHZ", "XX.S3..LHZ"]
    assert (found.start, found.step, found.values.shape) == (T0.ns, MINUTE, (3, 10))
    np.testing.assert_array_equal(found.values, complete["percent_availability"].values)
    cell = found.at(milliseconds(T0 + 200), 1.2)
    assert (cell.channel, cell.start, cell.end) == ("XX.S2..LHZ", T0 + 180, T0 + 240)
    assert cell.value == pytest.approx(100 * 50 / 60)
    assert found.at(milliseconds(T0), 2.49).channel == "XX.S1..LHZ"
    assert found.at(milliseconds(T0 + 599.9), -0.49).channel == "XX.S3..LHZ"
    for outside in ((T0 - 1, 0), (T0 + 601, 0), (T0 + 1, 2.6), (T0 + 1, -0.6)):
        assert found.at(milliseconds(outside[0]), outside[1]) is None


def test_windows_that_are_not_there_are_cells_without_a_value(complete):
    found = cells(complete.isel(time=[0, 1, 7]), "num_samples")
    assert found.values.shape == (3, 8)
    assert np.isnan(found.values[:, 2:7]).all()
    assert found.values[0].tolist()[:2] == [60.0, 60.0]
    one = cells(complete.isel(time=[4]))
    assert (one.step, one.values.shape) == (MINUTE, (3, 1))


def test_sub_windows_are_drawn_one_after_the_other():
    found = rms(stream(), window=120.0, subwindow=30.0)
    shown = cells(found, "n")
    assert (shown.step, shown.values.shape) == (MINUTE // 2, (3, 20))
    assert shown.values[1].tolist() == [30.0] * 7 + [20.0] + [0.0] * 12
    one = cells(found.isel(time=[0]), "n")
    assert one.values.shape == (3, 4)


def test_of_more_dimensions_one_is_chosen_first():
    found = psd(obspy.read(), obspy.read_inventory(), length=10.0)
    with pytest.raises(BadInput, match="no variable by channel and time"):
        plots.heatmap(found)
    with pytest.raises(BadInput, match="period"):
        plots.heatmap(found, "psd")
    figure = plots.heatmap(found["psd"].sel(period=0.5), title="Noise at 0.5 s")
    assert figure.title.text == "Noise at 0.5 s"
    with pytest.raises(BadInput, match="There are"):
        plots.heatmap(found, "nothing")
    with pytest.raises(NoData, match="no cells"):
        plots.heatmap(found["psd"].sel(period=0.5).isel(time=[]))


def test_a_figure_has_all_that_it_shows(complete):
    figure = plots.heatmap(complete)
    assert figure.title.text == "percent availability (%)"
    assert figure.xaxis[0].axis_label == "time (UTC)"
    assert dict(figure.yaxis[0].major_label_overrides) == {2: "XX.S1..LHZ", 1: "XX.S2..LHZ", 0: "XX.S3..LHZ"}
    image = figure.renderers[0].data_source.data["image"][0]
    # Drawn from below to above.
    np.testing.assert_array_equal(image[::-1], complete["percent_availability"].values)
    assert "XX.S2..LHZ" in file_html(figure, INLINE)


def test_colours_follow_the_logarithm_where_values_are_far_apart():
    found = rms(stream(), window=60.0, subwindow=60.0)
    assert type(plots.heatmap(found).renderers[0].glyph.color_mapper).__name__ == "LogColorMapper"
    loud = found["sample_rms"].sel(channel=["XX.S3..LHZ"])
    assert type(plots.heatmap(loud).renderers[0].glyph.color_mapper).__name__ == "LinearColorMapper"
    for value in (0.0, 5.0, np.nan):
        mapper = plots.heatmap(loud * 0 + value).renderers[0].glyph.color_mapper
        assert mapper.low < mapper.high


def test_many_channels_are_named_as_far_as_there_is_room(complete):
    named = [[f"XX.S{n}{k}..LHZ" for k in range(3)] for n in range(60)]
    many = xr.concat([complete.assign_coords(channel=names) for names in named], "channel")
    figure = plots.heatmap(many)
    assert 50 <= len(figure.yaxis[0].ticker.ticks) <= 60
    assert figure.height <= 1100


def test_a_tap_is_heard_in_python(complete):
    heard: list[plots.Cell] = []
    figure = plots.heatmap(complete, on_tap=heard.append)
    figure._trigger_event(Tap(figure, x=milliseconds(T0 + 130), y=0.3))
    figure._trigger_event(Tap(figure, x=milliseconds(T0 - 130), y=0.3))
    (cell,) = heard
    assert (cell.channel, cell.start, cell.end, cell.value) == ("XX.S3..LHZ", T0 + 120, T0 + 180, 0.0)
    # All that is needed to get the waveform.
    assert len(stream().select(id="XX.S1..LHZ").slice(cell.start, cell.end)[0]) == 61


def test_a_figure_becomes_a_widget(complete):
    assert plots.widget(plots.heatmap(complete)).model_id


@pytest.fixture
def address(tmp_path, complete):
    """A page with a heat map, on this machine."""
    (tmp_path / "index.html").write_text(file_html(plots.heatmap(complete), INLINE))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.func.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.browser
def test_a_tap_says_in_the_page_what_a_cell_is(browsed, address, shots):
    with browsed(address) as page:
        page.goto(f"{address}/index.html")
        page.locator(".bk-Figure canvas").first.wait_for(state="attached", timeout=20_000)
        page.wait_for_function("window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle")
        title = "Bokeh.documents[0].roots()[0].title.text"
        assert page.evaluate(title) == "percent availability (%)"
        frame = page.evaluate(
            """(() => {
                const view = Bokeh.index.roots[0]
                const {left, top, width, height} = view.frame.bbox
                const box = view.el.getBoundingClientRect()
                return [box.left + left, box.top + top, width, height]
            })()"""
        )
        left, top, width, height = frame
        # The second channel of three, the fourth of ten windows.
        page.mouse.click(left + width * 0.38, top + height * 0.5)
        page.wait_for_function(f"{title}.includes('XX.S2')", timeout=10_000)
        assert page.evaluate(title) == "XX.S2..LHZ   2020-03-01T00:03:00   percent availability (%): 83.333"
        page.screenshot(path=shots / "heatmap.png")


def test_pictures_of_quality_are_heat_maps(complete):
    found = {
        "completeness": complete,
        "rms": rms(stream(), window=60.0, subwindow=30.0),
        "psd": psd(obspy.read(), obspy.read_inventory(), length=10.0),
        "one window": complete.isel(time=[0]),
        "nothing in it": complete * np.nan,
    }
    for name, dataset in found.items():
        one, two = wire.encode(dataset, ".png"), wire.encode(dataset, ".png")
        assert one == two, name
        assert one.startswith(b"\x89PNG")
        assert len(one) > 5000, name


def test_noise_is_drawn_as_often_as_it_is_met():
    found = psd(obspy.read(), obspy.read_inventory(), length=10.0)
    figure = plots.noise(found, "BW.RJOB..EHZ")
    assert figure.title.text == "BW.RJOB..EHZ: 4 spectra"
    drawn = figure.renderers[0].data_source.data
    levels = found["psd"].sel(channel="BW.RJOB..EHZ").values
    inside = (levels >= -200) & (levels <= -50)
    assert np.sum(drawn["share"]) == pytest.approx(inside.sum() / 4)
    assert [item.label.value for item in figure.legend[0].items] == [
        "low noise model",
        "high noise model",
        "median",
    ]
    assert "BW.RJOB..EHE" in plots.noise(found).title.text
    with pytest.raises(BadInput, match="There are"):
        plots.noise(found, "XX.A..HHZ")
    with pytest.raises(BadInput, match="no noise spectra"):
        plots.noise(found.mean("time"))
    with pytest.raises(NoData, match="no spectrum"):
        plots.noise(found * np.nan)
