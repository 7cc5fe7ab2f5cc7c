"""Surveys: what the kernels say of the same selection, to the bit, with each file read once."""

from __future__ import annotations

import io
import os
from pathlib import Path
from time import sleep

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from obspy import Stream, read

from tests.archive.conftest import MIDNIGHT, mseed, trace
from workbench import wire
from workbench.archive import Archive, Selection, surveys, trees
from workbench.archive.surveys import Survey, survey
from workbench.archive.trees import Local
from workbench.demo.known import known
from workbench.errors import InvalidSetting, NoData, UnreadableFile
from workbench.jobs.fanout import map as mapping
from workbench.kernels.quality import completeness, rms
from workbench.notices import WorkbenchWarning, listen

SPAN = "@2020-03-01T00:00:00/2020-03-02T23:59:59"


def put(archive: Archive, day: int, content: bytes, seed_id: str = "XX.ABC..HHZ") -> None:
    date = MIDNIGHT + day * 86400
    network, station, _, channel = seed_id.split(".")
    name = f"{seed_id}.D.{date.year}.{date.julday:03d}"
    path = archive.root / f"{date.year}/{network}/{station}/{channel}.D/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (0, 1e9))


def expected(archive: Archive, selection: str, **values: float) -> Survey:
    """Return what the kernels say."""
    chosen = Selection.parse(selection)
    spans = archive.get_spans(*chosen.codes, *chosen.span)
    stream = archive.get_waveforms(*chosen.codes, *chosen.span)
    return Survey(completeness(spans, window=values["window"]), rms(stream, **values))


def same(archive: Archive, selection: str, window: float = 86400.0, subwindow: float = 3600.0) -> Survey:
    """Compare a survey with the kernels, notices too; return it."""
    values = {"window": window, "subwindow": subwindow}
    with listen() as theirs:
        want = expected(Archive(archive.root, index=archive.root / "other.sqlite"), selection, **values)
    with listen() as ours:
        found = survey(archive, selection, **values)
    assert wire.canonical(found.rms) == wire.canonical(want.rms)
    assert wire.canonical(found.completeness) == wire.canonical(want.completeness)
    assert set(ours.notices) == set(theirs.notices)
    return found


@pytest.mark.parametrize("options", [{"channels": 5, "days": 8}, {"channels": 1, "days": 2, "rate": 20}])
def test_a_generated_archive_is_surveyed_to_the_bit(tmp_path, options) -> None:
    truth = known(tmp_path, **options).truth()
    found = same(Archive(tmp_path), f"XX.*.*.*@2024-01-01/2024-01-{options['days'] + 1:02d}")
    size = found.rms.reindex(time=truth["time"])
    for name in ("sample_rms", "sample_mean", "sample_min", "sample_max"):
        np.testing.assert_array_equal(size[name].values, truth[name].values)


def test_recorded_data_are_surveyed_to_the_bit(shared, archive) -> None:
    for name in ("TA.C26K.BHZ.2018.224", "BW.BGLD.EHE.20080101.gaps", "II.PFO.BHZ.20110311"):
        archive.write(shared("archive_mixed") / f"{name}.mseed")
    for path in archive.root.rglob("*.D.*"):
        os.utime(path, (0, 1e9))
    same(archive, "*.*.*.*@2007-12-30/2018-08-14")
    same(archive, "TA.*.*.*@2018-08-12T03:04:05.5/2018-08-12T17:00:00", 3600.0, 600.0)


