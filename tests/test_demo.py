"""The demonstration: its archive, and the comparison that a first start prints."""

from __future__ import annotations

import pytest
from obspy import Catalog, UTCDateTime

from workbench.archive import Selection
from workbench.demo.archive import LABELS, SEQUENCE, SPAN, build
from workbench.demo.archive import truth as truth_of
from workbench.demo.comparison import compare
from workbench.demo.network import network_sequence
from workbench.errors import NoData


@pytest.fixture(scope="module")
def truth():
    return network_sequence(n_stations=3, n_events=3, duration_s=300.0).truth


def test_truth_compared_with_itself_differs_by_nothing(truth):
    found = compare(truth, truth)
    assert found.n_found == found.n_true == 3
    assert found.found == found.truth
    assert found.difference.origin_time_s == 0
    assert found.difference.epicentre_km < 1e-6
    assert found.difference.magnitude == 0


def test_differences_have_the_sign_of_found_less_truth(truth):
    moved = truth.copy()
    largest = max(moved, key=lambda event: event.magnitudes[0].mag)
    origin = largest.preferred_origin() or largest.origins[0]
    origin.time += 0.5
    origin.depth += 2000
    origin.latitude += 0.01
    largest.magnitudes[0].mag -= 0.2
    difference = compare(moved, truth).difference
    assert difference.origin_time_s == pytest.approx(0.5)
    assert difference.depth_km == pytest.approx(2.0)
    assert difference.epicentre_km == pytest.approx(1.11, abs=0.01)
    assert difference.magnitude == pytest.approx(-0.2)


def test_an_earthquake_that_is_not_found_is_an_error(truth):
    with pytest.raises(NoData, match="was not found"):
        compare(Catalog(), truth)


def test_the_archive_is_built_once_and_keeps_what_it_has(tmp_path):
    archive = build(tmp_path)
    assert len(truth_of(archive)) == 5
    network, station, location, channel = SEQUENCE.partition("@")[0].split(".")
    start, end = (UTCDateTime(text) for text in SPAN.split("/"))
    stream = archive.get_waveforms(network, station, location, channel, start, end)
    assert len({trace.stats.station for trace in stream}) == 12
    for label in LABELS:
        selection = Selection.parse(label.selection)
        found = archive.get_waveforms(
            selection.network,
            selection.station,
            selection.location,
            selection.channel,
            selection.starttime,
            selection.endtime,
        )
        assert found, label.selection
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.D.*") if path.is_file()}
    build(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.D.*") if path.is_file()} == before
