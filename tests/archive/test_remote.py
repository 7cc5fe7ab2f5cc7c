"""An archive under a URL answers as the same archive in a folder."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from dask import config
from obspy import Catalog, UTCDateTime, read_inventory

from tests.archive.conftest import mseed, trace
from tests.archive.test_metadata import event
from webfolder import WebFolder, web_folder
from workbench import wire
from workbench.archive import Archive, Remote, Selection, Source, Sources, default_sources
from workbench.archive.sdsreader import SdsReader
from workbench.cli import app
from workbench.errors import InvalidSetting, Unavailable
from workbench.notices import listen
from workbench.settings import Settings

START = UTCDateTime(2020, 2, 29)
SPAN = (START, START + 4 * 86400)


@pytest.fixture(scope="module")
def made(tmp_path_factory, shared) -> Path:
    """Three days of two channels with a gap, stations and events."""
    archive = Archive(tmp_path_factory.mktemp("made") / "center")
    rng = np.random.default_rng(0)
    for name in ("BHZ", "BHN"):
        walk = np.cumsum(rng.integers(-2000, 2000, 3 * 864_000)).astype(np.int32)
        kept = np.ma.masked_array(walk, np.arange(walk.size) // 10_000 == 77)
        archive.write(trace(kept, START, 10.0, f"IV.BOB..{name}"))
    archive.stations.add(read_inventory(shared("archive_mixed") / "IV.BOB.xml"))
    archive.events.add(Catalog([event("a", START + 5, 3.0), event("b", START + 90_000, 4.0)]))
    for path in archive.root.rglob("*"):
        if path.is_file():
            os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return archive.root


@pytest.fixture
def local(made, tmp_path) -> Archive:
    shutil.copytree(made, tmp_path / "center")
    return Archive(tmp_path / "center")


@pytest.fixture
def web(local) -> Iterator[WebFolder]:
    with web_folder(local.root) as server:
        yield server


def in_memory(local: Archive) -> str:
    """Copy an archive into fsspec's file system in memory."""
    system = fsspec.filesystem("memory")
    root = f"/{uuid.uuid4().hex}/archive"
    for path in local.root.rglob("*"):
        if path.is_file() and ".workbench" not in path.parts:
            system.pipe_file(f"{root}/{path.relative_to(local.root).as_posix()}", path.read_bytes())
    return f"memory:/{root}"


@pytest.fixture(params=["memory", "file", "http", "http without ranges", "http without tags"])
def remote(request, local, web, tmp_path) -> Remote:
    index = tmp_path / "index.sqlite"
    if request.param == "memory":
        return Remote(in_memory(local), index=index)
    if request.param == "file":
        return Remote(local.root.as_uri(), index=index)
    web.ranges = request.param != "http without ranges"
    web.tags = request.param != "http without tags"
    return Remote(web.url + "/", index=index)


def test_it_answers_as_the_folder_does(remote, local) -> None:
    assert isinstance(remote, Source)
    asked = [
        ("IV", "BOB", "", "BHZ", START + 100, START + 160),
        ("IV", "BOB", "--", "BHN", START + 86_390, START + 86_410),
        ("I?", "*", "*", "BH?", START + 76_000, START + 80_000),
        ("*", "*", "*", "*", *SPAN),
        ("XX", "*", "*", "*", *SPAN),
        ("IV", "BOB", "", "BHZ", START + 10 * 86400, START + 11 * 86400),
    ]
    for one in asked:
        assert wire.fingerprint(remote.get_waveforms(*one)) == wire.fingerprint(local.get_waveforms(*one))
        assert remote.get_records(*one) == local.get_records(*one)
        assert remote.get_spans(*one) == local.get_spans(*one)
    assert remote.get_waveforms(*asked[3])
    selection = str(Selection("IV", "BOB", "", "BH?", START + 5, START + 50))
    assert remote.fingerprint(selection) == local.fingerprint(selection)
    for level in ("network", "station", "channel", "response"):
        found = remote.get_stations("IV", "BOB", "*", "BHZ", level=level)
        assert found.networks == local.get_stations("IV", "BOB", "*", "BHZ", level=level).networks
        assert found.networks
    assert not remote.get_stations("XX")
    assert [e.resource_id.id for e in remote.get_events(*SPAN)] == [
        e.resource_id.id for e in local.get_events(*SPAN)
    ]
    assert len(remote.get_events(minmagnitude=3.5)) == 1


