"""Small real data for Calls: ObsPy's own example, as files."""

from __future__ import annotations

from pathlib import Path

import obspy
import pytest

from workbench import wire


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with waveforms (three files), stations and picks of BW.RJOB."""
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
    return tmp_path
