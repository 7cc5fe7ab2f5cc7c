"""Archives whose content is known, and kernels that can be told to fail."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from obspy import Stream

from tiled import DAY, T0, noise, old
from workbench import kernel as declarations
from workbench.archive import Archive
from workbench.jobs.tilestore import TileStore


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Declare the kernels of the test; return the folder by which they are told what to do."""
    folder = tmp_path / "told"
    folder.mkdir()
    (folder / "runs").touch()
    monkeypatch.setenv("TOLD", str(folder))
    importlib.import_module("told")
    yield folder
    del sys.modules["told"]
    for name in [name for name in declarations._registry if name.startswith("told.")]:
        del declarations._registry[name]


@pytest.fixture
def runs(told: Path) -> Callable[[], list[str]]:
    """Return what was run, and forget it."""

    def read() -> list[str]:
        path = told / "runs"
        lines = [line.split()[1] for line in path.read_text().splitlines()]
        path.write_text("")
        return lines

    return read


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Three stations, two of one channel and one of three, for four days at 1 Hz, with gaps."""
    made = Archive(tmp_path / "archive")
    stream = Stream()
    for seed_id in ("XX.A..LHZ", "XX.B..LHE", "XX.B..LHN", "XX.B..LHZ"):
        stream.append(noise(seed_id, T0, 4 * DAY))
    # A day and a half are missing, and an hour.
    stream.append(noise("YY.C.00.LHZ", T0, 0.5 * DAY))
    stream.append(noise("YY.C.00.LHZ", T0 + 2 * DAY, 1.25 * DAY))
    stream.append(noise("YY.C.00.LHZ", T0 + 3.25 * DAY + 3600, 0.25 * DAY))
    made.write(stream)
    old(made.root)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TileStore]:
    """Where finished tiles go."""
    return TileStore(tmp_path / "tiles")
