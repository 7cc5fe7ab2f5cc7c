"""Fan-out in trouble: tiles that fail, files that change, whoever is killed, and disks that are full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from obspy import Stream

from tiled import ALL, DAY, SOME, T0, mapped, noise, old, whole
from workbench import wire
from workbench.calls import Policy
from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable, WorkbenchError
from workbench.jobs import here as here_module
from workbench.jobs.fanout import execute
from workbench.jobs.planning import plan
from workbench.jobs.tilestore import TileStore
from workbench.notices import WorkbenchWarning


def test_changed_data_recompute_only_their_tiles(runs, archive, store):
    mapped("told.peaks", archive, store)
    runs()
    # A late hour arrives, and a file is corrupted.
    archive.write(Stream([noise("YY.C.00.LHZ", T0 + 1.5 * DAY, 3600)]))
    path = archive.root / "2020/XX/A/LHZ.D/XX.A..LHZ.D.2020.003"
    data = bytearray(path.read_bytes())
    data[:4096] = b"\xff" * 4096
    path.write_bytes(data)
    old(archive.root, 0)
    with pytest.warns(WorkbenchWarning, match="bytes cannot be read"):
        found = mapped("told.peaks", archive, store)
    assert sorted(name.split("@")[0] for name in runs()) == ["XX.A..LHZ", "YY.C.00.LHZ"]
    assert found.tiles.computed == 2
    assert found.tiles.reused == 18
    assert not found.complete
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert wire.canonical(found.value) == whole("told.peaks", archive)


def test_one_tile_that_fails_costs_one_tile_and_is_named(told, runs, archive, store):
    (told / "fail").write_text("XX.B..LHN@2020-01-02")
    with pytest.warns(WorkbenchWarning, match="told to fail"):
        found = mapped("told.peaks", archive, store, retries=2)
    assert (found.tiles.computed, found.tiles.failed) == (18, 1)
    assert sum("XX.B..LHN@2020-01-02" in name for name in runs()) == 3
    (row,) = found.failed.itertuples()
    assert row.unit == "XX.B..LHN"
    assert (row.start, row.stop) == ("2020-01-02T00:00:00", "2020-01-03T00:00:00")
    assert row.error == "ZeroDivisionError: told to fail at XX.B..LHN@2020-01-02"
    assert not found.complete
    (told / "fail").unlink()
    mended = mapped("told.peaks", archive, store)
    assert (mended.tiles.computed, mended.tiles.reused) == (1, 18)
    assert wire.canonical(mended.value) == whole("told.peaks", archive)


def test_what_fails_once_is_tried_again(told, runs, archive, store):
    (told / "once").touch()
    found = mapped("told.peaks", archive, store)
    assert found.tiles.failed == 0
    assert len(runs()) == 20
    store_of_another = TileStore(told / "tiles")
    (told / "once").touch()
    with pytest.warns(WorkbenchWarning, match="told to fail once"):
        assert mapped("told.peaks", archive, store_of_another, retries=0).tiles.failed == 1


def test_a_kernel_that_fails_on_everything_ends_soon_with_its_error(told, runs, archive, store):
    (told / "fail").write_text("XX. YY.")
    with pytest.raises(WorkbenchError, match=r"told to fail .* first 19 tiles\)"):
        mapped("told.peaks", archive, store, retries=0)
    runs()
    with pytest.raises(WorkbenchError, match=r"first 20 tiles of 73; the others were not tried"):
        mapped("told.peaks", archive, store, tile="6h", retries=0)
    assert len(runs()) == 20
    with pytest.raises(InvalidSetting, match="sta = 30 s"):
        mapped("triggers.sta_lta", archive, store, sta=30.0, lta=30.0)


def test_two_at_once_compute_each_tile_once_and_both_have_all(told, runs, archive, store):
    found = {}

    def submit(name):
        found[name] = mapped("told.peaks", archive, TileStore(store.folder), pause=0.05)

    threads = [threading.Thread(target=submit, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs()) == 19
    assert found["a"].tiles.computed + found["b"].tiles.computed == 19
    assert found["a"].tiles.computed + found["a"].tiles.reused == 19
    assert wire.canonical(found["a"].value) == wire.canonical(found["b"].value)


PROGRAM = """
import sys
import told
import workbench as wb
from workbench.archive import Archive
from workbench.jobs.tilestore import TileStore
archive, store, *more = sys.argv[1:]
found = wb.map("told.peaks", "*.*.*.*@2020-01-01/2020-01-04T23:59:59", sources=[Archive(archive)],
               store=TileStore(store), pause=0.2 if more else 0.0)
