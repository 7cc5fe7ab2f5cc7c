"""Seismic workbench: a method is declared once, and runs everywhere.

>>> import workbench as wb
>>> wb.triggers.sta_lta  # doctest: +ELLIPSIS
<function sta_lta at ...>

Topics are modules (``wb.waveforms``, ``wb.triggers``, ...), loaded when first
used, so that importing the workbench is quick.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Archive": "workbench.archive",
    "Call": "workbench.calls",
    "Picks": "workbench.nouns",
    "Result": "workbench.calls",
    "Spans": "workbench.nouns",
    "Triggers": "workbench.nouns",
    "VelocityModel": "workbench.nouns",
    "WorkbenchError": "workbench.errors",
    "cluster": "workbench.jobs.clusters",
    "default_sources": "workbench.archive",
    "map": "workbench.jobs.fanout",
    "submit": "workbench.jobs.batch",
}
"""Where the few names that are no topics live."""

_TOPICS = [
    info.name
    for info in pkgutil.iter_modules([str(Path(__file__).parent / "kernels")])
    if not info.name.startswith("_")
]

# `wb.map` is there, but a star must not put it in the place of Python's own.
__all__ = sorted({*_HOMES, *_TOPICS, "jobs"} - {"map"})


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name == "jobs":
        return importlib.import_module("workbench.jobs")
    if name in _TOPICS:
        return importlib.import_module(f"workbench.kernels.{name}")
    raise AttributeError(f"module 'workbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*_HOMES, *_TOPICS, "__version__"]
