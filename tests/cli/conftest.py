"""A command line in this process, and one in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import obspy
import pytest

from workbench import cli, wire


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def workbench(capfd) -> Callable[..., Done]:
    """Run the command line in this process: quick, and with the same exit codes."""

    def run(*arguments: object) -> Done:
        capfd.readouterr()
        code = 0
        with warnings.catch_warnings():
            try:
                cli.main([str(argument) for argument in arguments])
            except SystemExit as left:
                code = int(left.code or 0)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return run


@pytest.fixture
def process() -> Callable[..., Done]:
    """Run the command line as a user does."""

    def run(*arguments: object, **more: object) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "workbench.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            **more,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with three files of waveforms, stations, picks, events and a model."""
    monkeypatch.chdir(tmp_path)
    waves = tmp_path / "waves"
    waves.mkdir()
    for trace in obspy.read():
        trace.stats.pop("response", None)
        (waves / f"{trace.id}.mseed").write_bytes(wire.encode(obspy.Stream([trace])))
    (tmp_path / "stations.csv").write_text(
        "network,station,latitude,longitude,elevation_m\nBW,RJOB,47.737167,12.795714,860\n"
    )
    (tmp_path / "picks.csv").write_text(
        "network,station,location,channel,phase,time,probability\nBW,RJOB,,EHZ,P,2009-08-24T00:20:07.7Z,0.9\n"
    )
    (tmp_path / "model.csv").write_text("depth_km,vp_km_s,vs_km_s\n0,5,2.9\n10,6,3.5\n")
    picks = wire.read(tmp_path / "picks.csv", "Picks")
    (tmp_path / "events.xml").write_bytes(wire.encode(picks, ".xml"))
    return tmp_path
