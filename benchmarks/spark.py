"""A warm Spark session, and what SeiSpark had it do: whole files out of `binaryFiles`, ObsPy on each."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv" / "bench"

CORES = 2

_DAY = "{root}/*/*/*/*.D/*.D.*"


def why_not() -> str:
    """Return why Spark cannot be measured here, or nothing."""
    if not (HOME / "pyspark").is_dir():
        return "Spark is not installed: `make bench` does it, or `hub/environment.py bench`"
    if shutil.which("java") is None:
        return "Spark needs Java: apt-get install default-jdk-headless"
    found = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return "" if found.returncode == 0 else f"Java does not start: {found.stderr.strip()[:200]}"


@contextmanager
def session(folder: Path, cores: int = CORES) -> Iterator[Any]:
    """Start Spark on this machine, and two workers of Python that have imported what they need."""
    here = os.pathsep.join([str(ROOT), str(HOME)])
    words = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": here}
    # One thread each, as ours has: or else NumPy's of the two would get in each other's way.
    words |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # What is measured after this must not see Spark.
    with mock.patch.dict(os.environ, words), mock.patch.object(sys, "path", [*sys.path, str(HOME)]):
        yield from _session(folder, cores)


def _session(folder: Path, cores: int) -> Iterator[Any]:
    from pyspark import SparkConf, SparkContext

    settings = {
        "spark.master": f"local[{cores}]",
        "spark.app.name": "benchmarks",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(folder),
        "spark.python.worker.reuse": "true",
    }
    context = SparkContext(conf=SparkConf().setAll(list(settings.items())))
    context.setLogLevel("ERROR")
    try:
        context.parallelize(range(cores), cores).map(_warm).collect()
        yield context
    finally:
        context.stop()


def files(context: Any, root: Path) -> Any:
    """Return the day files of an archive as Spark has them: name and whole content."""
    return context.binaryFiles(_DAY.format(root=root), minPartitions=2 * CORES)


def gaps(found: Any) -> list[tuple[str, float]]:
    """Availability by file: ObsPy reads the headers and lists the gaps."""
    return found.map(_availability).collect()  # type: ignore[no-any-return]


def spreads(found: Any) -> list[tuple[str, list[float]]]:
    """RMS by file and by hour: ObsPy reads the samples, NumPy does the rest."""
    return found.map(_spread).collect()  # type: ignore[no-any-return]


def _warm(_: int) -> str:
    import numpy
    import obspy

    obspy.read()
    return str(numpy.__version__)


def _availability(file: tuple[str, bytes]) -> tuple[str, float]:
    import obspy

    name, content = file
    stream = obspy.read(io.BytesIO(content), format="MSEED", headonly=True)
    gone = sum(gap[6] for gap in stream.get_gaps() if gap[6] > 0)
    first = min(trace.stats.starttime for trace in stream)
    last = max(trace.stats.endtime + trace.stats.delta for trace in stream)
    return name.rpartition("/")[2], 100 * (last - first - gone) / 86400


def _spread(file: tuple[str, bytes]) -> tuple[str, list[float]]:
    import numpy as np
    import obspy

    name, content = file
    found = []
    for trace in obspy.read(io.BytesIO(content), format="MSEED"):
        hour = round(3600 * trace.stats.sampling_rate)
        data = trace.data.astype(np.float64)
        found += [data.std(), *(data[k : k + hour].std() for k in range(0, len(data), hour))]
    return name.rpartition("/")[2], [float(one) for one in found]
