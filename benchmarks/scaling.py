"""From measured constants to the sizes of docs/scale.md: the arithmetic, its tables and its figure."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
NUMBERS = DOCS / "scale.json"
PAGE = DOCS / "scale.md"
FIGURE = DOCS / "scale.svg"

YEAR = 365
WEEK = 7
"""Days of a tile at 100 Hz, beyond which memory has it cut again."""

WORDS = {
    "file_bytes": "a day file: 100 Hz, Steim-2, records of 512 bytes, white noise",
    "headers_s": "its headers read into a new index",
    "survey_s": "headers, completeness and RMS of it, in one pass",
    "index_bytes": "what the index holds of it",
    "store_index_s": "of the headers, what is writing into the index",
    "index_new_s": "a file of one record read into a new index: what any file costs",
    "listing_s": "a file found and looked at in the tree, when it is known already",
    "answer_s": "completeness of a channel-day from the index, listing included",
    "plan_s": "a tile planned, listing included",
    "plan_growth": "the same of ten times as many tiles, each: how many times more",
    "client_s": "a tile sent and accounted for by whoever asked, planning included",
    "scheduler_s": "a tile in the scheduler",
    "resting": "share of a core that the scheduler takes for a worker at rest",
    "worker_s": "a tile in a worker beside its kernel: claim, a record read, result written",
    "store_s": "of that, claim, write and release in a store of 20,000 tiles",
    "store_growth": "the same as in a store of 1,000 tiles: how many times more",
    "reuse_s": "a finished tile found again",
    "collect_s": "a tile looked at when the store is tidied up",
    "merge_s": "a tile read back and put together with the others",
    "result_bytes": "the RMS of a channel-day as a tile: the day and its 24 hours",
    "scheduler_bytes": "memory of a tile in the scheduler, as long as it is among the last 50 of its worker",
    "efficiency": "of the simulated workers' time spent in kernels, all on one machine of two cores",
    "event_s": "an event added to the catalogue and forced to disk (time that passes)",
}
"""The constants, in words, in the order of the table."""

_SHARES = {"resting", "plan_growth", "store_growth", "efficiency"}


@dataclass(frozen=True)
class Place:
    """A size, and what it is assumed to have."""

    name: str
    channels: int
    cores: int
    read_gb_s: float
    users: int


PLACES = (
    Place("one host", 50, 16, 0.5, 20),
    Place("a network", 500, 128, 2, 50),
    Place("a national centre", 10_000, 1_000, 10, 300),
    Place("a world's centre", 100_000, 10_000, 50, 1_000),
)


def parts(found: dict[str, float], place: Place, days: int = 1) -> dict[str, float]:
    """Return how long each part of the machinery has to do with RMS and completeness of a year, s.

    Parameters
    ----------
    found : dict
        The constants.
    place : Place
    days : int
        Of a tile.
    """
    files = place.channels * YEAR
    tiles = files / days
    own = max(found["client_s"] - found["plan_s"], 0.0)
    return {
        "kernels, on all cores": (files * found["survey_s"] + tiles * found["worker_s"]) / place.cores,
        "reading the archive": files * found["file_bytes"] / (place.read_gb_s * 1e9),
        # Each tile's files are listed, however long it is.
        "planning": files * found["listing_s"] + tiles * max(found["plan_s"] - found["listing_s"], 0.0),
        "sending and accounting": tiles * own,
        "one scheduler": tiles * found["scheduler_s"],
        "putting together": tiles * found["merge_s"],
    }


def tables(found: dict[str, float]) -> dict[str, str]:
    """Return the tables of the page by their names."""
    heads = [f"{one.name}: {one.channels:,} channels" for one in PLACES]
    return {
        "constants": _table(
            ["a constant", "measured"],
            [[words, _value(name, found[name])] for name, words in WORDS.items()],
        ),
        "assumed": _table(
            ["assumed", *heads],
            [
                ["cores of workers", *(f"{one.cores:,}" for one in PLACES)],
                ["the archive reads", *(f"{one.read_gb_s:g} GB/s" for one in PLACES)],
                ["users", *(f"{one.users:,}" for one in PLACES)],
            ],
        ),
        "held": _table(["follows", *heads], _held(found)),
        "day": _year(found, 1),
        "week": _year(found, WEEK),
        "schedulers": _table(["follows", *heads], _schedulers(found)),
    }


def _held(found: dict[str, float]) -> list[list[str]]:
    def row(words: str, each: float, times: int, form: str) -> list[str]:
        say = _bytes if form == "bytes" else _seconds
        return [words, *(say(each * times * one.channels) for one in PLACES)]

    return [
        row("data of a day", found["file_bytes"], 1, "bytes"),
        row("data of ten years", found["file_bytes"], 10 * YEAR, "bytes"),
        ["day files of ten years", *(f"{one.channels * 10 * YEAR:,}" for one in PLACES)],
        row("index of a day", found["index_bytes"], 1, "bytes"),
        row("index of ten years", found["index_bytes"], 10 * YEAR, "bytes"),
        ["10 TB a day are so many channels", "", "", "", f"{round(10e12 / found['file_bytes'], -4):,.0f}"],
        row("one core reads a day's new headers in", found["headers_s"], 1, "time"),
        row("one core indexes ten years anew in", found["headers_s"], 10 * YEAR, "time"),
        row("completeness of all, a year, from the index", found["answer_s"], YEAR, "time"),
        ["the same of 100 channels", *([_seconds(found["answer_s"] * 100 * YEAR)] * len(PLACES))],
    ]


def _year(found: dict[str, float], days: int) -> str:
    columns = [parts(found, one, days) for one in PLACES]
    rows = [
        [name, *(_marked(column, name) for column in columns)]
        for name in sorted(columns[-1], key=lambda name: -columns[-1][name])
    ]
    tiles = [one.channels * YEAR / days for one in PLACES]
    rows.append(["tiles in the store", *(f"{number:,.0f}" for number in tiles)])
    size = found["result_bytes"] * days
    rows.append(["bytes in the store, at most", *(_bytes(number * size) for number in tiles)])
    return _table(
        [
            "a year's RMS, tiles of " + ("a day" if days == 1 else f"{days} days"),
            *(one.name for one in PLACES),
        ],
        rows,
    )


def _marked(column: dict[str, float], name: str) -> str:
    text = _seconds(column[name])
    return f"**{text}**" if column[name] == max(column.values()) else text


def _schedulers(found: dict[str, float]) -> list[list[str]]:
    rows = []
    for days in (1, WEEK):
        need = []
        for one in PLACES:
            took = parts(found, one, days)
            bound = max(took["kernels, on all cores"], took["reading the archive"])
            asking = took["planning"] + took["sending and accounting"] + took["putting together"]
            need.append(f"{max(1, math.ceil(max(took['one scheduler'], asking) / bound)):,}")
        words = "a day" if days == 1 else f"{days} days"
        rows.append(
            [f"clients with a scheduler each that keep cores and archive busy, tiles of {words}", *need]
        )
    return rows


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _value(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return _bytes(value)
    return f"{value:.2g}" if name in _SHARES else _seconds(value)


def _seconds(value: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)):
        if value >= 2 * size or (unit in ("s", "ms") and value >= size):
            return f"{_two(value / size)} {unit}"
    return f"{_two(value * 1e6)} µs"


def _bytes(value: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{_two(value / size)} {unit}"
    return f"{_two(value)} B"


def _two(value: float) -> str:
    """Write two digits, as no constant is known better."""
    if value == 0:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    return f"{round(value, 1 - math.floor(math.log10(abs(value)))):,.{digits}f}"


def page(text: str, found: dict[str, float]) -> str:
    """Return the page with its tables filled in."""
    for name, table in tables(found).items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, number = mark.subn(lambda hit, table=table: f"{hit[1]}{table}\n{hit[2]}", text)  # type: ignore[misc]
        if number != 1:
            raise ValueError(f"docs/scale.md has {number} places for the table '{name}'")
    return text


def figure(found: dict[str, float]) -> str:
    """Draw how long each part has to do, over the sizes, both on logarithmic axes."""
    width, height, left, top, right, bottom = 760, 430, 70, 50, 190, 60
    low, high = 0, 6  # one second to eleven days
    colours = ["#1b6ca8", "#c8553d", "#3a7d44", "#8e5ea2", "#b8860b", "#555555"]

    def x(channels: float) -> float:
        a, b = math.log10(PLACES[0].channels), math.log10(PLACES[-1].channels)
        return left + (math.log10(channels) - a) / (b - a) * (width - left - right)

    def y(seconds: float) -> float:
        share = (min(max(math.log10(seconds), low), high) - low) / (high - low)
        return height - bottom - share * (height - top - bottom)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'font-size="12" role="img">',
        "<title>RMS of a year in tiles of a day: how long each part has to do</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="24" font-size="14">',
        "RMS of a year in tiles of a day: how long each part has to do</text>",
    ]
    for seconds, words in ((1, "1 s"), (60, "1 min"), (3600, "1 h"), (86400, "1 day"), (864000, "10 days")):
        out.append(
            f'<line x1="{left}" x2="{width - right}" y1="{y(seconds):.1f}" y2="{y(seconds):.1f}" '
            'stroke="#ddd"/>'
            f'<text x="{left - 8}" y="{y(seconds) + 4:.1f}" text-anchor="end">{words}</text>'
        )
    out += [
        f'<text x="{x(one.channels):.1f}" y="{height - bottom + 20}" text-anchor="middle">'
        f"{one.channels:,}</text>"
        f'<text x="{x(one.channels):.1f}" y="{height - bottom + 36}" text-anchor="middle" fill="#666">'
        f"{one.name}</text>"
        for one in PLACES
    ]
    columns = [parts(found, one) for one in PLACES]
    ends: list[float] = []
    for colour, name in zip(colours, sorted(columns[-1], key=lambda name: columns[-1][name]), strict=True):
        line = " ".join(
            f"{x(one.channels):.1f},{y(column[name]):.1f}"
            for one, column in zip(PLACES, columns, strict=True)
        )
        # Names that would lie on each other move apart.
        at = min([y(columns[-1][name]) + 4, *(end - 15 for end in ends)])
        ends.append(at)
        out.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{width - right + 12}" y="{at:.1f}" fill="{colour}">{name}</text>'
        )
    return "\n".join([*out, "</svg>"]) + "\n"


def read() -> dict[str, float]:
    """Return the constants that were measured last."""
    found: dict[str, float] = json.loads(NUMBERS.read_text())
    return found


def write(found: dict[str, float]) -> None:
    """Keep the constants, and write what follows from them."""
    NUMBERS.write_text(
        json.dumps({name: float(f"{value:.4g}") for name, value in found.items()}, indent=1) + "\n"
    )
    kept = read()
    PAGE.write_text(page(PAGE.read_text(), kept))
    FIGURE.write_text(figure(kept))


if __name__ == "__main__":
    write(read())
