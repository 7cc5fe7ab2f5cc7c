"""Fan-out over a Dask cluster of processes: the same bytes, whoever is lost on the way."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

import workbench as wb
from tiled import DAY, T0, noise, old, year
from workbench import wire
from workbench.archive import Archive
from workbench.calls import Policy, keys
from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench.jobs import spread as spread_module
from workbench.jobs.fanout import execute
from workbench.jobs.lanes import Lanes, Readers
from workbench.jobs.planning import plan
from workbench.jobs.tilestore import TileStore
from workbench.jobs.versions import check_workers
from workbench.kernel import kernel
from workbench.notices import WorkbenchWarning
from workbench.nouns import Triggers, Waveforms

ALL = "*.*.*.*@2020-01-01/2020-01-04T23:59:59"
SOME = "XX.A.*.*@2020-01-01/2020-01-04T23:59:59"


@pytest.fixture(scope="module")
def told_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where workers leave their marks: the folder is part of their environment."""
    return tmp_path_factory.mktemp("told")


@pytest.fixture(scope="module")
def cluster(told_folder: Path) -> Iterator[LocalCluster]:
    """Two worker processes of a thread each."""
    os.environ["TOLD"] = str(told_folder)
    helpers = str(Path(__file__).parents[1] / "helpers")
    path, os.environ["PYTHONPATH"] = (
        os.environ.get("PYTHONPATH"),
        os.pathsep.join(filter(None, [helpers, os.environ.get("PYTHONPATH")])),
    )
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    ) as made:
        yield made
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster, set_as_default=False) as made:
        yield made


