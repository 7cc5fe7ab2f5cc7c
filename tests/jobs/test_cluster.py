"""Calls on the Dask cluster give what they give here."""

from __future__ import annotations

import base64
import io

import obspy
import pytest

from workbench import wire
from workbench.calls import run
from workbench.errors import BadInput, InvalidSetting, Unavailable
from workbench.jobs import client, result, submit
from workbench.settings import Settings


def asking(content: bytes) -> dict:
    value = {"value": base64.b64encode(content).decode()}
    return {"process": "triggers.sta_lta", "inputs": {"waveforms": value, "sta": 0.5, "lta": 5.0}}


def test_a_worker_gives_the_same_bytes(dask):
    buffer = io.BytesIO()
    obspy.read().write(buffer, format="MSEED")
    call = asking(buffer.getvalue())
    answer = result(submit(dask, {"call": call}, 60).result())
    here = run(call)
    assert answer["outputs"]["result"]["data"] == wire.encode(here.value)
    assert answer["run_key"] == here.run_key


def test_what_is_wrong_is_raised_where_it_was_asked(dask):
    with pytest.raises(BadInput, match="waveforms"):
        result(submit(dask, {"call": asking(b"\x00" * 100)}, 60).result())


def test_a_cluster_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidSetting, match="WORKBENCH_DASK"):
        client(Settings(dask=""))
    with pytest.raises(InvalidSetting, match="no keys"):
        client(Settings(dask="tls://127.0.0.1:9", dask_tls=tmp_path))


def test_a_cluster_that_does_not_answer_is_named(tmp_path):
    from workbench_hub import tls

    tls.create(tmp_path / "keys")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        client(Settings(dask="tls://127.0.0.1:9", dask_tls=tmp_path / "keys"))
