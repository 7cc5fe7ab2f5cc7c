"""Results as plain arrays: quick to write, to read, and to put together.

What one part of a larger work gives is packed into a few arrays and a little
JSON, with nothing in it that would have to be run to be read.  Unlike the forms
of the nouns it is no exchange format: it is read by the version that wrote it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench import wire
from workbench.errors import UnreadableFile
from workbench.nouns import Table
from workbench.wire.pieces import pieces

__all__ = ["HEAD_BYTES", "Packed", "dump", "head_of", "load", "pack", "texts"]

Array = npt.NDArray[Any]

_MAGIC = b"WBPART1\n"
_LEAD = struct.Struct("<8sIIIxxxxQ")
"""Magic, length and CRC of the head, CRC and length of the arrays."""

HEAD_BYTES = 64 * 1024
"""What is read first of a file: most heads fit into it."""


@dataclass(frozen=True, eq=False, slots=True)
class Packed:
    """One result: what JSON holds of it, and its arrays."""

    noun: str
    head: dict[str, Any]
    arrays: list[Array] = field(default_factory=list)

    def without(self, names: set[str]) -> Packed:
        """Return a dataset without some of its variables."""
        listed = zip(self.head["variables"], self.arrays, strict=True)
        kept = [(one, array) for one, array in listed if one["name"] not in names]
        return Packed(self.noun, {**self.head, "variables": [one for one, _ in kept]}, [a for _, a in kept])


def pack(value: Any) -> Packed:
    """Take a result apart.

    Raises
    ------
    BadInput
        If the noun cannot hold it in its canonical form.
    """
    noun = wire.noun(value)
    if isinstance(value, Table):
        return _table(noun, value.table)
    if noun == "Waveforms":
        found = pieces(value)
        done = {tuple(trace.stats.get("processing", ())) for trace in value}
        traces = [[piece.id, piece.start, piece.rate] for piece in found]
        head = {"traces": traces, "processing": list(done.pop()) if len(done) == 1 else []}
        return Packed(noun, head, [piece.data for piece in found])
    if noun == "Dataset":
        return _dataset(noun, value)
    return Packed(noun, {"size": len(value)}, [np.frombuffer(wire.canonical(value), np.uint8)])


def texts(array: Array) -> list[Any]:
    """Return the texts that were packed into an array of bytes."""
    found: list[Any] = json.loads(array.tobytes())
    return found


def dump(outputs: Mapping[str, Packed], more: Mapping[str, Any]) -> list[bytes | memoryview]:
    """Return what a file holds: results by name, and whatever JSON is said about them."""
    arrays = [np.ascontiguousarray(_little(array)) for item in outputs.values() for array in item.arrays]
    described = {
        name: {
            "noun": item.noun,
            "head": item.head,
            "arrays": [[_little(array).dtype.str, list(array.shape)] for array in item.arrays],
        }
        for name, item in outputs.items()
    }
    head = json.dumps({"outputs": described, "more": more}, separators=(",", ":")).encode()
    head += b" " * (-(len(head) + _LEAD.size) % 8)
    parts: list[bytes | memoryview] = []
    crc = size = 0
    for array in arrays:
        data = array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")
        padding = bytes(-len(data) % 8)
        parts += [data, padding] if padding else [data]
        crc = zlib.crc32(padding, zlib.crc32(data, crc))
        size += len(data) + len(padding)
    return [_LEAD.pack(_MAGIC, len(head), zlib.crc32(head), crc, size), head, *parts]


def head_of(data: bytes, name: str) -> tuple[dict[str, Any], int, int]:
    """Return the JSON of a file's head, where its arrays begin, and how many bytes the file has.

    `data` may be no more than the beginning; a head that is not all there gives
    an empty one, with how many bytes to read for it.
    """
    if len(data) < _LEAD.size:
        raise UnreadableFile(name, "is cut off", "It is made anew.")
    magic, length, crc, _, size = _LEAD.unpack_from(data)
    if magic != _MAGIC:
        raise UnreadableFile(name, "holds no packed results", "It is made anew.")
    begin = _LEAD.size + length
    if len(data) < begin:
        return {}, begin, begin + size
    head = data[_LEAD.size : begin]
    if zlib.crc32(head) != crc:
        raise UnreadableFile(name, "is damaged", "It is made anew.")
    found: dict[str, Any] = json.loads(head)
    return found, begin, begin + size


def load(data: bytes, name: str) -> tuple[dict[str, Packed], dict[str, Any]]:
    """Read what `dump` gave: the results by name, and what is said about them.

    Raises
    ------
    UnreadableFile
        If a byte of it is missing or has changed.
    """
    head, at, size = head_of(data, name)
    if len(data) != size or not head:
        raise UnreadableFile(name, "is cut off", "It is made anew.")
    if zlib.crc32(memoryview(data)[at:]) != _LEAD.unpack_from(data)[3]:
        raise UnreadableFile(name, "is damaged", "It is made anew.")
    found = {}
    for output, item in head["outputs"].items():
        arrays = []
        for kind, shape in item["arrays"]:
            count = int(np.prod(shape, dtype=np.int64))
            array = np.frombuffer(data, np.dtype(kind), count, at) if count else np.empty(0, np.dtype(kind))
            arrays.append(array.reshape(shape))
            at += array.nbytes + -array.nbytes % 8
        found[output] = Packed(item["noun"], item["head"], arrays)
    return found, head["more"]


def _little(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _text(values: list[Any]) -> Array:
    return np.frombuffer(json.dumps(values, separators=(",", ":")).encode(), np.uint8)


def _table(noun: str, frame: pd.DataFrame) -> Packed:
    columns, arrays = [], []
    for name in frame.columns:
        values = frame[name].to_numpy()
        if values.dtype.kind not in "iufbM":
            # None and NaN are both an empty cell.
            values = _text([None if cell is None or cell != cell else str(cell) for cell in values.tolist()])
            columns.append([str(name), "str" if isinstance(frame[name].dtype, pd.StringDtype) else "text"])
        else:
            columns.append([str(name), values.dtype.str])
            values = values.view(np.int64) if values.dtype.kind == "M" else values
        arrays.append(values)
    return Packed(noun, {"rows": len(frame), "columns": columns}, arrays)


def _dataset(noun: str, dataset: Any) -> Packed:
    from workbench.wire.dataset import plain

    variables, arrays = [], []
    for name, variable in dataset.variables.items():
        values = np.asarray(variable.values)
        kind = values.dtype.str
        shape = list(values.shape)
        if values.dtype.kind in "OUST":
            words = (item.decode() if isinstance(item, bytes) else item for item in values.ravel().tolist())
            kind, values = "text", _text([None if item is None else str(item) for item in words])
        elif values.dtype.kind in "mM":
            values = values.view(np.int64)
        arrays.append(values)
        variables.append(
            {
                "name": str(name),
                "dims": [str(dim) for dim in variable.dims],
                "shape": shape,
                "dtype": kind,
                "coordinate": name in dataset.coords,
                "attrs": plain(variable.attrs),
            }
        )
    sizes = {str(name): int(size) for name, size in dataset.sizes.items()}
    return Packed(noun, {"attrs": plain(dataset.attrs), "dims": sizes, "variables": variables}, arrays)
