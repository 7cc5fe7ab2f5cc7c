"""Results cut into windows, packed, and put together again in any order: the whole, to the byte."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import obspy
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as some
from obspy import Stream, Trace, UTCDateTime
from obspy.core.event import Catalog, Event, Origin, Pick, ResourceIdentifier, WaveformStreamID

from workbench import wire
from workbench.errors import BadInput, UnreadableFile
from workbench.nouns import Picks, Triggers
from workbench.wire.clip import clip
from workbench.wire.packed import dump, head_of, load, pack
from workbench.wire.together import together

T0 = UTCDateTime(2020, 1, 1).ns
MINUTE = 60 * 10**9

quick = settings(max_examples=30, deadline=None)
cuts = some.lists(some.integers(0, 10 * MINUTE), max_size=6)
shuffles = some.randoms(use_true_random=False)


def pieced(value, cut, shuffle, grid=0):
    """Cut a result at some times, write and read each part, and put them together out of order."""
    edges = [-(2**62), *sorted(T0 + at for at in cut), 2**62]
    parts = [clip(value, start, stop) for start, stop in pairwise(edges)]
    shuffle.shuffle(parts)
    files = [b"".join(bytes(part) for part in dump({"x": pack(part)}, {})) for part in parts]
    return together(wire.noun(value), [load(file, "a file")[0]["x"] for file in files], grid=grid)


@quick
@given(
    cut=cuts,
    shuffle=shuffles,
    rate=some.sampled_from([100.0, 40.0, 3.0, 128.0, 0.7]),
    seed=some.integers(0, 9),
)
def test_waveforms(cut, shuffle, rate, seed):
    rng = np.random.default_rng(seed)
    stream = Stream()
    for number, kind in enumerate((np.int32, np.float32, np.float64)):
        for begin, minutes in ((0, 3), (5, 4)):
            data = rng.normal(0, 1000, int(minutes * 60 * rate)).astype(kind)
            header = {"station": f"S{number}", "channel": "HHZ", "sampling_rate": rate}
            header["starttime"] = UTCDateTime(ns=T0 + begin * MINUTE + 1000 * int(rng.integers(0, 9999)))
            stream.append(Trace(data, header | {"processing": ["filter"]}))
    found = pieced(stream, cut, shuffle)
    assert wire.canonical(found) == wire.canonical(stream)
    assert [trace.data.dtype for trace in found] == [trace.data.dtype for trace in stream]
    assert found[0].stats.processing == ["filter"]


def test_a_sample_on_the_edge_is_there_once_whichever_way_its_time_was_rounded():
    """128 samples a second lie between microseconds, which is what headers count."""
    rng = np.random.default_rng(1)
    data = rng.integers(-99, 99, 1280).astype(np.int32)
    edge = T0 + 5 * 10**9
    for off in (-500, 0, 500):
        header = {"sampling_rate": 128.0, "starttime": UTCDateTime(ns=T0 + off)}
        first = clip(Stream([Trace(data, header)]), T0 - 10**9, edge)
        header["starttime"] = UTCDateTime(ns=T0 - off)
        second = clip(Stream([Trace(data, header)]), edge, T0 + 10**12)
        (whole,) = together("Waveforms", [pack(second), pack(first)])
        np.testing.assert_array_equal(whole.data, data)


@quick
@given(
    cut=cuts,
    shuffle=shuffles,
    rows=some.lists(
        some.tuples(
            some.integers(0, 10 * MINUTE),
            some.sampled_from(["A", "B"]),
            some.floats(allow_infinity=False),
            some.one_of(some.none(), some.text(max_size=3)),
        ),
        max_size=12,
    ),
)
def test_tables(cut, shuffle, rows):
    table = Picks(
        pd.DataFrame(
            {
                "time": np.array([T0 + row[0] for row in rows], "datetime64[ns]"),
                "station": [row[1] for row in rows],
                "snr": np.array([row[2] for row in rows], float),
                "polarity": np.array([row[3] for row in rows], object),
                "number": np.arange(len(rows)),
            }
        )
    )
    found = pieced(table, cut, shuffle)
    assert wire.canonical(found) == wire.canonical(table)
    assert list(found.table.dtypes) == list(table.table.dtypes)
    again = pieced(table, cut[:2], shuffle)
    pd.testing.assert_frame_equal(again.table, found.table)


def test_tables_of_which_one_has_a_column_more():
    plain = Triggers([{"time": "2020-01-01", "stations": "A"}])
    more = Triggers([{"time": "2020-01-02", "stations": "B", "peak": 3.5, "channel": "X"}])
    for parts in ([plain, more], [more, plain]):
        found = together("Triggers", [pack(part) for part in parts])
        assert wire.canonical(found) == wire.canonical(Triggers.concat([plain, more]))
        assert found.table["peak"].dtype == float
    assert list(together("Triggers", []).table) == list(Triggers().table)
    empty = Triggers(more.table[:0])
    found = together("Triggers", [pack(empty), pack(empty)])
    assert wire.canonical(found) == wire.canonical(empty)


def event(number, at, origin=True):
    def name(kind):
        return ResourceIdentifier(f"smi:test/{kind}/{number}")

    pick = Pick(
        resource_id=name("pick"), time=UTCDateTime(ns=T0 + at), waveform_id=WaveformStreamID("XX", "A")
    )
    origins = [Origin(resource_id=name("origin"), time=UTCDateTime(ns=T0 + at), latitude=1.0, longitude=2.0)]
    return Event(resource_id=name("event"), picks=[pick], origins=origins if origin else [])


@quick
@given(cut=cuts, shuffle=shuffles, times=some.lists(some.integers(0, 10**10), max_size=5))
def test_events(cut, shuffle, times):
    catalogue = Catalog([event(n, 1000 * (at // 1000), n % 2) for n, at in enumerate(times)])
    found = pieced(catalogue, [at // 60 for at in cut], shuffle)
    assert wire.canonical(found) == wire.canonical(catalogue)


def cube(channels, hours, seed=0):
    rng = np.random.default_rng(seed)
    size = len(channels), len(hours)
    times = np.array([T0 + hour * MINUTE for hour in hours], "datetime64[ns]")
    return xr.Dataset(
        {
            "availability": (("channel", "time"), rng.uniform(1, 100, size), {"absent": 0.0, "units": "%"}),
            "rms": (("channel", "time"), rng.normal(size=size).astype(np.float32)),
            "count": (("channel", "time"), rng.integers(1, 9, size), {"absent": -1}),
            "psd": (("channel", "time", "period"), rng.normal(size=(*size, 2))),
            "word": (("channel", "time"), np.full(size, "x", object)),
        },
        {
            "channel": ("channel", np.array(list(channels), object)),
            "time": ("time", times, {"long_name": "start"}),
            "period": [0.1, 10.0],
            "site": ("channel", np.array([name[0] for name in channels], object)),
        },
        {"title": "cube"},
    )


@quick
@given(cut=cuts, shuffle=shuffles)
def test_datasets(cut, shuffle):
    whole = cube("abc", range(10))
    found = pieced(whole, cut, shuffle)
    assert wire.canonical(found) == wire.canonical(whole)


def test_datasets_of_several_channels_meet_at_their_labels():
    parts = [cube("b", [3, 4], 1), cube("a", [4, 6], 2), cube("b", [7], 3)]
    found = together("Dataset", [pack(part) for part in parts])
    xr.testing.assert_identical(found, together("Dataset", [pack(part) for part in parts[::-1]]))
    assert list(found.channel.values) == ["a", "b"]
    assert list(found.time.values.astype("datetime64[ns]").astype(np.int64)) == [
        T0 + hour * MINUTE for hour in (3, 4, 6, 7)
    ]
    assert found.availability.values[0].tolist() == [0.0, *parts[1].availability.values[0], 0.0]
    assert np.isnan(found.rms.values[0, [0, 3]]).all()
    assert found["count"].values[1].tolist() == [
        *parts[0]["count"].values[0],
        -1,
        *parts[2]["count"].values[0],
    ]
    assert found["count"].dtype == parts[0]["count"].dtype
    assert found.word.values[0].tolist() == ["", "x", "x", ""]
    assert found.site.values.tolist() == ["a", "b"]
    assert found.psd.shape == (2, 4, 2)


def test_a_dataset_on_a_grid_has_every_time_between():
    parts = [pack(cube("a", [3])), pack(cube("a", [7]))]
    found = together("Dataset", parts, grid=MINUTE)
    assert found.sizes["time"] == 5
    assert found.availability.values[0, 1:4].tolist() == [0.0] * 3
    assert together("Dataset", parts, grid=3 * MINUTE).sizes["time"] == 2
    year = [pack(cube("a", [0])), pack(cube("a", [364 * 1440]))]
    assert together("Dataset", year, grid=1440 * MINUTE).sizes["time"] == 365


def test_whole_numbers_become_floats_where_nothing_says_what_an_empty_cell_is():
    parts = [cube("a", [3]), cube("b", [4])]
    for part in parts:
        del part["count"].attrs["absent"]
    found = together("Dataset", [pack(part) for part in parts])["count"]
    assert found.dtype == np.float64
    assert np.isnan(found.values[[0, 1], [1, 0]]).all()


def test_datasets_that_contradict_each_other_are_refused():
    one, other = cube("a", [3]), cube("a", [4])
    other["site"] = ("channel", np.array(["z"], object))
    with pytest.raises(BadInput, match="'site'"):
        together("Dataset", [pack(one), pack(other)])
    bare = [xr.Dataset({"x": ("lag", np.zeros(n))}) for n in (2, 3)]
    with pytest.raises(BadInput, match="'lag'"):
        together("Dataset", [pack(part) for part in bare])


def test_stations_have_no_time_and_are_put_together():
    inventory = obspy.read_inventory()
    assert clip(inventory, 0, 1) is inventory
    assert wire.canonical(together("Stations", [pack(inventory)] * 2)) == wire.canonical(
        wire.codec("Stations").merge([("a", inventory), ("b", inventory)])
    )


def test_a_file_that_is_cut_off_or_damaged_is_told():
    data = b"".join(bytes(part) for part in dump({"x": pack(obspy.read())}, {"said": [1]}))
    found, more = load(data, "a file")
    assert more == {"said": [1]}
    assert wire.canonical(together("Waveforms", [found["x"]])) == wire.canonical(obspy.read())
    assert head_of(data[:4096], "a file")[1:] == head_of(data, "a file")[1:]
    for broken in (
        data[:-1],
        data[:20],
        data + b"x",
        data[:60] + b"?" + data[61:],
        data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    ):
        with pytest.raises(UnreadableFile):
            load(broken, "a file")
