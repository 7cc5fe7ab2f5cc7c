"""The archive of which everything is known: its samples are what its truth says."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from click.testing import CliRunner
from obspy import UTCDateTime

from workbench import wire
from workbench.archive import Archive
from workbench.demo.known import Known, known, main

DAY = 86400


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("known")
    return known(folder, channels=4, days=20, seed=3), folder


def test_all_kinds_of_days_are_in_it(made):
    truth = made[0].truth()
    share = truth["percent_availability"].values
    assert (share == 0).any()
    assert (share == 100).any()
    assert ((share > 0) & (share < 100)).any()
    assert truth["num_overlaps"].values.max() > 0
    assert truth["num_gaps"].values.max() > 1
    assert np.unique(truth["sample_rms"].values[np.isfinite(truth["sample_rms"].values)]).size > 10


def test_samples_are_what_the_truth_says(made):
    """By NumPy, from the files: what is there twice is the same samples again."""
    plan, folder = made
    truth = plan.truth()
    for row, seed_id in enumerate(plan.ids):
        for day in range(plan.days):
            said = truth.isel(channel=row, time=day)
            date = UTCDateTime(ns=(plan.start + day) * DAY * 10**9)
            network, station, location, channel = seed_id.split(".")
            found = Archive(folder).get_waveforms(network, station, location, channel, date, date + DAY - 1)
            if not len(found):
                assert said["percent_availability"] == 0
                continue
            samples = np.concatenate([one.data for one in found]).astype(float)
            assert len(samples) == round(said["percent_availability"].item() / 100 * DAY)
            assert samples.mean() == pytest.approx(said["sample_mean"].item(), rel=1e-12)
            assert samples.std() == pytest.approx(said["sample_rms"].item(), rel=1e-12)
            assert (samples.min(), samples.max()) == (said["sample_min"], said["sample_max"])
            path = next(folder.glob(f"*/XX/{station}/*/{seed_id}.D.{date.year}.{date.julday:03d}"))
            assert sum(one.stats.npts for one in obspy.read(str(path))) == said["num_samples"]


def test_the_same_seed_gives_the_same_archive():
    one, two = (Known(channels=2, days=3, seed=7) for _ in range(2))
    assert one.truth().identical(two.truth())
    for key in one.plan:
        assert one.traces(*key) == two.traces(*key)
    assert not one.truth().identical(Known(channels=2, days=3, seed=8).truth())


def test_it_is_written_from_the_command_line(tmp_path):
    options = ["--channels", "2", "--days", "3", "--rate", "1", "--truth", str(tmp_path / "truth.nc")]
    done = CliRunner().invoke(main, [str(tmp_path / "archive"), *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert "2 channels, 3 days" in done.output
    back = wire.read(tmp_path / "truth.nc", "Dataset")
    assert back.equals(Known(channels=2, days=3).truth())
    assert len(list((tmp_path / "archive").rglob("XX.*.D.*"))) == int((back["num_samples"] > 0).sum())
