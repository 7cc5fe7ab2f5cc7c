"""Labels of a long time axis: as with pandas, and never all in memory."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import UTCDateTime

from workbench.cubes.grid import Grid
from workbench.cubes.times import TimeIndex, coordinates, grid_of

START = UTCDateTime(2020, 1, 1)


def axes(size: int = 500, rate: float = 100.0, first: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the same values on an axis of ours and on one of pandas'."""
    grid = Grid(START.ns, rate, first, size)
    ours = xr.Dataset({"data": ("time", np.arange(first, first + size))}, coords=coordinates(grid))
    return ours, ours.drop_indexes("time").set_xindex("time")


def same(one: xr.Dataset | xr.DataArray, other: xr.Dataset | xr.DataArray) -> None:
    xr.testing.assert_equal(one, other)
    np.testing.assert_array_equal(one.time.values, other.time.values)


moments = st.one_of(
    st.integers(-50, 5500).map(lambda ms: str((START + ms / 1000).datetime.isoformat())),
    st.integers(-50, 5500).map(lambda ms: np.datetime64((START + ms / 1000).ns, "ns")),
    st.sampled_from(["2020", "2020-01-01", "2020-01-01T00:00", "2020-01-01T00:00:03", "2019-12-31", None]),
)


@settings(max_examples=80, deadline=None)
@given(moments, moments)
def test_slices_are_those_of_pandas(one, other) -> None:
    ours, theirs = axes()
    same(ours.sel(time=slice(one, other)), theirs.sel(time=slice(one, other)))


@pytest.mark.parametrize("method", [None, "nearest", "pad", "backfill"])
@pytest.mark.parametrize("rate", [100.0, 100 / 3])
def test_single_times_are_found_as_with_pandas(method, rate) -> None:
    ours, theirs = axes(rate=rate)
    asked = [theirs.time.values[k] for k in (0, 17, 499)]
    if method:
        asked += [one + np.timedelta64(3_000_000, "ns") for one in asked[:2]]
    for one in asked:
        same(ours.sel(time=one, method=method), theirs.sel(time=one, method=method))
        same(ours.sel(time=str(one), method=method), theirs.sel(time=str(one), method=method).squeeze())
    if method is None:
        for one in ("2020-01-01T00:00:01", "2020-01-01", "2020"):
            same(ours.sel(time=one), theirs.sel(time=one))
    same(ours.sel(time=asked, method=method), theirs.sel(time=asked, method=method))
    points = xr.DataArray(asked, dims="point")
    same(ours.sel(time=points, method=method), theirs.sel(time=points, method=method))


def test_times_beside_the_grid_are_refused_or_bounded() -> None:
    ours, _ = axes()
    beside = np.datetime64((START + 0.013).ns, "ns")
    with pytest.raises(KeyError, match=r"there is no sample at 2020-01-01T00:00:00\.013"):
        ours.sel(time=beside)
    with pytest.raises(KeyError):
        ours.sel(time=beside, method="nearest", tolerance="2ms")
    assert ours.sel(time=beside, method="nearest", tolerance="3ms").data == 1
    with pytest.raises(KeyError):
        ours.sel(time="2021-01-01T00:00:00.000", method="pad", tolerance="1s")
    with pytest.raises(ValueError, match="no step"):
        ours.sel(time=slice(None, None, "1s"))
    assert ours.sel(time=START + 0.05).data == 5
    assert ours.sel(time=slice(START + 0.05, START + 0.1)).sizes["time"] == 6


@pytest.mark.parametrize(
    "where",
    [
        slice(5, 100),
        slice(5, 100, 7),
        slice(100, 5, -3),
        slice(-20, None),
        [3, 4, 5],
        [9, -1, 2],
        np.arange(500) % 2 == 0,
        slice(3, 3),
        [],
    ],
)
def test_places_are_those_of_pandas(where) -> None:
    ours, theirs = axes()
    same(ours.isel(time=where), theirs.isel(time=where))
    again = ours.isel(time=where)
    if again.sizes["time"] > 1 and again.time[1] > again.time[0]:
        assert again.sel(time=again.time.values[1]).data == again.data[1]


def test_axes_are_aligned() -> None:
    ours, theirs = axes()
    one, other = ours.isel(time=slice(0, 300)), ours.isel(time=slice(200, None))
    plain, second = theirs.isel(time=slice(0, 300)), theirs.isel(time=slice(200, None))
    same((one.data + other.data).to_dataset(), (plain.data + second.data).to_dataset())
    for how in ("inner", "outer", "left", "right"):
        for mine, its in zip(xr.align(one, other, join=how), xr.align(plain, second, join=how), strict=True):
            same(mine, its)
    same(xr.concat([one, ours.isel(time=slice(300, 500))], "time"), theirs)
    with pytest.raises(ValueError, match="do not follow each other"):
        xr.concat([one, other], "time")
    with pytest.raises(ValueError, match="different grids"):
        xr.align(ours, axes(rate=50.0)[0], join="inner")
    assert ours.equals(axes()[0])
    assert isinstance(ours.where(ours.data > 100, drop=True).xindexes["time"], TimeIndex)


def test_what_xarray_does_with_times_it_does_with_these(tmp_path) -> None:
    ours, theirs = axes()
    for work in (
        lambda data: data.coarsen(time=100).mean(),
        lambda data: data.resample(time="1s").sum(),
        lambda data: data.groupby("time.second").max(),
        lambda data: data.shift(time=3),
        lambda data: data.diff("time"),
        lambda data: data.interp(time=[np.datetime64((START + 0.005).ns, "ns")]),
    ):
        xr.testing.assert_equal(work(ours), work(theirs))
    assert ours.rename(time="t").sel(t=slice(None, START + 0.02)).sizes["t"] == 3
    pd.testing.assert_frame_equal(ours.to_dataframe(), theirs.to_dataframe())
    ours.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as back:
        same(back, theirs)
    again = pickle.loads(pickle.dumps(ours))
    assert grid_of(again.xindexes["time"]) == grid_of(ours.xindexes["time"])
    assert grid_of(theirs.xindexes["time"]) is None


def test_a_century_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        grid = Grid.over(UTCDateTime(1950, 1, 1).ns, UTCDateTime(2050, 1, 1).ns, 100.0)
        cube = xr.Dataset(coords=coordinates(grid))
        assert cube.sizes["time"] == 315_576_000_001
        hour = cube.sel(time="2020-03-01T07")
        assert (hour.sizes["time"], str(hour.time.values[0])) == (360_000, "2020-03-01T07:00:00.000000000")
        assert "2050-01-01" in repr(cube)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
