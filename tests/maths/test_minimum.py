import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.maths.minimum import lowest


@settings(max_examples=100, deadline=None)
@given(st.floats(-5, 5), st.floats(0.1, 4.0), st.floats(0.1, 4.0), st.floats(0, 1))
def test_kinked_valley(at, left, right, where):
    def valley(x):
        return left * (at - x) if x < at else right * (x - at)

    assert lowest(valley, -6.0, -6.0 + 12 * where, 6.0, 1e-4) == pytest.approx(at, abs=5e-4)


def test_parabola_takes_few_steps():
    calls = []

    def parabola(x):
        calls.append(x)
        return (x - 1.2345) ** 2

    assert lowest(parabola, -10.0, 3.0, 10.0, 1e-6) == pytest.approx(1.2345, abs=1e-5)
    assert len(calls) < 20


def test_minimum_at_an_end():
    assert lowest(lambda x: x, 2.0, 2.0, 9.0, 1e-4) == pytest.approx(2.0, abs=5e-4)
    assert lowest(lambda x: -x, 2.0, 3.0, 9.0, 1e-4) == pytest.approx(9.0, abs=5e-4)


def test_never_above_the_start():
    def wavy(x):
        return math.cos(5 * x) + 0.1 * x

    for start in (0.1, 0.6, 1.9, 3.1):
        assert wavy(lowest(wavy, 0.0, start, 4.0, 1e-5)) <= wavy(start)


def test_flat_function_ends():
    assert 0.0 <= lowest(lambda x: 1.0, 0.0, 0.5, 1.0, 1e-3) <= 1.0
