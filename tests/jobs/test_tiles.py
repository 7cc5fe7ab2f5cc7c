"""Plans: what is cut how, and what names a tile."""

from __future__ import annotations

import os
import time

import pytest
from obspy import Stream, UTCDateTime
from obspy.core.inventory import Inventory, Network, Station

from tiled import year
from workbench.archive import Memory
from workbench.calls import Policy
from workbench.errors import InvalidKernel, InvalidSetting, NoData
from workbench.jobs.planning import plan
from workbench.jobs.windows import iso, length_of
from workbench.notices import listen

T0 = UTCDateTime(2020, 1, 1)
ALL = "*.*.*.*@2020-01-01/2020-01-04T23:59:59"


def planned(what, archive, store, selection=ALL, **more):
    settings = {key: more.pop(key) for key in list(more) if key not in ("tile", "max_bytes")}
    return plan(what, selection, settings, policy=Policy(sources=[archive]), store=store, **more)


def windows(tiles):
    return [(tile.unit, iso(tile.start), iso(tile.stop)) for tile in tiles]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1D", 86400), ("12h", 43200), ("1h30min", 5400), ("0.5s", 0.5), (90, 90), (None, 0)],
)
def test_lengths(text, seconds):
    assert length_of(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "D", "1 fortnight", -1, 0, True, "1e9D", float("inf")])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(InvalidSetting, match="is no length of time"):
        length_of(text)


def test_a_channel_kernel_is_cut_into_the_days_that_there_are(told, archive, store):
    tiles = list(planned("told.peaks", archive, store))
    assert len(tiles) == 4 * 4 + 3
    assert [tile.number for tile in tiles] == list(range(19))
    mine = [tile for tile in tiles if tile.unit == "YY.C.00.LHZ"]
    assert windows(mine) == [
        ("YY.C.00.LHZ", f"2020-01-0{day}T00:00:00", f"2020-01-0{day + 1}T00:00:00") for day in (1, 3, 4)
    ]
    # With neither lead nor trail each day file is opened by one tile alone.
    assert all(len(tile.files) == 1 for tile in tiles)
    files = [file for tile in tiles for file in tile.files]
    assert len(set(files)) == len(files)
    assert mine[0].inputs == {"waveforms": ["YY.C.00.LHZ@2020-01-01T00:00:00/2020-01-01T23:59:59.999999999"]}
    assert mine[2].inputs == {"waveforms": ["YY.C.00.LHZ@2020-01-04T00:00:00/2020-01-04T23:59:59"]}
    assert mine[0].samples == pytest.approx(43200, abs=3)


def test_lead_and_trail_are_read_around_each_window_but_not_beyond_the_selection(told, archive, store):
    tiles = list(planned("told.smooth", archive, store, "XX.B.*.*@2020-01-01/2020-01-03"))
    assert {tile.unit for tile in tiles} == {"XX.B"}
    assert [tile.inputs["waveforms"][0] for tile in tiles] == [
        "XX.B.*.*@2020-01-01T00:00:00/2020-01-02T00:00:19.999999999",
        "XX.B.*.*@2020-01-01T23:59:30/2020-01-03T00:00:00",
        "XX.B.*.*@2020-01-02T23:59:30/2020-01-03T00:00:00",
    ]
    assert [len(tile.files) for tile in tiles] == [6, 9, 6]


