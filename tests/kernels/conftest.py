"""How kernels are cut in time, and small networks to cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from obspy import Stream, Trace, UTCDateTime

from workbench.errors import NoData
from workbench.kernel import Kernel
from workbench.notices import listen


@pytest.fixture(scope="session")
def windows() -> Callable[..., Iterator[tuple[UTCDateTime, UTCDateTime, Any]]]:
    """Run a kernel over windows of its waveforms, each with the lead and trail that it declares.

    Yields the start and the end of each window and the kernel's result.
    """

    def run(
        kernel: Kernel, stream: Stream, edges: list[UTCDateTime], *data: Any, **values: Any
    ) -> Iterator[tuple[UTCDateTime, UTCDateTime, Any]]:
        settings = kernel.validate(values)
        lead, trail = kernel.lead(settings), kernel.trail(settings)
        for start, end in pairwise(edges):
            part = stream.slice(start - lead, end + trail)
            with listen():
                try:
                    yield start, end, kernel(part, *data, **values)
                except NoData:
                    yield start, end, None

    return run


@pytest.fixture(scope="session")
def bursts() -> Callable[..., Stream]:
    """Make a network that records noise, and bursts that decay, at known times."""

    def make(
        onsets: list[float],
        *,
        seconds: float = 300.0,
        stations: int = 4,
        rate: float = 50.0,
        delay: float = 0.4,
        components: str = "Z",
        seed: int = 0,
        amplitude: float = 3000.0,
        offset: int = 12_345,
    ) -> Stream:
        rng = np.random.default_rng(seed)
        time = np.arange(math.ceil(seconds * rate)) / rate
        stream = Stream()
        for number in range(stations):
            for component in components:
                data = rng.normal(0, 50, len(time)) + offset
                for onset in onsets:
                    since = time - onset - delay * number
                    wave = rng.normal(0, 1, len(time)) * np.exp(-since.clip(0) / 1.5)
                    data += amplitude * wave * (since >= 0)
                header = {
                    "network": "XX",
                    "station": f"S{number}",
                    "channel": f"HH{component}",
                    "sampling_rate": rate,
                    "starttime": UTCDateTime(2020, 1, 1),
                }
                stream.append(Trace(np.round(data).astype(np.int32), header))
        return stream

    return make
