"""The archive as a lazy Dataset: the engine ``workbench`` of xarray.

::

    import xarray as xr

    cube = xr.open_dataset("sds:IU.ANMO.00.BH?@2018-01-01/2018-02-01", engine="workbench", chunks={})
    hour = cube.sel(time="2018-01-05T07")

What a cube holds stands in `workbench.cubes`.  Nothing is read before it is
asked for, and then no further records than needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
from xarray import Dataset, Variable
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from workbench.errors import InvalidSetting

if TYPE_CHECKING:
    from workbench.archive.cubereader import CubeReader
    from workbench.archive.sdsreader import SdsReader
    from workbench.archive.selection import Selection

__all__ = ["Cubes"]

_PREFIX = "sds:"
_SELECTION = re.compile(r"[\w*?,-]*(\.[\w*?,-]*){3}(@[^?]*)?(\+.*)?")
_NAMES = {
    **{name[:3]: name for name in ("network", "station", "location")},
    "cha": "channel",
    "start": "starttime",
    "end": "endtime",
    **{name: name for name in ("network", "station", "location", "channel", "starttime", "endtime")},
}
_FORM = "Write sds:NET.STA.LOC.CHA@start/end, or sds:/root?net=...&sta=...&loc=...&cha=...&start=...&end=..."
_NEAR = 2**16
"""Places of a list that are no further apart are read at once."""


class Cubes(BackendEntrypoint):
    """Opens archives: ``xr.open_dataset("sds:...", engine="workbench")``."""

    description = "Archives of waveforms (SDS) as cubes of channels by time"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "archive", "sampling_rate", "shifts")

    def open_dataset(  # type: ignore[override]  # more arguments are what xarray passes on
        self,
        filename_or_obj: str | os.PathLike[str] | Selection,
        *,
        drop_variables: str | Iterable[str] | None = None,
        archive: str | os.PathLike[str] | SdsReader | Sequence[SdsReader] | None = None,
        sampling_rate: float | None = None,
        shifts: bool = False,
    ) -> Dataset:
        """Open a cube.

        Parameters
        ----------
        filename_or_obj : str, PathLike or Selection
            ``sds:NET.STA.LOC.CHA@start/end``, codes with ``*``, ``?`` and
            commas, several joined by ``+``; or ``sds:/root?net=...&start=...``
            with the root of an archive and what to select there.
        drop_variables : str or iterable of str, optional
        archive : path, Archive, Remote or sequence of these, optional
            Where to look; by default the archives of the settings.
        sampling_rate : float, optional
            Which sampling rate to take where there are several, Hz.
        shifts : bool
            Add ``t_shift``: what is left to the time of each sample where a
            channel's clock did not keep its offset from the grid.

        Raises
        ------
        InvalidSetting
            If the text has another form, or several sampling rates are selected.
        NoData
            If there are no samples.
        """
        from workbench.archive.cubeplan import plan
        from workbench.archive.cubereader import CubeReader
        from workbench.cubes.dataset import assemble
        from workbench.cubes.times import coordinates

        root, selections = _parse(filename_or_obj)
        if root is not None and archive is not None:
            raise InvalidSetting(
                str(filename_or_obj), "names a root, and archive= another", "Leave out one of them."
            )
        if sampling_rate is not None and not sampling_rate > 0:
            raise InvalidSetting("sampling_rate", f"is {sampling_rate}", "Give samples a second.")
        sources = _sources(archive if root is None else root)
        planned = plan(sources, selections, sampling_rate)
        reader = CubeReader(sources, planned, shifts=shifts)
        chunks: dict[str, Any] = {"channel": 1, "time": planned.grid.days()}
        kinds = {"data": planned.dtype, "valid": np.dtype(bool)}
        if shifts:
            kinds["t_shift"] = np.dtype("timedelta64[ns]")
        parts = {
            name: Variable(("channel", "time"), indexing.LazilyIndexedArray(_Part(reader, name, dtype)))
            for name, dtype in kinds.items()
        }
        cube = assemble(
            [one.id for one in planned.channels],
            parts,
            [one.offset / 1e9 for one in planned.channels],
            [one.rate for one in planned.channels],
            coordinates(planned.grid),
        )
        for variable in cube.variables.values():
            # All alike, so that xarray can tell the chunks of the whole.
            variable.encoding["preferred_chunks"] = {str(dim): chunks[str(dim)] for dim in variable.dims}
        cube.attrs["selection"] = "+".join(map(str, selections))
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        return cube.drop_vars(dropped, errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell whether it is text that begins with ``sds:``."""
        return isinstance(filename_or_obj, str) and filename_or_obj.startswith(_PREFIX)


