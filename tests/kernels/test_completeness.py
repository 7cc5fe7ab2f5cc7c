"""Completeness: ObsPy's numbers, the truth, and the same however the time is cut."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from obspy import Stream, Trace, UTCDateTime
from obspy.signal.quality_control import MSEEDMetadata

from workbench import wire
from workbench.archive.records import scan
from workbench.archive.spans import Row, clip, successions, to_spans
from workbench.errors import InvalidSetting, NoData, ResourceExceeded
from workbench.kernel import get
from workbench.kernels.quality import completeness
from workbench.notices import listen
from workbench.nouns import Spans
from workbench.wire.clip import clip as window_of
from workbench.wire.packed import pack
from workbench.wire.together import together

DAY = UTCDateTime(2020, 3, 1)
COMPARED = ("percent_availability", "num_gaps", "max_gap", "num_overlaps", "max_overlap", "num_samples")


def trace(start=0.0, seconds=100.0, rate=1.0, station="A", data=None):
    """Return counting samples from so many seconds after midnight on."""
    values = np.arange(round(seconds * rate), dtype=np.int32) if data is None else data
    header = {"network": "XX", "station": station, "channel": "LHZ"}
    return Trace(values, {**header, "sampling_rate": rate, "starttime": DAY + start})


def rows(found, name):
    return found[name].values.tolist()


def theirs(path, start, end):
    """Return what ObsPy says of a window, or None where it has no sample."""
    try:
        meta = MSEEDMetadata([str(path)], starttime=start, endtime=end, add_c_segments=False).meta
    except ValueError:
        return None
    found = {name: meta[name] or 0 for name in COMPARED}
    step = 1 / meta["sample_rate"][0]
    for edge in (meta["start_gap"], meta["end_gap"]):
        if edge is not None and edge <= 0.5 * step + 1e-6:
            # Half a sample at an edge is no gap of ours.
            found["num_gaps"] -= 1
            found["percent_availability"] += 100 * edge / (end - start)
    if not found["num_gaps"]:
        found["max_gap"] = 0
    return found


def compare(path: Path, spans: Spans, window: float) -> int:
    """Compare every window of a file of one channel; return how many there were."""
    found = completeness(spans, window=window)
    compared = 0
    for number, time in enumerate(found["time"].values.astype("M8[ns]").astype(np.int64).tolist()):
        start = UTCDateTime(ns=time)
        wanted = theirs(path, start, start + window)
        mine = {name: found[name].values[0, number] for name in COMPARED}
        if wanted is None:
            assert (mine["num_samples"], mine["percent_availability"]) == (0, 0)
            continue
        assert mine == pytest.approx(wanted, abs=2e-6), (path.name, start)
        compared += 1
    return compared


def each_channel(path: Path, folder: Path):
    """Go through the channels of a file, each as a file of its own with its spans."""
    content = path.read_bytes()
    found = scan(content)
    for number, seed_id in enumerate(found.ids):
        own = found.records[found.records["channel"] == number]
        one = folder / f"{path.name}.{seed_id}"
        one.write_bytes(b"".join(content[row["offset"] : row["offset"] + row["length"]] for row in own))
        yield one, to_spans(successions(scan(one.read_bytes())))


@pytest.mark.parametrize(
    ("name", "window", "windows"),
    [
        ("BW.BGLD.EHE.20080101.gaps", 86400.0, 2),
        ("BW.BGLD.EHE.20080101.gaps", 5.0, 54),
        ("CH.BALST.LH.20251110", 86400.0, 4),
        ("IV.BDI.BH.20140404", 600.0, 30),
        ("IV.BOB.BH.20110311", 1800.0, 9),
        ("II.PFO.BHZ.20110311", 3600.0, 2),
        ("TA.C26K.BHZ.2018.224", 43200.0, 3),
    ],
)
def test_agrees_with_obspy_on_recorded_data(shared, tmp_path, name, window, windows):
    path = shared("archive_mixed") / f"{name}.mseed"
    assert sum(compare(one, spans, window) for one, spans in each_channel(path, tmp_path)) >= windows


@pytest.mark.parametrize(
    "name",
    ["gaps.mseed", "timingquality.mseed", "two_channels.mseed", "CH.BALST..LH_two_channels", "test.mseed"],
)
def test_agrees_with_obspy_on_its_own_files(tmp_path, name):
    path = Path(obspy.__file__).parent / "io/mseed/tests/data" / name
    assert sum(compare(one, spans, 60.0) for one, spans in each_channel(path, tmp_path))


def test_published_counts(shared):
    """The README of the recordings: samples and gaps by ObsPy."""
    folder = shared("archive_mixed")
    for name, samples, gaps in (
        ("BW.BGLD.EHE.20080101.gaps", [412 + 824 + 824 + 50668], 3),
        ("IV.BDI.BH.20140404", None, 1),
        ("TA.C26K.BHZ.2018.224", [3456001], 0),
        ("II.PFO.BHZ.20110311", [60000, 120000], 0),
    ):
        for stream in (obspy.read(str(folder / f"{name}.mseed")), None):
            spans = to_spans(successions(scan((folder / f"{name}.mseed").read_bytes())))
            found = completeness(stream or spans, window=10 * 86400.0)
            # The two outer gaps are those to the edges of the window.
            assert (found["num_gaps"].values == gaps + 2).all()
            if samples is not None:
                assert found["num_samples"].values[:, 0].tolist() == samples


@settings(max_examples=40, deadline=None)
@example(pieces=[(0, 61), (60, 2)], window=60.0, reclen=256)
@given(
    pieces=some.lists(some.tuples(some.integers(0, 500), some.integers(2, 200)), min_size=1, max_size=6),
    window=some.sampled_from([60.0, 97.0, 86400.0]),
    reclen=some.sampled_from([256, 4096]),
)
def test_agrees_with_obspy_on_overlaps_and_gaps(tmp_path_factory, pieces, window, reclen):
    """Exact copies and partial ones, in any order, of records of any length."""
    stream = Stream([trace(first, seconds) for first, seconds in sorted(pieces)])
    out = io.BytesIO()
    stream.write(out, format="MSEED", reclen=reclen)
    path = tmp_path_factory.mktemp("x") / "x.mseed"
    path.write_bytes(out.getvalue())
    found = completeness(to_spans(successions(scan(out.getvalue()))), window=window)
    pd.testing.assert_frame_equal(
        completeness(stream, window=window).drop_vars("num_records", errors="ignore").to_dataframe(),
        found.drop_vars("num_records", errors="ignore").to_dataframe(),
    )
    for number, time in enumerate(found["time"].values.astype("M8[ns]").astype(np.int64).tolist()):
        start = UTCDateTime(ns=time)
        wanted = theirs(path, start, start + window)
        mine = {name: found[name].values[0, number] for name in COMPARED}
        if wanted is None:
            assert mine["num_samples"] == 0
        else:
            # ObsPy counts an overlap for each trace that it makes of the records, and
            # that depends on their order in the file.
            for name in ("percent_availability", "num_gaps", "max_gap", "num_samples"):
                assert mine[name] == pytest.approx(wanted[name], abs=2e-6)
            # ObsPy counts an overlap that begins with a window for the one before as well.
            following = found["num_overlaps"].values[0, number + 1 :][:1].sum()
            assert (mine["num_overlaps"] > 0) == (wanted["num_overlaps"] > 0) or (
                following and wanted["num_overlaps"]
            )


def test_windows_are_those_that_were_asked_for():
    found = completeness(Stream([trace(100, 300), trace(1000, 200)]), window=200.0)
    assert found["time"].values[0] == np.datetime64((DAY).ns, "ns")
    assert rows(found, "percent_availability") == [[50.0, 100.0, 0.0, 0.0, 0.0, 100.0]]
    assert rows(found, "num_gaps") == [[1, 0, 1, 1, 1, 0]]
    assert rows(found, "max_gap") == [[100.0, 0.0, 200.0, 200.0, 200.0, 0.0]]
    assert rows(found, "num_samples") == [[100, 200, 0, 0, 0, 200]]
    start, end = str(DAY + 150), str(DAY + 300)
    found = completeness(Stream([trace(100, 100)]), window=200.0, starttime=start, endtime=end)
    assert rows(found, "percent_availability") == [[100.0, 0.0]]
    assert rows(found, "num_samples") == [[50, 0]]
    # A window without data is one gap as long as the window, though half of it was asked for.
    assert rows(found, "max_gap") == [[0.0, 200.0]]
    assert found["time"].attrs["window_s"] == 200.0


def test_all_windows_from_start_to_end_are_there():
    found = completeness(Stream([trace()]), starttime="2020-02-28T00:00:00", endtime="2020-03-03T00:00:00")
    assert rows(found, "percent_availability") == [[0.0, 0.0, pytest.approx(100 / 864), 0.0]]
    assert rows(found, "num_gaps") == [[1, 1, 1, 1]]


def test_what_is_absent_stands_in_the_attributes():
    """Where a tile has nothing of a channel, the whole has what a window without data has."""
    found = completeness(Stream([trace(0, 100), trace(300, 100, station="B")]), window=100.0)
    for name, item in found.data_vars.items():
        assert (item.values[1, 0], item.values[0, 3]) == (item.attrs["absent"],) * 2, name


def test_records_are_counted_where_they_begin(shared):
    content = (shared("archive_mixed") / "CH.BALST.LH.20251110.mseed").read_bytes()
    found = scan(content)
    dataset = completeness(to_spans(successions(found)))
    days = found.records["start"] // (86400 * 10**9)
    for channel, seed_id in enumerate(found.ids):
        own = days[found.records["channel"] == channel]
        first = dataset["time"].values[0].astype("M8[D]").astype(int)
        wanted = np.bincount(own - first, minlength=dataset.sizes["time"]).tolist()
        assert dataset.sel(channel=seed_id)["num_records"].values.tolist() == wanted
    assert "num_records" not in completeness(to_spans(successions(found)), window=3600.0)


ROWS = some.lists(
    some.tuples(some.integers(0, 4000), some.integers(1, 900), some.sampled_from(["A", "B"])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(found=ROWS, cuts=some.sets(some.integers(-1, 9), max_size=4), phase=some.integers(0, 999_999_999))
def test_parts_of_any_cut_give_what_the_whole_gives(found, cuts, phase):
    """To the bit, with samples anywhere between two seconds."""
    kernel, values = get("quality.completeness"), {"window": 600.0}
    listed = [
        Row(
            f"XX.{name}..LHZ",
            DAY.ns + first * 10**9 + phase,
            DAY.ns + (first + n - 1) * 10**9 + phase,
            1.0,
            n,
            1,
        )
        for first, n, name in found
    ]
    whole = completeness(to_spans(listed), **values)
    given = kernel.validate(values)
    lead, trail = (round(side * 1e9) for side in (kernel.lead(given), kernel.trail(given)))
    edges = [DAY.ns + cut * 600 * 10**9 for cut in sorted({-2, 12, *cuts})]
    parts = []
    for start, end in pairwise(edges):
        some_rows = [part for row in listed if (part := clip(row, start - lead, end + trail)) is not None]
        if some_rows:
            parts.append(pack(window_of(completeness(to_spans(some_rows), **values), start, end)))
    merged = together("Dataset", parts, grid=600 * 10**9)
    assert wire.canonical(merged) == wire.canonical(whole)


def test_parts_of_waveforms_give_what_the_whole_gives(pieced):
    stream = Stream([trace(50, 400), trace(700, 900), trace(1000, 100), trace(200, 33, station="B")])
    edges = [DAY + at for at in (0, 300, 600, 1500, 1800)]
    whole = completeness(stream, window=300.0)
    merged = pieced(get("quality.completeness"), stream, edges, window=300.0)
    assert wire.canonical(merged) == wire.canonical(whole)


def test_comes_back_from_every_form():
    found = completeness(Stream([trace(), trace(300)]), window=60.0)
    for suffix in (".nc", ".zarr"):
        assert wire.canonical(wire.read(wire.encode(found, suffix), "Dataset")) == wire.canonical(found)
    assert wire.encode(found, ".png").startswith(b"\x89PNG")


def test_nan_and_masked_samples_are_gaps():
    data = np.arange(100.0)
    data[20:30] = np.nan
    masked = np.ma.masked_array(np.arange(100), mask=[False] * 60 + [True] * 40)
    with listen() as heard:
        found = completeness(Stream([trace(data=data), trace(station="B", data=masked)]), window=100.0)
    assert rows(found, "percent_availability") == [[90.0], [60.0]]
    assert [item.subject for item in heard.notices] == ["XX.A..LHZ"]
    assert "10 samples that are NaN" in heard.notices[0].problem


def test_several_rates_in_a_window_are_named_and_measured():
    with listen() as heard:
        found = completeness(Stream([trace(0, 50), trace(50, 50, rate=10.0)]), window=100.0)
    assert rows(found, "percent_availability") == [[100.0]]
    assert rows(found, "num_samples") == [[550]]
    assert "several sampling rates (1, 10 Hz)" in heard.notices[0].problem
    assert not heard.notices[0].loss


def test_rows_that_cannot_be_true_are_left_out():
    table = to_spans([Row("XX.A..LHZ", DAY.ns, DAY.ns + 9 * 10**9, 1.0, 10, 1)]).table
    wrong = table.assign(end=table["time"] - pd.Timedelta(1, "s"))
    for bad in (wrong, table.assign(samples=0), table.assign(sampling_rate=np.nan)):
        with listen() as heard:
            found = completeness(Spans(pd.concat([table, bad])), window=10.0)
        assert rows(found, "percent_availability") == [[100.0]]
        assert "has 1 spans that end before" in heard.notices[0].problem
        with listen(), pytest.raises(NoData):
            completeness(Spans(bad), window=10.0)


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"starttime": "yesterday"}, InvalidSetting, "'yesterday' is no time"),
        ({"starttime": "2020-03-02", "endtime": "2020-03-01"}, InvalidSetting, "not after"),
        ({"window": 1.0000000001}, InvalidSetting, "whole number of nanoseconds"),
        ({"starttime": "2021-01-01"}, NoData, "outside the time"),
        ({"window": 1.0, "starttime": "1990-01-01"}, ResourceExceeded, "windows of 1 channels"),
    ],
)
def test_bad_settings_are_refused(values, error, says):
    with pytest.raises(error, match=says):
        completeness(Stream([trace()]), **values)


@pytest.mark.parametrize("given", [Stream(), Spans(), Stream([trace(seconds=0)])])
def test_nothing_is_no_data(given):
    with listen(), pytest.raises(NoData):
        completeness(given)


def test_channels_slower_than_a_window_are_left_out():
    with listen() as heard:
        found = completeness(Stream([trace(rate=0.1, seconds=1000), trace(station="B")]), window=5.0)
    assert found["channel"].values.tolist() == ["XX.B..LHZ"]
    assert "a sample every 10 s, and a window is 5 s" in heard.notices[0].problem
    with listen(), pytest.raises(InvalidSetting, match="shorter than a sample"):
        completeness(Stream([trace(rate=0.1, seconds=1000)]), window=5.0)


def test_a_window_is_a_second_at_least():
    with pytest.raises(InvalidSetting, match="window"):
        get("quality.completeness").validate({"window": 0.5})
