"""The nouns: the kinds of data that go into a kernel and come out of it.

An argument of a kernel is *data* if its type is one of these; everything else
is a setting.  Three are ObsPy's own classes under the name a seismologist
says; one is xarray's; the others are small classes of ours.

=============  ==========================  =====================================
noun           class                       what it holds
=============  ==========================  =====================================
Waveforms      `obspy.Stream`              traces with their SEED ids
Stations       `obspy.Inventory`           coordinates and responses by epoch
Events         `obspy.core.event.Catalog`  QuakeML events
Picks          `Picks`                     phase picks, a row each
Triggers       `Triggers`                  triggers of a channel or a network
Spans          `Spans`                     when channels have data, a row a span
Dataset        `xarray.Dataset`            anything on labelled axes
VelocityModel  `VelocityModel`             a 1-D model, used as a setting
=============  ==========================  =====================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from obspy import Inventory as Stations
from obspy import Stream as Waveforms
from obspy.core.event import Catalog as Events

from workbench.errors import BadInput
from workbench.velocity import VelocityModel

if TYPE_CHECKING:
    from xarray import Dataset

__all__ = [
    "NOUNS",
    "Dataset",
    "Events",
    "Picks",
    "Spans",
    "Stations",
    "Table",
    "Triggers",
    "VelocityModel",
    "Waveforms",
]


def __getattr__(name: str) -> Any:
    # xarray is slow to import, and few calls need it.
    if name == "Dataset":
        from xarray import Dataset

        return Dataset
    raise AttributeError(name)


class Table:
    """Rows with fixed columns, of which absent ones are filled, and extra ones kept.

    Parameters
    ----------
    rows : DataFrame or iterable of mappings, optional
        The rows.  Times may be anything that pandas or ObsPy reads as UTC.

    Attributes
    ----------
    table : pandas.DataFrame
        Fixed columns first, in their order; ``time`` as ``datetime64[ns]``,
        UTC; rows sorted by time, then by the other fixed columns.

    Raises
    ------
    BadInput
        If a row has no time, or one that cannot be read.
    """

    noun: ClassVar[str]
    columns: ClassVar[Mapping[str, type]]
    """Fixed columns, with the type of each."""

    def __init__(self, rows: pd.DataFrame | Iterable[Mapping[str, Any]] = ()) -> None:
        frame = rows.copy() if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        self.table = _fixed(frame, self.columns, self.noun)

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Any:
        """Go through the rows as named tuples."""
        return self.table.itertuples(index=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return bool(self.table.equals(other.table))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{len(self)} {self.noun}\n{self.table.to_string(max_rows=12, index=False)}"

    def _repr_html_(self) -> str:
        return self.table.to_html(max_rows=20, index=False)

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Put several together and drop rows that occur twice."""
        frames = [part.table for part in parts if len(part)]
        if not frames:
            return cls()
        return cls(pd.concat(frames, ignore_index=True).drop_duplicates())


class Picks(Table):
    """Phase picks: one row each.

    Columns ``network, station, location, channel, phase, time, probability``;
    pickers of ours add ``uncertainty_s`` (one standard deviation), ``snr``,
    ``polarity`` and ``amplitude``; ``event`` groups picks that belong together.
    """

    noun = "Picks"
    columns: ClassVar[Mapping[str, type]] = {
        "network": str,
        "station": str,
        "location": str,
        "channel": str,
        "phase": str,
        "time": np.datetime64,
        "probability": float,
    }


class Triggers(Table):
    """Triggers of a channel or of a network: one row each.

    Columns ``time`` (on), ``duration_s``, ``n_stations`` and ``stations``
    (``NET.STA`` separated by spaces).  Triggers of a single channel add
    ``channel`` (its SEED id) and ``peak`` (largest STA/LTA).
    """

    noun = "Triggers"
    columns: ClassVar[Mapping[str, type]] = {
        "time": np.datetime64,
        "duration_s": float,
        "n_stations": int,
        "stations": str,
    }


_CODES = ("network", "station", "location", "channel")


