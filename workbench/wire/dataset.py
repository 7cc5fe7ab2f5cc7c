"""Datasets as bytes: NetCDF, Zarr (in a zip file), JSON, CSV; equal as values and not as files."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rfc8785

from workbench.errors import BadInput
from workbench.wire import stores
from workbench.wire.plugins import Foreign
from workbench.wire.quiet import quiet
from workbench.wire.sample import Sample

if TYPE_CHECKING:
    from workbench.nouns import Dataset

__all__ = [
    "MEDIA",
    "canonical",
    "encode",
    "fingerprint",
    "guess",
    "merge",
    "open_folder",
    "plain",
    "read",
    "sniff",
    "write_folder",
]

MEDIA = {
    "application/x-netcdf": ".nc",
    "application/vnd.zarr+zip": ".zarr",
    "application/json": ".json",
    "text/csv": ".csv",
    "image/png": ".png",
}
"""Media types that datasets can be written as; the first is the usual one."""

_ATTRS_OF_FILES = frozenset({"_NCProperties", "_FillValue"})


def sniff(sample: Sample) -> str | None:
    """Return ``NETCDF4``, ``NETCDF3`` or ``ZARR`` if the bytes are that."""
    if sample.data.startswith(b"\x89HDF\r\n\x1a\n"):
        return "NETCDF4"
    if sample.data[:4] in (b"CDF\x01", b"CDF\x02"):
        return "NETCDF3"
    if sample.data.startswith(b"PK\x03\x04") and is_zarr(sample.data):
        return "ZARR"
    return None


def guess(sample: Sample) -> str | None:
    """Return None: no foreign form is read as a dataset."""
    return None


def is_zarr(data: bytes) -> bool:
    """Whether a zip file holds a Zarr store."""
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        return False
    return "zarr.json" in names or ".zgroup" in names


def read(data: bytes, name: str, form: str) -> Dataset:
    """Read a dataset, all of it into memory.

    Raises
    ------
    UnreadableFile
        If it is broken, leads to other files, or could run something.
    ResourceExceeded
        If it unpacks to much more than it is.
    """
    import xarray as xr

    with quiet(name), Foreign(name, form):
        if form == "ZARR":
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "store.zip"
                path.write_bytes(data)
                stores.check_zip(data, name)
                return _open_zarr(path, name, len(data))
        if form == "NETCDF4":
            stores.check_hdf5(data, name)
        engine = "h5netcdf" if form == "NETCDF4" else "scipy"
        with xr.open_dataset(io.BytesIO(data), engine=engine) as lazy:
            stores.check_size(lazy.nbytes, len(data), name)
            return lazy.load()


def open_folder(folder: Path) -> Dataset:
    """Read a Zarr store that is a folder."""
    with quiet(folder.name), Foreign(str(folder), "ZARR"):
        stores.check_folder(folder)
        size = sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())
        return _open_zarr(folder, str(folder), size)


def write_folder(dataset: Dataset, folder: Path) -> None:
    """Write a Zarr store as a folder, which must not be there yet."""
    with quiet("", tell=False):
        dataset.to_zarr(folder, mode="w-", consolidated=True, zarr_format=3)


def merge(parts: Sequence[tuple[str, Dataset]]) -> Dataset:
    """Return the one dataset there is.

    Raises
    ------
    BadInput
        If there are several: how they belong together is not for us to guess.
    """
    if len(parts) > 1:
        raise BadInput(parts[1][0], "is a second dataset", "Put them together first (xarray.merge).")
    return parts[0][1]


def encode(dataset: Dataset, media: str) -> bytes:
    """Write a dataset as a media type of `MEDIA`."""
    if media == "application/vnd.zarr+zip":
        return _zarr(dataset)
    if media == "application/json":
        return _json(dataset)
    if media == "text/csv":
        text = (
            dataset.to_dataframe()
            .reset_index()
            .to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        )
        return text.encode()
    if media == "image/png":
        from workbench.plots import pictures

        return pictures.dataset(dataset)
    with tempfile.TemporaryDirectory() as folder, quiet("", tell=False):
        path = Path(folder) / "dataset.nc"
        dataset.to_netcdf(path, engine="h5netcdf")
        return path.read_bytes()


def canonical(dataset: Dataset) -> bytes:
    """Return bytes that depend on values, types, dimensions and attributes alone.

    A line of JSON (RFC 8785) for each variable, in the order of the names,
    followed by its values, little-endian, in C order.
    """
    out = io.BytesIO()
    out.write(rfc8785.dumps({"attrs": plain(dataset.attrs), "dims": _sizes(dataset)}) + b"\n")
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        values = np.asarray(variable.values)
        kind = values.dtype
        text = kind.kind in "OUST"
        head = {
            "name": name,
            "dims": [str(dim) for dim in variable.dims],
            "shape": list(values.shape),
            "dtype": "text" if text else kind.newbyteorder("<").str,
            "coordinate": name in dataset.coords,
            "attrs": plain(variable.attrs),
        }
        out.write(rfc8785.dumps(head) + b"\n")
        if text:
            out.write(rfc8785.dumps([_word(value) for value in values.ravel().tolist()]) + b"\n")
        else:
            out.write(np.ascontiguousarray(values, dtype=kind.newbyteorder("<")).tobytes())
    return out.getvalue()


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(dataset)).hexdigest()


def _open_zarr(path: Path, name: str, size: int) -> Dataset:
    import xarray as xr
    import zarr

    store: Any = zarr.storage.ZipStore(path, mode="r") if path.is_file() else path
    try:
        with xr.open_dataset(store, engine="zarr", chunks=None, consolidated=False) as lazy:
            stores.check_size(lazy.nbytes, size, name)
            return lazy.load()
    finally:
        if path.is_file():
            store.close()


def _zarr(dataset: Dataset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        write_folder(dataset, store)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(item for item in store.rglob("*") if item.is_file()):
                # A fixed date: the same dataset gives the same bytes.
                inside = zipfile.ZipInfo(path.relative_to(store).as_posix(), (1980, 1, 1, 0, 0, 0))
                archive.writestr(inside, path.read_bytes())
    return out.getvalue()


def _json(dataset: Dataset) -> bytes:
    listed = dataset.to_dict(data="list")
    return json.dumps(plain(listed), separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _sizes(dataset: Dataset) -> dict[str, int]:
    return {str(name): int(size) for name, size in dataset.sizes.items()}


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def plain(value: Any) -> Any:
    """Bring attributes and values to what JSON has."""
    if isinstance(value, dict):
        kept = {str(key): item for key, item in value.items() if key not in _ATTRS_OF_FILES}
        return {key: plain(kept[key]) for key in sorted(kept)}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