def test_a_cube_of_it_is_the_cube_of_the_folder(remote, local) -> None:
    spec = f"sds:IV.BOB..BH?@{START.date}/{(START + 3 * 86400).date}"
    found, expected = (
        xr.open_dataset(spec, engine="workbench", archive=one, chunks={}) for one in (remote, local)
    )
    hour = "2020-03-01T07"
    # In this process: another has another file system in memory.
    with config.set(scheduler="threads"):
        xr.testing.assert_identical(found.sel(time=hour).load(), expected.sel(time=hour).load())
        assert int(found.valid.sum()) == int(expected.valid.sum())
    assert found.chunks == expected.chunks


def test_it_can_be_pickled_and_used_by_threads(remote, local) -> None:
    again = pickle.loads(pickle.dumps(remote))
    results: list[bool] = []

    def read(k: int) -> None:
        one = ("IV", "BOB", "", "BHZ", START + 1000 * k, START + 1000 * k + 60)
        results.append(
            wire.fingerprint(again.get_waveforms(*one)) == wire.fingerprint(local.get_waveforms(*one))
        )

    threads = [threading.Thread(target=read, args=(k,)) for k in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert results == [True] * 12


def test_workers_read_it_too(web, local, dask, tmp_path) -> None:
    remote = Remote(web.url, index=tmp_path / "i.sqlite", headers={"X-Any": "thing"})
    found, expected = (
        xr.open_dataset("sds:IV.BOB..BH?", engine="workbench", archive=one, chunks={})
        for one in (remote, local)
    )
    sums = [cube.data.astype(np.int64).sum("time") for cube in (found, expected)]
    assert dask.compute(sums[0], sync=True).values.tolist() == sums[1].values.tolist()


def test_what_is_indexed_is_read_in_part(web, tmp_path) -> None:
    remote = Remote(web.url, index=tmp_path / "i.sqlite")
    ask = ("IV", "BOB", "", "BHZ", START + 40_000, START + 40_060)
    (found,) = remote.get_waveforms(*ask)
    assert web.sent > 2_000_000
    # Another process, later: headers are known, and one stretch of records comes.
    web.sent, web.asked[:] = 0, []
    again = Remote(web.url, index=tmp_path / "i.sqlite")
    assert again.get_waveforms(*ask)[0] == found
    assert 0 < web.sent < 2 * 256 * 1024 + 20_000
    assert [path for method, path, part in web.asked if part] == ["/2020/IV/BOB/BHZ.D/IV.BOB..BHZ.D.2020.060"]
    # Listings hold for a while: nothing is asked but the samples, and whether they are of one version.
    web.asked[:] = []
    assert again.get_waveforms(*ask)[0] == found
    assert [method for method, _, _ in web.asked] == ["GET", "HEAD"]


@pytest.mark.parametrize("kind", ["memory", "http"])
def test_what_changes_is_seen(kind, local, web, tmp_path) -> None:
    url = in_memory(local) if kind == "memory" else web.url
    remote = Remote(url, index=tmp_path / "i.sqlite", fresh_s=0.0)
    ask = ("IV", "BOB", "", "BHZ", START + 40_000, START + 40_009.9)
    before = remote.get_waveforms(*ask)
    assert len(before[0]) == 100
    (file,) = [one for one in remote.files(Selection(channel="BHZ")) if one.path.endswith("060")]
    body = mseed(trace(864_000, START, 10.0, "IV.BOB..BHZ", 5), reclen=4096, encoding="STEIM2")
    if kind == "memory":
        fsspec.filesystem("memory").pipe_file(f"{url.removeprefix('memory:/')}/{file.path}", body)
    else:
        (local.root / file.path).write_bytes(body)
    after = remote.get_waveforms(*ask)
    np.testing.assert_array_equal(after[0].data, trace(864_000, seed=5).data[400_000:400_100])


def test_a_file_that_changes_while_it_is_read_gives_one_version(local, web, tmp_path) -> None:
    remote = Remote(web.url, index=tmp_path / "i.sqlite")
    ask = ("IV", "BOB", "", "BHZ", START + 40_000, START + 40_009.9)
    remote.get_waveforms(*ask)
    fresh = mseed(trace(864_000, START, 10.0, "IV.BOB..BHZ", 5), reclen=4096, encoding="STEIM2")
    path = local.root / "2020/IV/BOB/BHZ.D/IV.BOB..BHZ.D.2020.060"

    def change(method: str, asked: str) -> None:
        # Just before the bytes are sent, whose places were looked up in the old version.
        if method == "GET" and asked.endswith("060") and path.read_bytes() != fresh:
            path.write_bytes(fresh)

    web.fail = change
    (found,) = remote.get_waveforms(*ask)
    np.testing.assert_array_equal(found.data, trace(864_000, seed=5).data[400_000:400_100])
    # And one that is gone is nothing.
    web.fail = lambda method, asked: (
        shutil.rmtree(path.parent, ignore_errors=True) if method == "GET" else None
    )
    assert not remote.get_waveforms(*ask)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("500", "cannot be reached"), ("403", "is not given to you"), ("401", "is not given to you")],
)
def test_refusals_are_told(web, tmp_path, fault, said) -> None:
    web.fail = lambda method, path: fault
    remote = Remote(web.url, index=tmp_path / "i.sqlite", fresh_s=0.0)
    for ask in (
        lambda: remote.get_waveforms("*", "*", "*", "*", *SPAN),
        remote.get_stations,
        remote.get_events,
        lambda: xr.open_dataset("sds:*.*.*.*", engine="workbench", archive=remote),
    ):
        with pytest.raises(Unavailable, match=said):
            ask()
    # Also in the middle, when the index is known.
    web.fail = lambda method, path: None
    remote.get_waveforms("IV", "BOB", "", "BHZ", START, START + 60)
    web.fail = lambda method, path: fault if method == "GET" and "BHZ.D." in path else None
    with pytest.raises(Unavailable, match=said):
        remote.get_waveforms("IV", "BOB", "", "BHZ", START, START + 60)
    # Several sources: the others answer, and what is missing is said.
    other = Archive(tmp_path / "other")
    other.write(trace(1000, START, 10.0, "IV.BOB..BHZ"))
    with listen() as heard:
        assert Sources([remote, other]).get_waveforms("IV", "BOB", "", "BHZ", START, START + 60)
    assert [one.problem.split(" (")[0] for one in heard.notices] == [said]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_answer_that_is_cut_off_is_told(web, tmp_path, ranges) -> None:
    web.ranges = ranges
    remote = Remote(web.url, index=tmp_path / "i.sqlite")
    web.fail = lambda method, path: "cut" if method == "GET" and "BHZ.D." in path else None
    with pytest.raises(Unavailable, match="was cut off"):
        remote.get_waveforms("IV", "BOB", "", "BHZ", START, START + 60)
    web.fail = lambda method, path: None
    assert remote.get_waveforms("IV", "BOB", "", "BHZ", START, START + 60)
    web.fail = lambda method, path: "cut" if method == "GET" and "BHZ.D." in path else None
    with pytest.raises(Unavailable, match="was cut off"):
        remote.get_waveforms("IV", "BOB", "", "BHZ", START + 500, START + 560)


