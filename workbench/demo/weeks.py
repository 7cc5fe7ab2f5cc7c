"""A network that records for days or weeks, and all its earthquakes.

``python -m workbench.demo.weeks FOLDER --days 14``

Hours are generated one by one, faded into each other, and written as they come:
memory does not grow with the days.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from obspy import Catalog, Stream, UTCDateTime

from workbench.archive import Archive
from workbench.archive.files import replace_file
from workbench.demo.network import MODEL, network_sequence
from workbench.identifiers import public_id
from workbench.notices import listen, progress

__all__ = ["MODEL", "main", "weeks"]

_HOUR_S = 3600
_FADE_S = 20.0
"""How long one hour's noise turns into that of the next, s."""


def weeks(
    root: str | Path,
    *,
    days: float = 14.0,
    n_stations: int = 6,
    per_hour: float = 2.0,
    rate: float = 50.0,
    start: str = "2024-01-01",
    seed: int = 1,
) -> tuple[Archive, Catalog]:
    """Generate an archive of a local network.

    Parameters
    ----------
    root : path
        Folder of the archive.
    days : float
        How long it records; at least an hour.
    n_stations : int
        With three components each.
    per_hour : float
        Earthquakes in an hour, on average.
    rate : float
        Samples a second.
    start : str
        Time of the first sample, UTC.
    seed : int
        The same seed gives the same samples.

    Returns
    -------
    archive : Archive
        With StationXML.
    truth : Catalog
        Origins, magnitudes and arrivals.

    Examples
    --------
    >>> import tempfile
    >>> archive, truth = weeks(tempfile.mkdtemp(), days=1 / 24, n_stations=3, rate=20.0)
    >>> one = archive.get_waveforms("XX", "*", "*", "HHZ", "2024-01-01", "2024-01-01T01:00:00")
    >>> [trace.stats.npts for trace in one]
    [72000, 72000, 72000]
    """
    archive, last = Archive(root), Stream()
    truth = Catalog(resource_id=public_id("catalog", "generated", seed, days, n_stations, per_hour, rate))
    begin, numbers = UTCDateTime(start), range(max(round(days * 24), 1))
    random = np.random.default_rng([seed, 0])
    for hour in numbers:
        progress(hour / len(numbers), f"generating {begin + hour * _HOUR_S}")
        made = network_sequence(
            seed=seed,
            part=hour + 1,
            n_stations=n_stations,
            n_events=int(random.poisson(per_hour)),
            duration_s=_HOUR_S + _FADE_S,
            rate=rate,
            start=str(begin + hour * _HOUR_S),
            magnitudes=(1.3, round(1.5 + min(random.exponential(0.6), 2.5), 1)),
        )
        if not hour:
            archive.stations.add(made.stations)
        archive.write(_faded(last, made.waveforms))
        truth.extend(made.truth)
        last = made.waveforms
    return archive, truth


def _faded(last: Stream, now: Stream) -> Stream:
    """Return an hour, whose beginning is what the last one fades into."""
    hour = now.copy()
    for number, trace in enumerate(hour):
        fade = round(_FADE_S * trace.stats.sampling_rate)
        if last:
            # The squares of the weights add up to one, as those of two noises do.
            turn = np.linspace(0, np.pi / 2, fade)
            mixed = np.cos(turn) * last[number].data[-fade:] + np.sin(turn) * trace.data[:fade]
            trace.data[:fade] = np.rint(mixed)
        trace.data = trace.data[:-fade]
    return hour


@click.command()
@click.argument("root", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False))
@click.option("--days", type=float, default=14.0, show_default=True, help="How long it records.")
@click.option("--stations", "n_stations", type=int, default=6, show_default=True)
@click.option("--per-hour", type=float, default=2.0, show_default=True, help="Earthquakes in an hour.")
@click.option("--rate", type=float, default=50.0, show_default=True, help="Samples a second.")
@click.option(
    "--truth", type=click.Path(path_type=Path, dir_okay=False), help="Write the earthquakes here, as QuakeML."
)
def main(root: Path, truth: Path | None, **options: Any) -> None:
    """Generate days or weeks of a local network in FOLDER, with known earthquakes."""
    from workbench import wire

    with click.progressbar(length=100, label="hours") as bar:

        def show(done: float, _: str) -> None:
            bar.update(round(100 * done) - bar.pos)

        with listen(on_progress=show):
            _, events = weeks(root, **options)
        bar.update(100 - bar.pos)
    if truth is not None:
        replace_file(truth, wire.encode(events, truth.suffix))
    click.echo(f"{root}: {len(events)} earthquakes")


if __name__ == "__main__":
    main()
