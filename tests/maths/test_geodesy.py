import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from obspy.geodetics import gps2dist_azimuth

from workbench.maths.geodesy import azimuth_gaps, central_angle, distance_azimuth, from_plane, to_plane

latitudes = st.floats(-89.0, 89.0)
longitudes = st.floats(-180.0, 180.0)


@settings(max_examples=200, deadline=None)
@given(latitudes, longitudes, st.floats(-9.0, 9.0), st.floats(-9.0, 9.0))
def test_distance_and_azimuth_are_those_of_obspy(lat, lon, north, east):
    assume(abs(north) + abs(east) > 1e-6)  # closer points make ObsPy divide by zero
    lat2 = min(max(lat + north, -89.5), 89.5)
    lon2 = (lon + east + 180) % 360 - 180
    km, azimuth = distance_azimuth(lat, lon, lat2, lon2)
    metres, reference, _ = gps2dist_azimuth(lat, lon, lat2, lon2)
    assert km == pytest.approx(metres / 1000, rel=1e-6, abs=2e-5)
    if metres > 100:
        assert abs((azimuth - reference + 180) % 360 - 180) < 1e-4


@settings(max_examples=100, deadline=None)
@given(latitudes, longitudes, st.floats(-500, 500), st.floats(-500, 500))
def test_plane_and_back(lat, lon, x, y):
    there = from_plane(x, y, lat, lon)
    back = to_plane(*there, lat, lon)
    assert back[0] == pytest.approx(x, abs=1e-6)
    assert back[1] == pytest.approx(y, abs=1e-6)


def test_arguments_broadcast():
    km, azimuth = distance_azimuth(46.0, 7.0, np.array([[46.0], [47.0]]), np.array([7.0, 8.0, 9.0]))
    assert km.shape == azimuth.shape == (2, 3)
    assert km[0, 0] == 0.0
    assert azimuth[0, 0] == 0.0


def test_across_the_date_line_and_over_the_pole():
    assert distance_azimuth(0.0, 179.9, 0.0, -179.9)[0] == pytest.approx(22.26, abs=0.01)
    km, azimuth = distance_azimuth(89.9, 0.0, 89.9, 180.0)
    assert km == pytest.approx(22.34, abs=0.01)
    assert azimuth == pytest.approx(0.0, abs=1e-9)


def test_antipode_gives_a_number():
    km, _ = distance_azimuth(0.0, 0.0, 0.2, 179.9)
    assert km == pytest.approx(19980, abs=30)


@pytest.mark.parametrize("other", [(90.0, 0.0), (0.0, 90.0), (-90.0, 12.0)])
def test_central_angle_of_a_quarter(other):
    assert central_angle(0.0, 0.0, *other) == pytest.approx(90.0)


def test_gaps():
    assert azimuth_gaps([10.0]) == (360.0, 360.0)
    assert azimuth_gaps([0.0, 100.0]) == (260.0, 360.0)
    assert azimuth_gaps([350.0, 10.0, 120.0]) == (230.0, 340.0)
