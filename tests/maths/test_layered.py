import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from obspy.taup import TauPyModel
from scipy.optimize import minimize

from workbench.errors import BadVelocityModel
from workbench.maths.layered import Layers, TimeTable
from workbench.velocity import VelocityModel


def flat(*rows):
    """Return layers from rows of top and velocity."""
    return Layers.of(VelocityModel.from_rows([(top, v, v / 1.75) for top, v in rows]), "P")


GIL7 = flat((0, 3.2), (1, 4.5), (3, 4.8), (4, 5.51), (5, 6.21), (17, 6.89), (25, 7.83))
WITH_SLOW_LAYER = flat((0, 4.0), (2, 6.0), (6, 5.0), (12, 6.5), (30, 8.0))


@st.composite
def stacks(draw):
    n = draw(st.integers(1, 7))
    thickness = draw(st.lists(st.floats(0.2, 15.0), min_size=n - 1, max_size=n - 1))
    speeds = draw(st.lists(st.floats(1.5, 8.5), min_size=n, max_size=n))
    return flat(*zip(np.concatenate(([0.0], np.cumsum(thickness))), speeds, strict=True))


def along(layers, source, receiver, distance):
    """Time of the straight path, which no first arrival may exceed."""
    low, high = sorted((source, receiver))
    if low == high:
        return distance / float(layers.speed(low))
    edges = [low, *(top for top in layers.top_km[1:] if low < top < high), high]
    vertical = sum(
        (below - above) / float(layers.speed((above + below) / 2))
        for above, below in itertools.pairwise(edges)
    )
    return vertical * math.hypot(distance, high - low) / (high - low)


def test_half_space():
    distance = np.array([0.0, 3.0, 40.0])
    time, dt_dx, dt_dz, takeoff = flat((0, 6.0)).arrivals(4.0, 0.0, distance)
    length = np.hypot(distance, 4.0)
    assert time == pytest.approx(length / 6, abs=1e-12)
    assert dt_dx == pytest.approx(distance / length / 6, abs=1e-12)
    assert dt_dz == pytest.approx(4 / length / 6, abs=1e-12)
    assert takeoff == pytest.approx(180 - np.degrees(np.arctan2(distance, 4.0)), abs=1e-9)


def test_one_layer_over_a_half_space():
    # Telford, Geldart & Sheriff (1990), eq. 4.36: head wave from a source at depth z.
    v1, v2, thick, z = 5.0, 8.0, 30.0, 10.0
    layers = flat((0, v1), (thick, v2))
    distance = np.array([20.0, 60.0, 100.0, 150.0, 300.0])
    head = distance / v2 + (2 * thick - z) * math.sqrt(v1**-2 - v2**-2)
    reaches = distance >= (2 * thick - z) * math.tan(math.asin(v1 / v2))
    direct = np.hypot(distance, z) / v1
    time, dt_dx, dt_dz, takeoff = layers.arrivals(z, 0.0, distance)
    assert time == pytest.approx(np.where(reaches, np.minimum(direct, head), direct), abs=1e-12)
    assert (dt_dx[-2:], dt_dz[-1]) == (pytest.approx(1 / v2), pytest.approx(-math.sqrt(v1**-2 - v2**-2)))
    assert takeoff[-1] == pytest.approx(math.degrees(math.asin(v1 / v2)))


def test_direct_ray_obeys_fermat():
    """The path through two interfaces that a general minimiser finds is the ray."""
    tops, speeds = [0.0, 2.0, 7.0], [3.0, 6.0, 4.5]
    layers = flat(*zip(tops, speeds, strict=True))
    for distance in (0.5, 5.0, 20.0, 90.0):
        heights = np.array([1.5, 5.0, 4.0])  # receiver at 0.5 km, source at 11 km

        def time(x, distance=distance, heights=heights):
            steps = np.diff([0.0, *x, distance])
            return float((np.hypot(steps, heights) / speeds).sum())

        best = minimize(time, [distance / 3, distance / 2], method="Nelder-Mead", options={"fatol": 1e-12})
        found = float(layers.arrivals(11.0, 0.5, distance)[0])
        assert found == pytest.approx(best.fun, abs=1e-7)


