"""Nothing in an archive is lost, whatever is killed, full, or written at once."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream

from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from workbench.archive import Archive, Selection
from workbench.archive.check import check
from workbench.archive.events import EventFilter, events_in
from workbench.archive.files import replace_file
from workbench.archive.records import scan
from workbench.archive.stations import stations_in
from workbench.archive.trees import Local
from workbench.errors import ResourceExceeded, Unavailable
from workbench.notices import listen

WRITER = """
import os, signal, sys
from pathlib import Path
import workbench.archive.files as files
from tests.archive.conftest import trace
from workbench.archive import Archive

archive, moment = Archive(sys.argv[1]), sys.argv[2]
if moment == "written":
    fsync = os.fsync
    def dying(number):
        fsync(number)
        os.kill(os.getpid(), signal.SIGKILL)
    os.fsync = dying
if moment == "half":
    class Half:
        def __init__(self, file): self.file = file
        def __enter__(self): return self
        def __exit__(self, *_): return None
        def fileno(self): return self.file.fileno()
        def write(self, content):
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    opened = Path.open
    def half(self, mode="r", *more, **options):
        file = opened(self, mode, *more, **options)
        return Half(file) if mode == "xb" else file
    Path.open = half
if moment == "renamed":
    replace = Path.replace
    def dying(self, target):
        replace(self, target)
        os.kill(os.getpid(), signal.SIGKILL)
    Path.replace = dying
archive.write(trace(50000, seed=1))
"""


@pytest.mark.parametrize(("moment", "new"), [("half", False), ("written", False), ("renamed", True)])
def test_killed_while_writing_the_old_or_the_new_file_is_there(archive, moment: str, new: bool) -> None:
    before = trace(50000, MIDNIGHT + 3600)
    archive.write(before)
    (file,) = archive.files(Selection())
    old = (archive.root / file.path).read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(archive.root), moment], timeout=60, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == -signal.SIGKILL
    there = (archive.root / file.path).read_bytes()
    assert there.startswith(old)
    assert (there != old) is new
    assert not scan(there).faults
    found = everything(archive)
    assert [t.stats.npts for t in found] == [50000] * (2 if new else 1)
    np.testing.assert_array_equal(found[-1].data, before.data)
    # The next writer clears up, and finishes.
    archive.write(trace(50000, seed=1))
    archive.write(trace(10, MIDNIGHT + 7200))
    assert [t.stats.npts for t in everything(archive)] == [50000, 50000, 10]
    assert [p.name for p in (archive.root / file.path).parent.iterdir()] == [Path(file.path).name]
    assert not [one for one in check(archive) if one.severity == "error"]


def test_killed_at_any_moment_nothing_that_was_there_is_lost(archive) -> None:
    archive.write(trace(3000, seed=100))
    code = (
        "import sys\n"
        "from tests.archive.conftest import MIDNIGHT, trace\n"
        "from workbench.archive import Archive\n"
        "archive = Archive(sys.argv[1])\n"
        "for k in range(1, 10_000):\n"
        "    archive.write(trace(3000, MIDNIGHT + 30 * k, seed=k))\n"
        "    print(k, flush=True)\n"
    )
    done = 0
    for lines in (1, 4, 9):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(archive.root)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                done = max(done, int(writer.stdout.readline()))
            writer.kill()
        (found,) = everything(archive)
        assert found.stats.npts % 3000 == 0
        assert found.stats.npts >= 3000 * (done + 1)
        for k in range(1, done + 1):
            part = found.data[3000 * k : 3000 * (k + 1)]
            np.testing.assert_array_equal(part, trace(3000, seed=k).data)


def _write(task: tuple[str, int]) -> int:
    root, number = task
    return Archive(root).write(trace(500, MIDNIGHT + 5 * number, seed=number)).samples


def test_many_writers_of_one_file_lose_nothing(archive) -> None:
    tasks = [(str(archive.root), k % 20) for k in range(40)]
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(_write, tasks)) == 20 * 500
    (found,) = everything(archive)
    np.testing.assert_array_equal(found.data, np.concatenate([trace(500, seed=k).data for k in range(20)]))


def test_a_full_disk_leaves_the_old_file(archive) -> None:
    archive.write(trace(1000))
    (file,) = archive.files(Selection())
    path = archive.root / file.path
    old = path.read_bytes()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(old) + 100, hard))
    try:
        with pytest.raises(ResourceExceeded, match="nothing was changed"):
            replace_file(path, old + bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="file"):
        Archive(tmp_path / "file" / "archive").write(trace(10))


def test_links_and_rights_of_a_file_stay(archive, tmp_path: Path) -> None:
    archive.write(trace(100))
    (file,) = archive.files(Selection())
    path, elsewhere = archive.root / file.path, tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    elsewhere.chmod(0o640)
    archive.write(trace(100, MIDNIGHT + 60))
    assert path.is_symlink()
    assert elsewhere.stat().st_mode & 0o777 == 0o640
    assert sum(t.stats.npts for t in everything(archive)) == 200


def test_new_files_have_the_rights_that_the_user_gives(archive) -> None:
    mask = os.umask(0o027)
    try:
        archive.write(mseed(trace(100)))
    finally:
        os.umask(mask)
    (file,) = archive.files(Selection())
    assert (archive.root / file.path).stat().st_mode & 0o777 == 0o640


LOOK = """
import json, os, sys
from workbench.archive import Archive
from workbench.notices import listen

