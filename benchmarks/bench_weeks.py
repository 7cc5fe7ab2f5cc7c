"""Earthquakes of many hours: time grows with the hours, memory does not."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Row
from workbench.demo.weeks import weeks

TOPIC = "Weeks of earthquakes, by wb.map: six three-component stations at 50 Hz, one core"

HOURS = (6, 24, 48)

CODE = r"""
import re, sys, time
from pathlib import Path
import workbench as wb
from workbench.demo.weeks import MODEL
from workbench.notices import listen

root = Path(sys.argv[1])
begun = time.perf_counter()
with listen():
    found = wb.map("pipelines.earthquakes", "XX.*.*.HH?", sources=[wb.Archive(root / "archive")],
                   store=root / "tiles", tile="4h", velocity_model=MODEL)
took = time.perf_counter() - begun
# Not ru_maxrss, which starts from what the parent had when it forked.
peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
print(took, len(found.value), int(peak.group(1)) / 1024)
"""


def measure() -> list[Row]:
    """Measure spans of several lengths, each in a process of its own."""
    rows = []
    for hours in HOURS:
        with tempfile.TemporaryDirectory() as folder:
            _, truth = weeks(Path(folder, "archive"), days=hours / 24)
            done = subprocess.run(
                ["taskset", "-c", "0", sys.executable, "-W", "ignore", "-c", CODE, folder],
                check=True,
                capture_output=True,
                text=True,
            )
        seconds, events, memory = (float(word) for word in done.stdout.split())
        what = f"{hours} hours: {events:.0f} events found, {len(truth)} generated"
        rows.append(Row(what, seconds, memory_mib=memory))
    return rows
