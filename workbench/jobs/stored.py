"""Datasets of many tiles as one Zarr store, written block by block.

What is written is what `workbench.wire.together` gives, but no more of it is in
memory than a block, and a tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.calls.files import replacing_folder
from workbench.jobs.results import Parts
from workbench.wire.joined import Frame, Variable, joined, labels_of
from workbench.wire.packed import Packed
from workbench.wire.quiet import quiet

__all__ = ["BLOCK", "write_store"]

BLOCK = 16 * 2**20
"""Bytes of a block of one variable: what is in memory, and what a chunk of the store holds."""


def write_store(parts: Parts, path: Path, grid: int = 0) -> None:
    """Write the datasets of many tiles as a Zarr store, whole or not at all.

    Parameters
    ----------
    parts : Parts
    path : Path
        A folder; one that is there is replaced.
    grid : int
        As for `workbench.wire.together.together`.

    Raises
    ------
    BadInput
        If the parts do not fit each other.
    """
    frame = Frame(parts, grid)
    large = {
        name
        for name, one in frame.variables.items()
        if name not in frame.axes and not frame.shared(one) and one.dtype.kind in "fiub"
    }
    with replacing_folder(path) as folder:
        store = folder / "store"
        _write_template(parts, frame, large, store, grid)
        for name in large:
            _fill(parts, frame, frame.variables[name], store)
        for item in list(store.iterdir()):
            item.replace(folder / item.name)
        store.rmdir()


def _chunks_of(frame: Frame, variable: Variable) -> tuple[int, ...]:
    """Return the shape of the chunks of a variable: as long in time as fits, few channels at once."""
    shape = list(frame.shape(variable))
    size = _kind(frame, variable).itemsize
    # Tiles differ in some dimensions; one of them, the channels, is cut first.
    order = sorted(range(len(shape)), key=lambda at: (variable.dims[at] == "time", at))
    chunk = shape.copy()
    for at in order:
        rest = math.prod(chunk[:at] + chunk[at + 1 :]) * size
        if rest * chunk[at] <= BLOCK:
            break
        chunk[at] = max(1, min(chunk[at], BLOCK // max(rest, 1)))
    return tuple(max(1, length) for length in chunk)


def _write_template(parts: Parts, frame: Frame, large: set[str], store: Path, grid: int) -> None:
    """Write everything but the values of the large variables."""
    import dask.array
    import xarray as xr

    small = joined(_Without(parts, large), grid)
    lazy = {}
    encoding: dict[str, dict[str, Any]] = {}
    for name in large:
        one = frame.variables[name]
        chunks = _chunks_of(frame, one)
        values = dask.array.zeros(frame.shape(one), dtype=_kind(frame, one), chunks=chunks)
        lazy[name] = (one.dims, values, one.attrs)
        encoding[name] = {"chunks": chunks}
    made = {name: lazy.get(name, small.get(name)) for name in frame.variables}
    coordinates = {name for name, one in frame.variables.items() if one.coordinate}
    whole = xr.Dataset(
        {name: one for name, one in made.items() if name not in coordinates},
        {name: one for name, one in made.items() if name in coordinates},
        small.attrs,
    )
    with quiet("", tell=False):
        whole.to_zarr(store, mode="w-", consolidated=True, zarr_format=3, compute=False, encoding=encoding)


def _fill(parts: Parts, frame: Frame, variable: Variable, store: Path) -> None:
    """Write the values of a variable, chunk by chunk; each tile is read for the chunks that it lies in."""
    import zarr

    array: Any = zarr.open_group(store, mode="r+", zarr_format=3)[variable.name]
    shape, chunks = frame.shape(variable), _chunks_of(frame, variable)
    kind = _kind(frame, variable)
    where: dict[tuple[int, ...], list[str]] = {}
    for key, places in _places(parts, frame, variable, chunks):
        for chunk in places:
            where.setdefault(chunk, []).append(key)
    absent = variable.absent
    if absent is None:
        absent = np.nan if kind.kind == "f" else 0
    last: tuple[str, Packed | None] = "", None
    for chunk in product(*(range(-(-length // step)) for length, step in zip(shape, chunks, strict=True))):
        begin = [at * step for at, step in zip(chunk, chunks, strict=True)]
        stop = [min(a + step, length) for a, step, length in zip(begin, chunks, shape, strict=True)]
        values = np.full([b - a for a, b in zip(begin, stop, strict=True)], absent, kind)
        for key in where.get(chunk, ()):
            if last[0] != key:
                last = key, parts.read(key)
            if last[1] is None:
                continue
            for _, index, found in frame.places(last[1], {variable.name}):
                _copy(values, begin, stop, index, found)
        array[tuple(slice(a, b) for a, b in zip(begin, stop, strict=True))] = values


def _copy(
    values: npt.NDArray[Any], begin: list[int], stop: list[int], index: Any, found: npt.NDArray[Any]
) -> None:
    """Put that part of a tile into a block that lies in it."""
    inner, outer = [], []
    for at, (a, b) in enumerate(zip(begin, stop, strict=True)):
        place = index[at]
        places = np.arange(place.start, place.stop) if isinstance(place, slice) else np.ravel(place)
        mine = np.flatnonzero((places >= a) & (places < b))
        if not len(mine):
            return
        inner.append(mine)
        outer.append(places[mine] - a)
    values[np.ix_(*outer)] = found[np.ix_(*inner)]


def _places(
    parts: Parts, frame: Frame, variable: Variable, chunks: tuple[int, ...]
) -> Iterator[tuple[str, set[tuple[int, ...]]]]:
    """Say in which chunks each tile lies."""
    for key in parts.keys:
        part = parts.read(key)
        if part is None:
            continue
        labels = labels_of(part)
        ranges = []
        for dim, step in zip(variable.dims, chunks, strict=True):
            at = frame.axes[dim].index(labels.get(dim)) // step
            ranges.append(np.unique(at).tolist())
        yield key, set(product(*ranges))


def _kind(frame: Frame, variable: Variable) -> np.dtype[Any]:
    """Return the type that a variable has in the whole, empty cells and all."""
    full = variable.cells >= math.prod(frame.shape(variable))
    return variable.dtype if full or variable.absent is not None else np.dtype(np.float64)


class _Without:
    """Parts without some of their variables."""

    def __init__(self, parts: Parts, names: set[str]) -> None:
        self._parts, self._names = parts, names

    def __iter__(self) -> Iterator[Any]:
        for part in self._parts:
            yield part.without(self._names)
