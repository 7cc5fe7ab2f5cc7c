"""The index follows the files, whoever changes them and whoever is killed."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import numpy as np
import obspy
import pytest
from obspy import Stream, UTCDateTime

from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from workbench.archive import Archive, Selection
from workbench.archive.index import Index
from workbench.archive.records import scan
from workbench.archive.trees import Headers, Local
from workbench.errors import Unavailable
from workbench.notices import listen


def old(path: Path, seconds: float = 100.0) -> None:
    """Make a file look as if it had been there for a while."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns - round(seconds * 1e9)))


def counting(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files are read for their headers."""
    seen: list[str] = []
    read = Index._read

    def noted(self: Index, path: str) -> object:
        seen.append(path)
        return read(self, path)

    monkeypatch.setattr(Index, "_read", noted)
    return seen


def test_only_what_changed_is_read_again(archive, monkeypatch) -> None:
    archive.write(Stream([trace(100, MIDNIGHT + 86400 * k) for k in range(3)]))
    files = archive.files(Selection())
    for file in files:
        old(archive.root / file.path)
    seen = counting(archive, monkeypatch)
    everything(archive)
    assert len(seen) == 3
    everything(archive)
    assert len(seen) == 3
    path = archive.root / files[1].path
    path.write_bytes(path.read_bytes() + mseed(trace(50, MIDNIGHT + 86400 + 10)))
    old(path, 10)
    everything(archive)
    assert seen[3:] == [files[1].path]
    assert sum(t.stats.npts for t in everything(archive)) == 350
    # A window of one day does not look at the others.
    path.unlink()
    found = archive.get_waveforms("XX", "ABC", "", "HHZ", MIDNIGHT, MIDNIGHT + 1)
    assert [t.stats.npts for t in found] == [100]
    assert [t.stats.npts for t in everything(archive)] == [100, 100]


def test_a_change_within_one_tick_of_the_clock_is_seen(archive) -> None:
    archive.write(mseed(trace(100)))
    (file,) = archive.files(Selection())
    path = archive.root / file.path
    everything(archive)
    stat = path.stat()
    with path.open("r+b") as changed:  # same inode, same size
        changed.write(mseed(trace(100, seed=5)))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    np.testing.assert_array_equal(everything(archive)[0].data, trace(100, seed=5).data)


def test_a_file_that_changes_while_it_is_read_gives_one_version(archive, monkeypatch) -> None:
    archive.write(mseed(trace(5000), reclen=512))
    (file,) = archive.files(Selection())
    path = archive.root / file.path
    other = mseed(trace(7000, seed=7), reclen=4096)
    look = Index.look

    def change(self: Index, *words: object, **more: object) -> object:
        held = look(self, *words, **more)  # type: ignore[arg-type]
        monkeypatch.setattr(Index, "look", look)
        path.with_name("new").write_bytes(other)
        path.with_name("new").replace(path)
        return held

    monkeypatch.setattr(Index, "look", change)
    (found,) = everything(archive)
    np.testing.assert_array_equal(found.data, trace(7000, seed=7).data)


def test_fingerprints_follow_the_samples(archive, tmp_path) -> None:
    archive.write(trace(100000))
    for file in archive.files(Selection()):
        old(archive.root / file.path)
    span = "XX.ABC..HHZ@2020-03-01T00:00:00/2020-03-01T00:10:00"
    first = archive.fingerprint(span)
    assert archive.fingerprint(span) == first == archive.fingerprint(Selection.parse(span))
    kept = archive.index.look(archive.files(Selection())).stretches
    assert all(one.fingerprint for one in kept)
    other = Archive(tmp_path / "copy")
    other.write(everything(archive))
    assert other.fingerprint(span) == first
    archive.write(trace(100, MIDNIGHT + 86400 * 3))
    assert archive.fingerprint(span) == first
    with listen():
        archive.write(trace(100, MIDNIGHT + 300, seed=3))
    assert archive.fingerprint(span) != first
    assert archive.fingerprint("XX.ABC..HHZ@2020-03-01T00:00:00/2020-03-01T00:11:00") != first


def test_a_damaged_index_is_made_anew(archive) -> None:
    archive.write(trace(1000))
    archive.index.path.write_bytes(b"no database " * 1000)
    with listen() as heard:
        assert everything(archive)[0].stats.npts == 1000
    assert "made anew" in str(heard.notices[0])


def test_an_index_of_another_version_is_made_anew(archive) -> None:
    archive.write(trace(1000))
    with closing(sqlite3.connect(archive.index.path)) as base, base:
        base.execute("DROP TABLE stretch")
        base.execute("CREATE TABLE stretch (something)")
        base.execute("PRAGMA user_version = 99")
    assert everything(archive)[0].stats.npts == 1000


def test_an_index_that_cannot_be_written_is_an_error_of_ours(archive, tmp_path) -> None:
    archive.write(trace(1000))
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(Unavailable, match="WORKBENCH_STATE"):
        everything(Archive(archive.root, index=tmp_path / "folder.sqlite"))


def test_an_index_that_cannot_be_made_is_an_error_of_ours(archive, tmp_path, monkeypatch) -> None:
    archive.write(trace(1000))

    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(Unavailable, match="unable to open"):
        everything(Archive(archive.root, index=tmp_path / "new.sqlite"))


def test_a_read_only_archive_has_its_index_elsewhere(archive, tmp_path, monkeypatch) -> None:
    archive.write(trace(1000))
    monkeypatch.setenv("WORKBENCH_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    other = Archive(archive.root)
    assert other.index.path.is_relative_to(tmp_path / "state")
    assert everything(other)[0].stats.npts == 1000


def test_an_archive_can_be_pickled(archive) -> None:
    archive.write(trace(1000))
    other = pickle.loads(pickle.dumps(archive))
    assert everything(other)[0].stats.npts == 1000


def _read_all(root: str) -> int:
    return sum(t.stats.npts for t in everything(Archive(root)))


def test_many_readers_build_the_index_at_once(tmp_path) -> None:
    archive = Archive(tmp_path / "a", index=tmp_path / "first.sqlite")
    archive.write(Stream([trace(200, MIDNIGHT + 86400 * k, seed_id=f"XX.S{k % 5}..HHZ") for k in range(40)]))
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(_read_all, [str(archive.root)] * 8))
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        counts += list(pool.map(_read_all, [str(archive.root)] * 4))
    assert counts == [8000] * 12


class Restless(Local):
    """A folder whose files may always change within one tick of its clock."""

    def headers(self, path: str) -> Headers | None:
        found = super().headers(path)
        return None if found is None else replace(found, settled=False)


def test_who_looks_up_while_others_read_headers_again_finds_all(archive) -> None:
    archive.write(Stream([trace(5000), trace(5000, seed_id="XX.B..HHZ")]))
    index = Index(Restless(archive.root), archive.index.path)
    files = archive.files(Selection())

    def look(k: int) -> tuple[int, int]:
        some = files[k % 2 :][:1]
        return sum(one.n for one in index.look(some).stretches), sum(row.n for row in index.spans(some))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(400))) == {(5000, 5000)}


def test_killed_while_indexing_the_next_one_goes_on(tmp_path) -> None:
    archive = Archive(tmp_path / "a", index=tmp_path / "first.sqlite")
    archive.write(Stream([trace(50, MIDNIGHT + 86400 * k) for k in range(150)]))
    code = (
        "import os, signal, sys\n"
        "from workbench.archive import Archive, Selection\n"
        "from workbench.archive import index\n"
        "keep, times = index.keep, []\n"
        "def dying(base, fresh):\n"
        "    keep(base, fresh)\n"
        "    times.append(1)\n"
        "    if len(times) == 2:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "index.keep = dying\n"
        "archive = Archive(sys.argv[1])\n"
        "archive.index.look(archive.files(Selection()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(archive.root)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    other = Archive(archive.root)
    with closing(sqlite3.connect(other.index.path)) as base:
        assert base.execute("SELECT count(*) FROM file").fetchone() == (64,)
    assert sum(t.stats.npts for t in everything(other)) == 7500


def test_large_files_are_read_side_by_side(tmp_path, monkeypatch) -> None:
    archive = Archive(tmp_path / "a", index=tmp_path / "one.sqlite")
    archive.write(Stream([trace(50 + k, MIDNIGHT + 86400 * k) for k in range(150)]))
    files = archive.files(Selection())
    gone, odd = files[70], files[80]
    (archive.root / gone.path).unlink()
    (archive.root / odd.path).unlink()
    (archive.root / odd.path).mkdir()
    found = []
    for name, parallel, large in (("serial", 1, 0), ("threads", 3, 0), ("small", 3, 1 << 20)):
        monkeypatch.setattr(Local, "parallel", parallel)
        monkeypatch.setattr(Local, "large", large)
        said: list[str] = []
        with listen(on_notice=lambda one, said=said: said.append(one.subject)):
            index = Index(archive.root, tmp_path / f"{name}.sqlite")
            found.append((index.spans(files), index.look(files).stretches))
        assert said == [str(archive.root / odd.path)]
    assert len(found[0][0]) == len(found[0][1]) == 148
    assert found[0] == found[1] == found[2]


def test_reading_while_others_write(archive) -> None:
    archive.write(trace(100))
    stop = threading.Event()
    wrong: list[object] = []

    def look() -> None:
        while not stop.is_set():
            found = everything(archive)
            lengths = [t.stats.npts for t in found]
            if len(lengths) != 1 or lengths[0] % 100:
                wrong.append(lengths)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for k in range(1, 20):
        archive.write(trace(100, MIDNIGHT + k, seed=k))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert [t.stats.npts for t in everything(archive)] == [2000]


def test_headers_are_scanned_much_faster_than_the_file_is_read(shared) -> None:
    path = shared("archive_mixed") / "TA.C26K.BHZ.2018.224.mseed"
    content = path.read_bytes()
    scan(content)

    def best(work: object, times: int = 5) -> float:
        spans = []
        for _ in range(times):
            begin = perf_counter()
            work()  # type: ignore[operator]
            spans.append(perf_counter() - begin)
        return min(spans)

    ratio = best(lambda: obspy.read(str(path))) / best(lambda: scan(content))
    print(f"header scan of a day at 40 Hz: {ratio:.0f} times faster than obspy.read")
    assert ratio > 3


def test_a_minute_of_a_day_takes_little_of_it(shared, archive) -> None:
    archive.write(shared("archive_mixed") / "TA.C26K.BHZ.2018.224.mseed")
    minute = UTCDateTime(2018, 8, 12, 12).ns, UTCDateTime(2018, 8, 12, 12, 1).ns
    found = archive.index.look(archive.files(Selection()), *minute).stretches
    assert sum(one.length for one in found) <= 2 * 256 * 1024
