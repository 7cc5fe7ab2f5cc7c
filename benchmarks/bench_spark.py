"""Completeness and RMS of an archive beside a warm Spark on two cores, as SeiSpark had them."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from obspy import UTCDateTime

from benchmarks import spark
from benchmarks.harness import Row, alternate, clock
from workbench.archive import Archive, Selection, survey
from workbench.demo.known import Known, known
from workbench.kernels.quality import completeness, rms

TOPIC = "Beside Spark: a warm PySpark local[2] on the same files, already in the page cache"

why_not = spark.why_not

_HEADERS = "binaryFiles, ObsPy headonly, get_gaps"
_SAMPLES = "binaryFiles, ObsPy read, NumPy"


@dataclass(frozen=True)
class Held:
    """An archive of which everything is known, and how it is called."""

    name: str
    root: Path
    made: list[Known]

    @property
    def start(self) -> int:
        return self.made[0].start

    @property
    def asked(self) -> tuple[Any, ...]:
        start = UTCDateTime(ns=self.start * 86400 * 10**9)
        return "XX", "*", "*", "*", start, start + max(one.days for one in self.made) * 86400 - 0.001

    @contextmanager
    def new(self) -> Iterator[Archive]:
        """Open it with an index that knows nothing yet."""
        with tempfile.TemporaryDirectory() as folder:
            yield Archive(self.root, index=Path(folder) / "index.sqlite")


def measure() -> list[Row]:
    """Measure by turns, an archive after the other."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        held = [
            _made(root / "both", "30 days at 1 Hz and one at 100 Hz, 8 channels each", {1: 30, 100: 1}),
            _made(root / "100", "8 days at 100 Hz of 8 channels", {100: 8}),
        ]
        with spark.session(root / "spark") as context:
            return [row for one in held for row in _beside(context, one)]


def _made(root: Path, name: str, days: dict[int, int]) -> Held:
    """Make an archive with so many days at each sampling rate."""
    return Held(name, root, [known(root, channels=8, days=each, rate=rate) for rate, each in days.items()])


def _beside(context: Any, held: Held) -> list[Row]:
    warm = Archive(held.root)
    warm.get_spans(*held.asked)
    _agree(completeness(warm.get_spans(*held.asked)), spark.gaps(spark.files(context, held.root)))
    kept = spark.files(context, held.root).cache()
    spark.gaps(kept)
    rows = [
        alternate(
            f"completeness, headers read anew, {held.name}",
            partial(_cold, held),
            lambda: spark.gaps(spark.files(context, held.root)),
            name=_HEADERS,
            rounds=3,
            target="20 times",
        ),
        alternate(
            "the same, while Spark has the files in its memory",
            partial(_cold, held),
            lambda: spark.gaps(kept),
            name=_HEADERS,
            rounds=3,
        ),
        alternate(
            f"completeness from the index, {held.name}",
            lambda: completeness(warm.get_spans(*held.asked)),
            lambda: spark.gaps(spark.files(context, held.root)),
            name=_HEADERS,
            rounds=3,
            target="500 times",
        ),
        _upkeep(held),
        alternate(
            f"RMS by day and hour, with index and completeness in the same pass, {held.name}",
            partial(_all, held),
            lambda: spark.spreads(spark.files(context, held.root)),
            name=_SAMPLES,
            rounds=3,
            target="5 times",
        ),
        alternate(
            "the same RMS by get_waveforms and quality.rms, a channel and day at a time",
            partial(_days, held, warm),
            lambda: spark.spreads(spark.files(context, held.root)),
            name=_SAMPLES,
            rounds=3,
        ),
    ]
    kept.unpersist()
    return rows


def _agree(ours: Any, theirs: list[tuple[str, float]]) -> None:
    """See that both find the same availability of each file."""
    found = ours["percent_availability"]
    first = found["time"].values[0].astype("M8[D]")
    for name, percent in theirs:
        seed_id, year, day = name.partition(".D.")[0], *name.rsplit(".", 2)[1:]
        at = (np.datetime64(f"{year}-01-01") + (int(day) - 1) - first).astype(int)
        assert abs(float(found.sel(channel=seed_id)[at]) - percent) < 1e-6, name


def _cold(held: Held) -> None:
    with held.new() as archive:
        completeness(archive.get_spans(*held.asked))


def _all(held: Held) -> None:
    with held.new() as archive:
        survey(archive, Selection(*held.asked))


def _days(held: Held, archive: Archive) -> None:
    """Go through them as tiles do: what is in memory is one day of one channel."""
    for seed_id, day in [place for one in held.made for place in one.plan]:
        start = UTCDateTime(ns=(held.start + day) * 86400 * 10**9)
        stream = archive.get_waveforms(*seed_id.split("."), start, start + 86400 - 0.001)
        if len(stream):
            rms(stream)


def _upkeep(held: Held) -> Row:
    """Measure what a file that has changed costs the next one who asks: its headers are read again."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "archive"
        one = next(path for path in sorted(held.root.rglob("*.D.*")) if path.is_file())
        path = root / one.relative_to(held.root)
        path.parent.mkdir(parents=True)
        shutil.copyfile(one, path)
        archive = Archive(root)

        def again(seconds: int) -> float:
            os.utime(path, (path.stat().st_mtime - 60 - seconds,) * 2)
            return clock(lambda: archive.get_spans(*held.asked))

        again(0)
        return Row("upkeep of the index, a day file that is new", statistics.median(map(again, range(1, 8))))
