"""Cubes put together, of arrays or of traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from obspy import Trace

from workbench.cubes.grid import Grid, follow, one_rate
from workbench.cubes.rows import Row
from workbench.errors import BadInput, InvalidSetting, NoData, ResourceExceeded
from workbench.notices import notice
from workbench.nouns import Waveforms

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = ["assemble", "from_stream"]

_EXACT_NS = 500
"""Times of miniSEED are whole microseconds; what is less is rounding."""

_SPARSE = 1000
_LARGE = 10**8
"""So many places, and so many for a sample, are more than anybody wants to have in memory."""


def assemble(
    ids: Sequence[str],
    parts: Mapping[str, Any],
    offsets: npt.ArrayLike,
    rates: npt.ArrayLike,
    time: Any,
    unit: str = "counts",
) -> Dataset:
    """Return a cube.

    Parameters
    ----------
    ids : sequence of str
        SEED ids, ``NET.STA.LOC.CHA``.
    parts : mapping
        Variables by name, each of shape (n_channels, n_times): ``data``,
        ``valid`` and perhaps ``t_shift``; arrays, or xarray's variables.
    offsets : array of float, shape (n_channels,)
        Seconds from the times of the grid to those of the samples.
    rates : array of float, shape (n_channels,)
        Sampling rates, as the records tell them.
    time : xarray.Coordinates or array of datetime64
        The grid.
    unit : str
        Of the samples.
    """
    from xarray import Coordinates, Dataset, Variable

    codes = [seed_id.split(".") for seed_id in ids]
    cube = Dataset(
        {
            name: part if isinstance(part, Variable) else Variable(("channel", "time"), part)
            for name, part in parts.items()
        },
        coords=time if isinstance(time, Coordinates) else {"time": time},
    )
    cube = cube.assign_coords(
        {
            "channel": ("channel", np.array(ids, dtype=str)),
            "sampling_rate": ("channel", np.asarray(rates, dtype=np.float64), {"units": "Hz"}),
            **{
                name: ("channel", np.array([code[place] for code in codes], dtype=str))
                for place, name in enumerate(("network", "station", "location", "code"))
            },
        }
    )
    cube["t_offset"] = ("channel", np.asarray(offsets, dtype=np.float64))
    said: dict[str, dict[str, Any]] = {
        "data": {"units": unit, "long_name": "samples, 0 where there is none", "absent": 0},
        "valid": {"long_name": "whether there is a sample", "absent": 0},
        "t_offset": {"units": "s", "long_name": "from the times of the grid to those of the samples"},
        "t_shift": {"long_name": "from time + t_offset to the times of the samples"},
    }
    for name in cube.data_vars:
        cube[name].attrs.update(said[str(name)])
    return cube


def from_stream(stream: Waveforms, *, sampling_rate: float | None = None) -> Dataset:
    """Return a cube of traces.

    Where two traces of a channel have different samples at one time neither
    is valid.

    Parameters
    ----------
    stream : Waveforms
        It is not changed.  Masked samples are gaps.
    sampling_rate : float, optional
        Which sampling rate to take where there are several, Hz.

    Returns
    -------
    Dataset
        ``t_shift`` is there only if the clock of a channel did not keep its
        offset from the grid.

    Raises
    ------
    NoData
        If there is no sample.
    InvalidSetting
        If there are several sampling rates and none is chosen.
    ResourceExceeded
        If it would be next to empty, and large.

    Examples
    --------
    >>> import obspy
    >>> cube = from_stream(obspy.read())
    >>> cube.data.shape, cube.channel.values.tolist()[0]
    ((3, 3000), 'BW.RJOB..EHE')
    """
    pieces = [piece for trace in stream for piece in _pieces(trace)]
    rates = sorted({piece.rate for piece in pieces})
    if sampling_rate is None and rates and not one_rate(rates[0], rates[-1]):
        said = ", ".join(f"{rate:g} Hz" for rate in rates)
        raise InvalidSetting(
            "the waveforms",
            f"have several sampling rates, and a cube has one ({said})",
            f"Select traces of one rate, or choose: sampling_rate={rates[-1]:g}.",
        )
    if sampling_rate is not None:
        pieces = [piece for piece in pieces if one_rate(piece.rate, sampling_rate)]
    if not pieces:
        raise NoData("the waveforms", "have no samples for a cube", "Check the selection.")
    counted = Counter(piece.rate for piece in pieces)
    last = max(piece.start + round((len(piece.data) - 1) * 1e9 / piece.rate) for piece in pieces)
    grid = Grid.over(min(piece.start for piece in pieces), last, max(counted, key=lambda rate: counted[rate]))
    ids = sorted({piece.id for piece in pieces})
    samples = sum(len(piece.data) for piece in pieces)
    if grid.size * len(ids) > max(_LARGE, _SPARSE * samples):
        raise ResourceExceeded(
            "the waveforms",
            f"have {samples} samples, and their cube {grid.size * len(ids)} places",
            "Make a cube of each stretch of time.",
        )
    return _cube(grid, ids, pieces)


@dataclass(frozen=True, eq=False, slots=True)
class _Piece:
    id: str
    start: int
    rate: float
    data: npt.NDArray[Any]


def _pieces(trace: Trace) -> Iterator[_Piece]:
    start, rate = trace.stats.starttime.ns, float(trace.stats.sampling_rate)
    values = np.ma.getdata(trace.data)
    if not (np.isfinite(rate) and rate > 0) or values.dtype.kind not in "iuf" or values.ndim != 1:
        raise BadInput(
            trace.id,
            f"has samples of type {values.dtype} at {rate:g} Hz",
            "Give each trace one row of numbers and a sampling rate.",
        )
    there = np.concatenate(([False], ~np.ma.getmaskarray(trace.data), [False]))
    edges = np.flatnonzero(np.diff(there.astype(np.int8))).tolist()
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        yield _Piece(trace.id, start + round(first * 1e9 / rate), rate, values[first:stop])


def _cube(grid: Grid, ids: list[str], pieces: list[_Piece]) -> Dataset:
    kinds = {piece.data.dtype for piece in pieces}
    dtype = np.result_type(*kinds, *([] if any(kind.kind == "f" for kind in kinds) else [np.int32]))
    offsets, rates, placed = [], [], []
    for name in ids:
        mine = sorted((piece for piece in pieces if piece.id == name), key=lambda piece: piece.start)
        offset = mine[0].start - grid.time(round(grid.number(mine[0].start)))
        numbers, _ = follow(grid.number(piece.start - offset) for piece in mine)
        shifts = [
            piece.start - offset - grid.time(number) for piece, number in zip(mine, numbers, strict=True)
        ]
        offsets.append(offset)
        rates.append(mine[0].rate)
        placed.append(list(zip(mine, numbers, shifts, strict=True)))
    changing = any(abs(shift) > _EXACT_NS for row in placed for _, _, shift in row)
    rows = []
    for name, items in zip(ids, placed, strict=True):
        row = Row(grid.first, grid.size, dtype, shifts=changing)
        for piece, number, shift in items:
            row.put(number, piece.data, shift)
        if row.contradicted:
            notice(
                name,
                f"has {row.contradicted} samples in versions that differ",
                "They are not valid in the cube; take out the traces that are wrong.",
            )
        rows.append(row.parts())
    parts = {part: np.array([row[part] for row in rows]) for part in rows[0]}
    return assemble(ids, parts, np.array(offsets) / 1e9, rates, grid.times())
