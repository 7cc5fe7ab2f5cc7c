"""What a cube is asked for, and what is asked wrongly."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from obspy import Stream

from cubed import EPOCH, opened
from tests.archive.conftest import MIDNIGHT, trace
from workbench.archive import Archive, Memory, Selection
from workbench.cubes.grid import DAY_NS
from workbench.errors import InvalidSetting, NoData
from workbench.notices import listen


@pytest.mark.parametrize(
    "spec",
    [
        "sds:{root}?net=XX&sta=A&loc=--&cha=HH?&start=2020-03-01&end=2020-03-01T00:00:05",
        "sds:{root}?network=XX&station=A&location=&channel=HHZ&starttime=2020-03-01&endtime=2020-03-01T00:00:05",
        "sds://{root}?sta=A&start=2020-03-01T00%3A00%3A00&end=2020-03-01T00:00:05",
    ],
)
def test_a_root_is_named_with_what_to_select(archive, spec) -> None:
    archive.write(Stream([trace(1000, seed_id="XX.A..HHZ"), trace(1000, seed_id="XX.B..HHZ")]))
    cube = xr.open_dataset(spec.format(root=archive.root), engine="workbench")
    assert cube.channel.values.tolist() == ["XX.A..HHZ"]
    assert cube.sizes["time"] == 501
    assert cube.valid.values.all()
    assert xr.open_dataset(f"sds:{archive.root}", drop_variables="valid").sizes["channel"] == 2
    assert xr.open_dataset(archive.root, engine="workbench").sizes["channel"] == 2
    assert opened(archive, Selection("XX", "B")).channel.values.tolist() == ["XX.B..HHZ"]
    assert opened(archive, "sds:XX.A..HHZ+XX.B..HHZ").sizes["channel"] == 2


def test_without_an_archive_those_of_the_settings_are_searched(tmp_path, monkeypatch) -> None:
    shared, own = Archive(tmp_path / "shared"), Archive(tmp_path / "own")
    shared.write(trace(1000, seed=1))
    own.write(trace(1000, MIDNIGHT + 10, seed=2))
    monkeypatch.setenv("WORKBENCH_ARCHIVE", str(shared.root))
    monkeypatch.setenv("WORKBENCH_HOME_ARCHIVE", str(own.root))
    cube = xr.open_dataset("sds:XX.ABC..HHZ@2020-03-01/2020-03-01T00:01:00", engine="workbench")
    assert cube.valid.values.sum() == 2000


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("sds:", InvalidSetting, "names nothing"),
        ("sds:s3://bucket/archive", InvalidSetting, "no archive on this machine"),
        ("sds:https://host/archive?net=XX", InvalidSetting, r"archive=Remote\(url\)"),
        ("sds://host/archive", InvalidSetting, "no archive on this machine"),
        ("sds:{root}?net=XX&statoin=A", InvalidSetting, "Did you mean 'station'"),
        ("sds:{root}?net=XX&network=YY", InvalidSetting, "twice"),
        ("sds:{root}?net=X%20X", InvalidSetting, "is no network code"),
        ("sds:{root}?start=yesterday", InvalidSetting, "is no time"),
        ("sds:{root}?start=2020-03-02&end=2020-03-01", InvalidSetting, "ends before it starts"),
        ("sds:{root}?net=QQ", NoData, "no archive holds waveforms"),
        ("sds:{root}?start=2021-01-01&end=2021-01-02", NoData, "no archive holds waveforms"),
        ("sds:{root}/nowhere", NoData, "no archive holds waveforms"),
        ("sds:{root}", InvalidSetting, "several sampling rates.*100 Hz: XX.A..HHZ; 1 Hz: XX.B..LHZ"),
    ],
)
def test_what_is_asked_wrongly_is_told(archive, spec, error, said) -> None:
    archive.write(Stream([trace(seed_id="XX.A..HHZ"), trace(rate=1.0, seed_id="XX.B..LHZ")]))
    with pytest.raises(error, match=said):
        xr.open_dataset(spec.format(root=archive.root), engine="workbench")


def test_other_arguments_are_checked(archive) -> None:
    archive.write(Stream([trace(seed_id="XX.A..HHZ"), trace(rate=1.0, seed_id="XX.B..LHZ")]))
    with pytest.raises(TypeError, match="sampling_rat"):
        opened(archive, sampling_rat=100)
    with pytest.raises(InvalidSetting, match="Give samples a second"):
        opened(archive, sampling_rate=-1)
    with pytest.raises(NoData, match="has nothing at 50 Hz"):
        opened(archive, sampling_rate=50)
    with pytest.raises(InvalidSetting, match="names a root"):
        opened(archive, f"sds:{archive.root}")
    with pytest.raises(InvalidSetting, match="is a URL"):
        opened("s3://bucket/archive")
    with pytest.raises(InvalidSetting, match="no index"):
        opened(Memory())
    with pytest.raises(InvalidSetting, match="several time spans"):
        opened(archive, "sds:XX.A..HHZ@2020-03-01/2020-03-02+XX.A..HHZ@2020-03-05/2020-03-06")
    assert opened(archive, sampling_rate=1).channel.values.tolist() == ["XX.B..LHZ"]


def test_a_channel_of_two_rates_is_told(archive) -> None:
    archive.write(Stream([trace(1000, rate=100.0), trace(1000, MIDNIGHT + 60, rate=50.0)]))
    with pytest.raises(InvalidSetting, match="several sampling rates"):
        opened(archive)
    with listen() as heard:
        cube = opened(archive, sampling_rate=50)
    assert [said.subject for said in heard.notices] == ["XX.ABC..HHZ"]
    assert cube.valid.values.sum() == 1000
    assert int((cube.time.values[0] - EPOCH).astype(np.int64)) == MIDNIGHT.ns + 60 * 10**9
    assert DAY_NS == 86400 * 10**9


def test_years_open_at_once_and_take_little(archive) -> None:
    whole = np.arange(366 * 864, dtype=np.int32) % 1000
    archive.write(trace(whole, MIDNIGHT, 0.01))
    for file in archive.files(Selection()):
        # What has just been written is looked at each time.
        path = archive.root / file.path
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    cube = opened(archive)
    tracemalloc.start()
    try:
        cube = opened(archive, sampling_rate=0.01)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert cube.valid.values.all()
    assert cube.attrs["selection"] == "*.*.*.*"
