"""What a person sees, through a terminal of 80 columns."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from workbench.cli import terminal
from workbench.notices import Notice


def seen(*arguments: str) -> str:
    """Run the command line at a terminal and return what it prints, without colours."""
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "workbench.cli", *arguments]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
    running = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment)
    os.close(inner)
    parts = []
    while True:
        try:
            part = os.read(outer, 65536)
        except OSError:
            # The other side is closed.
            break
        if not part:
            break
        parts.append(part)
    os.close(outer)
    assert running.wait(timeout=60) == 0
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode())


def test_person_gets_progress_and_a_table(folder):
    text = seen("run", "triggers.sta_lta", "waves", "--sta", "0.5", "--lta", "5")
    assert "reading 1 of 3 files" in text
    assert "3 triggers" in text
    assert "2009-08-24 00:20:08" in text
    assert max(len(line) for line in text.replace("\r", "\n").splitlines()) <= 80


def test_quiet_is_without_progress(folder):
    text = seen("run", "triggers.sta_lta", "waves", "--lta", "5", "--quiet", "-o", "t.csv")
    assert text == ""


def test_picks_and_events_have_a_line_each(folder):
    text = seen("run", "pickers.aic", "waves", "picks.csv", "--quiet")
    assert re.search(r"BW\.RJOB\.\.EHZ +P +2009-08-24 00:20:0\d\.\d\d", text)


def test_waveforms_and_datasets_say_what_they_are(folder):
    assert "3 Trace(s)" in seen("run", "waveforms.filter", "waves", "--freqmin", "1", "--quiet")


def test_notices_that_differ_only_in_their_subject_are_one_line(capsys):
    many = [Notice(f"XX.S{number}", "is silent", "Look at it.") for number in range(10)]
    terminal.say_notices([*many, Notice("XX.A", "is loud"), many[0]])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("warning: 10 times: is silent (XX.S0, XX.S1,")
    assert lines[0].endswith("and 2 more). Look at it.")
    assert lines[1] == "warning: XX.A: is loud"