def test_each_file_is_read_once_and_then_known(archive, monkeypatch) -> None:
    for day in range(3):
        put(archive, day, mseed(trace(5000, MIDNIGHT + 86400 * day)))
    read: list[str] = []
    whole, headers = Local.whole, Local.headers
    monkeypatch.setattr(Local, "whole", lambda self, path: read.append(path) or whole(self, path))
    monkeypatch.setattr(Local, "headers", lambda self, path: read.append(path) or headers(self, path))
    survey(archive, f"XX.*.*.*{SPAN}")
    # Of the day after the span, in which a record might end that begins in it, only the headers.
    assert sorted(path[-8:] for path in read) == ["2020.061", "2020.062", "2020.063"]
    read.clear()
    archive.get_spans(*Selection.parse(f"XX.*.*.*{SPAN}").codes, MIDNIGHT, MIDNIGHT + 2 * 86400)
    assert read == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=some.lists(
        some.tuples(some.integers(0, 500), some.integers(1, 300), some.sampled_from([0.0, 0.3, 0.0004])),
        min_size=1,
        max_size=5,
    ),
    ordered=some.booleans(),
    span=some.tuples(some.integers(-10, 400), some.integers(401, 900)),
    reclen=some.sampled_from([256, 4096]),
    encoding=some.sampled_from(["STEIM1", "STEIM2", "INT32"]),
)
def test_whatever_a_file_holds(tmp_path_factory, pieces, ordered, span, reclen, encoding) -> None:
    """Gaps, overlaps, shifted times, disorder, cut anywhere: the same as by the kernels."""
    archive = Archive(tmp_path_factory.mktemp("x"))
    pieces = sorted(pieces) if ordered else pieces
    data = np.random.default_rng(len(pieces)).integers(-(2**20), 2**20, 900).astype(np.int32)
    parts = [
        mseed(trace(data[first : first + n], MIDNIGHT + first + late, 1.0), reclen=reclen, encoding=encoding)
        for first, n, late in pieces
    ]
    put(archive, 0, b"".join(parts))
    start, end = (MIDNIGHT + at for at in span)
    chosen = Selection("XX", "*", "*", "*", start, end)
    if not any(first + late <= span[1] and first + late + n - 1 >= span[0] for first, n, late in pieces):
        with pytest.raises(NoData):
            survey(archive, chosen)
        return
    same(archive, str(chosen), 60.0, 20.0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:600] + bytes([content[600] ^ 0x55]) + content[601:],
        lambda content: content[:1024] + b"\x01" * 300 + content[1024:],
        lambda content: content[:-100],
    ],
)
def test_damage_is_named_and_the_rest_is_measured(archive, damage) -> None:
    put(archive, 0, damage(mseed(trace(5000), reclen=512)))
    put(archive, 0, mseed(trace(5000, seed_id="XX.B..HHZ"), reclen=512), "XX.B..HHZ")
    found = same(archive, f"XX.*.*.*{SPAN}")
    assert found.rms.sizes["channel"] == 2


def test_floats_and_several_rates_go_the_kernels_way(archive) -> None:
    put(archive, 0, mseed(trace(np.random.default_rng(0).normal(0, 1, 500))))
    two = Stream([trace(500, rate=10.0, seed_id="XX.B..HHZ"), trace(500, MIDNIGHT + 100, 20.0, "XX.B..HHZ")])
    put(archive, 0, mseed(two), "XX.B..HHZ")
    same(archive, f"XX.*.*.*{SPAN}")


def test_runs_go_on_from_file_to_file(archive) -> None:
    """Times count on from the first record, as they do in waveforms."""
    rate = 1.0003
    whole = trace(200_000, MIDNIGHT, rate)
    middle = 86_420
    put(archive, 0, mseed(Stream([whole.slice(endtime=MIDNIGHT + (middle - 1) / rate)])))
    put(archive, 1, mseed(Stream([whole.slice(MIDNIGHT + middle / rate)])))
    same(archive, f"XX.*.*.*{SPAN}")


def test_what_is_wrong_is_said(archive) -> None:
    put(archive, 0, mseed(trace(500)))
    with pytest.raises(NoData, match="holds nothing"):
        survey(archive, f"YY.*.*.*{SPAN}")
    with pytest.raises(InvalidSetting, match="no multiple"):
        survey(archive, f"XX.*.*.*{SPAN}", window=100.0, subwindow=30.0)
    with pytest.raises(InvalidSetting, match="no start"):
        survey(archive, "XX.*.*.*")
    assert Path(archive.index.path).exists()