@pytest.fixture
def told(told: Path, told_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tell this process and the workers by the same folder."""
    monkeypatch.setenv("TOLD", str(told_folder))
    for path in told_folder.iterdir():
        path.unlink()
    (told_folder / "runs").touch()
    return told_folder


def mapped(process, archive, store, client, selection=ALL, **more):
    return wb.map(process, selection, sources=[archive], store=store, client=client, **more)


@pytest.mark.parametrize("process", ["told.peaks", "told.energy", "told.smooth"])
def test_workers_give_the_bytes_that_this_process_gives(told, archive, store, client, process, tmp_path):
    spread = mapped(process, archive, store, client)
    alone = mapped(process, archive, TileStore(tmp_path / "alone"), None)
    assert spread.tiles.computed == alone.tiles.computed > 0
    assert wire.canonical(spread.value) == wire.canonical(alone.value)
    assert spread.cost.cpu_s > 0
    pids = {line.split()[0] for line in (told / "runs").read_text().splitlines()}
    assert len(pids) == 3
    # What one has finished the other takes up.
    assert mapped(process, archive, store, None).tiles.reused == spread.tiles.computed


def test_a_killed_worker_costs_nothing_but_what_it_was_at(told, runs, archive, store, client):
    (told / "kill").touch()
    found = mapped("told.peaks", archive, store, client)
    assert found.tiles.failed == 0
    # One may have been finished whose worker was killed before it could tell.
    assert found.tiles.computed + found.tiles.reused == 19
    again = Counter(runs())
    assert sum(again.values()) > 19
    assert sum(count - 1 for count in again.values()) <= 8
    assert wire.canonical(found.value) == wire.canonical(mapped("told.peaks", archive, store, None).value)


def test_a_tile_that_kills_its_worker_each_time_is_one_tile_lost(told, archive, store, client):
    def allow(number):
        client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", number))

    allow(0)
    (told / "kill").write_text("XX.A..LHZ@2020-01-03")
    with pytest.warns(WorkbenchWarning, match="its worker was lost"):
        found = mapped("told.peaks", archive, store, client)
    assert found.tiles.failed == 1
    assert found.tiles.computed + found.tiles.reused == 18
    assert "KilledWorker" in found.failed["error"][0]
    allow(3)
    (told / "kill").unlink()
    again = mapped("told.peaks", archive, store, client)
    assert (again.tiles.computed, again.tiles.reused) == (1, 18)


def test_one_tile_that_fails_is_tried_again_and_then_named(told, runs, archive, store, client):
    (told / "fail").write_text("XX.B..LHN@2020-01-02")
    with pytest.warns(WorkbenchWarning, match="told to fail"):
        found = mapped("told.peaks", archive, store, client, retries=2)
    assert (found.tiles.computed, found.tiles.failed) == (18, 1)
    assert sum("XX.B..LHN@2020-01-02" in name for name in runs()) == 3


def test_a_kernel_that_fails_on_everything_ends_soon(told, runs, archive, store, client):
    (told / "fail").write_text("XX. YY.")
    with pytest.raises(WorkbenchError, match="told to fail"):
        mapped("told.peaks", archive, store, client, tile="2h", retries=0)
    assert len(runs()) < 100
    (told / "fail").unlink()
    # What was under way has been called off, and the cluster is free.
    assert mapped("told.peaks", archive, store, client).tiles.computed == 19


def test_no_more_is_under_way_than_the_workers_bear(told, archive, store, client):
    asked = plan("told.peaks", ALL, {"pause": 0.01}, policy=Policy(sources=[archive]), store=store, tile="2h")
    most = []

    def step(meter):
        counts = client.run_on_scheduler(
            lambda dask_scheduler: sum(key.startswith("tile-") for key in map(str, dask_scheduler.tasks))
        )
        most.append(counts)

    found = execute(asked, client=client, on_step=step)
    assert found.tiles.computed == len(asked) == 217
    # Two threads, two tasks each, and those whose release is on its way.
    assert max(most) <= 2 * 2 * 2


def test_an_interruption_keeps_what_is_finished(told, archive, store, client):
    asked = plan("told.peaks", ALL, {"pause": 0.05}, policy=Policy(sources=[archive]), store=store)

    def step(meter):
        if meter.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="5 of 19 tiles are finished and stay"):
        execute(asked, client=client, on_step=step)
    again = mapped("told.peaks", archive, store, client, pause=0.05)
    assert again.tiles.reused >= 5
    assert again.tiles.computed + again.tiles.reused == 19


def test_two_submissions_at_once_compute_each_tile_once(told, runs, archive, store, cluster):
    found = {}

    def submit(name):
        with Client(cluster, set_as_default=False) as mine:
            found[name] = mapped("told.peaks", archive, TileStore(store.folder), mine, pause=0.05)

    threads = [threading.Thread(target=submit, args=[name]) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs()) == 19
    assert found["a"].tiles.computed + found["b"].tiles.computed == 19
    assert wire.canonical(found["a"].value) == wire.canonical(found["b"].value)


def test_workers_of_another_version_are_refused_with_both_versions(told, archive, store, client, monkeypatch):
    asked = plan("told.peaks", ALL, {}, policy=Policy(sources=[archive]), store=store)
    mine = keys.code_version(asked.kernel)
    monkeypatch.setattr(wb, "__version__", "0.0.7")
    newer = plan("told.peaks", ALL, {}, policy=Policy(sources=[archive]), store=store)
    with pytest.raises(
        Unavailable, match=rf"has the workbench {mine.replace('+', '.')}, and here it is 0\.0\.7"
    ):
        check_workers(client, newer.job)
    # One that joins later is refused by itself.
    monkeypatch.setattr(spread_module, "check_workers", lambda client, job: None)
    with pytest.raises(Unavailable, match=r"here it is 0\.0\.7"):
        execute(newer, client=client)
    assert not list(store.folder.glob("*/*.tile"))


def test_another_environment_is_refused_with_the_packages_that_differ(
    told, archive, store, client, monkeypatch
):
    facts = keys.environment()
    other = {**facts, "digest": "0" * 64, "packages": {**facts["packages"], "numpy": "1.0", "obspy": "1.0"}}
    monkeypatch.setattr(keys, "environment", lambda: other)
    with pytest.raises(Unavailable, match=rf"numpy {np.__version__} there and 1\.0 here, obspy .* there"):
        mapped("told.peaks", archive, store, client)


def test_workers_that_do_not_see_the_store_are_refused(told, archive, client, store, monkeypatch):
    asked = plan("told.peaks", ALL, {}, policy=Policy(sources=[archive]), store=store)
    # A folder of this name, as a worker with a /tmp of its own makes one, is not yet the store.
    monkeypatch.setattr(asked.job.store, "mark", ".mark-of-another")
    with pytest.raises(Unavailable, match=rf"does not see {store.folder}"):
        check_workers(client, asked.job)
    # One that joins later is refused by itself.
    monkeypatch.setattr(spread_module, "check_workers", lambda client, job: None)
    with pytest.raises(Unavailable, match=f"does not see {store.folder}"):
        execute(asked, client=client)
    assert not list(store.folder.glob("*/*.tile"))


def test_workers_that_do_not_see_the_archive_are_refused(told, archive, client, store):
    asked = plan("told.peaks", ALL, {}, policy=Policy(sources=[archive]), store=store)
    tiles = list(asked)
    archive.root.rename(archive.root.with_name("elsewhere"))
    with pytest.raises(Unavailable, match=f"does not see the archive {archive.root}"):
        execute(asked, tiles, client=client)
    assert not list(store.folder.glob("*/*.tile"))


def test_a_kernel_of_this_session_is_refused(told, archive, store, client, monkeypatch):
    asked = plan("told.peaks", ALL, {}, policy=Policy(sources=[archive]), store=store)
    monkeypatch.setitem(asked.job.__dict__, "module", "__main__")
    with pytest.raises(InvalidSetting, match="declared in this session"):
        check_workers(client, asked.job)


def test_a_kernel_of_a_notebook_runs_here(archive, store, monkeypatch):
    from workbench import kernel as declarations

    def counted(waveforms: Waveforms) -> Triggers:
        """Count."""
        return Triggers([{"time": trace.stats.starttime, "duration_s": len(trace)} for trace in waveforms])

    counted.__module__ = "__main__"
    kernel(per="channel")(counted)
    try:
        found = mapped(counted, archive, store, None)
        assert found.value.table["duration_s"].sum() == 4 * 4 * DAY + 2 * DAY
    finally:
        del declarations._registry["__main__.counted"]


def test_a_lost_cluster_is_told_and_what_is_finished_stays(told, archive, store):
    own = LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    )
    with own, Client(own, set_as_default=False) as client:
        closing = threading.Thread(target=own.close)

        def step(meter):
            if meter.done == 3:
                closing.start()

        asked = plan("told.peaks", ALL, {"pause": 0.5}, policy=Policy(sources=[archive]), store=store)
        with pytest.raises(Unavailable, match="The cluster: "):
            execute(asked, client=client, on_step=step)
        closing.join()
    assert mapped("told.peaks", archive, store, None, SOME, pause=0.5).tiles.reused >= 3


def test_whoever_has_read_a_file_is_handed_what_needs_it_again(tmp_path, store):
    archive = year(tmp_path / "archive", 6, 40)
    asked = list(plan("triggers.sta_lta", "*.*.*.*", {}, policy=Policy(sources=[archive]), store=store))
    readers = Readers()

    def share(order):
        lanes = Lanes(asked, readers)
        lanes.use(order)
        got, waiting = {name: [] for name in order}, list(order)
        while waiting:
            for name in list(waiting):
                tile = lanes.take(name)
                if tile is None:
                    waiting.remove(name)
                else:
                    got[name].append(tile)
        return got

    first = share(["a", "b"])
    assert sorted(tile.number for tiles in first.values() for tile in tiles) == list(range(240))
    assert min(map(len, first.values())) >= 100
    # Neighbours in time stay together: no more than one break in a row of 16.
    breaks = sum(y.number != x.number + 1 for x, y in zip(first["a"], first["a"][1:], strict=False))
    assert breaks <= 120 / 16 * 2
    for name, tiles in first.items():
        for tile in tiles:
            readers.note(tile, name)
    second = share(["b", "a"])
    kept = sum(
        tile.number in {one.number for one in first[name]} for name, tiles in second.items() for tile in tiles
    )
    assert kept >= 0.8 * 240


def test_lanes_of_workers_that_are_gone_are_for_the_others(tmp_path, store):
    archive = Archive(tmp_path / "archive")
    archive.write(noise("XX.A..LHZ", T0, 10 * DAY, 0.01))
    old(archive.root)
    asked = list(plan("triggers.sta_lta", "*.*.*.*", {}, policy=Policy(sources=[archive]), store=store))
    lanes = Lanes(asked, Readers())
    lanes.use(["a", "b"])
    got = [lanes.take("a").number]
    lanes.use(["b"])
    while (tile := lanes.take("b")) is not None:
        got.append(tile.number)
    assert sorted(got) == list(range(10))
