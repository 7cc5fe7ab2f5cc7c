"""The pipeline on an hour of a network, on one core."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.harness import Row

TOPIC = "pipelines.earthquakes, an hour of 12 three-component stations at 100 Hz, one core"

CODE = r"""
import re, time
from pathlib import Path
from workbench.demo.network import network_sequence
from workbench.kernels import pipelines

small = network_sequence(duration_s=300.0, n_events=1)
pipelines.earthquakes(small.waveforms, small.stations, velocity_model=small.velocity_model)
made = network_sequence(duration_s=3600.0, n_events=20)
start = time.perf_counter()
found = pipelines.earthquakes(made.waveforms, made.stations, velocity_model=made.velocity_model)
took = time.perf_counter() - start
# Not ru_maxrss, which starts from what the parent had when it forked.
peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
print(took, len(found), int(peak.group(1)) / 1024)
"""


def measure() -> list[Row]:
    """Measure one hour after warm-up; peak memory is that of the whole process, data included."""
    done = subprocess.run(
        ["taskset", "-c", "0", sys.executable, "-W", "ignore", "-c", CODE],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, events, memory = (float(word) for word in done.stdout.split())
    return [
        Row(f"{events:.0f} of 20 generated events found", seconds, memory_mib=memory, target="20 s, 1024 MiB")
    ]