def test_what_is_not_there_is_told_for_the_root_alone(web, tmp_path) -> None:
    for url in (f"{web.url}/nowhere", f"memory://{uuid.uuid4().hex}", (tmp_path / "nowhere").as_uri()):
        remote = Remote(url, index=tmp_path / "i.sqlite")
        with pytest.raises(Unavailable, match="is not there"):
            remote.get_waveforms("*", "*", "*", "*", *SPAN)
    (web.folder / "empty" / "deep").mkdir(parents=True)
    empty = Remote(f"{web.url}/empty", index=tmp_path / "i.sqlite")
    assert not empty.get_waveforms("*", "*", "*", "*", *SPAN)
    assert not empty.get_stations()
    assert not empty.get_events()


def test_nobody_there(tmp_path) -> None:
    with web_folder(tmp_path) as server:
        url = server.url
    with pytest.raises(Unavailable, match=r"cannot be reached.*Check the URL and the network"):
        Remote(url, index=tmp_path / "i.sqlite").get_waveforms("*", "*", "*", "*", *SPAN)


def test_credentials_are_sent_and_never_told(web, tmp_path) -> None:
    web.token = "Bearer very-secret"
    with pytest.raises(Unavailable, match="is not given to you"):
        Remote(web.url, index=tmp_path / "i.sqlite").get_stations()
    remote = Remote(web.url, index=tmp_path / "i.sqlite", headers={"Authorization": web.token})
    assert remote.get_stations()
    assert "very-secret" not in repr(remote) + repr(remote.index.tree) + remote.place
    named = Remote(web.url.replace("//", "//me:very-secret@") + "/nowhere", index=tmp_path / "i.sqlite")
    assert repr(named) == f"Remote('{web.url}/nowhere')"
    with pytest.raises(Unavailable) as caught:
        named.get_stations()
    assert "very-secret" not in str(caught.value)


