"""Whatever is written, in whatever pieces and order, is what is read."""

from __future__ import annotations

import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace

from tests.archive.conftest import MIDNIGHT, everything, mseed, trace
from workbench.archive import Archive
from workbench.archive.chains import join
from workbench.archive.index import Index
from workbench.archive.midnights import cut_days
from workbench.archive.records import scan
from workbench.archive.runs import Run
from workbench.archive.samples import decode
from workbench.archive.stretches import stretches

N = 1200
START = MIDNIGHT - 5.5

pieces = st.lists(
    st.tuples(
        st.integers(0, N - 1),
        st.integers(1, N),
        st.sampled_from(["stream", "STEIM1", "STEIM2", "INT32"]),
        st.sampled_from([256, 512, 4096]),
    ),
    min_size=1,
    max_size=8,
)
samples = st.sampled_from(
    [
        np.random.default_rng(0).integers(-(10**6), 10**6, N).astype(np.int32),
        np.zeros(N, np.int32),
        np.cumsum(np.random.default_rng(1).normal(size=N)).astype(np.float32),
        np.random.default_rng(2).normal(size=N),
    ]
)


def cut(one: Trace, first: int, length: int) -> Trace:
    part = one.copy()
    part.data = one.data[first : first + length]
    part.stats.starttime = one.stats.starttime + first / one.stats.sampling_rate
    return part


@settings(max_examples=25, deadline=None)
@given(samples, pieces)
def test_any_pieces_in_any_order_read_back_as_the_same_samples(data, parts) -> None:
    one = trace(data, START, 100.0)
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        there = np.zeros(N, bool)
        for first, length, form, record in parts:
            part = cut(one, first, length)
            there[first : first + length] = True
            if form == "stream" or data.dtype != np.int32:
                archive.write(part, record_length=record)
            else:
                archive.write(mseed(part, encoding=form, reclen=record))
        found = everything(archive)
        back = np.full(N, -1, dtype=np.int64)
        for got in found:
            at = round((got.stats.starttime - START) * 100)
            assert got.stats.starttime == START + at / 100
            assert (back[at : at + len(got)] == -1).all()
            back[at : at + len(got)] = np.arange(at, at + len(got))
            np.testing.assert_array_equal(got.data, data[at : at + len(got)])
        assert ((back >= 0) == there).all()
        # One trace for each stretch, and nothing of it twice on disk but within a record.
        assert len(found) == int(there[0]) + int((np.diff(there.astype(int)) == 1).sum())
        for first, length, _, _ in parts:
            assert archive.write(cut(one, first, length)).samples == 0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=4))
def test_reading_by_offsets_is_reading_all_and_trimming(windows) -> None:
    rng = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(folder)
        parts = [
            trace(rng.integers(-99, 99, 800).astype(np.int32), START + 10.0 * k + (k > 1), 100.0)
            for k in (2, 0, 1)
        ]
        archive.write(Stream(parts), record_length=256)
        whole = everything(archive)
        for one, other in windows:
            first, last = START + min(one, other) / 100, START + max(one, other) / 100
            found = archive.get_waveforms("XX", "ABC", "", "HHZ", first, last)
            expected = whole.slice(first, last, nearest_sample=False)
            expected = Stream([t for t in expected if t.stats.npts])
            assert [(t.stats.starttime, t.data.tolist()) for t in found] == [
                (t.stats.starttime, t.data.tolist()) for t in expected
            ]


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 10**9).map(lambda ns: ns - 5 * 10**8),
    st.sampled_from([100.0, 33.3333, 1.0, 999.9, 0.01, 3.0]),
    st.integers(1, 3000),
)
def test_cutting_at_midnight_loses_nothing(offset, rate, number) -> None:
    start = MIDNIGHT.ns + offset
    run = Run("XX.A..HHZ", start, rate, np.arange(number), start + round((number - 1) * 1e9 / rate))
    days = list(cut_days(run))
    assert np.concatenate([part.data for _, part in days]).tolist() == list(range(number))
    for day, part in days:
        assert part.start // (86_400 * 10**9) == day
        assert abs(part.start - run.time_of(int(part.data[0]))) <= 1000
    assert [day for day, _ in days] == sorted({day for day, _ in days})


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 50))
def test_joining_does_not_depend_on_the_order(order, shared) -> None:
    data = np.random.default_rng(4).integers(-9, 9, 700)
    runs = [Run("XX.A..HHZ", k * 10**9, 100.0, data[k * 100 : k * 100 + 100 + shared], 0) for k in range(6)]
    runs = [Run(run.id, run.start, run.rate, run.data, run.time_of(len(run.data) - 1)) for run in runs]
    (one,) = join([runs[k] for k in order])
    np.testing.assert_array_equal(one.data, data[: 600 + shared])


def test_the_index_groups_every_record_once(tmp_path) -> None:
    body = b"".join(mseed(trace(900, START + 9 * k), reclen=256) for k in range(5))
    path = tmp_path / "x"
    path.write_bytes(body)
    found = scan(body)
    parts = stretches("x", found)
    assert sum(part.n for part in parts) == 4500
    assert sum(part.length for part in parts) == len(body)
    for part in parts:
        inside = scan(body[part.offset : part.offset + part.length])
        assert inside.records["n"].sum() == part.n
        assert not decode(body[part.offset : part.offset + part.length], inside.records).bad
    assert Index(tmp_path, tmp_path / "i.sqlite").look([]).stretches == []
