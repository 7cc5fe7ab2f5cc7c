"""``workbench map``: what a user sees of fan-out at a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import obspy
import pytest
from obspy import Stream

from tiled import DAY, T0, noise, old
from workbench import wire
from workbench.archive import Archive

SELECTION = "XX.*.*.BHZ@2020-01-01/2020-01-03T23:59:59"
QUICK = ("--kind", "classic", "--sta", "0.5s", "--lta", "8s")


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder with an archive, as a user's environment names it."""
    root = tmp_path / "archive"
    archive = Archive(root)
    stream = Stream([noise(f"XX.{code}..BHZ", T0, 3 * DAY, 4.0) for code in "AB"])
    for trace in stream:
        for hour in (1, 23.999, 30, 50):
            begin = round(hour * 3600 * 4)
            trace.data[begin : begin + 40] *= 30
    archive.write(stream)
    old(root)
    for name, value in {
        "ARCHIVE": root,
        "STATE": tmp_path / "state",
        "HOME_ARCHIVE": tmp_path / "none",
    }.items():
        monkeypatch.setenv(f"WORKBENCH_{name}", str(value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_map_is_what_a_run_is(workbench, site):
    quick = (*QUICK, "--freqmin", "none", "--freqmax", "none")
    done = workbench("map", "triggers.sta_lta", SELECTION, *quick, "-o", "mapped.csv")
    assert done.code == 0, done.err
    assert "6 tiles, 6 computed, 0 finished before, 0 failed" in done.err
    assert workbench("run", "triggers.sta_lta", SELECTION, *quick, "-o", "whole.csv").code == 0
    mapped, whole = (wire.read(site / name) for name in ("mapped.csv", "whole.csv"))
    assert len(whole) >= 6
    assert wire.canonical(mapped) == wire.canonical(whole)


def test_the_same_again_goes_on_and_writes_a_folder_with_provenance(workbench, site):
    command = ("map", "triggers.sta_lta", SELECTION, *QUICK)
    assert workbench(*command, "-o", "first.csv").code == 0
    done = workbench(*command, "-o", "folder")
    assert "0 computed, 6 finished before" in done.err
    record = json.loads((site / "folder" / "provenance.json").read_text())
    assert record["call"]["process"] == "triggers.sta_lta"
    assert record["run_key"]
    assert record["code"]
    lines = [json.loads(line) for line in (site / "folder" / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "done"]
    assert (lines[1]["computed"], lines[1]["reused"]) == (0, 6)
    assert all(line["user"] for line in lines)
    assert (site / "folder" / "result.csv").read_bytes() == (site / "first.csv").read_bytes()
    again = workbench(*command, "-o", "folder")
    assert again.code == 2
    assert "exists already" in again.err


def test_a_preview_says_what_the_whole_will_cost(workbench, site):
    done = workbench("map", "triggers.sta_lta", SELECTION, *QUICK, "--preview", "--sample", "0.3")
    assert done.code == 0
    assert "triggers.sta_lta: 6 tiles, 2 of them finished; about" in done.out
    assert "from 2 tiles of it" in done.out
    assert "to read" in done.out


def test_workers_give_the_same_bytes(process, site):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = ("map", "triggers.sta_lta", SELECTION, *QUICK, "--freqmax", "1.5", "--tile", "12h", "--quiet")
    one = process(*command, "-o", "one.csv", "--store", "a", env=environment)
    two = process(*command, "-o", "two.csv", "--store", "b", "--workers", "2", env=environment)
    assert (one.code, two.code, one.err, two.err) == (0, 0, "", "")
    assert (site / "one.csv").read_bytes() == (site / "two.csv").read_bytes()
    assert len(list((site / "b").glob("*/*.tile"))) == 12


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("triggers.sta_lta", "ZZ.*.*.*@2020-01-01/2020-01-02"), 3, "no archive holds"),
        (("triggers.sta_lta", SELECTION, "--tile", "a while"), 2, "is no length of time"),
        (("triggers.sta_lta", SELECTION, "--sta", "40"), 2, "sta = 40 s"),
        (("triggers.sta_lta", SELECTION, "--workers", "0"), 2, "workers"),
        (("triggers.sta_lta", SELECTION, "-o", "x.nc"), 2, "not written as that"),
        (("triggers.sta_lta", "waves.mseed"), 2, "is mapped over files"),
        (("triggers.sta_lta",), 2, "missing"),
        (("triggers.nothing", SELECTION), 2, "there is no kernel"),
        (("locators.geiger", SELECTION, "--velocity-model", "iasp91"), 2, "input 'picks'"),
        (("waveforms.remove_response", SELECTION), 3, "no tile has data to work on"),
    ],
)
def test_what_is_wrong_is_told_with_its_exit_code(workbench, site, arguments, code, says):
    obspy.read().write(str(site / "waves.mseed"), format="MSEED")
    done = workbench("map", *arguments)
    assert (done.code, says in done.err) == (code, True), done.err


def test_strict_is_incomplete_where_a_tile_fails(workbench, site):
    path = next((site / "archive").rglob("XX.B..BHZ.D.2020.002"))
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)
    command = ("map", "waveforms.filter", SELECTION, "--freqmin", "0.5", "-o")
    done = workbench(*command, "x.mseed")
    assert done.code == 0
    assert "warning" in done.err
    assert workbench(*command, "y.mseed", "--strict").code == 6
    assert (site / "x.mseed").read_bytes() == (site / "y.mseed").read_bytes()


def test_help_lists_kernels_settings_and_options(workbench):
    assert "subnets.coincidence" in workbench("map", "--help").out
    out = workbench("map", "triggers.sta_lta", "--help").out
    for flag in ("--tile", "--preview", "--workers", "--retries", "--store", "--lta", "--to"):
        assert flag in out


def test_a_terminal_sees_how_far_it_is_and_an_interruption_says_what_stays(site, eventually):
    """The longest bar that fits the test: a slow kernel would need one of its own."""
    helpers = str(Path(__file__).parents[1] / "helpers")
    path = os.pathsep.join([helpers, *filter(None, sys.path)])
    told = site / "told"
    told.mkdir()
    code = (
        "import told, sys; from workbench.cli import main; "
        f"main(['map', 'told.peaks', '{SELECTION}', '--pause', '0.5', '--tile', '2h', '-o', 'x.csv'])"
    )
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "TOLD": str(told), "TERM": "xterm", "COLUMNS": "120"},
        stderr=theirs,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    seen = b""

    def read(until):
        nonlocal seen
        seen += os.read(ours, 65536)
        return until in seen

    eventually(lambda: read(b"left"), 60, "an estimate of the time left")
    assert b"of 72 tiles, about " in seen
    eventually(lambda: len(list((site / "state" / "tiles").glob("*/*.tile"))) >= 3, 60, "three tiles")
    running.send_signal(signal.SIGINT)
    try:
        while True:
            read(b"")
    except OSError:
        pass  # the other end is closed
    assert running.wait(30) == 130
    running.stdout.close()
    os.close(ours)
    assert b"stopped" in seen
    assert b"tiles are finished and stay; the same again goes on from there" in seen