print(found.tiles.computed, found.tiles.reused, len(found.value))
"""


def program(archive, store, *more):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "helpers")}
    command = [sys.executable, "-c", PROGRAM, str(archive.root), str(store.folder), *more]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_whatever_ends_it_the_same_goes_on_where_it_was(told, runs, archive, store, eventually, how):
    first = program(archive, store, "slow")
    eventually(lambda: len(list(store.folder.glob("*/*.tile"))) >= 5, 60, "five finished tiles")
    first.send_signal(how)
    _, said = first.communicate(timeout=60)
    assert first.returncode != 0
    finished = len(list(store.folder.glob("*/*.tile")))
    assert 5 <= finished < 19
    if how == signal.SIGINT:
        assert f"{finished} of 19 tiles are finished and stay" in said
    runs()
    found = mapped("told.peaks", archive, store, pause=0.2)
    # One may have been cut off between its computation and its place in the store.
    assert (found.tiles.computed, found.tiles.reused) == (19 - finished, finished)
    assert len(runs()) == 19 - finished
    assert wire.canonical(found.value) == whole("told.peaks", archive)


def test_a_disk_that_is_full_in_the_middle_keeps_what_is_finished(told, archive, store, monkeypatch):
    class Full(TileStore):
        """A store with room for six tiles."""

        def write(self, key, outputs, more):
            if len(list(self.folder.glob("*/*.tile"))) >= self.room:
                raise ResourceExceeded(
                    str(self.folder), "cannot be written: No space left on device", "Make room."
                )
            return super().write(key, outputs, more)

    full = Full(store.folder)
    full.room = 0
    with pytest.raises(ResourceExceeded, match="No space left"):
        mapped("told.peaks", archive, full)
    full.room = 6
    with pytest.warns(WorkbenchWarning, match="No space left"):
        found = mapped("told.peaks", archive, full)
    assert (found.tiles.computed, found.tiles.failed) == (6, 13)
    assert set(found.failed["kind"]) == {"ResourceExceeded"}
    # Of many more tiles the others are not even tried.
    full.room = 8
    with pytest.raises(
        ResourceExceeded, match=r"No space left on device. 2 of 7[0-9] tiles are finished and stay"
    ):
        mapped("told.peaks", archive, full, tile="6h")
    again = mapped("told.peaks", archive, store)
    assert (again.tiles.computed, again.tiles.reused) == (13, 6)
    assert wire.canonical(again.value) == whole("told.peaks", archive)


def test_a_file_that_cannot_be_read_costs_its_tile(told, archive, store, monkeypatch):
    asked = plan("told.peaks", ALL, {}, policy=Policy(sources=[archive]), store=store)
    len(asked)
    path = archive.root / "2020/XX/B/LHN.D/XX.B..LHN.D.2020.002"
    path.unlink()
    path.mkdir()
    found = execute(asked)
    assert found.tiles.computed == 19
    assert any("XX.B..LHN 2020-01-02" in said.subject for said in found.notices)
    assert not found.complete
    shutil.rmtree(path)


def test_a_file_that_changes_while_it_is_read_is_not_kept_for_later(runs, archive, store):
    asked = plan("told.peaks", "XX.A.*.*", {}, policy=Policy(sources=[archive]), store=store)
    len(asked)
    path = archive.root / "2020/XX/A/LHZ.D/XX.A..LHZ.D.2020.004"
    archive.write(Stream([noise("XX.A..LHZ", T0 + 4 * DAY - 1, 2)]))
    os.utime(path, (1e9, 1e9))
    found = execute(asked)
    assert found.tiles.computed == 4
    assert len(found.value) == 4 * 24 * 60
    runs()
    again = mapped("told.peaks", archive, store, "XX.A.*.*")
    # The fourth day has changed, and there is a fifth.
    assert (again.tiles.computed, again.tiles.reused) == (2, 3)


def test_a_finished_tile_that_vanishes_is_named(told, archive, store):
    found = mapped("told.peaks", archive, store, SOME)
    next(store.folder.glob("*/*.tile")).unlink()
    with pytest.raises(Unavailable, match="Run the same again"):
        _ = found.value
    again = mapped("told.peaks", archive, store, SOME)
    assert again.tiles.computed == 1
    assert len(again.value) == 8 * 1440


def test_lines_of_the_log_name_user_job_and_tile(told, archive, store, caplog):
    (told / "fail").write_text("XX.A..LHZ@2020-01-02")
    with caplog.at_level("INFO", "workbench.jobs"), pytest.warns(WorkbenchWarning):
        mapped("told.peaks", archive, store, SOME, retries=0)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "workbench.jobs"]
    assert [line["event"] for line in lines].count("tile computed") == 7
    (failed,) = [line for line in lines if line["event"] == "tile failed"]
    assert failed["tile"] == "XX.A..LHZ 2020-01-02T00:00:00/2020-01-03T00:00:00"
    assert failed["user"]
    assert failed["job"]
    assert "told to fail" in failed["error"]


def test_a_stretch_that_is_cut_off_by_the_trail_is_no_loss(told, runs, archive, store):
    """The data after a gap begin in the last 15 s of what the day before reads."""
    archive.write(Stream([noise("ZZ.D..LHZ", T0, DAY - 50), noise("ZZ.D..LHZ", T0 + DAY + 5, 3600)]))
    archive.write(Stream([noise("ZZ.D..LHZ", T0 + 2 * DAY, 12)]))
    old(archive.root)
    with pytest.warns(WorkbenchWarning) as said:
        found = mapped("told.smooth", archive, store, "ZZ.*.*.*@2020-01-01/2020-01-03T23:59:59")
    # What really is too short is told.
    assert [str(one.message) for one in said] == ["ZZ.D..LHZ: is shorter than 20 s"]
    assert found.tiles.computed == 3
    # The first two days were tried again without what they have of the next.
    assert len(runs()) == 5
    assert len(found.value) == 3


def test_much_that_there_is_to_say_is_not_all_said_aloud(told, archive, store):
    (told / "fail").write_text("XX.B")
    with pytest.warns(WorkbenchWarning) as said:
        found = mapped("told.peaks", archive, store, tile="6h", retries=0)
    assert len(said) == 21
    assert f"{found.tiles.failed - 20} more to say" in str(said[-1].message)
    assert len(found.notices) == found.tiles.failed == 48


def test_those_that_wait_for_others_do_so_at_the_end(told, archive, store, monkeypatch):
    asked = plan("told.peaks", SOME, {}, policy=Policy(sources=[archive]), store=store)
    tiles = list(asked)
    monkeypatch.setattr(here_module, "POLL_S", 0.01)
    held = store.claim(tiles[0].key)
    seen = []

    def step(meter):
        seen.append(meter.done)
        if meter.done == 7:
            held.release()

    found = execute(asked, on_step=step)
    assert found.tiles.computed == 8
    assert seen == list(range(1, 9))
