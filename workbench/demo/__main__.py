"""Build the demonstration archive, locate its earthquakes, and compare with the truth.

``python -m workbench.demo ARCHIVE --result FILE``
"""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from workbench.archive.files import replace_file
from workbench.calls import Policy, run
from workbench.demo.archive import SEQUENCE, SPAN, build, truth
from workbench.demo.comparison import Comparison, compare
from workbench.demo.network import MODEL
from workbench.errors import WorkbenchError
from workbench.settings import Settings

__all__ = ["main"]


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--result", type=click.Path(path_type=Path), help="Where to write the comparison, as JSON.")
def main(archive: Path, result: Path | None) -> None:
    """Show that a generated earthquake is found where it was put."""
    try:
        built = build(archive)
        call = {
            "process": "pipelines.earthquakes",
            "inputs": {
                "waveforms": {"selection": SEQUENCE},
                "stations": {"selection": f"XX.*.*.*@{SPAN}"},
                "velocity_model": MODEL.to_json(),
            },
        }
        found = run(call, Policy(settings=Settings(archive=archive))).value
        comparison = compare(found, truth(built))
    except WorkbenchError as error:
        raise click.ClickException(str(error)) from error
    _show(comparison)
    if result is not None:
        replace_file(result, (json.dumps(comparison.to_json(), indent=1) + "\n").encode())


def _show(comparison: Comparison) -> None:
    said, truth, difference = comparison.found, comparison.truth, comparison.difference
    table = Table(
        "",
        "origin time",
        "latitude",
        "longitude",
        "depth km",
        "magnitude",
        box=None,
        title="The largest earthquake of the generated sequence, located by pipelines.earthquakes",
        title_justify="left",
    )
    for name, row in (("found", said), ("truth", truth)):
        table.add_row(
            name,
            row.time,
            f"{row.latitude:.4f}",
            f"{row.longitude:.4f}",
            f"{row.depth_km:.1f}",
            "none" if row.magnitude is None else f"{row.magnitude:.2f}",
        )
    table.add_row(
        "difference",
        f"{difference.origin_time_s:+.2f} s",
        f"{difference.epicentre_km:.2f} km",
        "",
        f"{difference.depth_km:+.1f}",
        "none" if difference.magnitude is None else f"{difference.magnitude:+.2f}",
    )
    console = Console(width=110)
    console.print()
    console.print(table)
    console.print(f"Found {comparison.n_found} of the {comparison.n_true} earthquakes that are in it.")


if __name__ == "__main__":
    main()
