"""Spans of archives: from headers alone, the same from every source."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from obspy import Stream, UTCDateTime

from tests.archive.conftest import MIDNIGHT, mseed, trace
from workbench.archive import Archive, Directory, Fdsn, Memory, Selection, Sources, index
from workbench.archive import reader as reading
from workbench.archive.packed import pack, unpack, unpack_table
from workbench.archive.records import scan
from workbench.archive.spans import Row, beside, clip, cut, spans_of, successions, to_spans
from workbench.calls import Call, Policy
from workbench.errors import NoData, Unavailable
from workbench.notices import listen
from workbench.nouns import Spans

SECOND = 10**9
ALL = ("*", "*", "*", "*", MIDNIGHT - 10 * 86400, MIDNIGHT + 10 * 86400)


def times(spans: Spans) -> list[tuple[float, float, int]]:
    """Return first and last sample in seconds after midnight, and how many."""
    table = spans.table
    zero = np.datetime64(MIDNIGHT.ns, "ns")
    first, last = ((table[name].to_numpy() - zero) / np.timedelta64(1, "s") for name in ("time", "end"))
    return list(zip(first.tolist(), last.tolist(), table["samples"].tolist(), strict=True))


def put(archive: Archive, day: int, *traces: object, **kwargs: object) -> None:
    """Write traces to a day's file as they are, overlaps and all."""
    date = MIDNIGHT + day * 86400
    path = archive.root / f"{date.year}/XX/ABC/HHZ.D/XX.ABC..HHZ.D.{date.year}.{date.julday:03d}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(mseed(one, **kwargs) for one in traces))
    os.utime(path, (0, 1e9))


@pytest.fixture
def blind(monkeypatch) -> None:
    """Let no sample be decoded."""

    def decode(*_: object) -> None:
        raise AssertionError("a sample was decoded")

    monkeypatch.setattr(reading, "decode", decode)


@pytest.mark.usefixtures("blind")
def test_an_archive_says_when_it_has_data_without_decoding(archive) -> None:
    put(archive, 0, trace(6000, MIDNIGHT), trace(1000, MIDNIGHT + 100), reclen=512)
    put(archive, 1, trace(100, MIDNIGHT + 86400))
    spans = archive.get_spans(*ALL)
    assert times(spans) == [(0, 59.99, 6000), (100, 109.99, 1000), (86400, 86400.99, 100)]
    records = [len(scan(mseed(one, reclen=512)).records) for one in (trace(6000), trace(1000))]
    assert spans.table["records"].tolist() == [*records, 1]
    assert set(spans.table["sampling_rate"]) == {100.0}
    call = Call(
        process="quality.completeness", inputs={"spans": {"selection": "XX.*.*.*@2020-03-01/2020-03-03"}}
    )
    result = call.run(Policy(sources=[archive]))
    assert result.value["num_samples"].values.tolist() == [[7000, 100]]
    assert result.value["num_records"].values.tolist() == [[sum(records), 1]]


def test_what_is_there_twice_is_there_twice(archive) -> None:
    put(archive, 0, trace(1000), trace(1000), trace(1000, MIDNIGHT + 5))
    assert times(archive.get_spans(*ALL)) == [(0, 9.99, 1000), (0, 9.99, 1000), (5, 14.99, 1000)]


def test_a_span_ends_with_the_day_that_its_records_begin_in(archive) -> None:
    put(archive, 0, trace(20000, MIDNIGHT + 86400 - 100), reclen=512)
    first, second = archive.get_spans(*ALL).table.itertuples()
    assert first.samples + second.samples == 20000
    assert second.time - first.end == pd.Timedelta(10, "ms")
    starts = scan(mseed(trace(20000, MIDNIGHT + 86400 - 100), reclen=512)).records["start"]
    assert first.records == (starts < (MIDNIGHT + 86400).ns).sum()
    assert second.time.value == starts[starts >= (MIDNIGHT + 86400).ns].min()


def test_new_data_are_seen(archive) -> None:
    archive.write(trace(100))
    assert times(archive.get_spans(*ALL)) == [(0, 0.99, 100)]
    archive.write(trace(100, MIDNIGHT + 1, seed=1))
    assert sum(number for _, _, number in times(archive.get_spans(*ALL))) == 200
    next(archive.root.glob("2*/*/*/*/*")).unlink()
    assert len(archive.get_spans(*ALL)) == 0


def test_records_of_other_channels_in_a_file_do_not_count(archive) -> None:
    """Reading takes a channel from the files that are named after it; so does this."""
    put(archive, 0, trace(100), trace(100, seed_id="XX.ABC..HHN"))
    assert times(archive.get_spans(*ALL)) == [(0, 0.99, 100)]


