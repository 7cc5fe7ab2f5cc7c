"""Fan-out in one process: the whole however it is cut, resumed, and with tiles that fail."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy import Stream, UTCDateTime
from obspy.core.inventory import Inventory, Network, Station

import workbench as wb
from tiled import DAY, T0, noise, old, year
from workbench import wire
from workbench.archive import Archive
from workbench.calls import Policy, run
from workbench.errors import InvalidSetting, NoData, ResourceExceeded, Unavailable, WorkbenchError
from workbench.jobs import here as here_module
from workbench.jobs import stored
from workbench.jobs.fanout import execute
from workbench.jobs.planning import plan
from workbench.jobs.tilestore import TileStore
from workbench.notices import WorkbenchWarning
from workbench.wire import dataset

ALL = "*.*.*.*@2020-01-01/2020-01-04T23:59:59"
SOME = "XX.*.*.*@2020-01-01/2020-01-02T23:59:59"


def whole(process, archive, selection=ALL, **settings):
    """Return the canonical bytes of the same Call, not cut."""
    call = {"process": process, "inputs": {"waveforms": {"selection": selection}, **settings}}
    return wire.canonical(run(call, Policy(sources=[archive]), key=False).value)


def mapped(process, archive, store, selection=ALL, **more):
    return wb.map(process, selection, sources=[archive], store=store, **more)


@pytest.mark.parametrize("tile", ["1D", "7h", "2D", 5000, None])
@pytest.mark.parametrize("process", ["told.peaks", "told.energy", "told.smooth"])
def test_any_tile_length_gives_the_bytes_of_the_whole(told, archive, store, process, tile):
    if process == "told.energy" and tile is None:
        tile = "3D"
    if process == "told.peaks" and tile == 5000:
        # Its minutes are no grid that it declares: 5000 s are no minutes.
        tile = 4980
    found = mapped(process, archive, store, tile=tile)
    assert wire.canonical(found.value) == whole(process, archive)
    assert found.tiles.failed == 0
    assert found.complete
    assert len(found.failed) == 0


def test_the_same_again_computes_nothing_and_gives_the_same(runs, archive, store):
    first = mapped("told.peaks", archive, store)
    assert (first.tiles.computed, first.tiles.reused) == (19, 0)
    assert len(runs()) == 19
    again = mapped("told.peaks", archive, store)
    assert (again.tiles.computed, again.tiles.reused) == (0, 19)
    assert runs() == []
    assert wire.canonical(again.value) == wire.canonical(first.value)
    assert again.cost.cpu_s == 0
    assert first.cost.cpu_s > 0
    assert first.cost.bytes_in == pytest.approx(
        sum(p.stat().st_size for p in archive.root.rglob("*.D.2020.*"))
    )


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


def test_stations_come_from_the_archive_or_as_they_are_given(told, archive, store):
    sites = [Station(code, 1.0, 2.0, 100.0 * number) for number, code in enumerate("ABC", 1)]
    inventory = Inventory(networks=[Network("XX", stations=sites[:2]), Network("YY", stations=sites[2:])])
    given = mapped("told.located", archive, store, stations=inventory)
    assert set(given.value.table["peak"]) == {100.0, 200.0, 300.0}
    archive.stations.add(inventory)
    found = mapped("told.located", archive, store)
    assert wire.canonical(found.value) == wire.canonical(given.value)
    path = archive.root / "all.xml"
    path.write_bytes(wire.encode(inventory))
    for stations in (path, str(path), {"path": str(path)}):
        again = mapped("told.located", archive, store, stations=stations)
        assert wire.canonical(again.value) == wire.canonical(given.value)
        # The same stations given another way are the same tiles.
        assert again.tiles.computed == 0
    again = mapped("told.located", archive, store, stations="*.*.*.*")
    assert wire.canonical(again.value) == wire.canonical(given.value)


def test_a_real_kernel_is_the_same_however_it_is_cut(tmp_path, store):
    archive = Archive(tmp_path / "archive")
    stream = Stream([noise(f"XX.{code}..BHZ", T0, 7200, 20.0) for code in "AB"])
    for trace in stream:
        for at in (1000, 3590, 3600.5, 5000):
            begin = round(at * 20)
            trace.data[begin : begin + 100] *= 40
    archive.write(stream)
    old(archive.root)
    selection = "XX.*.*.BHZ@2020-01-01/2020-01-01T01:59:59"
    values = {"kind": "classic", "sta": 0.5, "lta": 8.0, "freqmin": None, "freqmax": None}
    found = mapped("triggers.sta_lta", archive, store, selection, tile="30min", **values)
    assert len(found.value) >= 8
    assert found.tiles.computed == 8
    assert wire.canonical(found.value) == whole("triggers.sta_lta", archive, selection, **values)


def test_a_dataset_goes_into_a_store_block_by_block(told, archive, store, tmp_path, monkeypatch):
    """Blocks so small that a tile lies in several, and several tiles lie in one."""
    monkeypatch.setattr(stored, "BLOCK", 10 * 8)
    found = mapped("told.energy", archive, store, to=tmp_path / "cube.zarr")
    written = dataset.open_folder(tmp_path / "cube.zarr")
    assert wire.canonical(written) == wire.canonical(found.value)
    assert wire.canonical(found.value) == whole("told.energy", archive)
    assert written["count"].dtype == np.int64
    with xr.open_zarr(tmp_path / "cube.zarr", consolidated=False) as lazy:
        assert lazy["square"].encoding["chunks"] == (1, 10)
    assert np.isnan(written["square"].sel(channel="YY.C.00.LHZ", time="2020-01-02T12")).all()


@pytest.mark.parametrize("tile", ["1D", "36h", "5h", None])
def test_completeness_is_the_same_however_it_is_cut(archive, store, tile, tmp_path):
    """From the index alone: days that no tile has are those that nobody has data of."""
    archive.write(Stream([noise("YY.C.00.LHZ", T0 + 9 * DAY, 7 * 3600)]))
    old(archive.root)
    selection = "*.*.*.*@2020-01-01/2020-01-20"
    call = {"process": "quality.completeness", "inputs": {"spans": {"selection": selection}, "window": 10800}}
    asked = wire.canonical(run(call, Policy(sources=[archive]), key=False).value)
    found = mapped("quality.completeness", archive, store, selection, tile=tile, window=10800.0)
    assert found.value["percent_availability"].shape == (5, 75)
    assert wire.canonical(found.value) == asked
    found.write(tmp_path / "cube.zarr")
    assert wire.canonical(dataset.open_folder(tmp_path / "cube.zarr")) == asked


def test_memory_does_not_grow_with_the_tiles(told, tmp_path, store, monkeypatch):
    """Eight times the tiles, and a store of eight times the size, in the same memory."""
    monkeypatch.setattr(stored, "BLOCK", 60_000)
    few, many = (year(tmp_path / f"{stations}", stations, 25) for stations in (1, 8))
    peaks = []
    selection = "*.*.*.*@2020-01-01/2020-01-25T23:59:59"
    for archive in (few, few, many):
        # The index is made before, many files at a time.
        mapped("told.energy", archive, store, selection, preview=0)
        tracemalloc.start()
        found = mapped("told.energy", archive, store, selection, window=300.0)
        found.write(tmp_path / f"{len(peaks)}.zarr")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert found.tiles.computed == 200
    assert (tmp_path / "2.zarr" / "zarr.json").is_file()
    assert peaks[2] < peaks[1] + 2 * 2**20


@pytest.mark.parametrize("name", ["triggers.csv", "triggers.json", "folder"])
def test_results_are_written_as_asked(told, archive, store, tmp_path, name):
    found = mapped("told.peaks", archive, store, SOME, to=tmp_path / name)
    if name != "folder":
        read = wire.read(tmp_path / name)
        assert wire.canonical(read) == wire.canonical(found.value)
        return
    record = json.loads((tmp_path / name / "provenance.json").read_text())
    assert record["call"]["inputs"]["waveforms"] == {
        "selection": SOME.replace("2020-01-01/", "2020-01-01T00:00:00/")
    }
    assert record["outputs"]["result"] == wire.fingerprint(found.value)
    assert wire.canonical(wire.read(tmp_path / name / "result.csv")) == wire.canonical(found.value)
    with pytest.raises(InvalidSetting, match="exists already"):
        mapped("told.peaks", archive, store, SOME, to=tmp_path / name)


def test_what_cannot_be_written_is_told_before_the_work(runs, archive, store, tmp_path):
    for to, match in (
        (tmp_path / "no" / "x.csv", "does not exist"),
        (tmp_path / "x.nc", "not written as that"),
    ):
        with pytest.raises(InvalidSetting, match=match):
            mapped("told.peaks", archive, store, to=to)
    assert runs() == []


def test_no_data_in_any_tile_is_no_data(archive, store, tmp_path):
    short = Archive(tmp_path / "short")
    short.write(Stream([noise("XX.A..LHZ", T0, 1.0)]))
    old(short.root)
    with pytest.raises(NoData, match="no archive holds"):
        mapped("triggers.sta_lta", short, store, "XX.Z.*.*@2020-01-01/2020-01-02")
    with pytest.warns(WorkbenchWarning), pytest.raises(NoData, match="no tile has data to work on"):
        _ = mapped("waveforms.filter", short, store, "XX.A.*.*@2020-01-01/2020-01-02", freqmin=0.6).value


def test_a_preview_runs_a_sample_and_estimates_the_whole(runs, archive, store):
    preview = mapped("told.peaks", archive, store, preview=0.2)
    assert preview.sample.tiles.total == 4
    assert len(runs()) == 4
    assert len(preview.value) > 0
    guess = preview.estimate
    assert (guess.tiles, guess.finished) == (19, 4)
    assert guess.basis == "from 4 tiles of it"
    done = preview.run()
    assert (done.tiles.computed, done.tiles.reused) == (15, 4)
    assert done.estimate is guess
    assert "estimated: 19 tiles, 4 of them finished" in repr(done)
    assert guess.bytes_in == done.cost.bytes_in
    actual = sum(store.size(key) for key in (path.stem for path in store.folder.glob("*/*.tile")))
    assert guess.bytes_out == pytest.approx(actual, rel=0.2)
    assert 0.1 < guess.cpu_s / done.cost.cpu_s < 10
    # Always the same sample.
    assert mapped("told.peaks", archive, store, preview=0.2).sample.tiles.reused == 4


def test_history_estimates_without_a_sample(runs, archive, store):
    unknown = mapped("told.peaks", archive, store, preview=0)
    assert unknown.sample is None
    assert unknown.estimate.cpu_s is None
    assert "an unknown time of CPU" in repr(unknown)
    done = mapped("told.peaks", archive, store, SOME)
    runs()
    known = mapped("told.peaks", archive, store, preview=0, least=1)
    assert runs() == []
    assert known.estimate.basis == "from earlier runs"
    assert known.estimate.cpu_s == pytest.approx(done.cost.cpu_s * 19 / 8, rel=0.5)
    with pytest.raises(InvalidSetting, match="no fraction"):
        mapped("told.peaks", archive, store, preview=2)
    with pytest.raises(InvalidSetting, match="of no tiles"):
        _ = unknown.value


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


def test_nothing_is_shown_where_nobody_looks(told, archive, store, capfd):
    mapped("told.peaks", archive, store, SOME)
    assert capfd.readouterr() == ("", "")


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


def test_obspy_reads_what_a_mapped_filter_wrote(tmp_path, store):
    archive = Archive(tmp_path / "archive")
    archive.write(Stream([noise("XX.A..BHZ", T0, 3600, 20.0)]))
    old(archive.root)
    selection = f"XX.A..BHZ@2020-01-01/{UTCDateTime(T0 + 3600 - 0.05)}".rstrip("Z")
    mapped("waveforms.filter", archive, store, selection, tile="10min", freqmin=1.0, to=tmp_path / "x.mseed")
    (trace,) = obspy.read(tmp_path / "x.mseed")
    assert len(trace) == 3600 * 20