def test_damaged_files_cost_what_is_damaged(local, web, tmp_path) -> None:
    path = local.root / "2020/IV/BOB/BHZ.D/IV.BOB..BHZ.D.2020.060"
    body = bytearray(path.read_bytes())
    body[4096 * 3 : 4096 * 4] = b"\xff" * 4096
    path.write_bytes(body)
    (local.root / "stations" / "IV.X.xml").write_text("<no")
    remote = Remote(web.url, index=tmp_path / "i.sqlite")
    with listen() as heard:
        found = remote.get_waveforms("IV", "BOB", "", "BHZ", START, START + 86400)
    assert len(found) == 3
    assert f"{web.url}/2020/IV/BOB/BHZ.D/IV.BOB..BHZ.D.2020.060" in {one.subject for one in heard.notices}
    with listen() as heard:
        assert remote.get_stations("IV")
    assert [one.subject for one in heard.notices] == [f"{web.url}/stations/IV.X.xml"]


def test_other_urls_are_told(tmp_path) -> None:
    with pytest.raises(InvalidSetting, match="is no URL"):
        Remote("/a/folder")
    with pytest.raises(InvalidSetting, match="Protocol not known"):
        Remote("nonsense://x", index=tmp_path / "i").get_stations()
    fsspec.register_implementation(
        "absent", "no_such_package.System", errtxt="Install no_such_package to reach it", clobber=True
    )
    with pytest.raises(InvalidSetting, match=r"not installed \(Install no_such_package"):
        Remote("absent://x", index=tmp_path / "i").get_stations()


def test_the_index_is_in_the_state_directory_one_for_each_place(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WORKBENCH_STATE", str(tmp_path))
    paths = [
        Remote(url, **options).index.path
        for url, options in (
            ("s3://bucket/a", {}),
            ("s3://bucket/a", {"key": "mine", "secret": "hush"}),
            ("s3://bucket/a", {"endpoint_url": "https://minio"}),
            ("s3://bucket/b", {}),
        )
    ]
    assert paths[0] == paths[1]
    assert len(set(paths)) == 3
    assert all(path.parent == tmp_path / "indexes" for path in paths)


def test_settings_name_an_archive_by_its_url(local, web, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("WORKBENCH_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("WORKBENCH_HOME_ARCHIVE", str(tmp_path / "own"))
    monkeypatch.setenv("WORKBENCH_ARCHIVE", web.url)
    assert Settings().archive_roots == (web.url, tmp_path / "own")
    Archive(tmp_path / "own").write(trace(1000, START + 3 * 86400, 10.0, "IV.BOB..BHZ"))
    found = default_sources().get_waveforms("IV", "BOB", "", "BHZ", START + 2 * 86400, START + 4 * 86400)
    assert len(found) == 1
    assert found[0].stats.endtime == START + 3 * 86400 + 99.9
    cube = xr.open_dataset("sds:IV.BOB..BHZ@2020-02-29/2020-03-04", engine="workbench")
    assert int(cube.valid.sum()) == 3 * 864_000 - 10_000 + 1000
    run = CliRunner().invoke(app, ["archive", "ls", "--json"])
    assert run.exit_code == 0, run.output
    assert web.url in run.output
    checked = CliRunner().invoke(app, ["archive", "check"])
    assert f"{web.url}: is only read here" in checked.output
    monkeypatch.setenv("WORKBENCH_ARCHIVE", str(local.root))
    assert Settings().archive_roots[0] == local.root


def test_a_deployment_wants_a_folder(monkeypatch, tmp_path) -> None:
    from workbench_hub.deployment import Deployment

    monkeypatch.setenv("WORKBENCH_STATE", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_ARCHIVE", "s3://bucket/archive")
    with pytest.raises(InvalidSetting, match="Mount the archive"):
        assert Deployment(Settings()).archive
    monkeypatch.setenv("WORKBENCH_ARCHIVE", str(tmp_path / "here"))
    assert Deployment(Settings()).archive == tmp_path / "here"


def test_text_of_others_is_never_a_url(web, monkeypatch, tmp_path) -> None:
    """A selection, in a Call or a cube, names channels in the archives of the settings."""
    from workbench.calls import Call, Policy

    policy = Policy(sources=[Archive(tmp_path / "own")])
    for text in (web.url, f"{web.url}/*.*.*.*@2020-02-29/2020-03-01", f"sds:{web.url}"):
        call = Call(process="waveforms.filter", inputs={"waveforms": {"selection": text}, "freqmin": 1})
        with pytest.raises(InvalidSetting):
            call.run(policy)
        with pytest.raises(InvalidSetting):
            xr.open_dataset(f"sds:{text}", engine="workbench")
    assert not web.asked


def test_an_archive_is_not_slower_for_it() -> None:
    """What reaches for the web is imported when it is needed."""
    import subprocess

    code = "import sys, workbench.archive as a; a.Archive; a.Remote; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_both_kinds_are_asked_alike() -> None:
    assert issubclass(Archive, SdsReader)
    assert issubclass(Remote, SdsReader)
    assert not hasattr(Remote, "write")
