import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from workbench.errors import BadInput
from workbench.maths.ellipsoid import radius
from workbench.maths.geiger import Arrivals, locate
from workbench.maths.geodesy import distance_azimuth, from_plane
from workbench.maths.layered import Layers
from workbench.velocity import VelocityModel

CRUST = VelocityModel(
    (0, 1, 3, 4, 5, 17, 25),
    (3.2, 4.5, 4.8, 5.51, 6.21, 6.89, 7.83),
    (1.5, 2.4, 2.78, 3.18, 3.4, 3.98, 4.52),
)


def layers(model=CRUST):
    return Layers.of(model, "P"), Layers.of(model, "S")


def arrivals(truth, x, y, height=None, *, with_s=True, model=CRUST, noise=0.0, seed=0):
    """Exact arrival times at stations on a plane (km) around 46 N 7 E, with noise in units of sigma.

    `truth` is x, y, depth (km) and origin time (s).
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    height = np.zeros(x.size) if height is None else np.asarray(height, float)
    lat, lon = from_plane(x, y, 46.0, 7.0)
    is_s = np.zeros(x.size, dtype=bool)
    if with_s:
        lat, lon, height, is_s = (
            np.concatenate((v, w))
            for v, w in zip((lat, lon, height, is_s), (lat, lon, height, ~is_s), strict=True)
        )
    source = from_plane(truth[0], truth[1], 46.0, 7.0)
    distance, _ = distance_azimuth(*source, lat, lon)
    p, s = layers(model)
    time = np.where(
        is_s, s.arrivals(truth[2], -height, distance)[0], p.arrivals(truth[2], -height, distance)[0]
    )
    sigma = np.where(is_s, 0.1, 0.05)
    error = np.random.default_rng(seed).normal(size=time.size) * sigma * noise
    return Arrivals(lat, lon, height, is_s, time + truth[3] + error, sigma)


def network(n, reach, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(-reach, reach, n), rng.uniform(-reach, reach, n), rng.uniform(-0.1, 2.0, n)


def misplaced(found, truth):
    """Km between the epicentre and the true one."""
    source = from_plane(truth[0], truth[1], 46.0, 7.0)
    return float(distance_azimuth(found.latitude, found.longitude, *source)[0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 10_000),
    st.integers(8, 30),
    st.floats(-25, 25),
    st.floats(-25, 25),
    st.floats(0.5, 35),
    st.booleans(),
)
def test_truth_comes_back(seed, n, x, y, depth, with_s):
    # Just above an interface all leave as head waves, and depth and time trade exactly.
    assume(np.abs(np.array(CRUST.depth_km) - depth).min() > 0.3)
    truth = (x, y, depth, 3.0)
    found = locate(arrivals(truth, *network(n, 40, seed), with_s=with_s or n < 12), layers())
    assert np.abs(found.residual).max() < 2e-3
    if not found.depth_fixed and math.sqrt(found.covariance[2, 2]) < 2:
        assert misplaced(found, truth) < 0.01
        assert found.depth_km == pytest.approx(depth, abs=0.02)
        assert found.time == pytest.approx(3.0, abs=2e-3)


@pytest.mark.parametrize("name", ["iasp91", "ak135"])
def test_truth_comes_back_in_a_round_earth(name):
    model = VelocityModel.taup(name)
    for truth in ((10.0, -20.0, 12.0, 0.0), (-40.0, 60.0, 150.0, 1.0), (300.0, 20.0, 33.0, -5.0)):
        # From one side the model's errors leave the depth open; here the model is exact.
        found = locate(arrivals(truth, *network(20, 150, 1), model=model), layers(model), max_depth_error=80)
        assert misplaced(found, truth) < 0.02
        assert found.depth_km == pytest.approx(truth[2], abs=0.05)


def test_event_far_outside_the_network():
    truth = (180.0, 60.0, 8.0, 0.0)
    found = locate(arrivals(truth, *network(12, 25, 3)), layers(), fix_depth=8.0)
    assert misplaced(found, truth) < 0.05
    assert found.gap > 300


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.permutations(range(16)))
def test_order_of_picks_is_of_no_matter_to_the_bit(order):
    picks = arrivals((5.0, -3.0, 9.0, 2.0), *network(8, 30, 7), noise=1.0)
    shuffled = Arrivals(*(getattr(picks, name)[list(order)] for name in picks.__dataclass_fields__))
    one, other = locate(picks, layers()), locate(shuffled, layers())
    assert (one.latitude, one.longitude, one.depth_km, one.time, one.rms) == (
        other.latitude,
        other.longitude,
        other.depth_km,
        other.time,
        other.rms,
    )
    assert np.array_equal(one.covariance, other.covariance)
    assert np.array_equal(one.residual[list(order)], other.residual)
    assert np.array_equal(one.weight[list(order)], other.weight)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 9), st.sampled_from([-30.0, -8.0, -2.0, 2.0, 8.0, 30.0]), st.integers(0, 50))
def test_one_gross_error_of_ten_does_not_move_the_hypocentre(which, wrong, seed):
    truth = (2.0, -4.0, 9.0, 1.0)
    angle = np.arange(5) * 2 * np.pi / 5 + seed
    reach = np.array([5.0, 18.0, 12.0, 22.0, 15.0])
    stations = truth[0] + reach * np.sin(angle), truth[1] + reach * np.cos(angle)
    picks = arrivals(truth, *stations, noise=0.5, seed=seed)
    good = locate(picks, layers())
    time = picks.time.copy()
    time[which] += wrong
    found = locate(replace(picks, time=time), layers())
    assert found.weight[which] == 0.0
    assert float(distance_azimuth(found.latitude, found.longitude, good.latitude, good.longitude)[0]) < 1.0
    assert abs(found.depth_km - good.depth_km) < 2.5
    assert found.time == pytest.approx(good.time, abs=0.2)


def test_a_third_of_wrong_picks():
    truth = (2.0, -4.0, 9.0, 1.0)
    picks = arrivals(truth, *network(15, 30, 5), noise=0.5)
    time = picks.time.copy()
    wrong = np.arange(0, 30, 3)
    time[wrong] += np.random.default_rng(2).uniform(-15, 15, wrong.size)
    found = locate(replace(picks, time=time), layers())
    assert misplaced(found, truth) < 0.5
    assert abs(found.depth_km - 9.0) < 1.5


@pytest.mark.parametrize(("n", "with_s"), [(8, True), (20, False), (20, True)])
def test_stated_errors_hold_the_truth_as_often_as_they_say(n, with_s):
    inside = []
    for seed in range(150):
        rng = np.random.default_rng(1000 + seed)
        truth = (*rng.uniform(-12, 12, 2), rng.uniform(3, 15), 0.0)
        found = locate(
            arrivals(truth, *network(n, 25, seed), with_s=with_s, noise=1.0, seed=seed),
            layers(),
            model_error=0.0,
        )
        source = from_plane(truth[0], truth[1], 46.0, 7.0)
        km, azimuth = distance_azimuth(*source, found.latitude, found.longitude)
        east, north = km * np.sin(np.radians(azimuth)), km * np.cos(np.radians(azimuth))
        off = np.array([east, north, found.depth_km - truth[2], found.time - truth[3]])
        flat = off[:2] @ np.linalg.inv(found.covariance[:2, :2]) @ off[:2]
        inside.append([*(np.abs(off) < np.sqrt(np.diag(found.covariance))), flat < radius(0.68, 2) ** 2])
    # 150 trials: the share has a standard error of 0.038.
    assert np.mean(inside, axis=0) == pytest.approx(np.full(5, 0.68), abs=0.13)
    assert np.mean(inside) == pytest.approx(0.68, abs=0.06)


def test_depth_that_is_not_told_is_held_and_its_error_is_stated():
    """P waves of stations all farther than 80 km leave downwards as one: depth trades with time."""
    angle = np.radians(np.arange(12) * 30.0)
    stations = 110 * np.sin(angle), 110 * np.cos(angle)
    picks = arrivals((0.0, 0.0, 12.0, 0.0), *stations, with_s=False, noise=1.0)
    found = locate(picks, layers())
    error = math.sqrt(found.covariance[2, 2])
    assert (found.depth_fixed and found.depth_km == 10.0) or abs(found.depth_km - 12.0) < 2 * error
    assert error > 3
    assert misplaced(found, (0, 0)) < 3 * math.sqrt(found.covariance[:2, :2].trace())
    assert abs(found.time) < 3 * math.sqrt(found.covariance[3, 3])


def test_depth_can_be_held():
    found = locate(arrivals((0.0, 0.0, 12.0, 0.0), *network(10, 30, 1)), layers(), fix_depth=5.0)
    assert found.depth_km == 5.0
    assert found.depth_fixed
    assert found.covariance[2, 2] == 0.0


def test_earthquakes_stay_in_the_ground():
    """The depth ends at the height of the stations around, and not above it."""
    x, y, _ = network(10, 20, 4)
    height = np.full(10, 1.2)
    picks = arrivals((1.0, 2.0, -1.1, 0.0), x, y, height)
    assert locate(picks, layers()).depth_km == pytest.approx(-1.1, abs=0.05)
    early = picks.time - np.where(picks.is_s, 0.4, 0.0)  # S too early for any depth
    found = locate(replace(picks, time=early), layers())
    assert found.depth_km >= -1.2


def test_start_of_the_callers():
    truth = (5.0, 5.0, 9.0, 0.0)
    picks = arrivals(truth, *network(10, 30, 1))
    lat, lon = from_plane(8.0, 2.0, 46.0, 7.0)
    found = locate(picks, layers(), start=(float(lat), float(lon), 5.0))
    assert misplaced(found, truth) < 0.01
    assert found.depth_km == pytest.approx(9.0, abs=0.02)


def test_across_the_date_line():
    picks = arrivals((5.0, -3.0, 9.0, 2.0), *network(8, 30, 7))
    there = replace(picks, longitude=(picks.longitude - 7.0 + 180.0 + 180.0) % 360.0 - 180.0)
    here, found = locate(picks, layers()), locate(there, layers())
    assert -180 <= found.longitude < 180
    assert (found.longitude - 180.0) % 360.0 == pytest.approx((here.longitude - 7.0) % 360.0, abs=1e-6)
    assert found.latitude == pytest.approx(here.latitude, abs=1e-6)


@pytest.mark.parametrize(
    "picks",
    [
        arrivals((0.0, 0.0, 5.0, 0.0), [10.0, -10.0, 3.0], [0.0, 5.0, -9.0], with_s=False),
        arrivals((0.0, 0.0, 5.0, 0.0), [10.0, -10.0], [0.0, 5.0]),
    ],
    ids=["three picks", "two stations"],
)
def test_too_few(picks):
    with pytest.raises(BadInput, match="four at three stations"):
        locate(picks, layers())


def test_picks_that_agree_with_nothing():
    rng = np.random.default_rng(3)
    picks = arrivals((0.0, 0.0, 5.0, 0.0), *network(5, 20, 1), with_s=False)
    noise = replace(picks, time=rng.uniform(0, 600, 5))
    try:
        found = locate(noise, layers())
    except BadInput:
        return
    assert found.rms > 10 or found.covariance[0, 0] > 100


def test_stations_beyond_the_reach_of_a_round_model():
    model = VelocityModel.taup("iasp91")
    x, y = np.array([1500.0, 1600.0, 1700.0, 1800.0, 1650.0]), np.array([0.0, 100.0, -100.0, 50.0, 20.0])
    picks = arrivals((0.0, 0.0, 10.0, 0.0), x, y, with_s=False)
    time = distance_azimuth(46.0, 7.0, picks.latitude, picks.longitude)[0] / 8.5
    with pytest.raises(BadInput, match="global program"):
        locate(replace(picks, time=time), layers(model), start=(46.0, 7.0, 10.0))