class _Part(BackendArray):
    """One variable of a cube, over channels and times."""

    def __init__(self, reader: CubeReader, name: str, dtype: npt.DTypeLike) -> None:
        self._reader = reader
        self._name = name
        self.dtype = np.dtype(dtype)
        self.shape = len(reader.plan.channels), reader.plan.grid.size

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._get)

    def _get(self, key: tuple[Any, Any]) -> npt.NDArray[Any]:
        channels = np.arange(self.shape[0])[key[0]]
        if isinstance(key[1], slice):
            wanted = range(self.shape[1])[key[1]]
            if wanted and wanted.step < _NEAR:
                found = [self._read(one, wanted[0], wanted[-1])[:: wanted.step] for one in np.ravel(channels)]
                return self._stack(found, len(wanted), np.shape(channels))
            places = np.array(wanted, dtype=np.int64)
        else:
            places = np.atleast_1d(np.asarray(key[1], dtype=np.int64))
        found = [self._pick(one, places) for one in np.ravel(channels)]
        whole = self._stack(found, len(places), np.shape(channels))
        return whole[..., 0] if np.ndim(key[1]) == 0 and not isinstance(key[1], slice) else whole

    def _stack(self, found: list[npt.NDArray[Any]], size: int, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if len(found) == 1:
            return found[0].reshape((*shape, size))
        return np.array(found, dtype=self.dtype).reshape((*shape, size))

    def _pick(self, channel: int, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Read a list of places, those that are near each other at once."""
        out = np.zeros(len(places), self.dtype)
        order = np.argsort(places, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(places[order]) > _NEAR) + 1):
            if len(group):
                first = int(places[group[0]])
                out[group] = self._read(channel, first, int(places[group[-1]]))[places[group] - first]
        return out

    def _read(self, channel: int, first: int, last: int) -> npt.NDArray[Any]:
        number = self._reader.plan.grid.first + first
        return self._reader.read(self._name, int(channel), number, last - first + 1)


def _parse(asked: str | os.PathLike[str] | Selection) -> tuple[Path | None, tuple[Selection, ...]]:
    """Return the root, if there is one, and what is selected."""
    from workbench.archive.selection import Selection, parse_selections

    if isinstance(asked, Selection):
        return None, (asked,)
    if isinstance(asked, os.PathLike):
        return Path(asked), (Selection(),)
    text = asked.removeprefix(_PREFIX)
    if _SELECTION.fullmatch(text):
        return None, parse_selections(text)
    path, _, query = text.removeprefix("//" if text.startswith("///") else "").partition("?")
    if not path or "://" in path or path.startswith("//"):
        raise InvalidSetting(
            asked,
            "names no archive on this machine" if path else "names nothing",
            f"{_FORM}; an archive elsewhere is named by the settings, or given as archive=Remote(url).",
        )
    values: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        if name not in _NAMES:
            near = get_close_matches(name, _NAMES, 1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known are {', '.join(_NAMES)}."
            raise InvalidSetting(asked, f"has an unknown part '{name}'", hint)
        if _NAMES[name] in values:
            raise InvalidSetting(asked, f"gives the {_NAMES[name]} twice", "Join codes by commas.")
        values[_NAMES[name]] = unquote(value)
    return Path(path), (Selection.from_json(values),)


def _sources(archive: Any) -> list[SdsReader]:
    from workbench.archive.sds import Archive
    from workbench.archive.sdsreader import SdsReader
    from workbench.archive.sources import default_sources

    if archive is None:
        archive = default_sources()
    several = isinstance(archive, Sequence) and not isinstance(archive, str)
    found: list[SdsReader] = []
    for one in archive if several else [archive]:
        if isinstance(one, str) and "://" in one:
            raise InvalidSetting(one, "is a URL", "Give archive=Remote(url), or name it in the settings.")
        if isinstance(one, str | os.PathLike):
            found.append(Archive(one))
        elif isinstance(one, SdsReader):
            found.append(one)
        else:
            raise InvalidSetting(
                f"archive={one!r}", "has no index of records", "Give a path, an Archive or a Remote."
            )
    return found
