"""Fan-out in one process: the whole, however it is cut, and what it cost."""

from __future__ import annotations

import json
import tracemalloc
import warnings

import numpy as np
import obspy
import pytest
import xarray as xr
from obspy import Stream, UTCDateTime
from obspy.core.inventory import Inventory, Network, Station

from tiled import DAY, SOME, T0, mapped, noise, old, whole, year
from workbench import wire
from workbench.archive import Archive
from workbench.calls import Policy, run
from workbench.errors import InvalidSetting, NoData
from workbench.jobs import stored
from workbench.notices import WorkbenchWarning
from workbench.wire import dataset


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
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as anybody opens it
        lazy = xr.open_zarr(tmp_path / "cube.zarr")
    with lazy:
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


def test_nothing_is_shown_where_nobody_looks(told, archive, store, capfd):
    mapped("told.peaks", archive, store, SOME)
    assert capfd.readouterr() == ("", "")


def test_obspy_reads_what_a_mapped_filter_wrote(tmp_path, store):
    archive = Archive(tmp_path / "archive")
    archive.write(Stream([noise("XX.A..BHZ", T0, 3600, 20.0)]))
    old(archive.root)
    selection = f"XX.A..BHZ@2020-01-01/{UTCDateTime(T0 + 3600 - 0.05)}".rstrip("Z")
    mapped("waveforms.filter", archive, store, selection, tile="10min", freqmin=1.0, to=tmp_path / "x.mseed")
    (trace,) = obspy.read(tmp_path / "x.mseed")
    assert len(trace) == 3600 * 20