if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
archive = Archive(sys.argv[1], index=sys.argv[2])
answers = []
for codes in (("*", "*", "*", "*"), ("XX", "ABC", "", "HHZ")):
    with listen() as heard:
        found = archive.get_spans(*codes, 0, 2e9)
    said = sorted({(one.subject, one.problem, one.loss) for one in heard.notices})
    answers.append((sorted(set(found.table["station"])), said))
print(json.dumps(answers))
"""


@pytest.fixture
def reached():
    """An archive of two stations that everybody can reach, and how another account finds it."""
    root = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    root.chmod(0o777)
    archive = Archive(root / "archive")
    archive.write(Stream([trace(100), trace(100, seed_id="XX.B..HHZ")]))

    def look() -> list[object]:
        index = root / f"{len(list(root.iterdir()))}.sqlite"
        done = subprocess.run(
            [sys.executable, "-c", LOOK, str(archive.root), str(index)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=root,
        )
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    yield archive, look
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("below", "rights", "missed"),
    [
        ("2020/XX/ABC", 0, "2020/XX/ABC/HHZ.D"),
        ("2020/XX/ABC/HHZ.D", 0, "2020/XX/ABC/HHZ.D"),
    ],
)
def test_a_folder_that_is_closed_is_named(reached, below, rights, missed) -> None:
    """To who asks for its channel it is a loss, and to others what a site does not show to everybody."""
    archive, look = reached
    assert look() == [[["ABC", "B"], []], [["ABC"], []]]
    (archive.root / below).chmod(rights)
    hidden = [
        "*.*.*.*@1970-01-01T00:00:00/2033-05-18T03:33:20",
        f"touches folders that are closed to you: {archive.root / below}",
        False,
    ]
    lost = [str(archive.root / missed), "cannot be read: Permission denied", True]
    assert look() == [[["B"], [hidden]], [[], [lost]]]
    (archive.root / below).chmod(0o755)
    assert look() == [[["ABC", "B"], []], [["ABC"], []]]


def test_files_that_have_names_and_no_more_are_one_notice(reached) -> None:
    archive, look = reached
    archive.write(trace(100, MIDNIGHT + 86400))
    folder = archive.root / "2020/XX/ABC/HHZ.D"
    folder.chmod(0o444)
    lost = [str(folder), "cannot be read: Permission denied", True]
    assert look() == [[["B"], [lost]], [[], [lost]]]


def test_metadata_that_are_closed_are_named(tmp_path) -> None:
    class Shut(Local):
        def names(self, folder: str) -> list[str]:
            raise PermissionError(13, "Permission denied", folder)

    with listen() as heard:
        assert not stations_in(Shut(tmp_path), Selection()).networks
        assert not events_in(Shut(tmp_path), EventFilter())
    assert [said.problem for said in heard.notices] == ["cannot be read: Permission denied"] * 2


@pytest.mark.parametrize("below", ["2020/XX/ABC", "2020/XX/ABC/HHZ.D/XX.ABC..HHZ.D.2020.061"])
def test_a_link_that_leads_to_nothing_is_named(archive, tmp_path, below) -> None:
    archive.write(Stream([trace(100), trace(100, seed_id="XX.B..HHZ")]))
    assert len(everything(archive)) == 2
    place, disk = archive.root / below, tmp_path / "disk"
    place.rename(disk)
    place.symlink_to(disk)
    assert len(everything(archive)) == 2
    disk.rename(tmp_path / "unmounted")
    with listen() as heard:
        assert [one.stats.station for one in everything(archive)] == ["B"]
    assert {(said.subject, said.problem) for said in heard.notices} == {
        (str(place), f"cannot be read: it is a link to {disk}, which is not there")
    }


def test_of_what_is_simply_not_there_nothing_is_said(archive) -> None:
    archive.write(trace(100))
    (archive.root / "2019").write_text("no folder")
    with listen() as heard:
        assert not archive.get_waveforms("XX", "NONE", "", "HHZ", MIDNIGHT, MIDNIGHT + 60)
        assert not archive.get_waveforms("XX", "ABC", "", "HHZ", MIDNIGHT - 86400 * 80, MIDNIGHT - 86400 * 70)
    assert not heard.notices
