"""The audit log: a chain that breaks where somebody lays a hand on it, and holds where a writer is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench_hub.health import wait_for
from workbench_hub.life.audit import Anchor, AuditLog, Broken


@pytest.fixture
def log(tmp_path) -> AuditLog:
    log = AuditLog(tmp_path / "audit")
    for name in ("anna", "bert", "carla"):
        log.append("login", actor=name, address="192.0.2.1")
    return log


def newest(log: AuditLog) -> Path:
    return log.files()[-1]


def test_each_line_has_the_hash_of_the_whole_line_before_it(log):
    lines = newest(log).read_bytes().splitlines(keepends=True)
    assert json.loads(lines[0])["previous"] == "0" * 64
    for before, after in pairwise(lines):
        assert json.loads(after)["previous"] == sha256(before).hexdigest()
    verdict = log.verify()
    assert (verdict.first, verdict.head.number, verdict.torn) == (1, 3, 0)


def test_is_for_the_owner_alone(log):
    assert log.folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in log.folder.iterdir())


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("what", ["change", "remove", "repeat", "spoil"])
def test_a_line_that_is_tampered_with_is_found(log, line, what):
    lines = newest(log).read_bytes().splitlines(keepends=True)
    if what == "change":
        lines[line] = lines[line].replace(b'"login"', b'"logout"')
    elif what == "remove":
        del lines[line]
    elif what == "repeat":
        lines.insert(line, lines[line])
    else:
        lines[line] = b"#" + lines[line]
    newest(log).write_bytes(b"".join(lines))
    with pytest.raises(Broken):
        log.verify()


def test_a_missing_end_is_found(log):
    anchor = log.verify().head
    lines = newest(log).read_bytes().splitlines(keepends=True)
    newest(log).write_bytes(b"".join(lines[:2]))
    with pytest.raises(Broken, match="ends with entry 2, and 3 were written"):
        log.verify()
    (log.folder / "head.json").unlink()
    log.verify()  # whoever removes both is found by an anchor only
    with pytest.raises(Broken, match="does not hold entry 3:"):
        log.verify(anchor)


def test_a_chain_that_was_forged_anew_is_found_by_an_anchor(log, tmp_path):
    anchor = log.verify().head
    forged = AuditLog(tmp_path / "forged")
    for name in ("anna", "bert", "mallory"):
        forged.append("login", actor=name, address="192.0.2.1")
    forged.verify()
    with pytest.raises(Broken):
        forged.verify(anchor)


def test_old_files_may_be_put_away_if_their_last_line_is_known(log):
    anchor = log.verify().head
    newest(log).rename(log.folder / "put-away")
    (log.folder / "2999-01.jsonl").touch()
    # The first entry after them still says what came before.
    line = {"number": 4, "time": "t", "event": "e", "actor": "a", "subject": "", "details": {}}
    text = json.dumps(line | {"previous": anchor.hash})
    (log.folder / "2999-01.jsonl").write_text(text + "\n")
    with pytest.raises(Broken):
        log.verify()
    assert log.verify(anchor).first == 4
    with pytest.raises(Broken):
        log.verify(Anchor(3, "1" * 64))


def test_a_clock_that_was_set_back_breaks_nothing(log):
    newest(log).rename(log.folder / "2999-01.jsonl")
    log.append("login", actor="dora")
    assert [path.name for path in log.files()] == ["2999-01.jsonl"]
    assert log.verify().head.number == 4


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_a_torn_line_is_admitted_and_nothing_is_taken_away(log, kept):
    whole = newest(log).read_bytes()
    log.append("spawn", actor="anna")
    torn = newest(log).read_bytes()[len(whole) :][:kept]
    newest(log).write_bytes(whole + torn)
    (log.folder / "head.json").write_text(json.dumps({"number": 3, "hash": sha256(_last(whole)).hexdigest()}))
    assert log.verify().torn == 1
    log.append("login", actor="bert")
    assert newest(log).read_bytes().startswith(whole + torn + b"\n")
    # Where nothing but its end was missing, the line is whole again.
    assert [entry.event for entry in log.entries()][-2:] == ["spawn" if kept == -1 else "torn", "login"]
    assert log.verify().torn == (kept != -1)


def _last(lines: bytes) -> bytes:
    return lines.splitlines(keepends=True)[-1]


def test_a_line_that_was_written_whole_is_not_taken_for_a_torn_one(log):
    newest(log).write_bytes(newest(log).read_bytes()[:-5])
    with pytest.raises(Broken, match="3 were written"):
        log.verify()


def test_details_that_are_too_long_are_left_out_and_that_is_said(log):
    entry = log.append("login", actor="x" * 10_000, note="y" * 100_000)
    assert entry.details["left_out_bytes"] > 100_000
    assert len(entry.actor) == 200
    assert log.verify().head == entry.anchor


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(codec=None), max_size=40), value=st.text(max_size=40))
def test_any_name_fits_into_a_line(log, name, value):
    entry = log.append("login", actor=name, value=value)
    assert entry.actor == name
    assert log.verify().head == entry.anchor


WRITER = """
import sys
from pathlib import Path
from workbench_hub.life.audit import AuditLog

log = AuditLog(Path(sys.argv[1]))
while True:
    print(log.append("login", actor="x" * 100, more="y" * 3000).anchor, flush=True)
"""


def test_survives_kill_9_of_its_writer(tmp_path):
    """Each line that a writer had back is in the log, whenever it is killed."""
    log, said = AuditLog(tmp_path / "audit"), []
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, log.folder], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        said.append(writer.stdout.readline())
        before = log.verify().head.number
        wait_for(lambda before=before: log.verify().head.number > before + 3, 20, "more lines")
        writer.send_signal(signal.SIGKILL)
        said += [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
        writer.stdout.close()
        writer.wait()
        verdict = log.verify()
    known = {str(entry.anchor).encode() for entry in log.entries()}
    assert {line.strip() for line in said} <= known
    assert verdict.head.number >= len(said)


def _write(folder: Path) -> None:
    for _ in range(20):
        AuditLog(folder).append("login", actor="anna")


def test_several_writers_keep_one_chain(tmp_path):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        list(pool.map(_write, [tmp_path / "audit"] * 4))
    assert AuditLog(tmp_path / "audit").verify().head.number == 80
