"""Finished tiles: whole or not there, whoever is killed; one at work on each; bounded, and private."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time

import pytest

from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable
from workbench.jobs import claims
from workbench.jobs.claims import Waiting, claim
from workbench.jobs.tilestore import TileStore
from workbench.nouns import Triggers
from workbench.wire.packed import pack
from workbench.wire.together import together

KEY = "ab" * 32


def packed(number=3):
    rows = [{"time": f"2020-01-0{day + 1}", "duration_s": 1.5, "stations": "XX.A"} for day in range(number)]
    return {"result": pack(Triggers(rows))}


@pytest.fixture
def opened(store):
    store.open()
    return store


def test_a_tile_comes_back_as_it_was(opened):
    size = opened.write(KEY, packed(), {"said": ["a", 1]})
    assert opened.size(KEY) == size
    outputs, more = opened.read(KEY)
    assert more == {"said": ["a", 1]}
    assert len(together("Triggers", [outputs["result"]])) == 3
    assert opened.head(KEY)["more"] == more
    assert opened.head("cd" * 32) is None
    assert opened.read("cd" * 32) is None


def test_the_head_of_a_large_tile_is_read_without_the_rest(opened):
    opened.write(KEY, {}, {"said": "x" * 200_000})
    assert len(opened.head(KEY)["more"]["said"]) == 200_000


def test_the_store_is_its_users_alone(opened, tmp_path):
    opened.write(KEY, packed(), {})
    for path in (opened.folder, *opened.folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    opened.folder.chmod(0o755)
    opened.open()
    assert opened.folder.stat().st_mode & 0o777 == 0o700
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    if os.getuid() == 0:
        os.chown(foreign, 12345, 12345)
        with pytest.raises(InvalidSetting, match="belongs to another user"):
            TileStore(foreign).open()


def test_a_store_can_be_sent(opened):
    again = pickle.loads(pickle.dumps(opened))
    assert (again.folder, again.max_bytes) == (opened.folder, opened.max_bytes)


@pytest.mark.parametrize("harm", ["cut", "head", "payload", "empty"])
def test_a_damaged_tile_is_not_there(opened, harm):
    opened.write(KEY, packed(), {})
    path = opened._path(KEY)
    data = bytearray(path.read_bytes())
    if harm == "cut":
        del data[-8:]
    elif harm == "head":
        data[70] ^= 1
    elif harm == "payload":
        data[-8] ^= 1
    else:
        data.clear()
    path.write_bytes(data)
    assert opened.read(KEY) is None
    assert not path.exists()


WRITER = """
import os, sys
sys.path.insert(0, {helpers!r})
from pathlib import Path
from workbench.jobs.tilestore import TileStore
from workbench.wire.packed import Packed
import numpy as np
store = TileStore({folder!r}); store.open()
number = 0
print("on", flush=True)
while True:
    data = np.full(50_000, number % 256, np.uint8)
    part = Packed("Stations", {{"size": 1}}, [data])
    store.write("%064x" % (number % 7), {{"x": part}}, {{"number": number}})
    number += 1
