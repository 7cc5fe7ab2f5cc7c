"""The declaration: what is accepted, what is refused, and what is read from it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from annotated_types import Le

from workbench import kernel as declarations
from workbench.errors import InvalidKernel, InvalidSetting, UnknownKernel
from workbench.kernel import kernel
from workbench.nouns import Events, Picks, Triggers, VelocityModel, Waveforms
from workbench.units import Count, Hertz, Ratio, Seconds


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Let each test register what it likes."""
    monkeypatch.setattr(declarations, "_registry", dict(declarations._registry))
    return declarations._registry


def declare(function, **kwargs):
    kernel(per="channel", **kwargs)(function)
    return next(k for k in declarations._registry.values() if k.function is function)


def test_function_is_returned_untouched():
    def smooth(waveforms: Waveforms, *, window: Seconds = 1.0) -> Waveforms:
        """Smooth."""
        return waveforms

    assert kernel(per="channel")(smooth) is smooth
    assert list(inspect.signature(smooth).parameters) == ["waveforms", "window"]


def test_everything_is_read_from_the_signature():
    @dataclass(frozen=True)
    class Found:
        picks: Picks
        events: Events

    def find(
        waveforms: Waveforms,
        picks: Picks | Events,
        more: Triggers | None = None,
        *,
        sta: Seconds,
        corner: Annotated[Hertz, Le(50)] = 10.0,
        kind: Literal["a", "b"] = "a",
        low: Hertz | None = None,
        least: Count = 3,
        phases: tuple[str, ...] = ("P",),
        velocity_model: VelocityModel = VelocityModel.taup("iasp91"),  # noqa: B008
    ) -> Found:
        """Find."""
        raise AssertionError

    find.__annotations__["return"] = Found
    declared = declare(find, lead=lambda s: 2 * s.sta)
    assert declared.name == "find"
    assert [(i.name, i.nouns, i.required) for i in declared.inputs] == [
        ("waveforms", ("Waveforms",), True),
        ("picks", ("Picks", "Events"), True),
        ("more", ("Triggers",), False),
    ]
    assert [(o.name, o.noun) for o in declared.outputs] == [("picks", "Picks"), ("events", "Events")]
    settings = declared.validate({"sta": 2})
    assert declared.lead(settings) == 4.0
    assert declared.trail(settings) == 0.0
    assert declared.grid(settings) == 0.0
    assert settings.model_dump()["velocity_model"] == "iasp91"
    schema = declared.settings.model_json_schema()
    assert schema["required"] == ["sta"]


def test_windows_lie_on_the_grid_that_is_declared():
    def hourly(waveforms: Waveforms, *, window: Seconds = 3600.0) -> Waveforms:
        """Measure each window."""
        return waveforms

    def daily(waveforms: Waveforms) -> Waveforms:
        """Measure each day."""
        return waveforms

    declared = declare(hourly, grid=lambda s: s.window)
    assert declared.grid(declared.validate({"window": 600})) == 600.0
    declared = declare(daily, grid=86400)
    assert declared.grid(declared.validate({})) == 86400.0


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "'sta' is required"),
        ({"sta": -1}, "greater than or equal to 0"),
        ({"sta": "soon"}, "sta"),
        ({"sta": float("nan")}, "finite"),
        ({"sta": 1, "stq": 1}, "did you mean 'sta'"),
        ({"sta": 1, "ratio": 0}, "greater than 0"),
    ],
)
def test_wrong_settings_are_named(values, says):
    def quick(waveforms: Waveforms, *, sta: Seconds, ratio: Ratio = 2.0) -> Triggers:
        """Quick."""
        return Triggers()

    with pytest.raises(InvalidSetting, match=says):
        declare(quick).validate(values)


def undocumented(waveforms: Waveforms) -> Waveforms:
    return waveforms


def bare_float(waveforms: Waveforms, *, factor: float = 1.0) -> Waveforms:
    """Say nothing of the unit."""
    return waveforms


def bare_float_in_a_tuple(waveforms: Waveforms, *, corners: tuple[float, ...] = ()) -> Waveforms:
    """Hide it."""
    return waveforms


def positional_setting(waveforms: Waveforms, factor: int = 1) -> Waveforms:
    """Put a setting among the data."""
    return waveforms


def variadic(*waveforms: Waveforms) -> Waveforms:
    """Take any number."""
    return waveforms[0]


def returns_nothing(waveforms: Waveforms) -> None:
    """Return nothing."""


def untyped(waveforms, *, n: int = 1) -> Waveforms:
    """Say nothing of the type."""
    return waveforms


def mapping(waveforms: Waveforms, *, options: dict[str, int]) -> Waveforms:
    """Take anything."""
    return waveforms


def unresolved(waveforms: Waveforms, *, n: Unheard) -> Waveforms:  # noqa: F821
    """Name a type that is nowhere."""
    return waveforms


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (undocumented, "docstring"),
        (bare_float, "'factor' is a float without a unit"),
        (bare_float_in_a_tuple, "'corners' is a float without a unit"),
        (positional_setting, "no noun"),
        (variadic, "variadic"),
        (returns_nothing, "returns"),
        (untyped, "no type"),
        (mapping, "options"),
        (unresolved, "resolved"),
    ],
)
def test_what_cannot_be_derived_from_is_refused(function, says):
    with pytest.raises(InvalidKernel, match=says):
        kernel(per="channel")(function)


def test_two_kernels_of_one_name_are_refused():
    def twice(waveforms: Waveforms) -> Waveforms:
        """Be there twice."""
        return waveforms

    first = twice

    def twice_again(waveforms: Waveforms) -> Waveforms:
        """Be there twice."""
        return waveforms

    twice_again.__name__ = "twice"
    kernel(per="channel")(first)
    with pytest.raises(InvalidKernel, match="declared twice"):
        kernel(per="channel")(twice_again)


def test_an_unknown_kernel_is_answered_with_what_comes_close():
    with pytest.raises(UnknownKernel, match=r"triggers\.sta_lta"):
        declarations.get("trigger.stalta")


def test_importing_the_workbench_is_quick_and_loads_no_kernel():
    code = (
        "import sys, workbench; assert not [m for m in sys.modules if m.startswith('workbench.kernels')]; "
        "assert 'obspy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_what_the_workbench_names_is_there():
    import workbench as wb

    assert {"triggers", "pipelines", "Archive", "Call"} <= set(wb.__all__)
    for name in wb.__all__:
        assert getattr(wb, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'trigers'"):
        _ = wb.trigers


def test_a_distribution_whose_kernels_cannot_be_imported_spoils_no_other(tmp_path):
    for name, source in (("broken", "import nothing_of_that_name"), ("sound", GOOD)):
        (tmp_path / f"{name}_kernels.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[workbench.kernels]\n{name} = {name}_kernels\n")
    code = "from workbench.kernel import kernels; found = kernels(); print(*kernels())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=dict(os.environ, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "sound_kernels.twice" in done.stdout.split()
    assert "triggers.sta_lta" in done.stdout.split()
    assert done.stderr.count("'broken' of broken: cannot be imported: ModuleNotFoundError") == 1


GOOD = '''
from workbench.kernel import kernel
from workbench.nouns import Waveforms
from workbench.units import Ratio


@kernel(per="trace")
def twice(waveforms: Waveforms, *, factor: Ratio = 2.0) -> Waveforms:
    """Multiply.

    Parameters
    ----------
    waveforms : Waveforms
    factor : Ratio
        How many times.

    Returns
    -------
    Waveforms
    """
    return waveforms
'''
