"""Readers of the pick lists of recorded cases, and their stations and models.

Weights of analysts become uncertainties as HYPO71's manual describes them: 0 to 3
stand for onsets read within about 0.05, 0.1, 0.2 and 0.5 s; 4 and more are not used.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from obspy import UTCDateTime

from workbench import wire
from workbench.notices import listen
from workbench.nouns import Picks, Stations, VelocityModel
from workbench.wire import velocity

UNCERTAINTY_S = {0: 0.05, 1: 0.1, 2: 0.2, 3: 0.5}


def network(folder: Path) -> tuple[Stations, VelocityModel]:
    """Read ``stations.csv`` and ``model.csv``; stations without coordinates are left out."""
    with listen():
        return wire.read(folder / "stations.csv", "Stations"), velocity.load(folder / "model.csv")


def hypoinverse(path: Path, *, weights: bool = True) -> Picks:
    """Read the phases of a HYPOINVERSE Y2000 archive, without its header's hypocentre.

    Without `weights` every pick is given, and says nothing of how sure it is.
    """
    rows: list[dict[str, Any]] = []
    for line in path.read_text().splitlines()[1:]:
        if len(line) < 50 or line.startswith(("$", " ")):
            continue
        start = UTCDateTime(line[17:29])
        name = {"network": line[5:7].strip(), "station": line[:5].strip(), "channel": line[9:12].strip()}
        for phase, seconds, weight in (
            (line[13], line[29:34], line[16]),
            (line[46:48].strip()[:1], line[41:46], line[49]),
        ):
            if phase.strip() and seconds.strip():
                _add(rows, name | {"phase": phase, "time": start + float(seconds) / 100}, weight, weights)
    return Picks(rows)


def hypo71(path: Path, networks: dict[str, str], names: dict[str, str]) -> Picks:
    """Read HYPO71 phase cards; `networks` tells the network of a station, `names` corrects one."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text().splitlines():
        if len(line) < 24 or not line[0].isalpha():
            continue
        station = names.get(line[:4].strip(), line[:4].strip())
        start = UTCDateTime("20" + line[9:19].replace(" ", "0"))
        name = {"network": networks.get(station, ""), "station": station}
        if line[5] == "P":
            _add(rows, name | {"phase": "P", "time": start + float(line[19:24])}, line[7], True)
        if line[36:40].strip():
            _add(rows, name | {"phase": "S", "time": start + float(line[31:36])}, line[39], True)
    return Picks(rows)


def nonlinloc(path: Path) -> list[Picks]:
    """Read NonLinLoc phase files: one table an event, events part at blank lines."""
    events: list[Picks] = []
    for block in path.read_text().split("\n\n"):
        rows = []
        for line in block.splitlines():
            word = line.split()
            if len(word) < 11 or word[0].startswith("#"):
                continue
            code = word[0].split("_")
            rows.append(
                {
                    "network": code[0] if len(code) > 1 else "",
                    "station": code[1] if len(code) > 1 else code[0],
                    "channel": word[2],
                    "phase": word[4],
                    "time": UTCDateTime(word[6] + word[7]) + float(word[8]),
                    "uncertainty_s": float(word[10]),
                }
            )
        if rows:
            events.append(Picks(rows))
    return events


def quakemigrate(path: Path, networks: dict[str, str]) -> Picks:
    """Read a table of picks; a time of -1 is no pick."""
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if not row["PickTime"].startswith("-1")]
    return Picks(
        {
            "network": networks[row["Station"]],
            "station": row["Station"],
            "phase": row["Phase"],
            "time": row["PickTime"],
            "uncertainty_s": float(row["PickError"]),
        }
        for row in rows
    )


def _add(rows: list[dict[str, Any]], row: dict[str, Any], weight: str, weights: bool) -> None:
    number = int(weight) if weight.strip() else 0
    if not weights:
        rows.append(row)
    elif number in UNCERTAINTY_S:
        rows.append(row | {"uncertainty_s": UNCERTAINTY_S[number]})
