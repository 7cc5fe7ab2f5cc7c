"""The web services over real HTTP, with the real runner: kernels run in processes beside the server."""

from __future__ import annotations

from typing import Any

import httpx
import obspy
import pytest

from serving import miniseed


@pytest.fixture(scope="session")
def client(services: httpx.Client) -> httpx.Client:
    return services


@pytest.fixture(scope="session")
def waveforms() -> dict[str, str]:
    """ObsPy's example: 30 s of BW.RJOB, three components, with an earthquake."""
    return {"value": miniseed(obspy.read()), "mediaType": "application/vnd.fdsn.mseed"}


@pytest.fixture(scope="session")
def body(waveforms: dict[str, str]) -> dict[str, Any]:
    """A request that works."""
    return {"inputs": {"waveforms": waveforms, "sta": 0.5, "lta": 5.0}}
