"""Kernels against ObsPy doing the same on the same waveforms."""

from __future__ import annotations

import numpy as np
from obspy import Inventory, Stream
from obspy.signal.trigger import coincidence_trigger, recursive_sta_lta, trigger_onset

from benchmarks.harness import Row, alternate
from workbench.demo.network import network_sequence
from workbench.kernels import magnitudes, subnets, triggers, waveforms

TOPIC = "Kernels, ten minutes of 12 three-component stations at 100 Hz"


def measure() -> list[Row]:
    """Measure each kernel beside its peer."""
    made = network_sequence(n_stations=12, duration_s=600.0)
    stream, stations = made.waveforms, made.stations
    return [
        alternate(
            "waveforms.filter, 2-15 Hz",
            lambda: waveforms.filter(stream, freqmin=2.0, freqmax=15.0),
            lambda: _filtered(stream),
            name="ObsPy filter",
        ),
        alternate(
            "triggers.sta_lta, recursive",
            lambda: triggers.sta_lta(stream, kind="recursive", freqmin=2.0, freqmax=15.0),
            lambda: _sta_lta(stream),
            name="ObsPy recursive_sta_lta",
        ),
        alternate(
            "subnets.coincidence",
            lambda: subnets.coincidence(
                stream, freqmin=2.0, freqmax=15.0, sta=0.5, lta=10.0, on=3.5, off=1.0
            ),
            lambda: coincidence_trigger("recstalta", 3.5, 1, _filtered(stream), 3, sta=0.5, lta=10),
            name="ObsPy coincidence_trigger",
        ),
        alternate(
            "waveforms.remove_response, 36 channels",
            lambda: waveforms.remove_response(stream, stations, output="VEL"),
            lambda: _without_response(stream, stations),
            name="ObsPy remove_response",
            rounds=3,
        ),
        alternate(
            "magnitudes.local, 5 events",
            lambda: magnitudes.local(stream, stations, made.truth),
            lambda: _without_response(stream, stations),
            name="ObsPy remove_response alone",
            rounds=3,
        ),
    ]


def _filtered(stream: Stream) -> Stream:
    return stream.copy().filter("bandpass", freqmin=2, freqmax=15, corners=4)


def _sta_lta(stream: Stream) -> list[np.ndarray]:
    return [trigger_onset(recursive_sta_lta(trace.data, 100, 3000), 3.5, 1.5) for trace in _filtered(stream)]


def _without_response(stream: Stream, stations: Inventory) -> Stream:
    return stream.copy().remove_response(stations, output="VEL", pre_filt=(0.05, 0.1, 40, 45))
