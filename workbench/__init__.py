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
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Archive": "workbench.archive",
    "Call": "workbench.calls",
    "Picks": "workbench.nouns",
    "Result": "workbench.calls",
    "Triggers": "workbench.nouns",
    "VelocityModel": "workbench.nouns",
    "default_sources": "workbench.archive",
    "WorkbenchError": "workbench.errors",
    "kernels": "workbench.kernel",
}


def _topics() -> list[str]:
    package = importlib.import_module("workbench.kernels")

    return [info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if not name.startswith("_") and name in _topics():
        return importlib.import_module(f"workbench.kernels.{name}")
    raise AttributeError(f"module 'workbench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*_HOMES, *_topics(), "__version__"])