def test_an_index_of_an_older_version_is_made_anew(archive) -> None:
    """One that kept spans in a table of their own, and none with its files."""
    put(archive, 0, trace(100))
    path = archive.index.path
    assert not path.exists()
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as base:
        base.executescript(
            index._SCHEMA.replace(",\n    spans BLOB NOT NULL", "").replace(
                "user_version = 3", "user_version = 2"
            )
            + "CREATE TABLE span (file INTEGER NOT NULL REFERENCES file (id) ON DELETE CASCADE);"
            "INSERT INTO file VALUES (1, 'gone', 1, 1, 1, 1); INSERT INTO span VALUES (1);"
        )
    assert times(archive.get_spans(*ALL)) == [(0, 0.99, 100)]
    with closing(sqlite3.connect(path)) as base:
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert tables == {"file", "stretch", "fault"}
        assert base.execute("SELECT count(*) FROM file").fetchone() == (1,)


def test_spans_that_are_damaged_in_the_index_are_made_anew(archive) -> None:
    put(archive, 0, trace(100))
    archive.get_spans(*ALL)
    with closing(sqlite3.connect(archive.index.path)) as base, base:
        base.execute("UPDATE file SET spans = x'0102'")
    with listen() as heard:
        assert times(archive.get_spans(*ALL)) == [(0, 0.99, 100)]
    assert ["the index was damaged" in said.problem for said in heard.notices] == [True]


def test_channels_that_share_a_file_are_told_apart() -> None:
    """Records of several channels in turn are still one span each."""
    parts = [mseed(trace(100, MIDNIGHT + k, seed_id=f"XX.ABC..HH{code}")) for k in range(5) for code in "ENZ"]
    rows = successions(scan(b"".join(parts)))
    assert [(row.id[-1], row.n, row.records) for row in rows] == [("E", 500, 5), ("N", 500, 5), ("Z", 500, 5)]


@pytest.fixture(params=["archive", "memory", "directory", "fdsn", "stranger"])
def source(request, server, tmp_path):
    stream = Stream([trace(5000, MIDNIGHT - 20), trace(500, MIDNIGHT + 40), trace(500, seed_id="XX.B..HHZ")])
    if request.param == "memory":
        return Memory(stream)
    if request.param == "directory":
        (tmp_path / "files").mkdir()
        Stream(stream[:2]).write(str(tmp_path / "files" / "m"), format="MSEED")
        stream[2].write(str(tmp_path / "files" / "s.sac"), format="SAC")
        return Directory(tmp_path / "files")
    if request.param == "stranger":

        class Stranger:
            get_waveforms = Memory(stream).get_waveforms

        return Stranger()
    target = server.source if request.param == "fdsn" else Archive(tmp_path / "one")
    target.write(stream)
    return Fdsn(server.url) if request.param == "fdsn" else target


def test_all_sources_answer_alike(source) -> None:
    chosen = Selection("XX", "A*", "*", "HH?", MIDNIGHT - 10, MIDNIGHT + 42)
    found = to_spans(spans_of(source, chosen))
    # The end of the selection does not belong to it: what is asked for next begins there.
    rows = [row for row in times(found) if row[0] >= 0]
    assert sum(number for _, _, number in times(found)) == 4000 + 200
    assert rows[-1] == (40, 41.99, 200)
    assert times(found)[0][0] == -10
    assert Sources([source]).get_spans(*chosen.codes, *chosen.span) == found


def test_what_two_archives_have_is_no_overlap(tmp_path) -> None:
    one, two = Archive(tmp_path / "1"), Archive(tmp_path / "2")
    put(one, 0, trace(1000, MIDNIGHT + 1), trace(1000, MIDNIGHT + 1), trace(1000, MIDNIGHT + 21))
    put(two, 0, trace(4000))
    both = Sources([one, two]).get_spans(*ALL)
    assert times(both) == [
        (0, 0.99, 100),
        (1, 10.99, 1000),
        (1, 10.99, 1000),
        (11, 20.99, 1000),
        (21, 30.99, 1000),
        (31, 39.99, 900),
    ]
    assert times(Sources([two, one]).get_spans(*ALL)) == [(0, 39.99, 4000)]


def test_a_source_that_is_down_is_named(archive) -> None:
    put(archive, 0, trace(100))

    class Down:
        def spans(self, selection: Selection) -> list[Row]:
            raise Unavailable("the centre", "does not answer", "Wait.")

    with listen() as heard:
        assert times(Sources([Down(), archive]).get_spans(*ALL)) == [(0, 0.99, 100)]
    assert heard.notices[0].subject == "the centre"
    with pytest.raises(Unavailable):
        Sources([Down()]).get_spans(*ALL)


def asked(archive: Archive, selection: object) -> object:
    call = Call(process="quality.completeness", inputs={"spans": {"selection": selection}, "window": 60})
    return call.run(Policy(sources=[archive])).value


def test_what_two_selections_ask_for_is_there_once(archive) -> None:
    put(archive, 0, trace(12000))
    span = "@2020-03-01T00:00:00/2020-03-01T00:01:00"
    later = "XX.ABC..HHZ@2020-03-01T00:00:30/2020-03-01T00:02:00"
    found = asked(archive, f"XX.ABC..HHZ{span}+XX.*.*.*{span}+{later}")
    assert found["num_samples"].values.tolist() == [[6000, 6000]]
    assert not found["num_overlaps"].values.any()
    with pytest.raises(NoData, match="no archive holds spans"):
        asked(archive, f"YY.*.*.*{span}")