def test_an_interrupted_survey_reads_no_further(tmp_path, monkeypatch) -> None:
    known(tmp_path, channels=3, days=20, rate=1)
    monkeypatch.setattr(surveys, "CORES", 2)
    monkeypatch.setattr(surveys, "_LARGE", 0)
    read, seen = surveys._read, []

    def interrupted(tree, path):
        seen.append(path)
        if len(seen) == 5:
            raise KeyboardInterrupt
        sleep(0.02)
        return read(tree, path)

    monkeypatch.setattr(surveys, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        survey(Archive(tmp_path), "XX.*.*.*@2024-01-01/2024-01-21")
    assert len(seen) <= 7, "those that were at it already"
    monkeypatch.setattr(surveys, "_read", read)
    whole = survey(Archive(tmp_path), "XX.*.*.*@2024-01-01/2024-01-21")
    assert whole.completeness.sizes["channel"] == 3


@pytest.mark.parametrize("kind", ["/dev/zero", "/dev/null", "pipe"])
@pytest.mark.parametrize("way", ["survey", "index", "waveforms"])
def test_what_is_no_file_is_named_and_never_waited_for(tmp_path, kind, way) -> None:
    known(tmp_path, channels=2, days=2, rate=1)
    place = next(tmp_path.glob("2024/*/K001/*/*.2024.002"))
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(kind)
    archive, selection = Archive(tmp_path), Selection.parse("XX.*.*.*@2024-01-01/2024-01-03")
    with listen() as heard:
        if way == "survey":
            found = survey(archive, selection).completeness.sizes["channel"]
        elif way == "index":
            found = len({row.id for row in archive.spans(selection)})
        else:
            found = len({one.id for one in archive.get_waveforms("XX", "*", "*", "*", *selection.span)})
    assert found == 2
    assert {(said.subject, said.problem) for said in heard.notices} == {
        (str(place), "is no file but a device or a pipe")
    }


@pytest.fixture
def closed(monkeypatch):
    """Close files, as by their permissions, which do not hold for root: those whose name has a word in it."""
    words: list[str] = []
    opened = trees._at_once

    def opener(path, flags):
        if any(word in path for word in words):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags)

    monkeypatch.setattr(trees, "_at_once", opener)
    return words


def test_a_file_that_cannot_be_read_costs_a_survey_its_own_day(tmp_path, closed) -> None:
    made = known(tmp_path, channels=2, days=3, rate=1)
    closed.append("K001..LHZ.D.2024.002")
    with listen() as heard:
        found = survey(Archive(tmp_path), "XX.*.*.*@2024-01-01/2024-01-04")
    assert {said.problem for said in heard.notices} == {"cannot be read: Permission denied"}
    expected = made.truth()["percent_availability"].values.copy()
    assert expected[0, 1] > 0
    expected[0, 1] = 0
    np.testing.assert_allclose(found.completeness["percent_availability"].values, expected, atol=0.01)
    rms = found.rms["sample_rms"].values.reshape(2, -1)
    assert np.isnan(rms[0, 1])
    assert np.isfinite(rms[expected > 1]).all()


def test_a_file_that_was_indexed_and_is_closed_now_costs_its_own_day(tmp_path, closed):
    known(tmp_path, channels=2, days=3, rate=1)
    archive, selection = Archive(tmp_path), Selection.parse("XX.*.*.*@2024-01-01/2024-01-03T23:59:59")
    whole = archive.get_waveforms("XX", "*", "*", "*", *selection.span)
    closed.append("K001..LHZ.D.2024.002")
    with listen() as heard:
        part = archive.get_waveforms("XX", "*", "*", "*", *selection.span)
        records = archive.get_records("XX", "*", "*", "*", *selection.span)
        with pytest.raises(UnreadableFile, match=r"K001..LHZ.D.2024.002: cannot be read"):
            archive.fingerprint(selection)
    assert {said.problem for said in heard.notices} == {"cannot be read: Permission denied"}
    assert all(said.subject.endswith("K001..LHZ.D.2024.002") for said in heard.notices)
    day = Selection.parse("XX.K001.*.*@2024-01-02/2024-01-02T23:59:59").span
    lost = sum(len(trace) for trace in whole.select(station="K001").slice(*day))
    assert lost > 0
    assert sum(map(len, part)) == sum(map(len, whole)) - lost
    assert sum(map(len, read(io.BytesIO(records)))) < sum(map(len, whole))
    closed.clear()
    assert archive.get_waveforms("XX", "*", "*", "*", *selection.span) == whole
    key = archive.fingerprint(selection)
    closed.append("K001..LHZ.D.2024.002")
    assert archive.fingerprint(selection) == key, "what it was is known"


def test_a_file_that_could_not_be_read_is_tried_again_by_the_next_work(tmp_path, closed):
    known(tmp_path / "archive", channels=2, days=3, rate=1)
    archive, all_of_it = Archive(tmp_path / "archive"), "XX.*.*.*@2024-01-01/2024-01-04"

    def mapped(store):
        return mapping("quality.rms", all_of_it, sources=[archive], store=tmp_path / store)

    archive.spans(Selection.parse(all_of_it))
    closed.append("K001..LHZ.D.2024.002")
    with pytest.warns(WorkbenchWarning, match="Permission denied"):
        first = mapped("tiles")
    assert not first.complete
    assert np.isfinite(first.value["sample_rms"].sel(channel="XX.K001..LHZ", time=["2024-01-01"])).all()
    closed.clear()
    again = mapped("tiles")
    assert again.complete
    assert wire.canonical(again.value) == wire.canonical(mapped("others").value)
