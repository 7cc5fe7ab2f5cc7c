"""``workbench archive`` as a user types it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from obspy import Catalog, Stream, UTCDateTime, read_inventory

from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from tests.archive.test_metadata import event
from workbench import cli
from workbench.archive import Archive, Selection


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd, monkeypatch, tmp_path) -> Callable[..., Done]:
    """Run a command in this process, with archives of its own."""
    monkeypatch.setattr("signal.signal", lambda *words: None)
    monkeypatch.setenv("WORKBENCH_ARCHIVE", str(tmp_path / "shared"))
    monkeypatch.setenv("WORKBENCH_HOME_ARCHIVE", str(tmp_path / "own"))

    def command(*words: object) -> Done:
        capfd.readouterr()
        code = 0
        with warnings.catch_warnings():
            try:
                cli.main(["archive", *map(str, words)])
            except SystemExit as left:
                code = int(left.code or 0)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return command


def test_add_takes_everything_by_its_content(run, tmp_path, shared) -> None:
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    (files / "a.txt").write_bytes(mseed(trace(100, seed_id="XX.A..HHZ"), reclen=512))
    trace(100, seed_id="XX.B..HHZ").write(str(files / "deep" / "b"), format="SAC")
    (files / "c.gz").write_bytes(gzip.compress(mseed(trace(100, seed_id="XX.C..HHZ"))))
    with zipfile.ZipFile(files / "d.zip", "w") as packed:
        packed.writestr("x", mseed(trace(100, seed_id="XX.D..HHZ")))
        packed.write(shared("archive_mixed") / "II.PFO.xml", "pfo")
    shutil.copy(shared("archive_mixed") / "IV.BOB.xml", files / "stations")
    Catalog([event("a", MIDNIGHT, 3.0)]).write(str(files / "events"), format="QUAKEML")
    (files / ".hidden").write_bytes(b"nothing to see")

    done = run("add", files)
    assert (done.code, done.out) == (0, "")
    assert done.err == f"{tmp_path / 'own'}: 400 samples added in 4 files, 2 stations, 1 events\n"
    own = Archive(tmp_path / "own")
    assert [t.id for t in everything(own)] == [f"XX.{s}..HHZ" for s in "ABCD"]
    # miniSEED stays as it is.
    assert (own.root / own.files(Selection(station="A"))[0].path).read_bytes() == (
        files / "a.txt"
    ).read_bytes()
    assert {s.code for n in own.get_stations() for s in n} == {"BOB", "PFO"}
    assert len(own.get_events()) == 1
    assert "400 known already" in run("add", files, "--root", tmp_path / "own").err


def test_add_goes_on_past_bad_files_and_says_so(run, tmp_path) -> None:
    (tmp_path / "good").write_bytes(mseed(trace(1000), reclen=256))
    (tmp_path / "cut").write_bytes(mseed(trace(1000, MIDNIGHT + 60), reclen=256)[:-50])
    (tmp_path / "bad").write_bytes(b"\x00\x01garbage" * 50)
    (tmp_path / "picks.csv").write_text("network,station,phase,time\nXX,A,P,2020-01-01T00:00:00\n")
    done = run("add", tmp_path / "good", tmp_path / "cut", tmp_path / "bad", tmp_path / "picks.csv")
    assert done.code == 0
    assert "samples added" in done.err
    for words in (str(tmp_path / "cut"), "cut off", str(tmp_path / "bad"), "holds Picks"):
        assert words in done.err
    assert run("add", tmp_path / "good", tmp_path / "bad", "--strict").code == 6
    assert run("add", tmp_path / "bad").code == 4
    assert run("add", tmp_path / "nowhere").code == 2
    assert run("add").code == 2
    assert "Traceback" not in done.err


def test_ls(run, tmp_path) -> None:
    assert run("ls").code == 3
    Archive(tmp_path / "shared").write(
        Stream([trace(1000, seed_id="XX.A..HHZ"), trace(500, MIDNIGHT + 86400, seed_id="XX.A..HHZ")])
    )
    Archive(tmp_path / "own").write(trace(100, MIDNIGHT, 20.0, seed_id="YY.B.00.BHN"))
    done = run("ls")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["channel", "XX.A..HHZ", "YY.B.00.BHN"]
    rows = json.loads(run("ls", "--json").out)
    assert rows[0] == {
        "channel": "XX.A..HHZ",
        "from": "2020-03-01T00:00:00.000000Z",
        "to": "2020-03-02T00:00:04.990000Z",
        "sampling_rate_hz": [100.0],
        "samples": 1500,
        "gaps": 1,
        "overlaps": 0,
        "archive": str(tmp_path / "shared"),
    }
    (row,) = json.loads(run("ls", "X*.*.*.*@2020-03-02/2020-03-02T00:00:01", "--json").out)
    assert (row["samples"], row["gaps"]) == (101, 0)
    assert run("ls", "YY.*.*.*", "--root", tmp_path / "shared").code == 3
    assert run("ls", "YY.B").code == 2
    assert json.loads(run("ls", "ZZ.*.*.*", "--json").out) == []


def test_check(run, tmp_path) -> None:
    assert run("check").code == 3
    shared = Archive(tmp_path / "shared")
    shared.write(mseed(trace(9000), reclen=512))
    done = run("check")
    assert done.code == 0
    assert "warning: no metadata: XX.ABC..HHZ" in done.out
    assert run("check", "--strict").code == 6
    path = shared.root / shared.files(Selection())[0].path
    path.write_bytes(path.read_bytes()[:-10])
    done = run("check")
    assert done.code == 4
    assert "error: corrupt: 2020/XX" in done.out
    assert "has 1 errors" in done.err
    (finding,) = (one for one in json.loads(run("check", "--json").out) if one["severity"] == "error")
    assert finding["kind"] == "corrupt"
    assert run("check", "--root", tmp_path / "own").code == 3


def test_fetch(run, tmp_path, server, shared) -> None:
    server.source.stations.add(read_inventory(shared("archive_mixed") / "IV.BOB.xml"))
    server.source.write(trace(5000, MIDNIGHT - 50, 50.0, "IV.BOB..BHZ"))
    text = f"IV.BOB.*.BH?@{MIDNIGHT - 100}/{MIDNIGHT + 100}".replace(".000000Z", "")
    done = run("fetch", text, "--from", server.url)
    assert done.code == 0
    assert done.err == f"{tmp_path / 'own'}: 5000 samples added, 1 stations\n"
    assert "2 of 2 requests were done before" in run("fetch", text, "--from", server.url).err
    np.testing.assert_array_equal(
        everything(Archive(tmp_path / "own"))[0].data, everything(server.source)[0].data
    )
    assert run("fetch", text, "--from", server.source.root, "--root", tmp_path / "third").code == 0
    assert run("fetch", text, "--from", "NOSUCH").code == 2
    assert run("fetch", "IV.BOB.*.BH?", "--from", server.url).code == 2
    assert run("fetch", text.replace("BOB", "BOX"), "--from", server.url).code == 3
    server.fail = lambda service, query: "413" if service == "dataselect" else None
    done = run("fetch", text, "--from", server.url, "--again", "--strict")
    assert done.code == 5


def test_every_command_explains_itself(run) -> None:
    for words in (["--help"], ["add", "--help"], ["ls", "--help"], ["check", "--help"], ["fetch", "--help"]):
        done = run(*words)
        assert done.code == 0
        assert "Usage: workbench archive" in done.out


def test_fetch_killed_as_a_whole_process(tmp_path, server, shared) -> None:
    for k in range(6):
        server.source.write(trace(20000, MIDNIGHT + k * 86400, 1.0, "IV.BOB..BHZ", seed=k))
    served = []

    def note(service: str, query: dict[str, str]) -> None:
        served.append(query)
        if len(served) == 5:
            os.kill(process.pid, signal.SIGKILL)

    server.fail = note
    command = [sys.executable, "-m", "workbench.cli", "archive", "fetch"]
    command += ["IV.BOB..BHZ@2020-03-01/2020-03-07", "--from", server.url, "--root", str(tmp_path / "a")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    server.fail = lambda service, query: None
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "requests were done before" in done.stderr
    found = Archive(tmp_path / "a").get_waveforms(
        "IV", "BOB", "", "BHZ", UTCDateTime(2020, 3, 1), UTCDateTime(2020, 3, 7)
    )
    assert [t.stats.npts for t in found] == [20000] * 6
    for k, one in enumerate(found):
        np.testing.assert_array_equal(one.data, trace(20000, seed=k).data)
    assert not list(Path(tmp_path).rglob("*.part"))
