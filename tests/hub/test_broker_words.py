"""What the broker reads and writes, without a cluster: words, names, its journal."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import Unavailable
from workbench_hub.broker import journal, options, values
from workbench_hub.broker.callers import Caller
from workbench_hub.broker.journal import Journal
from workbench_hub.broker.limits import Minute
from workbench_hub.broker.rules import Refused
from workbench_hub.broker.running import Done, Who
from workbench_hub.broker.submission import comment, wrapped

ID = "0123456789abcdef" * 2


def caller(name: str = "anna", server: str = "", home: str = "/home/anna") -> Caller:
    return Caller(Who(name, 20101, 20101, Path(home)), server, "sha256:" + "a" * 64)


@given(name=st.text(min_size=1, max_size=60), server=st.text(max_size=60))
def test_a_comment_has_four_words_whatever_people_are_called(name: str, server: str):
    """Names of servers from before JupyterHub 6 may hold anything."""
    first, *rest = comment(caller(name, server), ID).split(" ")
    assert (first, [word.partition("=")[0] for word in rest]) == ("broker", ["user", "server", "image", "id"])
    assert "".join(rest).isascii()


@settings(deadline=None, max_examples=40)
@given(
    script=st.binary(max_size=3000),
    words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=50), max_size=4),
    home=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=30),
)
def test_whatever_a_script_holds_it_is_text_to_the_shell(script: bytes, words: list[str], home: str):
    """The script of SLURM's is run by a real shell, with a program in the place of wb-exec that tells."""
    told = (
        "import base64, os, sys\n"
        "print(base64.b64encode(os.fsencode(os.environ['HOME'])).decode())\n"
        "print(base64.b64encode('\\0'.join(sys.argv[6:]).encode()).decode())\n"
        "print(base64.b64encode(base64.b64decode(sys.stdin.buffer.read())).decode())\n"
    )
    text = wrapped(caller(home=home), Path("/launch"), [], script, words).decode()
    # The first words are those of wb-exec; here they are of a Python that says what it got.
    begun = text.index("exec /launch --home-only")
    text = text[:begun] + f"exec {sys.executable} -c '{told.replace(chr(39), chr(34))}'" + text[begun + 12 :]
    done = subprocess.run(["/bin/sh"], input=text.encode(), capture_output=True, timeout=20, check=True)
    seen = [base64.b64decode(line) for line in done.stdout.splitlines()]
    assert seen[0] == os.fsencode(str(Path(home)))
    assert seen[1].decode().split("\0")[-len(words) :] == words or not words
    assert seen[2] == script


def test_a_first_command_ends_the_directives():
    none = b"#!/bin/sh\n\n# SBATCH --hold\n #SBATCH --hold\n#SBATCH\n"
    script = none + b"#SBATCH -J 'fit' -n1\necho\n#SBATCH --hold\n"
    assert options.directives(script) == {"job-name": "fit", "ntasks": "1"}


@pytest.mark.parametrize("value", ["0-9", "1,3,5", "0-99:10%4", "7"])
def test_an_array_is_counted_and_not_written_out(value: str):
    assert values.array(value, 10) == value
    begun = time.perf_counter()
    with pytest.raises(Refused, match="are the most"):
        values.array("0-9999999", 1000)
    assert time.perf_counter() - begun < 0.1


def test_the_journal_keeps_what_sbatch_said(tmp_path: Path):
    book = Journal(tmp_path)

    def run(out, err, held) -> Done:
        out.write(b"17\n")
        return Done(0)

    with book.entry(20101, ID) as entry:
        assert (entry.hash, entry.said) == ("", None)
        assert entry.send("asked", run).out == "17\n"
    with book.entry(20101, ID) as entry:
        assert (entry.hash, entry.said, entry.told) == ("asked", Done(0, "17\n", ""), False)
        entry.tell()
        assert entry.told
    assert (book.newest(20101, 60), book.newest(20102, 60)) == (1, 0)
    assert (tmp_path / "20101").stat().st_mode & 0o777 == 0o700


def test_the_journal_waits_for_an_sbatch_that_was_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    book = Journal(tmp_path)
    with book.entry(20101, ID) as entry:
        left = subprocess.Popen(["sleep", "1"], pass_fds=(entry.lock,))
    begun = time.monotonic()
    with book.entry(20101, ID):
        assert left.poll() is not None or time.monotonic() - begun > 0.8
    left.wait()
    monkeypatch.setattr(journal, "_WAIT", 0.2)
    with book.entry(20101, ID), pytest.raises(Unavailable, match="under way"), book.entry(20101, ID):
        pass


@pytest.mark.parametrize("id", ["", "../../../etc/x", "A" * 32, ID + "0", ID[:-1] + "\n"])
def test_an_id_is_no_path(tmp_path: Path, id: str):
    with pytest.raises(Refused), Journal(tmp_path).entry(20101, id):
        pass
    assert [*tmp_path.iterdir()] == []


def test_what_is_a_day_old_is_forgotten(tmp_path: Path):
    book = Journal(tmp_path)
    with book.entry(20101, ID) as entry:
        entry.send("asked", lambda **_: Done(0))
    for path in tmp_path.glob("*/*"):
        os.utime(path, (0, 0))
    assert book.newest(20101, 60) == 0
    assert [*tmp_path.glob("*/*")] == []


def test_a_minute_has_so_many():
    bound = Minute(3)
    assert [bound.admits("anna") for _ in range(5)].count(True) in (3, 4, 5)  # at the turn of a minute
    assert bound.admits("ben")
    assert bound.take().get("left_out_before", 0) <= 2
    assert bound.take() == {}
