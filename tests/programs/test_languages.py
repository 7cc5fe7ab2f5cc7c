"""Fortran and Java: what they compute is what Python computes, with settings checked as any kernel's."""

from __future__ import annotations

import numpy as np
import obspy
import pytest

from workbench.errors import InvalidSetting, WorkbenchError
from workbench.nouns import Picks, Triggers, Waveforms
from workbench.programs import program
from workbench.units import Count, Fraction, Ratio


@pytest.fixture
def onsets(compiled):
    # Out of any library but the system's own, which the sandbox shows.
    file = compiled("onsets.f90", "gfortran")

    @program(
        image=None,
        argv=("{onsets_file}", "{waveforms}", "{result}", "{sta}", "{lta}", "{on}"),
        files={"onsets_file": file},
        reads={"waveforms": ".csv"},
        writes={"result": "found.csv"},
        per="channel",
        cut=False,
    )
    def onsets(waveforms: Waveforms, *, sta: Count = 20, lta: Count = 200, on: Ratio = 3.0) -> Triggers:
        """Find the first onset of each channel."""
        raise AssertionError

    return onsets


@pytest.fixture
def sure(compiled):
    file = compiled("SurePicks.java", "javac", package="default-jdk-headless")

    @program(
        image=None,
        argv=(
            *("/usr/bin/java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", "in", "SurePicks"),
            *("{picks}", "{result}", "{least}", "{phases}"),
        ),
        files={"classes": file},
        reads={"picks": "text/csv"},
        writes={"result": "text/csv"},
        per="archive",
    )
    def sure(picks: Picks, *, least: Fraction = 0.5, phases: tuple[str, ...] | None = None) -> Picks:
        """Keep the picks that are probable enough."""
        raise AssertionError

    return sure


def test_a_fortran_program_finds_the_onsets_that_numpy_finds(onsets):
    stream = obspy.read()
    found = onsets(stream, sta=20, lta=200, on=2).table.set_index("channel")
    expected = {}
    for trace in stream:
        total = np.concatenate(([0.0], np.cumsum(np.abs(trace.data))))
        ends = np.arange(200, len(trace) + 1)
        ratio = (total[ends] - total[ends - 20]) / 20 / ((total[ends] - total[ends - 200]) / 200)
        over = np.flatnonzero(ratio >= 2)
        if len(over):
            at = ends[over[0]] - 1
            expected[trace.id] = trace.stats.starttime + at * trace.stats.delta, ratio[over[0]]
    assert expected
    assert sorted(found.index) == sorted(expected)
    for channel, (time, ratio) in expected.items():
        assert found.time[channel] == np.datetime64(time.ns, "ns")
        assert found.peak[channel] == pytest.approx(ratio, rel=1e-9)


def picks() -> Picks:
    return Picks(
        {
            "network": "GR",
            "station": f"S{number}",
            "channel": "HHZ",
            "phase": phase,
            "time": f"2020-01-01T00:00:{number:02d}.5Z",
            "probability": number / 10,
        }
        for number, phase in enumerate("PSPSPSPSP", 1)
    )


def test_a_java_program_keeps_what_pandas_keeps(sure):
    table = picks().table
    assert sure(picks(), least=0.4) == Picks(table[table.probability >= 0.4])
    chosen = sure(picks(), least=0.4, phases=("S",))
    assert chosen == Picks(table[(table.probability >= 0.4) & (table.phase == "S")])
    assert len(chosen) == 3


def test_settings_are_checked_as_any_kernels(sure):
    with pytest.raises(InvalidSetting, match="least"):
        sure(picks(), least=40)
    with pytest.raises(InvalidSetting, match="takes Picks"):
        sure(Triggers())


def test_what_a_java_program_throws_is_told(sure):
    with pytest.raises(WorkbenchError, match=r"exit code 1; it said: .*NumberFormatException"):
        sure(Picks([{"time": "2020-01-01T00:00:00Z", "station": "A", "probability": None}]))
