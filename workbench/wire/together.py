"""Parts put together: what the whole would have given, from what its parts gave.

The result depends on what the parts hold, and not on their order, nor on how
many they are.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from obspy import Stream, Trace, UTCDateTime

from workbench import wire
from workbench.nouns import NOUNS, Events, Table
from workbench.wire.joined import joined
from workbench.wire.packed import Packed, texts
from workbench.wire.pieces import Piece, join
from workbench.wire.tables import ready

__all__ = ["together"]


def together(noun: str, parts: Iterable[Packed], *, grid: int = 0) -> Any:
    """Put the parts of a result together.

    Parameters
    ----------
    noun : str
        What the parts are.
    parts : iterable of Packed
        In any order.  Gone through twice for some nouns, so a generator will not
        do; what goes through files need have only one of them in memory.
    grid : int
        Nanoseconds between the times of a dataset, as its kernel declares it; 0
        is none.

    Returns
    -------
    object
        The noun; an empty one if there are no parts.

    Raises
    ------
    BadInput
        If parts do not belong together.

    Examples
    --------
    >>> import obspy
    >>> from workbench.wire.clip import clip
    >>> from workbench.wire.packed import pack
    >>> stream = obspy.read()
    >>> begin, edge = stream[0].stats.starttime.ns, stream[0].stats.starttime.ns + 7 * 10**9
    >>> parts = [pack(clip(stream, edge, 2**62)), pack(clip(stream, begin, edge))]
    >>> [len(trace) for trace in together("Waveforms", parts)]
    [3000, 3000, 3000]
    """
    if noun == "Waveforms":
        return _waveforms(parts)
    if noun == "Dataset":
        return joined(parts, grid)
    kind = _class(noun)
    if issubclass(kind, Table):
        return ready(kind, _frame(kind, parts))
    found = [(noun, _read(noun, part)) for part in parts]
    if not found:
        return kind()
    merged = wire.codec(noun).merge(found)
    if noun == "Events":
        from workbench.wire.events import in_order

        return Events(in_order(merged))
    return merged


def _class(noun: str) -> Any:
    module, _, name = NOUNS[noun].rpartition(".")
    return getattr(importlib.import_module(module), name)


def _read(noun: str, part: Packed) -> Any:
    data = part.arrays[0].tobytes()
    if not part.head["size"]:
        return _class(noun)()
    return wire.codec(noun).read(data, noun.lower(), wire.sniff(data, noun.lower())[1])


def _waveforms(parts: Iterable[Packed]) -> Stream:
    pieces: list[Piece] = []
    said: set[tuple[str, ...]] = set()
    for part in parts:
        if part.arrays:
            said.add(tuple(part.head["processing"]))
        for (seed_id, start, rate), data in zip(part.head["traces"], part.arrays, strict=True):
            pieces.append(Piece(seed_id, start, rate, data))
    stream = Stream()
    for piece in join(pieces):
        network, station, location, channel = piece.id.split(".")
        header: dict[str, Any] = {
            "network": network,
            "station": station,
            "location": location,
            "channel": channel,
            "starttime": UTCDateTime(ns=piece.start),
            "sampling_rate": piece.rate,
        }
        if len(said) == 1 and (done := list(next(iter(said)))):
            header["processing"] = done
        stream.append(Trace(np.require(piece.data, requirements=["C", "W", "O"]), header))
    return stream


def _frame(kind: type[Table], parts: Iterable[Packed]) -> pd.DataFrame:
    """Return the rows of all parts, in an order that follows from the rows alone."""
    orders: dict[tuple[str, ...], None] = {}
    cells: dict[str, list[npt.NDArray[Any]]] = {}
    strings: set[str] = set()
    rows = 0
    for part in parts:
        orders[tuple(name for name, _ in part.head["columns"])] = None
        count = part.head["rows"]
        for (name, form), array in zip(part.head["columns"], part.arrays, strict=True):
            column = cells.setdefault(name, [])
            if form == "str":
                strings.add(name)
            if count:
                _fill(column, rows)
                column.append(_cells(form, array))
            elif not column and rows == 0:
                column.append(_cells(form, array))
        rows += count
    if not orders:
        return kind().table
    extra = {name for order in orders for name in order if name not in kind.columns}
    listed = next(iter(orders)) if len(orders) == 1 else (*kind.columns, *sorted(extra))
    columns = {name: _column(cells.get(name, []), rows) for name in listed}
    frame = pd.DataFrame({name: _series(cells, name in strings) for name, cells in columns.items()})
    keys = ["time", *(name for name in listed if name != "time")]
    return frame.sort_values(
        keys,
        kind="stable",
        ignore_index=True,
        key=lambda one: one.astype(object).where(one.notna(), "") if one.dtype.kind == "O" else one,
    )


def _cells(form: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if form in ("text", "str"):
        return np.array(texts(array), object)
    kind = np.dtype(form)
    return array.view(kind) if kind.kind == "M" else array


def _fill(column: list[npt.NDArray[Any]], rows: int) -> None:
    """Leave those rows empty that came before a part which has this column."""
    short = rows - sum(map(len, column))
    if short:
        column.append(np.full(short, None, object))


def _column(column: list[npt.NDArray[Any]], rows: int) -> npt.NDArray[Any]:
    _fill(column, rows)
    full = [cells for cells in column if len(cells)] or column[:1]
    if not full:
        return np.empty(0, object)
    kinds = {cells.dtype.kind for cells in full}
    if "O" in kinds and len(kinds) > 1:
        numbers = kinds <= set("Oiuf") and _only_none(full)
        full = [cells.astype(np.float64 if numbers else object) for cells in full]
    return np.concatenate(full)


def _series(cells: npt.NDArray[Any], string: bool) -> pd.Series[Any]:
    """Make a column of the type that it had: pandas has two for texts."""
    return pd.Series(cells, dtype="str" if string and cells.dtype == object else cells.dtype)


def _only_none(column: list[npt.NDArray[Any]]) -> bool:
    """Whether the texts of a column are all empty cells, so that its numbers stay numbers."""
    return all(cell is None for cells in column if cells.dtype == object for cell in cells.tolist())
