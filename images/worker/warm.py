"""Call all that numba compiles, so that an image holds it compiled.

The examples of the documentation call the small loops, the demonstration the
rest: no list of ours has to follow them.  What is left uncompiled stops the
build.
"""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from numba.core.dispatcher import Dispatcher

import workbench

_PARTS = ("workbench.maths", "workbench.kernels")


def main() -> None:
    """Compile, then look whether anything was left out."""
    sources = list(modules())
    for module in sources:
        failed = doctest.testmod(module, verbose=False, optionflags=doctest.ELLIPSIS).failed
        if failed:
            sys.exit(f"{module.__name__}: {failed} of its examples fail in the image")
    demonstrate()
    associate_clutter()
    left = sorted(name for module in sources for name in uncompiled(module))
    if left:
        sys.exit(f"No example and not the demonstration calls: {', '.join(left)}.  Give each an example.")


def modules() -> Iterator[ModuleType]:
    """Import what may hold compiled loops."""
    for info in pkgutil.walk_packages(workbench.__path__, "workbench."):
        if info.name.startswith(_PARTS):
            yield importlib.import_module(info.name)


def demonstrate() -> None:
    """Find the earthquakes of a small generated archive, in this process."""
    from workbench.demo import __main__ as demonstration

    with tempfile.TemporaryDirectory() as folder:
        demonstration.main.main([folder], standalone_mode=False)


def associate_clutter() -> None:
    """Associate picks that belong to nothing: what a search does when it ends nowhere is compiled too."""
    import numpy as np
    import pandas as pd

    from workbench.demo.network import MODEL, network_sequence

    stations = network_sequence().stations
    codes = [station.code for network in stations for station in network]
    random = np.random.default_rng(1)
    seconds = np.sort(random.uniform(0, 600, 300))
    table = pd.DataFrame(
        {
            "network": "XX",
            "station": random.choice(codes, seconds.size),
            "location": "",
            "channel": "HHZ",
            "phase": random.choice(["P", "S"], seconds.size),
            "time": np.datetime64("2024-01-01") + (seconds * 1e9).astype("timedelta64[ns]"),
            "probability": 0.5,
        }
    )
    workbench.associators.associate(workbench.Picks(table), stations, velocity_model=MODEL)


def uncompiled(module: ModuleType) -> Iterator[str]:
    """Yield what numba should have compiled and has not."""
    for name, value in vars(module).items():
        if (
            isinstance(value, Dispatcher)
            and value.py_func.__module__ == module.__name__
            and not value.signatures
        ):
            yield f"{module.__name__}.{name}"


if __name__ == "__main__":
    main()