class Spans(Table):
    """When channels have data: one row for each span of samples that follow each other.

    Columns ``time`` and ``end`` (first and last sample), the four codes,
    ``sampling_rate`` (Hz), ``samples`` and ``records`` (miniSEED records that
    begin in it, 0 where the samples come from no records).  The rows are what
    is there: two that overlap are there twice, even if they are equal.
    """

    noun = "Spans"
    _columns: dict[str, npt.NDArray[Any]]
    _channels: tuple[list[tuple[str, ...]], npt.NDArray[np.int64]] | None
    columns: ClassVar[Mapping[str, type]] = {
        "time": np.datetime64,
        "network": str,
        "station": str,
        "location": str,
        "channel": str,
        "end": np.datetime64,
        "sampling_rate": float,
        "samples": int,
        "records": int,
    }

    @classmethod
    def of_columns(
        cls,
        columns: Mapping[str, npt.NDArray[Any]],
        channels: tuple[list[tuple[str, ...]], npt.NDArray[np.int64]] | None = None,
    ) -> Self:
        """Make one of columns that are as a table has them: all of them, of its types, in its order.

        The table itself is made when it is first asked for; `channels` may be given if they are known.
        """
        made = cls.__new__(cls)
        made._columns = dict(columns)
        made._channels = channels
        return made

    def channels(self) -> tuple[list[tuple[str, ...]], npt.NDArray[np.int64]]:
        """Return codes of channels, sorted, and the number of each row's among them; some may have no row."""
        if "table" not in self.__dict__ and self._channels is not None:
            return self._channels
        codes = list(zip(*(self.column(name).tolist() for name in _CODES), strict=True))
        places = {code: place for place, code in enumerate(sorted(set(codes)))}
        return list(places), np.array([places[code] for code in codes], np.int64)

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return the values of a column; no table is made for that."""
        if "table" in self.__dict__:
            return self.table[name].to_numpy()
        return self._columns[name]

    def __getattr__(self, name: str) -> Any:
        """Make the table; nothing else is missing."""
        if name != "table" or "_columns" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        columns = {
            name: pd.Series(values, dtype=object) if self.columns[name] is str else values
            for name, values in self._columns.items()
        }
        self.table = pd.DataFrame(columns)
        return self.table

    def __len__(self) -> int:
        return len(self.column("time"))

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """Put several together; a row that occurs twice is an overlap, and stays."""
        frames = [part.table for part in parts if len(part)]
        return cls(pd.concat(frames, ignore_index=True)) if frames else cls()


def _fixed(frame: pd.DataFrame, columns: Mapping[str, type], noun: str) -> pd.DataFrame:
    frame = frame.reset_index(drop=True)
    for name, kind in columns.items():
        if name not in frame:
            if name == "time" and len(frame):
                raise BadInput(noun, "there is no column 'time'", "Name the column 'time'.")
            frame[name] = pd.Series([], dtype=object) if not len(frame) else ("" if kind is str else np.nan)
        if kind is np.datetime64:
            frame[name] = _times(frame[name], name, noun)
        elif kind is str:
            # Tables of an archive are long, and text needs no second look.
            if pd.api.types.infer_dtype(frame[name], skipna=False) != "string":
                frame[name] = [_text(value) for value in frame[name]]
            frame[name] = frame[name].astype(object)
        elif kind is float:
            frame[name] = _numbers(frame[name], name, noun).astype(np.float64)
        else:
            frame[name] = _numbers(frame[name], name, noun).fillna(0).astype(np.int64)
    extra = [name for name in frame.columns if name not in columns]
    frame = frame[[*columns, *extra]]
    keys = ["time", *(name for name in columns if name != "time")]
    return frame.sort_values(keys, kind="stable", ignore_index=True)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value)


def _numbers(column: pd.Series[Any], name: str, noun: str) -> pd.Series[Any]:
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError) as error:
        raise BadInput(noun, f"column '{name}' has text in it ({error})", "Give numbers.") from error


def _times(column: pd.Series[Any], name: str, noun: str) -> pd.Series[Any]:
    if np.issubdtype(column.dtype, np.datetime64) if isinstance(column.dtype, np.dtype) else False:
        times = column.astype("datetime64[ns]")
    else:
        values = [getattr(value, "datetime", value) for value in column]
        try:
            times = pd.Series(
                pd.to_datetime(pd.Series(values, dtype=object), utc=True, format="ISO8601")
                .dt.tz_localize(None)
                .astype("datetime64[ns]")
                if values
                else np.array([], dtype="datetime64[ns]")
            )
        except (ValueError, TypeError) as error:
            raise BadInput(
                noun, f"a time cannot be read ({error})", "Write times as 2018-01-01T00:00:00.000000Z."
            ) from error
    if times.isna().any():
        row = int(np.flatnonzero(times.isna())[0]) + 1
        said = "a time" if name == "time" else f"its {name}"
        raise BadInput(noun, f"row {row} has no {name}", f"Give each row {said}.")
    return times


NOUNS: dict[str, str] = {
    "Waveforms": "obspy.core.stream.Stream",
    "Stations": "obspy.core.inventory.inventory.Inventory",
    "Events": "obspy.core.event.catalog.Catalog",
    "Picks": "workbench.nouns.Picks",
    "Triggers": "workbench.nouns.Triggers",
    "Spans": "workbench.nouns.Spans",
    "Dataset": "xarray.core.dataset.Dataset",
}
"""Each noun that can be data, with the full name of its class.

By name and not by class, so that asking does not import xarray.
"""


def noun_of(kind: object) -> str | None:
    """Return the noun that a class is, or None.

    Examples
    --------
    >>> noun_of(Waveforms)
    'Waveforms'
    """
    if not isinstance(kind, type):
        return None
    full = f"{kind.__module__}.{kind.__qualname__}"
    return next((noun for noun, name in NOUNS.items() if name == full), None)
