"""Cubes of archives, and what should be in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from obspy import Stream

from workbench.archive import Archive
from workbench.notices import listen

EPOCH = np.datetime64(0, "ns")


def opened(archive: Archive | Sequence[Archive], spec: str = "sds:*.*.*.*", **more: object) -> xr.Dataset:
    return xr.open_dataset(spec, engine="workbench", archive=archive, **more)


def expected(cube: xr.Dataset, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
    """Put the samples of a stream where a cube should have them: at the time nearest to their own."""
    data = np.zeros((cube.sizes["channel"], cube.sizes["time"]), cube.data.dtype)
    valid = np.zeros(data.shape, bool)
    origin = int((cube.time.values[0] - EPOCH).astype(np.int64))
    names = cube.channel.values.tolist()
    for one in stream:
        row = names.index(one.id)
        offset = float(cube.t_offset[row])
        first = round((one.stats.starttime.ns - origin - offset * 1e9) * one.stats.sampling_rate / 1e9)
        assert not valid[row, first : first + len(one)].any()
        data[row, first : first + len(one)] = one.data
        valid[row, first : first + len(one)] = True
    return data, valid


def same(cube: xr.Dataset, data: np.ndarray, valid: np.ndarray) -> None:
    np.testing.assert_array_equal(cube.valid.values, valid)
    np.testing.assert_array_equal(cube.data.values, data)
    assert cube.data.values.dtype == data.dtype


def opened_quietly(archive: Archive, **more: object) -> xr.Dataset:
    with listen():
        return opened(archive, **more)