@settings(max_examples=300, deadline=None)
@given(stacks(), st.floats(-3, 60), st.floats(-3, 20), st.floats(0, 400))
def test_first_arrivals_are_first_and_reciprocal(layers, source, receiver, distance):
    time, dt_dx, dt_dz, takeoff = (float(v) for v in layers.arrivals(source, receiver, distance))
    back = float(layers.arrivals(receiver, source, distance)[0])
    assert time == pytest.approx(back, rel=1e-9, abs=1e-9)
    assert time <= along(layers, source, receiver, distance) * (1 + 1e-9) + 1e-9
    assert time >= math.hypot(distance, source - receiver) / layers.velocity.max() * (1 - 1e-9) - 1e-9
    assert 0 <= takeoff <= 180
    assert math.hypot(dt_dx, dt_dz) <= 1 / layers.velocity.min() * (1 + 1e-9)


@settings(max_examples=300, deadline=None)
@given(stacks(), st.floats(-2, 50), st.floats(-2, 3), st.floats(0.5, 300))
def test_derivatives_are_those_of_differences(layers, source, receiver, distance):
    step = 1e-5
    assume(np.abs(layers.top_km - source).min() > 2 * step)
    assume(abs(source - receiver) > 0.1)

    def at(depth, x):
        return [float(v) for v in layers.arrivals(depth, receiver, x)]

    _, dt_dx, dt_dz, _ = at(source, distance)
    nearby = [at(source + dz, distance + dx) for dz, dx in ((step, 0), (-step, 0), (0, step), (0, -step))]
    # At a change of branch there are two derivatives, one to each side.
    assume(max(abs(other[1] - dt_dx) + abs(other[2] - dt_dz) for other in nearby) < 1e-3)
    assert (nearby[2][0] - nearby[3][0]) / (2 * step) == pytest.approx(dt_dx, abs=2e-4)
    assert (nearby[0][0] - nearby[1][0]) / (2 * step) == pytest.approx(dt_dz, abs=2e-4)


@settings(max_examples=100, deadline=None)
@given(stacks(), st.floats(-2, 50), st.floats(-2, 3), st.floats(0, 300), st.integers(0, 6))
def test_cutting_a_layer_in_two_changes_nothing(layers, source, receiver, distance, which):
    k = which % layers.top_km.size
    deeper = layers.top_km[k + 1] if k + 1 < layers.top_km.size else layers.top_km[k] + 20
    tops = np.insert(layers.top_km, k + 1, (layers.top_km[k] + deeper) / 2)
    cut = flat(*zip(tops, np.insert(layers.velocity, k + 1, layers.velocity[k]), strict=True))
    whole = layers.arrivals(source, receiver, distance)
    parts = cut.arrivals(source, receiver, distance)
    assert float(parts[0]) == pytest.approx(float(whole[0]), rel=1e-9, abs=1e-9)


def test_ends_on_interfaces():
    """A source or receiver on an interface is the limit of one just beside it."""
    for layers in (GIL7, WITH_SLOW_LAYER):
        for source, receiver, distance in itertools.product(
            [0.0, *layers.top_km, 8.0], [0.0, *layers.top_km], [0.0, 1.0, 30.0, 200.0]
        ):
            time = float(layers.arrivals(source, receiver, distance)[0])
            beside = float(layers.arrivals(source + 1e-9, receiver - 1e-9, distance)[0])
            assert time == pytest.approx(beside, abs=1e-6), (source, receiver, distance)


def test_head_wave_along_the_underside_of_a_fast_layer():
    layers = flat((0, 3.0), (1, 6.0), (2, 3.0))
    time, dt_dx, dt_dz, takeoff = layers.arrivals(4.0, 3.0, 50.0)
    assert time == pytest.approx(50 / 6 + 3 * math.sqrt(1 / 9 - 1 / 36))
    assert (float(dt_dx), float(takeoff)) == (pytest.approx(1 / 6), pytest.approx(150.0))
    assert dt_dz > 0


