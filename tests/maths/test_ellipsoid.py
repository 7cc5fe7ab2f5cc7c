import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.maths.ellipsoid import ellipse, ellipsoid, radius


def axes(found):
    """Unit vectors (north, east, down) of the three axes, from the angles alone."""
    a, p, r = (math.radians(v) for v in (found.azimuth, found.plunge, found.rotation))
    major = np.array([math.cos(p) * math.cos(a), math.cos(p) * math.sin(a), math.sin(p)])
    level = np.array([-math.sin(a), math.cos(a), 0.0])
    steep = np.cross(major, level)
    return major, math.cos(r) * level + math.sin(r) * steep, math.cos(r) * steep - math.sin(r) * level


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.lists(st.floats(0.1, 5), min_size=3, max_size=3)
)
def test_angles_give_the_covariance_back(numbers, sizes):
    turn, _ = np.linalg.qr(np.reshape(numbers, (3, 3)) + np.eye(3) * 2.5)
    covariance = turn @ np.diag(np.square(sizes)) @ turn.T  # east, north, down
    found = ellipsoid(covariance, 0.68)
    major, intermediate, minor = axes(found)
    size = np.array([found.major, found.intermediate, found.minor]) / radius(0.68, 3)
    back = sum(s**2 * np.outer(v, v) for s, v in zip(size, (major, intermediate, minor), strict=True))
    assert back == pytest.approx(covariance[np.ix_([1, 0, 2], [1, 0, 2])], abs=2e-4)
    assert found.major >= found.intermediate >= found.minor
    assert 0 <= found.plunge <= 90
    assert 0 <= found.azimuth <= 360
    assert 0 <= found.rotation <= 180


def test_ellipse_lies_along_its_azimuth():
    angle = math.radians(30.0)
    along = np.array([math.sin(angle), math.cos(angle)])
    across = np.array([math.cos(angle), -math.sin(angle)])
    found = ellipse(9 * np.outer(along, along) + np.outer(across, across), 0.9)
    assert (found.major / found.minor, found.azimuth) == (pytest.approx(3.0), pytest.approx(30.0))
    assert found.minor == pytest.approx(math.sqrt(4.605), abs=1e-3)  # chi-squared, 2 degrees of freedom


@pytest.mark.parametrize(("dimensions", "quantile"), [(1, 2.706), (2, 4.605), (3, 6.251)])
def test_radius_squared_is_the_quantile_of_chi_squared(dimensions, quantile):
    assert radius(0.9, dimensions) ** 2 == pytest.approx(quantile, abs=1e-3)


def test_level_and_upright_axes():
    found = ellipsoid(np.diag([9.0, 1.0, 4.0]), 0.68)
    assert (found.azimuth, found.plunge, found.rotation) == (90.0, 0.0, 90.0)
    assert ellipsoid(np.diag([9.0, 4.0, 1.0]), 0.68).rotation in (0.0, 180.0)
