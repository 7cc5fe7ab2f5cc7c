"""A program that a distribution declares: the same Call, the same bytes and the same run key everywhere."""

from __future__ import annotations

import base64
import importlib
import json
import os
import subprocess
import sys

import obspy
import pytest

import workbench as wb
from clustered import clustered
from sited import install_peaks
from workbench import wire
from workbench.calls import Call, Policy, keys
from workbench.jobs import client, result, submit


@pytest.fixture
def site(peaks_program, tmp_path, monkeypatch):
    """Install a distribution with a program, and a file to run it on."""
    folder = install_peaks(tmp_path / "site", peaks_program)
    obspy.read().write(str(tmp_path / "data.mseed"), format="MSEED")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "site_peaks", raising=False)
    # The packages that are installed are part of a run key, and looked up once.
    keys.environment.cache_clear()
    yield importlib.import_module("site_peaks")
    keys.environment.cache_clear()


def workbench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench.cli", *words],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_surface_gives_the_bytes_that_python_gives(site, tmp_path):
    stream = wire.read(tmp_path / "data.mseed")
    expected = wire.canonical(site.peaks(stream, least=300))
    assert expected.count(b"\n") > 1
    stream.traces.reverse()
    assert wire.canonical(site.peaks(stream, least=300.0)) == expected

    call = Call(process="site_peaks.peaks", inputs={"waveforms": {"path": "data.mseed"}, "least": 300})
    ran = call.run(Policy(base=tmp_path))
    assert ran.canonical() == {"result": expected}

    done = workbench("run", "site_peaks.peaks", "data.mseed", "--least", "300", "-o", "out")
    assert done.returncode == 0, done.stderr
    (tmp_path / "job.json").write_text(json.dumps(call.to_json()))
    done = workbench("run", "job.json", "-o", "job")
    assert done.returncode == 0, done.stderr
    for folder in ("out", "job"):
        assert wire.canonical(wire.read(tmp_path / folder / "result.csv")) == expected
        assert ran.run_key in (tmp_path / folder / "provenance.json").read_text()


def test_a_worker_gives_the_bytes_that_python_gives(site, tmp_path):
    call = Call(process="site_peaks.peaks", inputs={"waveforms": {"path": "data.mseed"}, "least": 300})
    expected = call.run(Policy(base=tmp_path)).canonical()
    sent = Call(process=call.process, inputs={**call.inputs, "waveforms": packed(tmp_path / "data.mseed")})
    with clustered(tmp_path / "keys") as settings, client(settings) as dask:
        answer = result(submit(dask, {"call": sent.to_json()}, seconds=60).result())
    assert wire.canonical(wire.read(answer["outputs"]["result"]["data"])) == expected["result"]


def test_a_map_over_an_archive_gives_the_whole(site, tmp_path):
    stream = wire.read(tmp_path / "data.mseed")
    archive = wb.Archive(tmp_path / "archive")
    archive.write(stream)
    store = tmp_path / "tiles"
    found = wb.map(site.peaks, "BW.RJOB..EH?", sources=[archive], store=store, least=300)
    assert (found.tiles.computed, found.tiles.failed) == (3, 0)
    assert wire.canonical(found.value) == wire.canonical(site.peaks(stream, least=300))
    assert (
        wb.map("site_peaks.peaks", "BW.RJOB..EH?", sources=[archive], store=store, least=300).tiles.reused
        == 3
    )


def packed(path) -> dict[str, str]:
    return {"value": base64.b64encode(path.read_bytes()).decode()}


def test_what_is_wrong_is_an_exit_code_and_a_line(site, tmp_path):
    done = workbench("run", "site_peaks.peaks", "data.mseed", "--least", "-3")
    assert done.returncode == 2
    assert "least" in done.stderr
    source = tmp_path / "site/site_peaks.py"
    source.write_text(source.read_text().replace('"--least", "{least}"', '"--most", "{least}"'))
    done = workbench("run", "site_peaks.peaks", "data.mseed")
    assert done.returncode == 1
    assert "ended with exit code 2; it said: usage: peaks --least LEAST INPUT OUTPUT" in done.stderr


def test_the_help_and_the_command_line_know_the_units(site):
    done = workbench("run", "site_peaks.peaks", "--help")
    assert "--least" in done.stdout
    assert "Find where each channel has its largest amplitude." in done.stdout
