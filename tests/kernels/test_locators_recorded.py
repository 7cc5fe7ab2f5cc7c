"""Geiger's method on recorded cases, all with the same defaults."""

import csv

import numpy as np
import pytest
from obspy import UTCDateTime, read_events, read_inventory
from obspy.core.inventory import Inventory

from picklists import hypo71, hypoinverse, network, nonlinloc, quakemigrate
from workbench.kernels import locators
from workbench.maths.geodesy import distance_azimuth
from workbench.maths.layered import Layers
from workbench.notices import listen
from workbench.nouns import Picks
from workbench.wire import velocity

ORIGIN = UTCDateTime("2021-03-01T12:00:00.25")


def locate(data, sites, **settings):
    """Locate and return the events and what was said."""
    with listen() as heard:
        events = locators.geiger(data, sites, **settings)
    return events, heard.notices


@pytest.mark.shared
def test_depth_without_near_stations_has_an_honest_error(shared):
    """Geometry of the Livermore case: the nearest of 12 stations is 81 km away."""
    folder = shared("livermore2019_nc40191336")
    inventory = Inventory()
    for path in sorted((folder / "stations").glob("*.xml")):
        inventory += read_inventory(path)
    model = velocity.load(folder / "model.csv")
    lat, lon, depth = 37.8187, -121.7568, 12.38
    p = Layers.of(model, "P")
    rng = np.random.default_rng(0)
    made = []
    for net in inventory:
        for station in net:
            km, _ = distance_azimuth(lat, lon, station.latitude, station.longitude)
            time = float(p.arrivals(depth, -station.elevation / 1000, km)[0]) * (1 + rng.normal(0, 0.015))
            made.append({"network": net.code, "station": station.code, "phase": "P", "time": ORIGIN + time})
    events, _ = locate(Picks(made), inventory, velocity_model=model)
    origin = events[0].preferred_origin()
    assert origin.depth_errors.uncertainty > 4000
    assert abs(origin.depth / 1000 - depth) < 2 * origin.depth_errors.uncertainty / 1000
    km, _ = distance_azimuth(lat, lon, origin.latitude, origin.longitude)
    assert km < 2 * origin.origin_uncertainty.max_horizontal_uncertainty / 1000


def assert_close(origin, time, lat, lon, depth, *, km, dz, dt):
    off, _ = distance_azimuth(lat, lon, origin.latitude, origin.longitude)
    assert off < km
    assert abs(origin.depth / 1000 - depth) < dz
    assert abs(origin.time - UTCDateTime(time)) < dt


@pytest.mark.shared
@pytest.mark.parametrize("weights", [True, False])
def test_laquila_2009(shared, weights):
    """With the analysts' weights, and with all 190 picks alike, the wrong ones too."""
    folder = shared("hypoinverse_laquila2009")
    sites, model = network(folder)
    picks = hypoinverse(folder / "phases.arc", weights=weights)
    assert len(picks) == (123 if weights else 190)
    events, _ = locate(picks, sites, velocity_model=model)
    origin = events[0].preferred_origin()
    assert_close(origin, "2009-04-06T01:32:40.40", 42.342, 13.380, 8.30, km=4, dz=6, dt=0.8)
    assert origin.quality.azimuthal_gap < 60


@pytest.mark.shared
def test_corinth_2010(shared):
    folder = shared("crl_corinth20100118")
    sites, model = network(folder)
    codes = {station.code: net.code for net in sites for station in net}
    card = next((folder / "reference").glob("*.phs"))
    events, said = locate(hypo71(card, codes, {"TRZ": "TRIZ"}), sites, velocity_model=model)
    assert {note.subject for note in said} == {".EFP", ".SER5"}
    origin = events[0].preferred_origin()
    assert_close(origin, "2010-01-18T17:04:06.39", 38 + 24.81 / 60, 21 + 54.66 / 60, 7.63, km=1, dz=2, dt=0.3)
    assert origin.depth_errors.uncertainty < 2000


@pytest.mark.shared
def test_holuhraun_2014(shared):
    """Picks and locations of QuakeMigrate, a migration of waveforms."""
    folder = shared("holuhraun2014")
    sites, model = network(folder)
    codes = {station.code: net.code for net in sites for station in net}
    off, deeper = [], []
    for path in sorted((folder / "reference").glob("*.picks")):
        events, _ = locate(quakemigrate(path, codes), sites, velocity_model=model)
        with path.with_suffix(".event").open() as file:
            reference = next(csv.DictReader(file))
        origin = events[0].preferred_origin()
        km, _ = distance_azimuth(
            float(reference["Y"]), float(reference["X"]), origin.latitude, origin.longitude
        )
        off.append(km)
        deeper.append(abs(origin.depth / 1000 - float(reference["Z"])))
    assert len(off) == 20
    assert np.median(off) < 2
    assert np.median(deeper) < 2.5


@pytest.mark.shared
def test_anchorage_2018(shared):
    folder = shared("nonlinloc_alaska2018")
    sites, model = network(folder)
    blocks = nonlinloc(folder / "2018-11-30-mww70-southern-alaska_ALL_EVENTS.obs")
    table = Picks.concat(
        Picks(block.table.assign(event=f"event {number:02}")) for number, block in enumerate(blocks)
    )
    events, said = locate(table, sites, velocity_model=model)
    assert len(events) == len(blocks) == 10
    lost = {note.subject for note in said if "coordinates" in note.problem}
    assert lost == {"NP.AMJG1", "NP.AHOU1", "NP.ABBK1", ".NP0521", "NP040.D0"}
    for path in sorted((folder / "reference").glob("alaska.2018*.hyp")):
        reference = read_events(path)[0].origins[0]
        origin = min(
            (event.preferred_origin() for event in events if event.origins),
            key=lambda origin: abs(origin.time - reference.time),
        )
        place = reference.latitude, reference.longitude, reference.depth / 1000
        if reference.quality.standard_error < 0.3:
            assert_close(origin, reference.time, *place, km=4, dz=6, dt=0.8)
        off, _ = distance_azimuth(*place[:2], origin.latitude, origin.longitude)
        assert off < reference.origin_uncertainty.max_horizontal_uncertainty / 1000 + 5