"""


def test_killed_at_any_moment_every_tile_is_whole(opened):
    for delay in (0.0, 0.003, 0.011, 0.02):
        code = WRITER.format(folder=str(opened.folder), helpers="")
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "on\n"
        until = time.monotonic() + delay
        while time.monotonic() < until or not list(opened.folder.glob("*/*.tile")):
            pass
        writer.kill()
        writer.wait()
        writer.stdout.close()
        tiles = [path.stem for path in opened.folder.glob("*/*.tile")]
        assert tiles
        for key in tiles:
            outputs, more = opened.read(key)
            assert (outputs["x"].arrays[0] == more["number"] % 256).all()
    # What was half written goes once nobody can be at it any more.
    left = list(opened.folder.glob("*/.*.part"))
    for path in left:
        os.utime(path, (0, 0))
    opened.collect()
    assert not list(opened.folder.glob("*/.*.part"))


def test_only_one_has_a_claim(opened):
    one = opened.claim(KEY)
    assert one is not None
    assert opened.claim(KEY) is None
    assert TileStore(opened.folder).claim(KEY) is None
    one.release()
    with opened.claim(KEY) as again:
        assert again is not None
    assert not list(opened.folder.glob("*/*.claim"))


def test_the_claim_of_a_process_that_is_gone_is_free_at_once(opened):
    code = (
        "import sys, os; from workbench.jobs.tilestore import TileStore; "
        f"assert TileStore({str(opened.folder)!r}).claim({KEY!r}); print('on', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "on\n"
    assert opened.claim(KEY) is None
    owner.kill()
    owner.communicate()
    assert opened.claim(KEY) is not None


def test_a_claim_of_another_machine_holds_as_long_as_it_is_touched(tmp_path, eventually):
    path = tmp_path / "x.claim"
    path.write_text('{"host": "elsewhere", "space": "pid:[1]", "pid": 1, "began": "1", "token": "t"}')
    waiting = Waiting(lease=0.3)
    assert claim(path, waiting) is None
    touched = time.monotonic()
    while time.monotonic() < touched + 0.6:
        os.utime(path)
        assert claim(path, waiting) is None
    # Its clock may be anywhere: only a change counts.
    os.utime(path, (4e9, 4e9))
    assert claim(path, waiting) is None
    found = []
    eventually(lambda: found.append(claim(path, waiting)) or found[-1], 5, "the claim to be over")
    assert found[-1].path == path
    found[-1].release()


def test_a_claim_is_touched_while_it_is_held_and_its_loser_does_not_remove_it(
    tmp_path, monkeypatch, eventually
):
    monkeypatch.setattr(claims, "LEASE_S", 0.1)
    path = tmp_path / "x.claim"
    mine = claim(path, Waiting())
    os.utime(path, (0, 0))
    eventually(lambda: path.stat().st_mtime > 0, 10, "a touch")
    path.write_text('{"token": "of another"}')
    mine.release()
    assert path.exists()


def test_the_oldest_are_collected_and_those_in_use_stay(opened):
    keys = [f"{number:064x}" for number in range(6)]
    for number, key in enumerate(keys):
        opened.write(key, packed(), {})
        os.utime(opened._path(key), (1e9 + number, 1e9 + number))
    size = opened.size(keys[0])
    opened.use(keys[0])
    assert opened.collect(max_bytes=3 * size) == 3 * size
    assert [key for key in keys if opened.size(key)] == [keys[0], keys[4], keys[5]]
    assert opened.collect(max_bytes=0) == 2 * size
    assert opened.size(keys[0])


def test_it_is_tidied_once_an_hour_whoever_asks(opened):
    opened.max_bytes = 0

    def old_tile():
        opened.write(KEY, {}, {})
        os.utime(opened._path(KEY), (1e9, 1e9))

    old_tile()
    opened.tidy()
    assert not opened.size(KEY)
    old_tile()
    TileStore(opened.folder, max_bytes=0).tidy()
    assert opened.size(KEY)
    os.utime(opened.folder / ".tidied", (1e9, 1e9))
    opened.tidy()
    assert not opened.size(KEY)


def test_shared_inputs_are_kept_once(opened):
    first = opened.keep("abc.csv", b"text")
    stamp = first.stat().st_ino
    assert opened.keep("abc.csv", b"text") == first
    assert first.stat().st_ino == stamp
    assert first.read_bytes() == b"text"


@pytest.fixture
def small(tmp_path, missing):
    """A file system of 200 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        missing("mount", done.stderr.decode().strip())
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(small):
    store = TileStore(small / "tiles")
    store.open()
    big = pack(Triggers([{"time": "2020-01-01", "stations": "x" * 150_000}]))
    store.write(KEY, {"x": big}, {})
    with pytest.raises(ResourceExceeded, match="No space left"):
        store.write("cd" * 32, {"x": big}, {})
    assert [path.name for path in store.folder.glob("*/*")] == [f"{KEY}.tile"]
    assert store.read(KEY) is not None


def test_what_nobody_uses_makes_room(small):
    store = TileStore(small / "tiles")
    store.open()
    big = pack(Triggers([{"time": "2020-01-01", "stations": "x" * 150_000}]))
    store.write(KEY, {"x": big}, {})
    os.utime(store._path(KEY), (1e9, 1e9))
    store.write("cd" * 32, {"x": big}, {})
    assert (store.size(KEY), store.size("cd" * 32) > 150_000) == (0, True)


def test_a_store_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be reached or written"):
        TileStore(tmp_path / "file" / "tiles").open()


def test_the_default_is_in_the_state_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_STATE", str(tmp_path / "state"))
    assert TileStore().folder == tmp_path / "state" / "tiles"