def test_depth_counts_from_sea_level():
    """A station on a mountain is farther away, and the first layer goes up to it."""
    low, high = (float(GIL7.arrivals(6.0, -height, 0.0)[0]) for height in (0.0, 2.0))
    assert high - low == pytest.approx(2.0 / 3.2)


@pytest.mark.parametrize("name", ["iasp91", "ak135"])
@pytest.mark.parametrize("phase", ["P", "S"])
def test_global_models_agree_with_taup(name, phase):
    layers = Layers.of(VelocityModel.taup(name), phase)
    model = TauPyModel(name)
    names = [phase.lower(), phase, f"{phase}n", f"{phase}g"]
    for depth in (0.0, 5.0, 12.0, 33.0, 100.0, 300.0, 600.0):
        for degrees in (0.1, 0.7, 1.3, 2.0, 2.69, 4.0, 6.0, 8.0, 9.5):
            arrivals = model.get_travel_times(depth, degrees, phase_list=names)
            reference = min(arrival.time for arrival in arrivals)
            km = math.radians(degrees) * 6371
            time = float(layers.arrivals(depth, 0.0, km)[0])
            assert time == pytest.approx(reference, abs=0.005 if km <= 300 else 0.02), (depth, degrees)


def test_gradient_of_a_round_model_is_fine_enough():
    """A strong gradient near the surface, against the exact time of a linear velocity."""
    v0, k = 3.0, 0.15
    model = VelocityModel((0.0, 60.0), (v0, v0 + 60 * k), (1.5, 6.0), interpolation="linear")
    distance = np.array([5.0, 20.0, 60.0, 100.0])
    time = Layers.of(model, "P").arrivals(0.0, 0.0, distance)[0]
    # Flattening turns the line in depth into nearly one with k + v/R.
    exact = 2 / (k + v0 / 6371) * np.arcsinh((k + v0 / 6371) * distance / (2 * v0))
    assert time == pytest.approx(exact, rel=2e-3)


def test_core_of_a_table_does_no_harm():
    rows = [(0.0, 6.0, 3.5), (660.0, 10.5, 5.8), (2891.0, 13.7, 7.3), (2891.0, 8.0, 0.0), (6371.0, 10.0, 0.0)]
    model = VelocityModel.from_rows(rows, "linear")
    assert Layers.of(model, "S").arrivals(10.0, 0.0, 100.0)[0] > 0


def test_water_passes_no_s():
    model = VelocityModel.from_rows([(0.0, 1.5, 0.0), (3.0, 6.0, 3.5)])
    with pytest.raises(BadVelocityModel, match="fluid"):
        Layers.of(model, "S")
    assert Layers.of(model, "P").velocity[0] == 1.5


def test_missing_s_velocity_names_the_row():
    model = VelocityModel.from_rows([(0.0, 5.0, 2.9), (3.0, 6.0, None)])
    with pytest.raises(BadVelocityModel, match="row 2"):
        Layers.of(model, "S")


@pytest.mark.parametrize("layers", [GIL7, WITH_SLOW_LAYER, Layers.of(VelocityModel.taup("iasp91"), "P")])
def test_table_is_close_to_the_rays(layers):
    table = TimeTable.build(layers, distance_km=150.0, depth_km=(0.0, 30.0), receiver_km=(-1.5, 0.2))
    rng = np.random.default_rng(1)
    depth, x, receiver = rng.uniform(0, 30, 4000), rng.uniform(0, 150, 4000), rng.uniform(-1.5, 0.2, 4000)
    exact = layers.arrivals(depth, receiver, x)[0]
    looked = np.array([table.time(*each) for each in zip(depth, receiver, x, strict=True)])
    error = np.abs(looked - exact)
    assert np.quantile(error, 0.99) < 0.01
    assert error.max() < 0.05
    assert table.slowness.nbytes < 500_000


def test_table_knows_the_cusp_at_the_source():
    table = TimeTable.build(GIL7, distance_km=50.0, depth_km=(0.0, 10.0))
    assert table.time(0.0, 0.0, 0.0) == 0.0
    assert table.time(4.3, 0.0, 0.0) == pytest.approx(float(GIL7.arrivals(4.3, 0.0, 0.0)[0]), abs=0.01)
