"""More workers and tiles than there are cores, and the page that says what follows from them."""

from __future__ import annotations

import dataclasses
import sqlite3
import sys

import pytest

from benchmarks import bench_scale, scaling, simulated
from benchmarks.bench_scale import Size
from workbench import kernel as declarations
from workbench.archive import Selection
from workbench.archive.extents import Holds
from workbench.calls import Policy
from workbench.jobs.lanes import Lanes, Readers
from workbench.jobs.planning import plan
from workbench.jobs.tilestore import TileStore

SMALL = Size(
    channels=20, days=20, workers=20, tiles=100, pause_s=0.1, rate=1, stored=500, events=3, rest_s=0.5
)


@pytest.fixture
def stand_in():
    """Let the stand-in be a kernel for one test."""
    yield
    del declarations._registry["standin.pause"], sys.modules["benchmarks.standin"]


def test_page_and_figure_are_those_of_the_constants():
    found = scaling.read()
    assert scaling.page(scaling.PAGE.read_text(), found) == scaling.PAGE.read_text()
    assert scaling.figure(found) == scaling.FIGURE.read_text()


def test_a_place_for_a_table_that_is_gone_is_told():
    text = scaling.PAGE.read_text().replace("<!-- week -->", "")
    with pytest.raises(ValueError, match="0 places for the table 'week'"):
        scaling.page(text, scaling.read())


def test_twenty_workers_finish_a_hundred_tiles_and_all_constants_come_of_it(stand_in):
    found = bench_scale.constants(SMALL)
    assert set(scaling.WORDS) <= set(found)
    assert set(found) == set(scaling.read())
    assert found["tiles"] == 100
    # What is shared among the workers is far below what one of them takes for a tile.
    assert found["scheduler_s"] < 0.02
    assert found["client_s"] < 0.02
    assert 0 < found["efficiency"] < 1
    # Ten times the tiles, and twenty times the store: each costs about the same.
    assert found["plan_growth"] < 3
    assert found["store_growth"] < 3


def test_arithmetic_is_proportional():
    found = dict.fromkeys(scaling.read(), 1.0)
    small, large = scaling.PLACES[0], dataclasses.replace(scaling.PLACES[0], channels=500)
    day, more, week = scaling.parts(found, small), scaling.parts(found, large), scaling.parts(found, small, 7)
    for name, seconds in day.items():
        assert more[name] == pytest.approx(10 * seconds), name
    assert week["one scheduler"] == pytest.approx(day["one scheduler"] / 7)
    assert week["reading the archive"] == day["reading the archive"] == 50 * 365 / 0.5e9


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.6e-5, "36 µs"), (0.0012, "1.2 ms"), (1.0, "1.0 s"), (119, "120 s"), (130, "2.2 min"), (9e4, "25 h")],
)
def test_times_are_said_in_two_digits(value, text):
    assert scaling._seconds(value) == text


def test_what_a_plan_reads_of_the_index_is_what_it_asks_for(tmp_path, monkeypatch):
    archive = simulated.year(tmp_path, channels=20, days=30)
    archive.index.look(archive.files(Selection.parse("*.*.*.*")), 0, 0)
    rows = 0

    class Counting(sqlite3.Cursor):
        def __next__(self):
            nonlocal rows
            rows += 1
            return super().__next__()

    class Connection(sqlite3.Connection):
        def execute(self, *asked):
            return self.cursor(Counting).execute(*asked)

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *asked, **more: real(*asked, factory=Connection, **more))
    asked = Selection.parse("XX.00003.*.*@2024-01-05/2024-01-06T12:00:00")
    files = archive.files(asked)
    holds = Holds(archive.index, files)
    assert holds.ids == ["XX.00003..VHZ"]
    assert 0 < rows < 60 < 20 * 30


def test_lanes_hand_out_each_tile_once_to_hundreds_of_workers(tmp_path):
    archive = simulated.year(tmp_path / "archive", channels=12, days=40)
    asked = plan(
        "triggers.sta_lta", "*.*.*.*", {}, policy=Policy(sources=[archive]), store=TileStore(tmp_path / "s")
    )
    lanes, workers = Lanes(asked, Readers()), [f"tcp://{number}" for number in range(300)]
    lanes.use(workers)
    given = []
    while some := [tile for one in workers if (tile := lanes.take(one)) is not None]:
        given += [tile.number for tile in some]
    assert sorted(given) == list(range(480))