def test_waveforms_and_index_agree(archive) -> None:
    """The same windows from the samples, given as waveforms, as from the index."""
    put(archive, 0, trace(6000), trace(2500, MIDNIGHT + 100))
    found = asked(archive, "XX.ABC..HHZ@2020-03-01T00:00:30/2020-03-01T00:03:00")
    stream = archive.get_waveforms("XX", "ABC", "", "HHZ", MIDNIGHT + 30, MIDNIGHT + 180)
    from workbench.kernels.quality import completeness

    pd.testing.assert_frame_equal(completeness(stream, window=60.0).to_dataframe(), found.to_dataframe())


@settings(max_examples=60, deadline=None)
@given(
    some.lists(
        some.builds(
            Row,
            some.sampled_from(["XX.A..HHZ", "XX.A.00.HHZ", "XX.B..HHZ", "9.007.01.1"]),
            some.integers(0, 3),
            some.integers(3, 5),
            some.sampled_from([1.0, 100.0]),
            some.integers(1, 2),
            some.integers(0, 2),
        ),
        max_size=6,
    ),
    some.randoms(),
)
def test_a_table_of_rows_is_what_the_noun_would_make_of_them(found, random) -> None:
    made = to_spans(random.sample(found, len(found)))
    again = Spans(made.table.sample(frac=1, random_state=random.randint(0, 99)))
    pd.testing.assert_frame_equal(again.table, made.table)


rows = some.builds(
    lambda first, n, records: Row("XX.A..HHZ", first * SECOND, (first + n - 1) * SECOND, 1.0, n, records),
    some.integers(0, 100),
    some.integers(1, 60),
    some.integers(0, 9),
)


@settings(max_examples=200, deadline=None)
@given(rows, some.lists(some.integers(-10, 170), max_size=5).map(sorted))
def test_parts_of_a_span_are_the_whole_of_it(row, cuts) -> None:
    edges = [-1000, *cuts, 1000]
    parts = [
        part
        for begin, stop in pairwise(edges)
        if (part := clip(row, begin * SECOND, stop * SECOND)) is not None
    ]
    assert sum(part.n for part in parts) == row.n
    assert (parts[0].start, parts[-1].end) == (row.start, row.end)
    for before, after in pairwise(parts):
        assert after.start - before.end == SECOND


@settings(max_examples=100, deadline=None)
@given(
    some.lists(rows, max_size=5),
    some.lists(some.tuples(some.integers(0, 150), some.integers(1, 40)), max_size=5),
)
def test_beside_what_is_taken_nothing_is_lost(found, taken) -> None:
    intervals = {"XX.A..HHZ": [(begin * SECOND, (begin + length) * SECOND) for begin, length in taken]}
    free = list(beside(found, intervals))
    inside = [any(begin <= at < begin + length for begin, length in taken) for at in range(300)]
    for at in range(300):
        covering = [sum(row.start <= at * SECOND <= row.end for row in part) for part in (found, free)]
        assert covering[1] == (0 if inside[at] else covering[0])


@settings(max_examples=200, deadline=None)
@given(
    some.lists(some.tuples(some.sampled_from(["XX.A..HHZ", "XX.A.00.HHZ"]), some.lists(rows, max_size=3))),
    some.integers(-10, 100),
    some.integers(1, 200),
)
def test_packed_spans_make_the_table_that_their_rows_make(files, first, length) -> None:
    named = [(seed_id, [row._replace(id=seed_id) for row in held]) for seed_id, held in files]
    start, end = UTCDateTime(ns=first * SECOND), UTCDateTime(ns=(first + length) * SECOND)
    chosen = Selection("XX", "A", "*", "HHZ", start, end)
    parts = [(seed_id, pack(held)) for seed_id, held in named]
    expected = to_spans(cut([row for _, held in named for row in held], chosen))
    made = unpack_table(parts, chosen)
    codes, number = made.channels()
    pd.testing.assert_frame_equal(made.table, expected.table)
    # The same when they are told from the table, but that none is named there without a row.
    again, which = made.channels()
    assert [codes[one] for one in number] == [again[one] for one in which]
    assert again == sorted(set(again)) == sorted({codes[one] for one in number})
    touching = [row for _, held in named for row in held if row.start <= end.ns and row.end >= start.ns]
    assert unpack(parts, start.ns, end.ns) == touching


def test_what_reaches_into_the_next_day_is_the_last_record() -> None:
    """So the records of a day stay countable, wherever behind its midnight it is cut."""
    day = 86400 * SECOND
    row = Row("XX.A..LHZ", day - 1000 * SECOND, day + 500 * SECOND, 1.0, 1501, 4)
    assert clip(row, 0, day + 200 * SECOND).records == 4
    assert clip(row, 0, day).records == 4
    assert clip(row, day - 250 * SECOND, day + 10**15).records == 2
