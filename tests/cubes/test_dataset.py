"""Cubes of traces, and traces of cubes: the same samples at the same times."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime

import workbench as wb
from workbench import wire
from workbench.calls import Call, Policy
from workbench.cubes import from_stream, to_stream
from workbench.errors import BadInput, InvalidSetting, NoData, ResourceExceeded
from workbench.notices import listen

START = UTCDateTime(2020, 3, 1, 23, 59, 50)


def trace(data: object, start: float = 0.0, rate: float = 100.0, seed_id: str = "XX.A..HHZ") -> Trace:
    network, station, location, channel = seed_id.split(".")
    header = {"network": network, "station": station, "location": location, "channel": channel}
    return Trace(np.ma.asanyarray(data), {**header, "starttime": START + start, "sampling_rate": rate})


def shared_cube() -> xr.Dataset:
    """Return a cube of three channels, each with an offset of its own, and all valid."""
    rng = np.random.default_rng(0)
    cube = from_stream(
        Stream(
            [
                trace(rng.integers(-99, 99, 3000).astype(np.int32), 0.004 * k, seed_id=f"XX.A..HH{c}")
                for k, c in enumerate("ENZ")
            ]
        )
    )
    return cube.isel(time=slice(1, 3000))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.integers(0, 900), st.integers(1, 300), st.integers(0, 9_999)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([100.0, 40.0, 1.0, 0.1]),
    st.sampled_from([np.int32, np.float32, np.float64]),
    st.booleans(),
)
def test_there_and_back(parts, rate, kind, as_file) -> None:
    """Pieces anywhere, each with its own offset from the grid."""
    rng = np.random.default_rng(1)
    stream, taken = Stream(), set()
    for station, first, length, micros in parts:
        if not taken.isdisjoint((station, k) for k in range(first - 2, first + length + 2)):
            continue
        taken |= {(station, k) for k in range(first, first + length)}
        data = rng.integers(-(2**20), 2**20, length).astype(kind)
        stream.append(trace(data, (first + micros / 10_000) / rate, rate, f"XX.{station}..HHZ"))
    cube = from_stream(stream)
    assert cube.data.dtype == kind
    assert cube.valid.values.sum() == sum(len(one) for one in stream)
    if as_file:
        cube = wire.read(wire.encode(cube, ".nc"), "Dataset")
    back = to_stream(cube)
    assert wire.canonical(back) == wire.canonical(stream)
    assert sorted(one.stats.npts for one in back) == sorted(one.stats.npts for one in stream)
    if as_file:
        np.testing.assert_array_equal(cube.t_offset, from_stream(stream).t_offset)


def test_masked_samples_are_gaps() -> None:
    data = np.ma.masked_array(np.arange(100, dtype=np.int32), np.arange(100) // 10 == 5)
    stream = Stream([trace(data)])
    cube = from_stream(stream)
    assert np.flatnonzero(~cube.valid.values[0]).tolist() == list(range(50, 60))
    assert [len(one) for one in to_stream(cube)] == [50, 40]
    assert wire.canonical(to_stream(cube)) == wire.canonical(stream)
    assert np.ma.isMaskedArray(stream[0].data)


def test_versions_that_differ_are_not_valid() -> None:
    one = np.arange(100, dtype=np.int32)
    other = one.copy()
    other[30] += 1
    with listen() as heard:
        cube = from_stream(Stream([trace(one), trace(other[20:], 0.2)]))
    assert np.flatnonzero(~cube.valid.values[0]).tolist() == [30]
    assert [said.problem for said in heard.notices] == ["has 1 samples in versions that differ"]


@pytest.mark.parametrize(
    "change",
    [
        lambda cube: cube,
        lambda cube: cube.chunk(time=500),
        lambda cube: cube.transpose("time", "channel"),
        lambda cube: cube.drop_vars("valid"),
        lambda cube: cube.drop_vars(["sampling_rate", "network", "station", "location", "code"]),
        lambda cube: cube.assign(more=("channel", [1, 2, 3]), other=5),
    ],
)
def test_a_cube_may_look_otherwise(change) -> None:
    cube = shared_cube()
    expected = wire.canonical(to_stream(cube))
    assert wire.canonical(to_stream(change(cube))) == expected
    assert wire.canonical(to_stream(change(cube).load())) == expected


def test_parts_of_a_cube_are_cubes() -> None:
    cube = shared_cube()
    stream = to_stream(cube)
    (one,) = to_stream(cube.sel(channel="XX.A..HHN"))
    np.testing.assert_array_equal(one.data, stream[1].data)
    (one,) = to_stream(cube.isel(channel=0, time=slice(100, 200)))
    assert one.stats.starttime == stream[0].stats.starttime + 1.0
    np.testing.assert_array_equal(one.data, stream[0].data[100:200])
    (one,) = to_stream(cube.isel(channel=0, time=7))
    assert (one.stats.starttime, one.stats.sampling_rate) == (START + 0.08, 100.0)
    # Times that do not go on evenly are gaps.
    uneven = cube.isel(channel=[0], time=[*range(100), *range(150, 250)])
    assert [len(one) for one in to_stream(uneven)] == [100, 100]
    # What was computed on it is as good.
    doubled = cube.assign(data=cube.data * 2.0)
    np.testing.assert_array_equal(to_stream(doubled)[0].data, stream[0].data * 2.0)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda cube: cube.drop_vars("data"), BadInput, "is no cube"),
        (lambda cube: cube.drop_vars("channel"), BadInput, "is no cube"),
        (lambda cube: cube.expand_dims(band=[1]), BadInput, "band, channel, time"),
        (lambda cube: cube.assign(data=cube.data.astype(str)), BadInput, "data of type"),
        (lambda cube: cube.isel(time=slice(0, 0)), NoData, "no samples"),
        (lambda cube: cube.assign_coords(channel=["a", "b", "c"]), BadInput, "NET.STA.LOC.CHA"),
        (lambda cube: cube.isel(time=slice(None, None, 10)), BadInput, "0.1 s apart.*100 Hz"),
        (lambda cube: cube.isel(time=slice(None, None, -1)), BadInput, "do not go forward"),
        (lambda cube: cube.isel(time=[0]).drop_vars("sampling_rate"), BadInput, "no sampling_rate"),
    ],
)
def test_what_is_no_cube_is_told(change, error, said) -> None:
    with pytest.raises(error, match=said):
        to_stream(change(shared_cube()))


def test_what_makes_no_cube_is_told() -> None:
    with pytest.raises(NoData):
        from_stream(Stream())
    with pytest.raises(NoData):
        from_stream(Stream([trace(np.zeros(0, np.int32))]))
    with pytest.raises(NoData):
        from_stream(Stream([trace(np.arange(5))]), sampling_rate=50)
    with pytest.raises(InvalidSetting, match=r"1 Hz, 100 Hz.*sampling_rate=100"):
        from_stream(Stream([trace(np.arange(5)), trace(np.arange(5), rate=1.0)]))
    assert (
        from_stream(Stream([trace(np.arange(5)), trace(np.arange(9), rate=1.0)]), sampling_rate=1).sizes[
            "time"
        ]
        == 9
    )
    with pytest.raises(BadInput, match="complex"):
        from_stream(Stream([trace(np.zeros(5, complex))]))
    with pytest.raises(ResourceExceeded, match="each stretch of time"):
        from_stream(Stream([trace(np.arange(5)), trace(np.arange(5), 86400.0 * 3650)]))


def test_a_cube_of_an_archive_is_taken_as_its_stream(shared, archive_of) -> None:
    """Kernels begin in one place; here with gaps, and straight from the records."""
    archive = archive_of(shared("archive_mixed") / "IV.BDI.BH.20140404.mseed")
    with listen():
        cube = xr.open_dataset("sds:IV.BDI..BH?", engine="workbench", archive=archive, shifts=True)
    stream = archive.get_waveforms("IV", "BDI", "", "BH?", UTCDateTime(2014, 4, 4), UTCDateTime(2014, 4, 5))
    inventory = obspy.read_inventory()
    for kernel, values in (
        (wb.waveforms.filter, {"freqmin": 1.0}),
        (wb.triggers.sta_lta, {"sta": 1.0, "lta": 20.0}),
        (wb.pickers.picker, {}),
    ):
        with listen() as heard:
            found = kernel(cube, **values)
        with listen() as before:
            expected = kernel(stream, **values)
        assert wire.canonical(found) == wire.canonical(expected)
        assert heard.notices == before.notices
    with pytest.raises(BadInput, match="is no cube"):
        wb.waveforms.filter(xr.Dataset({"x": ("y", [1.0])}), freqmin=1.0)
    with pytest.raises(BadInput), listen():
        wb.waveforms.remove_response(cube, inventory)


def test_a_call_takes_a_cube_and_names_it_by_its_samples(tmp_path) -> None:
    stream = obspy.read()
    stream.write(str(tmp_path / "waveforms.mseed"), format="MSEED")
    (tmp_path / "cube.nc").write_bytes(wire.encode(from_stream(stream), ".nc"))
    (tmp_path / "cube.zarr").write_bytes(wire.encode(from_stream(stream), ".zarr"))
    (tmp_path / "table.nc").write_bytes(wire.encode(xr.Dataset({"x": ("y", [1.0])}), ".nc"))
    stream.select(component="Z").write(str(tmp_path / "z.mseed"), format="MSEED")

    def run(*names: str) -> tuple[dict[str, bytes], dict[str, str]]:
        data = [{"path": name} for name in names]
        call = Call(process="waveforms.filter", inputs={"waveforms": data, "freqmin": 1.0})
        found = call.run(Policy(base=tmp_path))
        return found.canonical(), found.fingerprints

    expected = run("waveforms.mseed")
    assert run("cube.nc") == run("cube.zarr") == expected
    # Files of both kinds go together.
    (tmp_path / "horizontal.nc").write_bytes(wire.encode(from_stream(stream.select(component="[NE]")), ".nc"))
    assert run("horizontal.nc", "z.mseed") == expected
    with pytest.raises(BadInput, match=r"table.nc: is no cube"):
        run("table.nc")
