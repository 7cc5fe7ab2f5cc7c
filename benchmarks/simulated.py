"""A cluster of hundreds of workers on one machine: a real scheduler, and real workers in one process.

``python -m benchmarks.simulated ADDRESS NUMBER`` is the process of the workers.
Scheduler, workers and whoever plans are a process each, so that what each of
them takes can be told apart.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from obspy import Stream, Trace, UTCDateTime

from workbench.archive import Archive
from workbench.archive.layout import DAY_NS, place
from workbench.jobs.dashboard import MESSAGES

ROOT = Path(__file__).parents[1]

BEGIN = UTCDateTime(2024, 1, 1)

_WORDS = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "10s",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3",
    # As the schedulers have it that the workbench starts.
    "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": str(MESSAGES),
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True)
class Part:
    """A process of the cluster."""

    pid: int

    @property
    def cpu_s(self) -> float:
        """Processor time until now, s."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))

    @property
    def bytes(self) -> int:
        """Memory that it has now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Simulated:
    """A cluster that runs."""

    client: Any
    scheduler: Part
    workers: Part


@contextmanager
def cluster(number: int, timeout: float = 120.0) -> Iterator[Simulated]:
    """Start a scheduler, and a process of so many workers of one thread each."""
    from distributed import Client

    environment = os.environ | _WORDS | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "scheduler.json"
        ours = [sys.executable, "-m"]
        words = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        with _process([*ours, *words, "--scheduler-file", str(told)], environment, folder) as scheduler:
            client = Client(scheduler_file=str(told), timeout=timeout, set_as_default=False)
            words = ["benchmarks.simulated", client.scheduler.address, str(number)]
            with client, _process([*ours, *words], environment, folder) as workers:
                client.wait_for_workers(number, timeout=timeout)
                yield Simulated(client, Part(scheduler), Part(workers))


@contextmanager
def _process(words: list[str], environment: dict[str, str], folder: str) -> Iterator[int]:
    with (
        (Path(folder) / "log").open("ab") as log,
        subprocess.Popen(words, env=environment, stdout=log, stderr=log, cwd=folder) as process,
    ):
        try:
            yield process.pid
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def year(root: Path, channels: int, days: int) -> Archive:
    """Write an archive of many small files: a record of 200 samples a channel and day."""
    out = io.BytesIO()
    trace = Trace(np.arange(200, dtype=np.int32), {"network": "XX", "channel": "VHZ", "station": "S0000"})
    for day in range(days):
        trace.stats.update({"starttime": BEGIN + day * 86400, "sampling_rate": 200 / 86400})
        out.seek(0)
        Stream([trace]).write(out, format="MSEED", reclen=512)
        record = bytearray(out.getvalue())
        for number in range(channels):
            record[8:13] = b"%05d" % number
            path = root / place(f"XX.{number:05d}..VHZ", BEGIN.ns // DAY_NS + day)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(record)
            # The index does not trust a file that was written this very second.
            os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return Archive(root)


async def _work(address: str, number: int) -> None:
    from distributed import Worker

    with tempfile.TemporaryDirectory() as folder:
        made = [
            # Without a limit none looks ten times a second at the memory of the process they all are.
            Worker(
                address, nthreads=1, host="127.0.0.1", dashboard=False, local_directory=folder, memory_limit=0
            )
            for _ in range(number)
        ]
        await asyncio.gather(*made)
        await asyncio.gather(*(worker.finished() for worker in made))


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1], int(sys.argv[2])))
