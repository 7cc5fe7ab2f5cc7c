"""Measure two ways to the same answer, in turn, and report the ratio.

A machine is never equally fast for two minutes, so ours and the peer are
measured alternately in one process, and the ratio of the medians is what
counts; absolute times stand beside it for the reader.
"""

from __future__ import annotations

import gc
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "docs" / "performance.json"
PAGE = OUT.with_suffix(".md")

_LEAST = 0.05
"""What takes less is called again until so much time has passed, s."""


@dataclass(frozen=True)
class Row:
    """One line of docs/performance.md."""

    what: str
    ours_s: float
    peer: str = ""
    peer_s: float | None = None
    memory_mib: float | None = None
    target: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster than the peer."""
        return None if self.peer_s is None else self.peer_s / self.ours_s


def clock(work: Callable[[], Any]) -> float:
    """Seconds that one call takes."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _one_of_several(work: Callable[[], Any]) -> float:
    """Seconds that a call takes: of as many as `_LEAST` holds, the mean, as timeit has it."""
    number, passed = 1, clock(work)
    while passed < _LEAST:
        start = time.perf_counter()
        work()
        passed += time.perf_counter() - start
        number += 1
    return passed / number


def alternate(
    what: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    name: str,
    rounds: int = 5,
    target: str = "",
) -> Row:
    """Measure ours and a peer in turn, after one unmeasured round of each."""
    ours(), peer()
    times = [(_one_of_several(ours), _one_of_several(peer)) for _ in range(rounds)]
    return Row(
        what,
        statistics.median(t for t, _ in times),
        name,
        statistics.median(t for _, t in times),
        target=target,
    )


def fresh(what: str, code: str, *, rounds: int = 5, target: str = "") -> Row:
    """Measure a new process from start to end.

    Parameters
    ----------
    what : str
    code : str
        Python source that it runs.
    rounds : int
        Measured runs, after one unmeasured that warms the compiled caches.
    target : str
    """
    command = [sys.executable, "-c", code]
    times = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return Row(what, statistics.median(times[1:]), target=target)


def publish(topic: str, rows: list[Row]) -> None:
    """Print a topic's rows and keep them for docs/performance.md."""
    for row in rows:
        print(line(asdict(row) | {"ratio": row.ratio}))
    known = json.loads(OUT.read_text()) if OUT.exists() else {}
    known["machine"] = machine()
    known.setdefault("topics", {})[topic] = [asdict(row) | {"ratio": row.ratio} for row in rows]
    OUT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def line(row: dict[str, Any]) -> str:
    """One row of a markdown table."""
    peer = "" if row["peer_s"] is None else f"{row['peer']}: {row['peer_s']:.3g} s"
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2g}"
    memory = "" if row["memory_mib"] is None else f"{row['memory_mib']:.0f}"
    return f"| {row['what']} | {row['ours_s']:.3g} | {peer} | {ratio} | {memory} | {row['target']} |"


def machine() -> str:
    """What was measured on."""
    cpu = next(
        (
            text.split(":", 1)[1].strip()
            for text in Path("/proc/cpuinfo").read_text().splitlines()
            if text.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{cpu}, Python {platform.python_version()}"


def write() -> None:
    """Write docs/performance.md from the numbers that were kept."""
    PAGE.write_text(page(json.loads(OUT.read_text())))


def page(known: dict[str, Any]) -> str:
    """Return docs/performance.md."""
    text = [
        "# Performance",
        "",
        "Written by `make bench`: ours and each peer measured alternately in one run, medians. A ratio above",
        f"1 means that ours is that many times faster. What takes less than {_LEAST * 1e3:.0f} ms is called",
        f"again until these are over, and the mean counts. Measured on: {known['machine']}.",
    ]
    for topic, rows in known["topics"].items():
        text += [
            "",
            f"## {topic}",
            "",
            "| what | ours (s) | peer | times faster | peak memory (MiB) | target |",
            "| --- | --- | --- | --- | --- | --- |",
            *(line(row) for row in rows),
        ]
    return "\n".join(text) + "\n"
