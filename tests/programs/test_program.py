"""A program as a kernel: what it computes is what a loop in Python computes, on every surface."""

from __future__ import annotations

import numpy as np
import obspy
import pytest

from workbench.nouns import Triggers, Waveforms
from workbench.programs import program
from workbench.units import Ratio


@pytest.fixture
def peaks(peaks_program):
    @program(
        image=None,
        argv=("{peaks_file}", "--least", "{least}", "{waveforms}", "{result}"),
        files={"peaks_file": peaks_program},
        reads={"waveforms": "text/csv"},
        writes={"result": "text/csv"},
        per="channel",
    )
    def peaks(waveforms: Waveforms, *, least: Ratio = 1.0) -> Triggers:
        """Find where each channel has its largest amplitude."""
        raise AssertionError

    return peaks


@pytest.fixture
def stream():
    return obspy.read()


def test_a_c_program_computes_what_numpy_does(peaks, stream):
    found = peaks(stream).table.set_index("channel")
    assert sorted(found.index) == sorted(trace.id for trace in stream)
    for trace in stream:
        at = int(np.argmax(np.abs(trace.data)))
        assert found.peak[trace.id] == np.abs(trace.data[at])
        assert found.time[trace.id] == np.datetime64(
            (trace.stats.starttime + at * trace.stats.delta).ns, "ns"
        )
