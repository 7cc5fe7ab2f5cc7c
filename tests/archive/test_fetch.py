"""Fetching goes on where it was, whatever fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from obspy import Stream, UTCDateTime, read_inventory

from tests.archive.conftest import MIDNIGHT, everything, trace
from workbench.archive import Archive, Fdsn, Memory, Selection
from workbench.archive.fetch import fetch
from workbench.errors import InvalidSetting, NoData, Unavailable
from workbench.notices import listen

DAY = 86400
START = MIDNIGHT - 1.5 * DAY
SELECTION = Selection("IV", "BOB", "*", "BH?", START, START + 3 * DAY)


@pytest.fixture
def center(server, shared):
    server.source.stations.add(read_inventory(shared("archive_mixed") / "IV.BOB.xml"))
    for k in (0, 1, 2.5):
        for channel in "ZN":
            server.source.write(
                trace(30000, MIDNIGHT + (k - 1.2) * DAY, 20.0, f"IV.BOB..BH{channel}", seed=round(k))
            )
    return server


def expected(server) -> Stream:
    return server.source.get_waveforms("IV", "BOB", "*", "BH?", START, START + 3 * DAY)


def check_same(archive: Archive, stream: Stream) -> None:
    found = archive.get_waveforms("IV", "BOB", "*", "BH?", START, START + 3 * DAY)
    assert [t.id for t in found] == [t.id for t in stream]
    for mine, theirs in zip(found, stream, strict=True):
        assert mine.stats.starttime == theirs.stats.starttime
        np.testing.assert_array_equal(mine.data, theirs.data)


def days(server) -> list[str]:
    return [query["starttime"][:13] for service, query in server.asked if service == "dataselect"]


def test_all_is_fetched_once_with_its_stations(center, archive) -> None:
    done = fetch(archive, SELECTION, Fdsn(center.url))
    check_same(archive, expected(center))
    assert (done.chunks, done.earlier, done.failed, done.empty, done.stations) == (4, 0, 0, 1, 1)
    assert done.samples == sum(t.stats.npts for t in expected(center))
    assert days(center) == ["2020-02-28T12", "2020-02-29T00", "2020-03-01T00", "2020-03-02T00"]
    response = archive.get_stations("IV", "BOB")[0][0][0].response
    assert response == center.source.get_stations("IV", "BOB")[0][0][0].response
    # The records are those of the data centre.
    for file in archive.files(SELECTION):
        assert (archive.root / file.path).read_bytes() == (center.source.root / file.path).read_bytes()

    asked = len(center.asked)
    again = fetch(archive, SELECTION, Fdsn(center.url))
    assert (again.earlier, again.samples) == (4, 0)
    assert days(center) == days(center)[:4]
    assert len(center.asked) == asked + 1  # the list of stations
    anew = fetch(archive, SELECTION, Fdsn(center.url), again=True)
    assert (anew.earlier, anew.samples, anew.known) == (0, 0, done.samples)


@pytest.mark.parametrize("fault", ["500", "503", "429", "cut"])
def test_what_fails_now_and_then_is_asked_again(center, archive, fault) -> None:
    failing = [fault, None, fault, fault, None, None, fault, fault, fault]
    center.fail = lambda service, query: failing.pop() if failing else None
    with listen() as heard:
        fetch(archive, SELECTION, Fdsn(center.url), pause_s=0.001)
    assert not heard.notices
    check_same(archive, expected(center))


def test_a_day_that_is_too_large_is_halved(center, archive) -> None:
    def limit(service: str, query: dict[str, str]) -> str | None:
        if service != "dataselect":
            return None
        return "413" if UTCDateTime(query["endtime"]) - UTCDateTime(query["starttime"]) > DAY / 5 else None

    center.fail = limit
    done = fetch(archive, SELECTION, Fdsn(center.url))
    check_same(archive, expected(center))
    assert done.failed == 0
    assert max(np.diff([UTCDateTime(day).timestamp for day in days(center)])) <= DAY


def test_what_is_always_too_large_is_a_notice(center, archive) -> None:
    center.fail = lambda service, query: (
        "413" if service == "dataselect" and query["starttime"] < "2020-02-29" else None
    )
    center.source.write(trace(2400, MIDNIGHT - DAY - 60, 20.0, "IV.BOB..BHZ"))
    short = Selection("IV", "BOB", "*", "BHZ", MIDNIGHT - DAY - 90, MIDNIGHT - DAY + 90)
    with listen() as heard:
        done = fetch(archive, short, Fdsn(center.url))
    assert done.failed == 1
    assert "too large" in str(heard.notices[0])
    assert len(everything(archive)) == 1


def test_a_centre_that_is_down_ends_the_run_and_the_next_goes_on(center, archive) -> None:
    long = Selection("IV", "BOB", "*", "BH?", MIDNIGHT - 2 * DAY, MIDNIGHT + 8 * DAY)
    center.fail = lambda service, query: "500" if query["starttime"] > "2020-02-29T12" else None
    with listen(), pytest.raises(Unavailable, match="goes on from here"):
        fetch(archive, long, Fdsn(center.url), pause_s=0.001)
    center.fail = lambda service, query: None
    asked = len(days(center))
    done = fetch(archive, long, Fdsn(center.url))
    assert done.earlier == 2
    assert days(center)[asked] == "2020-03-01T00"
    check_same(archive, expected(center))


def test_a_centre_without_stations_still_gives_waveforms(center, archive) -> None:
    center.fail = lambda service, query: "500" if service == "station" else None
    with listen() as heard:
        fetch(archive, SELECTION, Fdsn(center.url), pause_s=0.001)
    assert "no StationXML" in str(heard.notices[0])
    check_same(archive, expected(center))


def test_a_wrong_request_ends_at_once(center, archive) -> None:
    center.fail = lambda service, query: "400"
    with pytest.raises(InvalidSetting):
        fetch(archive, SELECTION, Fdsn(center.url))
    assert len(center.asked) == 1


def test_nothing_there(center, archive) -> None:
    with pytest.raises(NoData, match="has nothing of it"):
        fetch(archive, Selection("XX", "NONE", "*", "*", START, START + 10), Fdsn(center.url))
    center.fail = lambda service, query: "403" if service == "dataselect" else None
    with listen(), pytest.raises(NoData, match="to everybody"):
        fetch(archive, SELECTION, Fdsn(center.url))


def test_from_an_archive_and_from_memory(center, archive, tmp_path: Path) -> None:
    fetch(archive, SELECTION, center.source)
    check_same(archive, expected(center))
    other = Archive(tmp_path / "other")
    fetch(other, SELECTION, Memory(expected(center)))
    check_same(other, expected(center))


def test_data_of_today_are_not_taken_for_finished(archive) -> None:
    now = UTCDateTime()
    source = Memory(Stream([trace(100, now - 3000, 1.0)]))
    selection = Selection("XX", "ABC", "", "HHZ", now - 3000, now)
    fetch(archive, selection, source)
    source = Memory(Stream([trace(200, now - 3000, 1.0)]))
    source.__class__.__repr__ = lambda self: "Memory()"  # type: ignore[method-assign]
    done = fetch(archive, selection, source)
    assert (done.earlier, done.samples) == (0, 100)


def test_a_torn_journal_costs_one_day(center, archive) -> None:
    fetch(archive, SELECTION, Fdsn(center.url))
    (journal,) = (archive.root / ".workbench" / "fetch").glob("*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().split("\n") if line]
    assert lines[0]["selection"] == str(SELECTION)
    journal.write_bytes(journal.read_bytes()[:-30])
    done = fetch(archive, SELECTION, Fdsn(center.url))
    assert done.earlier == 3
    assert fetch(archive, SELECTION, Fdsn(center.url)).earlier == 4


def test_killed_it_goes_on(center, archive) -> None:
    code = (
        "import os, signal, sys\n"
        "from workbench.archive import Archive, Fdsn, Selection\n"
        "from workbench.archive import fetch as module\n"
        "finish, times = module.Journal.finish, []\n"
        "def dying(self, key, more):\n"
        "    times.append(key)\n"
        "    if len(times) == int(sys.argv[4]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    finish(self, key, more)\n"
        "module.Journal.finish = dying\n"
        "module.fetch(Archive(sys.argv[1]), Selection.parse(sys.argv[2]), Fdsn(sys.argv[3]))\n"
    )
    for number in (1, 2, 2):
        done = subprocess.run(
            [sys.executable, "-c", code, str(archive.root), str(SELECTION), center.url, str(number)],
            timeout=60,
        )
        assert done.returncode == -signal.SIGKILL
    result = fetch(archive, SELECTION, Fdsn(center.url))
    # Stations and one day are in the journal; another day had arrived before the last kill.
    assert (result.earlier, result.known > 0, result.stations) == (1, True, 1)
    check_same(archive, expected(center))
    for file in archive.files(SELECTION):
        assert (archive.root / file.path).read_bytes() == (center.source.root / file.path).read_bytes()
