"""An archive of which everything is known beforehand: what is there, and how large it is.

``python -m workbench.demo.known FOLDER --channels 6 --days 30 --rate 1 --truth truth.nc``

Each minute of a channel holds the same noise, turned round by another amount
and multiplied by a whole number that belongs to the hour, about a constant
offset.  So mean and RMS of any set of minutes follow from counting them: the
truth is worked out from the plan, and not from the samples.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt
from obspy import Stream, Trace, UTCDateTime

from workbench.archive.files import replace_file
from workbench.archive.layout import DAY_NS, place

if TYPE_CHECKING:
    from workbench.nouns import Dataset

__all__ = ["Day", "Known", "known", "main"]

_MINUTES = 1440

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Day:
    """What is planned for one day of one channel, in minutes after midnight.

    Attributes
    ----------
    there : list of (int, int)
        From and to (not included), one after the other with gaps between.
    twice : list of (int, int)
        What is there a second time, each within one of those, apart from each other.
    """

    there: list[tuple[int, int]] = field(default_factory=lambda: [(0, _MINUTES)])
    twice: list[tuple[int, int]] = field(default_factory=list)


class Known:
    """Channels whose samples are known.

    Parameters
    ----------
    channels, days : int
        How many.
    rate : int
        Samples a second.
    start : str
        First day.
    seed : int
        The same seed gives the same archive.

    Attributes
    ----------
    ids : list of str
        SEED ids ``XX.K001..LHZ`` and so on.
    plan : dict of (str, int) to Day
        By SEED id and the number of the day.
    """

    def __init__(
        self, channels: int = 6, days: int = 30, rate: int = 1, start: str = "2024-01-01", seed: int = 1
    ) -> None:
        self.rate, self.days = rate, days
        self.start = UTCDateTime(start).ns // DAY_NS
        self.ids = [f"XX.K{number + 1:03d}..{'HHZ' if rate >= 80 else 'LHZ'}" for number in range(channels)]
        random = np.random.default_rng(seed)
        half = np.round(random.normal(0, 100, 30 * rate)).astype(np.int64)
        self.noise: Integers = random.permutation(np.concatenate([half, -half]))
        self.offset = {seed_id: int(random.integers(-5000, 5000)) for seed_id in self.ids}
        # Louder by day than by night, and differently so at each place.
        self.loudness = {
            seed_id: (1 + random.integers(1, 4) * (np.abs(np.arange(24) - 12) < 6)).astype(np.int64)
            for seed_id in self.ids
        }
        self.plan = {(seed_id, day): _planned(random) for seed_id in self.ids for day in range(days)}

    def minutes(self, seed_id: str, day: int, first: int, stop: int) -> npt.NDArray[np.int32]:
        """Return the samples of some minutes of a day."""
        size = len(self.noise)
        number = np.arange(first, stop)
        # A different turn for each minute, without a table of them.
        turn = (number * 7919 + day * 104_729) % size
        at = (np.arange(size)[None, :] + turn[:, None]) % size
        loud = self.loudness[seed_id][number // 60]
        return (self.noise[at] * loud[:, None] + self.offset[seed_id]).ravel().astype(np.int32)

    def traces(self, seed_id: str, day: int) -> Stream:
        """Return what is there of a day, and then what is there twice."""
        network, station, location, channel = seed_id.split(".")
        planned = self.plan[seed_id, day]
        midnight = (self.start + day) * DAY_NS
        return Stream(
            Trace(
                self.minutes(seed_id, day, first, stop),
                {
                    "network": network,
                    "station": station,
                    "location": location,
                    "channel": channel,
                    "starttime": UTCDateTime(ns=midnight + first * 60 * 10**9),
                    "sampling_rate": self.rate,
                },
            )
            for first, stop in [*planned.there, *planned.twice]
        )

    def write(self, root: Path, *, record_length: int = 512) -> Iterator[Path]:
        """Write the day files of an SDS archive (Steim-2), and go through them.

        Parameters
        ----------
        root : Path
        record_length : int
            Bytes.
        """
        for (seed_id, day), planned in self.plan.items():
            if not planned.there:
                continue
            path = root / place(seed_id, self.start + day)
            path.parent.mkdir(parents=True, exist_ok=True)
            out = io.BytesIO()
            self.traces(seed_id, day).write(out, format="MSEED", encoding="STEIM2", reclen=record_length)
            path.write_bytes(out.getvalue())
            # The index does not trust a file that was written this very second.
            then = path.stat().st_mtime - 60
            os.utime(path, (then, then))
            yield path

    def truth(self) -> Dataset:
        """Return what `quality.completeness` and `quality.rms` have to find, by channel and day."""
        from xarray import Dataset

        rows = [[self._measured(seed_id, day) for day in range(self.days)] for seed_id in self.ids]
        time = (self.start + np.arange(self.days)) * DAY_NS
        return Dataset(
            {
                name: (("channel", "time"), np.array([[day[name] for day in row] for row in rows]))
                for name in rows[0][0]
            },
            {"channel": self.ids, "time": time.view("datetime64[ns]")},
        )

    def _measured(self, seed_id: str, day: int) -> dict[str, Any]:
        planned = self.plan[seed_id, day]
        there = [number for first, stop in planned.there for number in range(first, stop)]
        gaps = [
            following - before
            for before, following in zip(
                [0, *(stop for _, stop in planned.there)],
                [*(first for first, _ in planned.there), _MINUTES],
                strict=True,
            )
            if following > before
        ]
        twice = [stop - first for first, stop in planned.twice]
        count = len(there) * len(self.noise)
        squares = int((self.noise**2).sum())
        loud = [int(self.loudness[seed_id][number // 60]) for number in there]
        variance = Fraction(squares * sum(one * one for one in loud), max(count, 1))
        peak = int(self.noise.max()) * max(loud, default=0)
        return {
            "percent_availability": 100.0 * len(there) / _MINUTES,
            "num_gaps": len(gaps),
            "max_gap": 60.0 * max(gaps, default=0),
            "num_overlaps": len(twice),
            "max_overlap": 60.0 * max(twice, default=0),
            "num_samples": count + sum(twice) * len(self.noise),
            "sample_mean": float(self.offset[seed_id]) if there else np.nan,
            "sample_rms": float(variance) ** 0.5 if there else np.nan,
            "sample_min": float(self.offset[seed_id] - peak) if there else np.nan,
            "sample_max": float(self.offset[seed_id] + peak) if there else np.nan,
        }


def known(root: str | Path, *, record_length: int = 512, **options: Any) -> Known:
    """Write an archive, and return what is known of it.

    Parameters
    ----------
    root : path
    record_length : int
        Bytes.
    **options
        Those of `Known`.

    Examples
    --------
    >>> import tempfile
    >>> made = known(tempfile.mkdtemp(), channels=2, days=3)
    >>> made.truth()["percent_availability"].shape
    (2, 3)
    """
    made = Known(**options)
    for _ in made.write(Path(root), record_length=record_length):
        pass
    return made


def _planned(random: np.random.Generator) -> Day:
    """Plan a day: most are whole, some have gaps or overlaps, some are missing."""
    kind = random.choice(
        ["whole", "gaps", "late", "twice", "mixed", "missing"], p=[0.62, 0.12, 0.06, 0.08, 0.06, 0.06]
    )
    if kind == "missing":
        return Day([])
    if kind == "whole":
        return Day()
    cuts = np.sort(random.choice(np.arange(1, _MINUTES), 6, replace=False)).tolist()
    if kind == "late":
        return Day([(cuts[0], _MINUTES)])
    there = [(0, cuts[0]), (cuts[1], cuts[2]), (cuts[3], _MINUTES)] if kind != "twice" else [(0, _MINUTES)]
    twice = [(cuts[4], cuts[5])] if kind in ("twice", "mixed") else []
    return Day(there, twice)


@click.command()
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--channels", default=6, show_default=True, help="How many channels.")
@click.option("--days", default=30, show_default=True, help="How many days.")
@click.option("--rate", default=1, show_default=True, help="Samples a second.")
@click.option("--start", default="2024-01-01", show_default=True, help="First day.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same archive.")
@click.option("--record-length", default=512, show_default=True, help="Bytes.")
@click.option(
    "--truth", type=click.Path(path_type=Path), help="Where to write the truth: .nc, .zarr or .csv."
)
def main(root: Path, truth: Path | None, record_length: int, **options: Any) -> None:
    """Write an archive of which everything is known beforehand."""
    from workbench import wire

    made = Known(**options)
    with click.progressbar(made.write(Path(root), record_length=record_length), label="files") as files:
        size = sum(path.stat().st_size for path in files)
    click.echo(f"{len(made.ids)} channels, {made.days} days, {size / 2**20:.1f} MiB")
    if truth is not None:
        replace_file(truth, wire.encode(made.truth(), truth.suffix))


if __name__ == "__main__":
    main()
