"""Datasets put together along their labelled axes: an outer join of the parts of one work.

Parts meet at their labels (channel, time, ...), never at their order.  Where no
part has anything, a variable has the value of its attribute ``absent``, or else
nothing: NaN, NaT, an empty text; whole numbers become floats for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.errors import BadInput
from workbench.wire.packed import Packed, texts

if TYPE_CHECKING:
    from workbench.nouns import Dataset

__all__ = ["Frame", "Variable", "joined"]

Array = npt.NDArray[Any]
Index = tuple[slice, ...] | tuple[Array, ...]

_NOTHING = {"f": np.nan, "c": np.nan, "M": np.datetime64("NaT"), "m": np.timedelta64("NaT"), "O": ""}


@dataclass(eq=False, slots=True)
class Variable:
    """A variable of the whole."""

    name: str
    dims: tuple[str, ...]
    dtype: np.dtype[Any]
    coordinate: bool
    attrs: dict[str, Any]
    cells: int = 0
    """How many the parts have together."""

    @property
    def absent(self) -> Any:
        """What stands where no part has anything; None if its type has nothing for that."""
        if "absent" in self.attrs:
            return self.attrs["absent"]
        return _NOTHING.get(self.dtype.kind)


@dataclass(eq=False, slots=True)
class _Axis:
    """A dimension: its labels, if it has some, or else its size."""

    size: int
    labels: Array | None = None
    same: bool = True
    """Whether all parts have the same labels, in the same order."""
    more: list[Array] = field(default_factory=list)

    def add(self, name: str, size: int, labels: Array | None) -> None:
        if (labels is None) != (self.labels is None) or (labels is None and size != self.size):
            raise BadInput(
                f"dimension '{name}'",
                f"has no labels and is {self.size} long in one part, {size} in another",
                "Give it a coordinate.",
            )
        if labels is None or self.labels is None:
            return
        if self.same and np.array_equal(labels, self.labels):
            return
        self.same = False
        # A copy, as labels are a view of all that was read of their part.
        self.more.append(labels.copy())
        if len(self.more) >= 64:
            self.close()

    def close(self) -> None:
        """Take the labels of all parts together, sorted."""
        if self.labels is not None and self.more:
            self.labels = np.unique(np.concatenate([self.labels, *self.more]))
            self.more.clear()
        if self.labels is not None:
            self.size = len(self.labels)

    def index(self, labels: Array | None) -> Array:
        if labels is None or self.labels is None or self.same:
            return np.arange(self.size)
        return np.searchsorted(self.labels, labels)


class Frame:
    """What the whole will be: its axes and variables, seen from the labels of all parts.

    Parameters
    ----------
    parts : iterable of Packed
    grid : int
        Nanoseconds between the times of the whole, which then has each of them
        from the first to the last; 0 takes the times that the parts have.

    Raises
    ------
    BadInput
        If parts do not fit each other.
    """

    def __init__(self, parts: Iterable[Packed], grid: int = 0) -> None:
        self.axes: dict[str, _Axis] = {}
        self.variables: dict[str, Variable] = {}
        self.attrs: dict[str, Any] | None = None
        for part in parts:
            self._add(part)
        for axis in self.axes.values():
            axis.close()
        times = self.axes.get("time")
        if grid and times is not None and times.labels is not None and times.size:
            first, last = int(times.labels.min()), int(times.labels.max())
            # Numpy counts the steps in floating point, which loses one of a year's.
            every = first + np.arange((last - first) // grid + 1) * grid
            # Times that do not lie on the grid are no windows of it.
            if len(every) > times.size and not (times.labels.astype(np.int64) - first).__mod__(grid).any():
                times.labels, times.same, times.size = every.astype(times.labels.dtype), False, len(every)

    def _add(self, part: Packed) -> None:
        labels = labels_of(part)
        for name, size in part.head["dims"].items():
            if name in self.axes:
                self.axes[name].add(name, size, labels.get(name))
            else:
                mine = labels.get(name)
                self.axes[name] = _Axis(size, None if mine is None else mine.copy())
        attrs = part.head["attrs"]
        self.attrs = attrs if self.attrs is None else _common(self.attrs, attrs)
        for one, array in zip(part.head["variables"], part.arrays, strict=True):
            text = one["dtype"] == "text"
            kind = np.dtype(object) if text else np.dtype(one["dtype"])
            cells = int(np.prod(one["shape"], dtype=np.int64))
            known = self.variables.get(one["name"])
            if known is None:
                known = self.variables[one["name"]] = Variable(
                    one["name"], tuple(one["dims"]), kind, one["coordinate"], one["attrs"]
                )
            elif known.dims != tuple(one["dims"]) or (known.dtype == object) != text:
                raise BadInput(
                    f"variable '{known.name}'", "has other dimensions or another type in another part"
                )
            else:
                known.attrs = _common(known.attrs, one["attrs"])
                known.dtype = known.dtype if text else np.result_type(known.dtype, kind)
            known.cells += cells
            del array

    @property
    def varying(self) -> frozenset[str]:
        """The dimensions along which the parts differ."""
        return frozenset(name for name, axis in self.axes.items() if not axis.same)

    def shape(self, variable: Variable) -> tuple[int, ...]:
        """Return the shape that a variable has in the whole."""
        return tuple(self.axes[dim].size for dim in variable.dims)

    def shared(self, variable: Variable) -> bool:
        """Whether several parts have the same cells of a variable."""
        return not self.varying <= set(variable.dims)

    def places(self, part: Packed, names: Iterable[str] | None = None) -> Iterator[tuple[str, Index, Array]]:
        """Go through the variables of a part: where its values belong in the whole, and the values."""
        wanted = None if names is None else set(names)
        labels = labels_of(part)
        at = {dim: axis.index(labels.get(dim)) for dim, axis in self.axes.items() if dim in part.head["dims"]}
        for one, array in zip(part.head["variables"], part.arrays, strict=True):
            name = one["name"]
            if name in self.axes or (wanted is not None and name not in wanted):
                continue
            yield name, _index([at[dim] for dim in one["dims"]]), _values(one, array)

    def empty(self, variable: Variable, shape: tuple[int, ...] | None = None) -> Array:
        """Return an array in which nothing has a value yet."""
        size = self.shape(variable) if shape is None else shape
        absent = variable.absent
        return np.zeros(size, variable.dtype) if absent is None else np.full(size, absent, variable.dtype)

    def axis(self, name: str) -> Array:
        """Return the labels of a dimension that has some."""
        labels = self.axes[name].labels
        assert labels is not None
        return labels.view(self.variables[name].dtype) if self.variables[name].dtype.kind in "mM" else labels


def joined(parts: Iterable[Packed], grid: int = 0) -> Dataset:
    """Put datasets together.

    Parameters
    ----------
    parts : iterable of Packed
        Gone through twice, so that no more than one of them need be in memory.
    grid : int
        As for `Frame`.

    Raises
    ------
    BadInput
        If parts do not fit, or say different things of the same cell.
    """
    import xarray as xr

    frame = Frame(parts, grid)
    values: dict[str, Array] = {}
    known: dict[str, npt.NDArray[np.bool_]] = {}
    for name, variable in frame.variables.items():
        if name in frame.axes:
            values[name] = frame.axis(name)
            continue
        values[name] = frame.empty(variable)
        # Who writes a cell first is remembered where another may write it too, or
        # where an empty cell could not be told from a full one.
        if frame.shared(variable) or variable.absent is None:
            known[name] = np.zeros(frame.shape(variable), bool)
    for part in parts:
        for name, index, array in frame.places(part):
            if name in known:
                _agree(name, values[name][index], array, known[name][index])
                known[name][index] = True
            values[name][index] = array
    for name, there in known.items():
        variable = frame.variables[name]
        if variable.absent is None and not there.all():
            values[name] = np.where(there, values[name].astype(np.float64), np.nan)
    made = {name: (one.dims, values[name], one.attrs) for name, one in frame.variables.items()}
    return xr.Dataset(
        {name: item for name, item in made.items() if not frame.variables[name].coordinate},
        {name: item for name, item in made.items() if frame.variables[name].coordinate},
        frame.attrs or {},
    )


def labels_of(part: Packed) -> dict[str, Array]:
    """Return the labels of each dimension that has some: numbers, or texts as an array of objects."""
    found = {}
    for one, array in zip(part.head["variables"], part.arrays, strict=True):
        if one["dims"] == [one["name"]]:
            found[one["name"]] = np.array(texts(array), object) if one["dtype"] == "text" else array
    return found


def _values(one: dict[str, Any], array: Array) -> Array:
    if one["dtype"] == "text":
        return np.array(texts(array), object).reshape(one["shape"])
    kind = np.dtype(one["dtype"])
    return array.view(kind) if kind.kind in "mM" else array


def _index(places: list[Array]) -> Index:
    runs = [len(place) and int(place[-1]) - int(place[0]) == len(place) - 1 for place in places]
    if all(runs):
        return tuple(slice(int(place[0]), int(place[-1]) + 1) for place in places)
    return np.ix_(*places)


def _common(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return a if a == b else {key: value for key, value in a.items() if key in b and b[key] == value}


def _agree(name: str, old: Array, new: Array, both: npt.NDArray[np.bool_]) -> None:
    same = (old == new) | ((old != old) & (new != new))
    if not np.all(same | ~both):
        raise BadInput(
            f"variable '{name}'",
            "is not the same in all parts",
            "What depends on the window needs the dimension 'time', what depends on the channel its own.",
        )
