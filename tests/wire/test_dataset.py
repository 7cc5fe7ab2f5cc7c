"""Datasets: equal as values, types, dimensions and attributes, in whatever file."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workbench import wire
from workbench.errors import BadInput, UnreadableFile
from workbench.wire import Datum, dataset


def example() -> xr.Dataset:
    times = np.array(["2020-01-01T00:00:00", "2020-01-01T00:00:01"], dtype="datetime64[ns]")
    return xr.Dataset(
        {
            "travel_time": (("station", "time"), np.arange(6.0).reshape(3, 2), {"units": "s"}),
            "count": (("station",), np.array([1, 2, 3], dtype=np.int32)),
        },
        coords={"station": ["XX.A", "XX.B", "XX.C"], "time": times},
        attrs={"title": "a test", "levels": [1.0, 2.0]},
    )


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_files_come_back_as_the_same_dataset(suffix):
    data = wire.encode(example(), suffix)
    back = wire.read(data, "Dataset")
    assert wire.canonical(back) == wire.canonical(example())
    assert wire.fingerprint(back) == wire.fingerprint(example())


@settings(max_examples=25, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int32, np.int64]),
        arrays.array_shapes(min_dims=1, max_dims=2, max_side=5),
    )
)
def test_any_numbers_come_back_from_netcdf(values):
    whole = xr.Dataset({"x": (tuple("ab")[: values.ndim], values)})
    assert wire.canonical(wire.read(wire.encode(whole, ".nc"), "Dataset")) == wire.canonical(whole)


@pytest.mark.parametrize(
    "change",
    [
        lambda ds: ds.assign(count=ds["count"] + 1),
        lambda ds: ds.assign(count=ds["count"].astype("int64")),
        lambda ds: ds.rename({"station": "site"}),
        lambda ds: ds.assign_attrs(title="another"),
        lambda ds: ds.transpose("time", "station"),
        lambda ds: ds.rename({"count": "number"}),
    ],
)
def test_fingerprint_sees_values_types_dimensions_and_attributes(change):
    assert wire.fingerprint(change(example())) != wire.fingerprint(example())


def test_order_of_names_does_not_matter():
    whole = example()
    other = whole[["count", "travel_time"]].assign_attrs(dict(reversed(list(whole.attrs.items()))))
    assert wire.fingerprint(other) == wire.fingerprint(whole)


def test_folder_and_zip_are_one_store(tmp_path):
    dataset.write_folder(example(), tmp_path / "a.zarr")
    assert wire.fingerprint(wire.read(tmp_path / "a.zarr", "Dataset")) == wire.fingerprint(example())
    assert wire.encode(example(), ".zarr") == wire.encode(example(), ".zarr")


def test_netcdf_3_is_read(tmp_path):
    xr.Dataset({"x": ("t", np.arange(3.0))}).to_netcdf(tmp_path / "a.nc", engine="scipy")
    assert wire.sniff((tmp_path / "a.nc").read_bytes()) == ("Dataset", "NETCDF3")
    assert wire.read(tmp_path / "a.nc", "Dataset")["x"].values.tolist() == [0.0, 1.0, 2.0]


def test_broken_files_are_refused_by_name():
    whole = wire.encode(example(), ".nc")
    for content in (whole[:500], whole[: len(whole) // 2], wire.encode(example(), ".zarr")[:-300]):
        with pytest.raises(UnreadableFile, match=r"b\.nc"):
            wire.read(content, "Dataset", "b.nc")


def test_two_datasets_are_not_put_together():
    with pytest.raises(BadInput, match=r"2\.nc"):
        wire.merge("Dataset", [Datum("Dataset", example(), "1.nc"), Datum("Dataset", example(), "2.nc")])


def test_json_and_csv_are_written():
    assert b'"travel_time"' in wire.encode(example(), ".json")
    assert wire.encode(example(), ".csv").decode().splitlines()[0] == "station,time,travel_time,count"
