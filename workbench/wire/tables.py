"""CSV and JSON of the nouns that are tables, the same each time to the byte."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from workbench.errors import BadInput, UnreadableFile
from workbench.nouns import Table
from workbench.wire.times import iso

__all__ = ["read_csv", "read_json", "ready", "rows_of_csv", "write_csv", "write_json"]

T = TypeVar("T", bound=Table)

_TEXT = frozenset({"channel", "event", "polarity", "pick", "method", "id", "stations"})
"""Further columns that stay text even when they look like numbers."""


_CODE = re.compile(r"[+-]?0\d|.*_|\+")
"""What Python would take for a number and is a code: 00 and 007, 1_0, +1."""


def rows_of_csv(data: bytes, name: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV, all as text.

    Raises
    ------
    UnreadableFile
        If it is no text, or a row has more cells than the header.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(name, f"is no UTF-8 text (byte {error.start})", "Save it as UTF-8.") from error
    try:
        lines = [
            row for row in csv.reader(io.StringIO(text, newline="")) if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise UnreadableFile(name, f"is no CSV ({error})", "Check the quotes.") from error
    if not lines:
        raise UnreadableFile(name, "is empty", "Give a header and rows.")
    header = [cell.strip().lower() for cell in lines[0]]
    twice = {cell for cell in header if header.count(cell) > 1}
    if twice:
        raise UnreadableFile(name, f"has the column '{min(twice)}' twice", "Give each column once.")
    for number, row in enumerate(lines[1:], 2):
        if len(row) > len(header):
            raise UnreadableFile(
                name, f"row {number} has {len(row)} cells for {len(header)} columns", "Check the commas."
            )
    width = len(header)
    return header, [[cell.strip() for cell in row] + [""] * (width - len(row)) for row in lines[1:]]


def read_csv(kind: type[T], data: bytes, name: str) -> T:
    """Read a table; absent columns become empty, further ones are kept."""
    header, rows = rows_of_csv(data, name)
    columns: dict[str, Any] = {}
    for index, column in enumerate(header):
        cells = [row[index] for row in rows]
        columns[column] = _typed(column, cells, kind.columns.get(column))
    return _build(kind, columns, name)


def ready(kind: type[T], frame: pd.DataFrame) -> T:
    """Make a table of a frame that has the form of one already, without looking at it again."""
    made = kind.__new__(kind)
    made.table = frame
    return made


def write_csv(table: Table, *, canonical: bool = False) -> bytes:
    """Write a table as CSV; numbers with the fewest digits that give them back."""
    frame = table.table
    names = _ordered(table) if canonical else list(frame.columns)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    columns = [_cells(frame[name]) for name in names]
    if canonical:
        # Text that looks like numbers is written as it will be read.
        columns = [
            _cells(pd.Series(_typed(name, cells, None)))
            if name not in table.columns and frame[name].dtype.kind == "O"
            else cells
            for name, cells in zip(names, columns, strict=True)
        ]
    rows: list[tuple[str, ...]] = list(zip(*columns, strict=True))
    if canonical:
        # Rows that agree in the fixed columns may still differ in the further ones.
        at = names.index("time")
        rows.sort(key=lambda row: (row[at], row))
    writer.writerows(rows)
    return out.getvalue().encode()


def write_json(table: Table) -> bytes:
    """Write a table as JSON: a list of rows, empty cells left out."""
    names = list(table.table.columns)
    cells = [_values(table.table[name]) for name in names]
    rows = [
        {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for row in (zip(*cells, strict=True) if len(table) else ())
    ]
    return json.dumps({"noun": table.noun, "rows": rows}, separators=(",", ":")).encode() + b"\n"


def read_json(kind: type[T], data: bytes, name: str) -> T:
    """Read what `write_json` writes."""
    try:
        rows = json.loads(data)["rows"]
        columns: dict[str, Any] = {}
        for key in dict.fromkeys(key for row in rows for key in row):
            cells = ["" if row.get(key) is None else str(row[key]) for row in rows]
            columns[key] = _typed(key, cells, kind.columns.get(key))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableFile(name, f"is no JSON of {kind.noun} ({error})", "Use CSV.") from error
    return _build(kind, columns, name)


def _build(kind: type[T], columns: dict[str, Any], name: str) -> T:
    try:
        return kind(pd.DataFrame(columns))
    except BadInput as error:
        raise BadInput(name, error.problem, error.remedy) from error


def _typed(column: str, cells: Sequence[str], fixed: type | None) -> Any:
    if fixed is str:
        # FDSN writes the empty location code as two hyphens.
        return ["" if column == "location" and cell == "--" else cell for cell in cells]
    if fixed is np.datetime64:
        return [cell or None for cell in cells]
    if fixed is None and column in _TEXT:
        return list(cells)
    if fixed is None and any(_CODE.match(cell) for cell in cells):
        return list(cells)
    empty = [cell in ("", "nan", "NaN") for cell in cells]
    try:
        numbers = [math.nan if gone else float(cell) for cell, gone in zip(cells, empty, strict=True)]
    except ValueError:
        return list(cells)
    whole = fixed is None and not any(empty) and all(_is_whole(cell) for cell in cells)
    return [int(cell) for cell in cells] if whole and cells else numbers


def _is_whole(cell: str) -> bool:
    return cell.removeprefix("-").isascii() and cell.removeprefix("-").isdigit() and len(cell) < 18


def _ordered(table: Table) -> list[str]:
    return [*table.columns, *sorted(name for name in table.table.columns if name not in table.columns)]


def _values(column: pd.Series[Any]) -> list[Any]:
    """Values as JSON has them; None for what it has not."""
    kind = column.dtype.kind
    if kind == "M":
        return [cell or None for cell in _cells(column)]
    if kind == "f":
        return [value if math.isfinite(value) else None for value in column.tolist()]
    if kind in "iub":
        return list(column.tolist())
    return [cell or None for cell in _cells(column)]


def _cells(column: pd.Series[Any]) -> list[str]:
    kind = column.dtype.kind
    if kind == "M":
        return ["" if ns == np.iinfo(np.int64).min else iso(ns) for ns in column.astype("int64").tolist()]
    if kind == "f":
        return ["" if math.isnan(value) else repr(value) for value in column.tolist()]
    return ["" if value is None or value != value else str(value) for value in column.tolist()]
