"""Fixtures that all tests share, and how a missing component is met."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REQUIRED = frozenset(filter(None, os.environ.get("REQUIRE", "").split(",")))
"""Components whose absence is a failure: ``REQUIRE=shared,slurm,docker,browser``."""


def missing(component: str, reason: str) -> None:
    """Skip a test because a component is not here; fail where it is required."""
    if component in REQUIRED:
        pytest.fail(f"{component} is required and missing: {reason}", pytrace=False)
    pytest.skip(f"{component} is missing: {reason}")


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Return the folder of a recorded case: ``shared("crl_corinth20100118")``."""
    root = Path(os.environ.get("WORKBENCH_SHARED", Path(__file__).parents[2] / "shared")).absolute()

    def case(name: str) -> Path:
        folder = root / "data" / name
        if not folder.is_dir():
            missing("shared", f"no recordings of {name} (set WORKBENCH_SHARED to the folder that holds data/)")
        return folder

    return case
