"""The labels of a cube's time axis, worked out when they are asked for.

A year at 100 Hz has three thousand million of them, which a table of labels
would keep in 25 GB.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from xarray import Coordinates, DataArray, Variable
from xarray.core.coordinate_transform import CoordinateTransform
from xarray.core.indexes import CoordinateTransformIndex, Index, PandasIndex
from xarray.core.indexing import IndexSelResult

from workbench.cubes.grid import Grid

__all__ = ["TimeIndex", "coordinates", "grid_of"]


class _Times(CoordinateTransform):
    """From places on the axis to times, and back."""

    def __init__(self, grid: Grid, name: Hashable = "time") -> None:
        super().__init__([name], {str(name): grid.size}, np.dtype("datetime64[ns]"))
        self.grid = grid

    def forward(self, dim_positions: dict[str, Any]) -> dict[Hashable, Any]:
        """Return the times at places."""
        return {self.coord_names[0]: self.grid.times(dim_positions[self.dims[0]])}

    def reverse(self, coord_labels: dict[Hashable, Any]) -> dict[str, Any]:
        """Return the places of times, with their fractions."""
        return {self.dims[0]: self.grid.places(coord_labels[self.coord_names[0]])}

    def equals(self, other: CoordinateTransform, **_: Any) -> bool:
        """Tell whether all times are the same."""
        return isinstance(other, _Times) and self.grid == other.grid


class TimeIndex(CoordinateTransformIndex):
    """An index over the times of a grid, which are never all in memory.

    Selections are as with pandas: a single time or a list of times, exact or
    by a method, or a slice of which both ends belong to the span.

    Parameters
    ----------
    grid : Grid
    name : str
        Of the dimension and its coordinate.
    """

    transform: _Times

    def __init__(self, grid: Grid, name: Hashable = "time") -> None:
        super().__init__(_Times(grid, name))

    @property
    def grid(self) -> Grid:
        """The times."""
        return self.transform.grid

    @property
    def dim(self) -> str:
        """Name of the dimension."""
        return self.transform.dims[0]

    def create_variables(self, variables: Mapping[Any, Variable] | None = None) -> dict[Any, Variable]:
        """Return the coordinate; what is said of one that it takes the place of is said of it too."""
        found = dict(super().create_variables(variables))
        for name, variable in found.items():
            before = None if variables is None else variables.get(name)
            if before is not None and before.shape == variable.shape:
                variable.encoding = dict(before.encoding)
        return found

    def isel(self, indexers: Mapping[Any, Any]) -> Index | None:
        """Return the index of some places: another grid if they are evenly spaced, else a table."""
        where = indexers[self.dim]
        if isinstance(where, slice) and (where.step is None or where.step > 0):
            return type(self)(self.grid.part(where), self.dim)
        if isinstance(where, slice):
            where = np.array(range(self.grid.size)[where], dtype=np.int64)
        if np.ndim(where) != 1:
            return None
        dim = where.dims[0] if isinstance(where, Variable) else self.dim
        places = np.asarray(where)
        places = np.flatnonzero(places) if places.dtype == bool else places % max(self.grid.size, 1)
        steps = np.diff(places)
        if dim == self.dim and len(steps) and steps[0] > 0 and (steps == steps[0]).all():
            return type(self)(self.grid.part(slice(places[0], places[-1] + 1, steps[0])), self.dim)
        return PandasIndex(pd.Index(self.grid.times(places), name=self.dim), dim)

    def sel(self, labels: dict[Any, Any], method: str | None = None, tolerance: Any = None) -> IndexSelResult:
        """Return the places of labels.

        Raises
        ------
        KeyError
            If a time is not on the grid and no method is given.
        """
        label = labels[self.dim]
        if isinstance(label, str) and method is None:
            low, high = _bounds(label)
            # As with pandas, ``2020-03-01T07`` is the whole hour.
            if (high - low).astype(np.int64) > self.grid.step * self.grid.stride:
                label = slice(label, label)
        if isinstance(label, slice):
            return IndexSelResult({self.dim: self._slice(label)})
        named = isinstance(label, DataArray | Variable)
        found = self._places(_moments(label.values if named else label), method, tolerance)
        if isinstance(label, DataArray):
            return IndexSelResult({self.dim: DataArray(found, dims=label.dims)})
        if isinstance(label, Variable):
            return IndexSelResult({self.dim: Variable(label.dims, found)})
        return IndexSelResult({self.dim: found if found.ndim else int(found)})

    def equals(self, other: Index, *, exclude: frozenset[Hashable] | None = None) -> bool:
        """Tell whether all times are the same."""
        return isinstance(other, TimeIndex) and self.grid == other.grid

    def join(self, other: Self, how: str = "inner") -> Self:
        """Return the times that both have, or that one of them has.

        Raises
        ------
        ValueError
            If the two are on different grids.
        """
        a, b = self._compatible(other)
        if how == "inner":
            first, stop = max(a.first, b.first), min(_stop(a), _stop(b))
        else:
            first, stop = min(a.first, b.first), max(_stop(a), _stop(b))
        size = max(0, -(-(stop - first) // a.stride))
        return type(self)(replace(a, first=first, size=size), self.dim)

    def reindex_like(self, other: Self) -> dict[Hashable, Any]:
        """Return the place here of each time of another, -1 where there is none."""
        a, b = self._compatible(other)
        places = (b.first - a.first) // a.stride + np.arange(b.size)
        places[(places < 0) | (places >= a.size)] = -1
        return {self.dim: places}

    @classmethod
    def concat(
        cls, indexes: Sequence[Self], dim: Hashable, positions: Any = None
    ) -> Self:  # what xarray calls it with
        """Put grids together that follow each other.

        Raises
        ------
        ValueError
            If they do not.
        """
        whole = indexes[0].grid
        for index in indexes[1:]:
            grid = index.grid
            if (grid.origin, grid.rate, grid.stride, grid.first) != (
                whole.origin,
                whole.rate,
                whole.stride,
                _stop(whole),
            ):
                raise ValueError(
                    "The time axes do not follow each other on one grid: open the whole span at once,"
                    " or give each a table of labels with .drop_indexes('time').set_xindex('time')."
                )
            whole = replace(whole, size=whole.size + grid.size)
        return cls(whole, dim)

    def rename(self, name_dict: Mapping[Any, Hashable], dims_dict: Mapping[Any, Hashable]) -> Self:
        """Return the index under another name."""
        return type(self)(self.grid, dims_dict.get(self.dim, name_dict.get(self.dim, self.dim)))

    def to_pandas_index(self) -> pd.Index[Any]:
        """Return all times as a table of labels."""
        return pd.DatetimeIndex(self.grid.times(), name=self.dim)

    def _repr_inline_(self, max_width: int) -> str:
        return f"TimeIndex ({self.grid.rate / self.grid.stride:g} Hz)"

    def _slice(self, label: slice) -> slice:
        if label.step is not None:
            raise ValueError("A slice of times has no step: select first, and take every nth with isel.")
        size = self.grid.size
        first, stop = 0, size
        if label.start is not None:
            first = self._next(_bounds(label.start)[0])
        if label.stop is not None:
            # The first one that is later.
            stop = self._next(_bounds(label.stop)[1] + np.timedelta64(1, "ns"))
        first = min(max(first, 0), size)
        return slice(first, min(max(stop, first), size))

    def _next(self, time: np.datetime64) -> int:
        """Return the place of the first time at or after one."""
        place = int(np.floor(self.grid.places(time))) - 1
        while self.grid.times(place)[()] < time:
            place += 1
        return place

    def _places(
        self, asked: npt.NDArray[np.datetime64], method: str | None, tolerance: Any
    ) -> npt.NDArray[np.int64]:
        exact = self.grid.places(asked)
        if method in (None, "nearest"):
            places = np.rint(exact)
        elif method in ("pad", "ffill"):
            places = np.floor(exact + 1e-6)
        elif method in ("backfill", "bfill"):
            places = np.ceil(exact - 1e-6)
        else:
            raise ValueError(f"There is no method {method!r}: use nearest, pad or backfill.")
        if method == "nearest":
            places = np.clip(places, 0, self.grid.size - 1)
        found = places.astype(np.int64)
        outside = (found < 0) | (found >= self.grid.size)
        if not outside.all():
            away = np.abs(self.grid.times(np.where(outside, 0, found)) - asked)
            slack = pd.Timedelta(1, "ns") if method is None else tolerance
            if slack is not None:
                outside |= away > np.asarray(pd.Timedelta(slack).to_timedelta64(), "timedelta64[ns]")
        if outside.any():
            raise KeyError(f"there is no sample at {asked[outside].ravel()[0]}")
        return found

    def _compatible(self, other: Self) -> tuple[Grid, Grid]:
        a, b = self.grid, other.grid
        same = (a.origin, a.rate, a.stride) == (b.origin, b.rate, b.stride)
        if not same or (a.first - b.first) % a.stride:
            raise ValueError("The time axes are on different grids: select or resample them first.")
        return a, b


def coordinates(grid: Grid) -> Coordinates:
    """Return the coordinate ``time`` of a grid, whose labels take no memory."""
    found = Coordinates.from_xindex(TimeIndex(grid))
    found["time"].attrs.update(standard_name="time", long_name="times of the grid, UTC")
    return found


def grid_of(index: object) -> Grid | None:
    """Return the grid that an index is over, or None for another kind of index."""
    return index.grid if isinstance(index, TimeIndex) else None


def _stop(grid: Grid) -> int:
    return grid.first + grid.size * grid.stride


def _bounds(label: Any) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and the last moment that a label means: text means the whole month, hour, ..."""
    if isinstance(label, str):
        period = pd.Period(label.removesuffix("Z"))
        low, after = (one.start_time.to_datetime64().astype("datetime64[ns]") for one in (period, period + 1))
        return low, after - np.timedelta64(1, "ns")
    moment: Any = _moments(label)[()]
    return moment, moment


def _moments(labels: Any) -> npt.NDArray[np.datetime64]:
    """Return times of any kind as NumPy's, nanoseconds, in the same shape."""
    asked = np.asarray(labels)
    if asked.dtype.kind in "OUS":
        plain = [
            np.datetime64(one.ns, "ns")
            if hasattr(one, "ns")  # ObsPy's
            else pd.Timestamp(one.removesuffix("Z") if isinstance(one, str) else one).to_datetime64()
            for one in asked.ravel().tolist()
        ]
        asked = np.array(plain, "datetime64[ns]").reshape(asked.shape)
    return asked.astype("datetime64[ns]")
