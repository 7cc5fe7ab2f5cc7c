import math

import numpy as np
import pytest
from obspy.core.inventory import Inventory, Network, Station
from obspy.taup import TauPyModel

from workbench.errors import BadVelocityModel, InvalidSetting, NoData
from workbench.kernels import traveltimes
from workbench.notices import listen
from workbench.nouns import VelocityModel


def network(**places):
    """Stations of the network XX: code=(latitude, longitude, elevation in m)."""
    return Inventory([Network("XX", stations=[Station(code, *place) for code, place in places.items()])])


HALF_SPACE = VelocityModel((0.0,), (6.0,), (3.5,))


def test_half_space_above_and_below_sea_level():
    stations = network(HIGH=(46.0, 7.0, 3000.0), DEEP=(46.0, 7.0, -2000.0))
    found = traveltimes.layered(stations, velocity_model=HALF_SPACE, latitude=46.0, longitude=7.0, depth=10.0)
    assert found["time"].sel(phase="P", station="XX.HIGH") == pytest.approx(13 / 6)
    assert found["time"].sel(phase="S", station="XX.DEEP") == pytest.approx(8 / 3.5)
    assert (found["takeoff"] == 180).all()


def test_one_layer_over_a_half_space():
    model = VelocityModel((0.0, 30.0), (6.0, 8.0), (None, None))
    stations = network(NEAR=(0.0, 0.5, 0.0), FAR=(0.0, 3.0, 0.0))
    found = traveltimes.layered(
        stations, velocity_model=model, vp_vs=1.75, latitude=0.0, longitude=0.0, depth=10.0
    )
    near, far = (float(found["distance"].sel(station=f"XX.{code}")) for code in ("NEAR", "FAR"))
    head = far / 8 + 50 * math.sqrt(1 / 36 - 1 / 64)
    assert found["time"].sel(phase="P").values == pytest.approx([head, math.hypot(near, 10) / 6])
    assert found["time"].sel(phase="S").values == pytest.approx(found["time"].sel(phase="P").values * 1.75)
    assert found["azimuth"].values == pytest.approx([90.0, 90.0])
    assert found["back_azimuth"].values == pytest.approx([270.0, 270.0])
    assert found["takeoff"].sel(phase="P", station="XX.FAR") == pytest.approx(math.degrees(math.asin(0.75)))


def test_layers_and_taup_agree_near_by():
    stations = network(A=(0.0, 1.0, 0.0), B=(2.0, 2.0, 500.0), C=(-5.0, 1.0, 1500.0))
    settings = {
        "velocity_model": VelocityModel.taup("ak135"),
        "latitude": 0.0,
        "longitude": 0.0,
        "depth": 20.0,
    }
    near, far = traveltimes.layered(stations, **settings), traveltimes.taup(stations, **settings)
    # What is left is the ellipsoid: TauP counts geocentric degrees.
    assert near["time"].values == pytest.approx(far["time"].values, rel=0.006)
    assert near["takeoff"].values == pytest.approx(far["takeoff"].values, abs=1.5)


def test_distant_stations_and_other_phases():
    stations = network(A=(0.0, 60.0, 0.0), B=(0.0, 150.0, 0.0))
    found = traveltimes.taup(
        stations,
        velocity_model=VelocityModel.taup("iasp91"),
        latitude=0.0,
        longitude=0.0,
        depth=100.0,
        phases=("P", "PKP", "pP"),
    )
    model = TauPyModel("iasp91")
    assert found["time"].sel(station="XX.A", phase="P") == pytest.approx(
        model.get_travel_times(100.0, 60.0, ["P"])[0].time, abs=1e-6
    )
    assert np.isnan(found["time"].sel(station="XX.A", phase="PKP"))
    assert found["time"].sel(station="XX.B", phase="P") < found["time"].sel(station="XX.B", phase="PKP") + 1


def test_layers_refuse_what_they_cannot_reach():
    with pytest.raises(InvalidSetting, match=r"XX.FAR is 2226 km away.*traveltimes.taup"):
        traveltimes.layered(
            network(FAR=(0.0, 20.0, 0.0)),
            velocity_model=VelocityModel.taup("iasp91"),
            latitude=0.0,
            longitude=0.0,
            depth=10.0,
        )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"velocity_model": HALF_SPACE}, "is a table"),
        ({"velocity_model": VelocityModel.taup("iasp91"), "depth": -1.0}, "above the surface"),
        ({"velocity_model": VelocityModel.taup("iasp91"), "phases": ("Q",)}, "phase 'Q'"),
    ],
)
def test_taup_says_what_is_wrong(settings, said):
    given = {"latitude": 0.0, "longitude": 0.0, "depth": 10.0} | settings
    with pytest.raises(InvalidSetting, match=said):
        traveltimes.taup(network(A=(0.0, 10.0, 0.0)), **given)


def test_missing_coordinates_are_named():
    stations = network(A=(46.0, 7.0, 0.0), B=(46.5, 7.0, 0.0))
    stations[0][1]._latitude = None
    settings = {"velocity_model": HALF_SPACE, "latitude": 46.0, "longitude": 7.0, "depth": 5.0}
    with listen() as heard:
        found = traveltimes.layered(stations, **settings)
    assert found["station"].values.tolist() == ["XX.A"]
    assert [said.subject for said in heard.notices] == ["XX.B"]
    with listen(), pytest.raises(NoData, match="coordinates"):
        traveltimes.layered(Inventory([Network("XX", stations=[stations[0][1]])]), **settings)


def test_missing_s_velocity():
    model = VelocityModel((0.0,), (6.0,), (None,))
    with pytest.raises(BadVelocityModel, match="vp_vs"):
        traveltimes.layered(
            network(A=(46.0, 7.0, 0.0)), velocity_model=model, latitude=46.0, longitude=7.0, depth=5.0
        )
    found = traveltimes.layered(
        network(A=(46.0, 7.0, 0.0)),
        velocity_model=model,
        latitude=46.0,
        longitude=7.0,
        depth=5.0,
        phases=("P",),
    )
    assert found["phase"].values.tolist() == ["P"]
