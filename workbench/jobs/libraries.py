"""Which libraries a process has, and how they differ from another's.

A task is pickled on one side and worked off on the other: with other libraries
it may fail far from its cause, or give other numbers.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version

import workbench
from workbench.calls.keys import sources

__all__ = ["differences", "found"]

_DISTRIBUTION = "seismic-workbench"


@cache
def found() -> dict[str, str]:
    """Return the versions of Python, the workbench and the libraries that it stands on, by name."""
    return {
        "Python": platform.python_version(),
        "workbench": f"{workbench.__version__}+{sources()}",
        **{name: _version(name) for name in _names()},
    }


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Say what is not the same on both sides.

    Examples
    --------
    >>> differences({"numpy": "2.2.1"}, {"numpy": "2.3.0"})
    ['numpy 2.2.1 here and 2.3.0 there']
    """
    return [
        f"{name} {here.get(name, 'none')} here and {there.get(name, 'none')} there"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]


def _names() -> list[str]:
    """Return the libraries of the workbench itself, and those that a message of Dask's passes through."""
    from distributed.versions import required_packages

    lines = [line for line in requires(_DISTRIBUTION) or [] if "extra ==" not in line]
    own = {re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0].lower().replace("_", "-") for line in lines}
    return sorted({*own, *required_packages})


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