def test_windows_are_as_long_as_the_tile_and_lie_on_the_grid(told, archive, store):
    hours = list(planned("told.peaks", archive, store, "YY.C.*.*", tile="6h"))
    assert [tile.start // (3600 * 10**9) % 24 for tile in hours] == [0, 6, 0, 6, 12, 18, 0, 6, 12]
    assert all(tile.stop - tile.start == 6 * 3600 * 10**9 for tile in hours)
    odd = list(planned("told.energy", archive, store, "XX.A.*.*", tile="10h", window=7200.0 * 4))
    assert {tile.stop - tile.start for tile in odd} == {16 * 3600 * 10**9}
    assert all(tile.start % (8 * 3600 * 10**9) == 0 for tile in odd)


def test_what_cannot_be_cut_is_one_tile_and_says_so(told, archive, store):
    with listen() as heard:
        (tile,) = planned("told.everything", archive, store)
    assert [said.problem for said in heard.notices] == ["looks at everything at once, and cannot be cut"]
    assert tile.name == "all"
    assert tile.inputs == {"waveforms": [ALL.replace("/2020-01-04", "T00:00:00/2020-01-04")]}
    assert len(tile.files) == 19
    with listen() as heard:
        assert len(list(planned("told.peaks", archive, store, tile=None))) == 5
    assert not heard.notices


def test_a_tile_that_is_shorter_than_what_it_needs_around_it_says_so(told, archive, store):
    with listen() as heard:
        tiles = list(
            planned("told.smooth", archive, store, "XX.A.*.*@2020-01-01/2020-01-01T00:01:00", tile=10)
        )
    assert len(tiles) == 7
    assert "needs 50 s around each tile of 10 s" in heard.notices[0].problem


def test_a_tile_that_is_too_large_is_cut_on_the_grid(told, archive, store):
    day = 86400 * 8
    plain = list(planned("told.energy", archive, store, "XX.A.*.*", max_bytes=day // 4 + 9))
    assert len(plain) == 16
    assert all(tile.start % (3600 * 10**9) == 0 for tile in plain)
    assert all(tile.samples * 8 <= day // 4 + 9 for tile in plain)
    # No tile is smaller than the grid, or than what has to be read around it.
    least = list(planned("told.energy", archive, store, "XX.A.*.*", max_bytes=8))
    assert {tile.stop - tile.start for tile in least} == {3600 * 10**9}
    with listen() as heard:
        (_,) = planned("told.everything", archive, store, "XX.A.*.*", max_bytes=8)
    assert any("is worked on in one piece, of about 0.0 GiB" in said.problem for said in heard.notices)


def test_a_network_is_all_that_is_selected(archive, store):
    tiles = list(planned("subnets.coincidence", archive, store))
    assert {tile.unit for tile in tiles} == {"all"}
    assert len(tiles) == 4
    assert tiles[1].inputs["waveforms"][0].startswith("*.*.*.*@2020-01-01T23:")


def test_selections_may_be_several_but_not_of_the_same(told, archive, store):
    text = "XX.A..LHZ@2020-01-01/2020-01-01T12:00:00+XX.A..LHZ@2020-01-01T18:00:00/2020-01-02T06:00:00"
    tiles = list(planned("told.peaks", archive, store, text))
    assert [len(tile.inputs["waveforms"]) for tile in tiles] == [2, 1]
    with pytest.raises(InvalidSetting, match=r"selects XX\.A\.\.LHZ twice"):
        planned(
            "told.peaks", archive, store, "XX.A..LHZ@2020-01-01/2020-01-02+XX.*.*.*@2020-01-02/2020-01-03"
        )


def test_nothing_selected_is_no_data(told, archive, store):
    for text in ("ZZ.*.*.*@2020-01-01/2020-01-02", "XX.A.*.*@2021-01-01/2021-01-02"):
        with pytest.raises(NoData):
            len(planned("told.peaks", archive, store, text))
    with pytest.raises(InvalidSetting, match="needs an archive with an index"):
        planned("told.peaks", Memory(Stream()), store)
    with pytest.raises(InvalidSetting, match="takes no waveforms"):
        planned("associators.associate", archive, store, velocity_model="iasp91")
    with pytest.raises(InvalidSetting, match="least"):
        planned("told.peaks", archive, store, leats=3)


def test_a_function_that_is_not_the_one_declared_is_refused(told, archive, store):
    from told import peaks

    assert planned(peaks, archive, store).kernel.id == "told.peaks"

    def impostor(waveforms):
        """Pretend."""

    impostor.__module__, impostor.__name__ = peaks.__module__, peaks.__name__
    with pytest.raises(InvalidKernel, match="is not the function"):
        planned(impostor, archive, store)


def keys(plan):
    return {(tile.unit, tile.start): tile.key for tile in plan}


def test_a_key_changes_with_the_data_of_the_tile_and_with_nothing_else(told, archive, store):
    before = keys(planned("told.peaks", archive, store))
    assert keys(planned("told.peaks", archive, store)) == before
    # A longer selection has the same tiles within.
    some = keys(planned("told.peaks", archive, store, "XX.*.*.*@2020-01-02/2020-01-02T23:59:59.999999999"))
    assert some.items() <= before.items()
    assert keys(planned("told.peaks", archive, store, least=1)).items().isdisjoint(before.items())
    # Another index, made anew, names the same.
    archive.index.path.unlink()
    assert keys(planned("told.peaks", archive, store)) == before
    path = archive.root / "2020/XX/B/LHN.D/XX.B..LHN.D.2020.002"
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 5))
    after = keys(planned("told.peaks", archive, store))
    assert [key for key in before if before[key] != after[key]] == [("XX.B..LHN", (T0 + 86400).ns)]
    around = keys(planned("told.smooth", archive, store))
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 5))
    changed = keys(planned("told.smooth", archive, store))
    assert [key[1] for key in around if around[key] != changed[key]] == [
        (T0 + 86400 * day).ns for day in (0, 1, 2)
    ]


def test_a_key_changes_with_the_metadata_of_its_station(told, archive, store):
    def put(elevation):
        sites = [Station(code, 1.0, 2.0, elevation) for code in "AB"]
        archive.stations.add(Inventory(networks=[Network("XX", stations=sites[:1])]))

    put(100.0)
    before = keys(planned("told.located", archive, store, "XX.*.*.*"))
    assert keys(planned("told.located", archive, store, "XX.*.*.*")) == before
    put(200.0)
    after = keys(planned("told.located", archive, store, "XX.*.*.*"))
    assert {key[0] for key in before if before[key] != after[key]} == {"XX.A..LHZ"}


def test_stations_that_may_be_left_out_are_named_where_the_archive_has_some(told, archive, store):
    assert not any("stations" in tile.inputs for tile in planned("told.sited", archive, store))
    site = Station("A", 1.0, 2.0, 100.0)
    archive.stations.add(Inventory(networks=[Network("XX", stations=[site])]))
    assert all("stations" in tile.inputs for tile in planned("told.sited", archive, store, "XX.A.*.*"))


def test_a_year_of_a_network_is_planned_while_it_is_gone_through(tmp_path, store):
    """Planning streams, and its time grows with the tiles: 3,650 of them in the time of a few."""
    asked = planned("triggers.sta_lta", year(tmp_path / "year", 10), store, "*.*.*.*")
    first = iter(asked.tiles)
    next(first)
    begun = time.perf_counter()
    rest = sum(1 for _ in first)
    took = time.perf_counter() - begun
    assert rest == 3649
    assert took < 2.0
