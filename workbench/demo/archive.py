"""The demonstration archive: recordings that ship inside ObsPy, and a generated sequence of known truth."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import obspy
from obspy import Catalog, Inventory, Stream, UTCDateTime

from workbench.archive import Archive
from workbench.archive.files import make_folder, replace_file
from workbench.demo.network import Sequence, network_sequence

__all__ = ["LABELS", "SEQUENCE", "SPAN", "Label", "build", "truth"]

SPAN = "2024-01-01T00:00:00/2024-01-01T00:10:00"
"""Of the generated sequence."""

SEQUENCE = f"XX.*.*.HH?@{SPAN}"
"""Selection of the generated sequence."""


@dataclass(frozen=True, slots=True)
class Label:
    """One part of the archive, and what it is.

    Attributes
    ----------
    kind : {'recorded', 'generated'}
    what : str
        In words.
    selection : str
        How to get it.
    origin : str
        Where it comes from.
    files : tuple of str
        Waveforms, relative to ObsPy's package.
    stations : str
        StationXML, relative to ObsPy's package; empty for none.
    """

    kind: Literal["recorded", "generated"]
    what: str
    selection: str
    origin: str
    files: tuple[str, ...] = ()
    stations: str = ""


_SHIPPED = "ObsPy's test data, as installed with it"
_UNTERHACHING = tuple(
    f"signal/tests/data/BW.{name}.D.2010.147.cut.slist.gz"
    for name in ("UH1._.SHZ", "UH2._.SHZ", "UH3._.SHZ", "UH3._.SHN", "UH3._.SHE", "UH4._.EHZ")
)

LABELS = (
    Label(
        "generated",
        "Ten minutes of a network of 12 stations with earthquakes, computed; events/ has their truth. "
        "No such stations and no such earthquakes exist.",
        SEQUENCE,
        "workbench.demo.network_sequence, seed 1",
    ),
    Label(
        "recorded",
        "A local earthquake at Jochberg, Bavaria, 2009-08-24; three components, with response.",
        "BW.RJOB..EH?@2009-08-24T00:20:03/2009-08-24T00:20:33",
        "ObsPy's example, obspy.read() and obspy.read_inventory()",
    ),
    Label(
        "recorded",
        "Local earthquakes at Unterhaching, Bavaria, 2010-05-27, on four stations; no station metadata.",
        "BW.UH?..?H?@2010-05-27T16:24:03/2010-05-27T16:27:55",
        _SHIPPED,
        _UNTERHACHING,
    ),
    Label(
        "recorded",
        "Three hours at Ulaanbaatar, Mongolia, 2015-07-18, one sample a second, with response.",
        "IU.ULN.00.LH1@2015-07-18T02:27:33/2015-07-18T05:27:33",
        _SHIPPED,
        ("core/tests/data/IU_ULN_00_LH1_2015-07-18T02.mseed",),
        "core/tests/data/IU_ULN_00_LH1.xml",
    ),
    Label(
        "recorded",
        "Eight minutes of infrasound in Hawaii, 2020-10-31, with response.",
        "IM.I59H1..BDF@2020-10-31T00:00:00/2020-10-31T00:07:41",
        _SHIPPED,
        ("signal/tests/data/IM.I59H1..BDF_2020_10_31.mseed",),
        "signal/tests/data/IM.I59H1..BDF_2020_10_31.xml",
    ),
    Label(
        "recorded",
        "A day at Balsthal, Switzerland, 2025-11-10, one sample a second; no station metadata.",
        "CH.BALST..LHE@2025-11-10T00:02:53/2025-11-11T00:01:56",
        _SHIPPED,
        ("io/mseed/tests/data/CH.BALST..LHE.D.2025.314",),
    ),
)
"""What the archive holds."""


def truth(archive: Archive) -> Catalog:
    """Return the truth behind the generated sequence of an archive."""
    start, end = SPAN.split("/")
    return archive.get_events(UTCDateTime(start), UTCDateTime(end))


def build(root: Path) -> Archive:
    """Build the archive; one that is complete stays as it is.

    Another version of the workbench may generate other samples, which must
    not get between those that are there.
    """
    archive = Archive(root)
    if (root / "labels.json").is_file():
        return archive
    made = network_sequence(seed=1, n_stations=12, n_events=5, duration_s=600.0)
    for label in LABELS:
        waveforms, stations, events = _content(label, made)
        archive.write(waveforms)
        if len(stations):
            archive.stations.add(stations)
        if len(events):
            archive.events.add(events)
    make_folder(root)
    replace_file(root / "README.md", _readme().encode())
    # The labels come last: their being there says that all of it is.
    rows = [_row(label) for label in LABELS]
    replace_file(root / "labels.json", (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
    return archive


def _content(label: Label, made: Sequence) -> tuple[Stream, Inventory, Catalog]:
    if label.kind == "generated":
        return made.waveforms, made.stations, made.truth
    if not label.files:
        example = obspy.read_inventory().select(network="BW", station="RJOB")
        return obspy.read(), example, Catalog()
    home = Path(obspy.__file__).parent
    waveforms = Stream()
    for name in label.files:
        waveforms += obspy.read(str(home / name))
    stations = obspy.read_inventory(str(home / label.stations)) if label.stations else Inventory(networks=[])
    return waveforms, stations, Catalog()


def _row(label: Label) -> dict[str, object]:
    row = asdict(label)
    row["from"] = row.pop("origin")
    return row


def _readme() -> str:
    rows = "\n".join(f"| {item.kind} | {item.what} | `{item.selection}` | {item.origin} |" for item in LABELS)
    return (
        "# The demonstration archive\n\n"
        "SDS, with StationXML in `stations/` and QuakeML in `events/`. "
        "The same list for programs: `labels.json`.\n\n"
        "| kind | what | selection | from |\n| --- | --- | --- | --- |\n"
        f"{rows}\n"
    )
