"""A network that records for days: its hours join, and its earthquakes are where it says."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from click.testing import CliRunner
from obspy import UTCDateTime

from workbench.demo.weeks import main, weeks

BEGIN = UTCDateTime("2024-01-01")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return weeks(tmp_path_factory.mktemp("weeks"), days=3 / 24, n_stations=3, per_hour=3, rate=20)


def test_hours_join_without_a_step(made):
    stream = made[0].get_waveforms("XX", "*", "*", "HHZ", BEGIN, BEGIN + 3 * 3600 - 0.01)
    assert [trace.stats.npts for trace in stream] == [3 * 72_000] * 3
    for trace in stream:
        steps = np.abs(np.diff(trace.data.astype(float)))
        for edge in (72_000, 144_000):
            around = np.r_[steps[edge - 400 : edge - 1], steps[edge : edge + 800]]
            assert steps[edge - 1] <= 1.5 * around.max()
            # Where two noises are mixed there is as much of it as elsewhere.
            mixed = np.median(steps[edge : edge + 400])
            assert 0.5 < mixed / np.median(steps[edge - 2000 : edge - 400]) < 2


def test_each_hour_has_its_own_earthquakes_at_the_same_stations(made):
    archive, truth = made
    times = [event.origins[0].time - BEGIN for event in truth]
    assert times == sorted(times)
    assert len({round(event.origins[0].latitude, 6) for event in truth}) == len(truth) >= 3
    assert len({int(time // 3600) for time in times}) >= 2
    stations = archive.get_stations("XX", "*", "*", "*", BEGIN, BEGIN + 3600)
    assert sum(len(network) for network in stations) == 3
    strongest = max(truth, key=lambda event: event.magnitudes[0].mag)
    at = strongest.origins[0].time
    stream = archive.get_waveforms("XX", "*", "*", "HHZ", at - 40, at + 20).filter("highpass", freq=2.0)
    for trace in stream:
        before, after = trace.slice(at - 20, at).data, trace.slice(at, at + 20).data
        assert np.ptp(after) > 5 * np.ptp(before)


def test_it_is_the_same_again_and_from_the_command_line(made, tmp_path):
    options = ["--days", "0.0834", "--stations", "3", "--per-hour", "3", "--rate", "20"]
    truth = tmp_path / "truth.xml"
    done = CliRunner().invoke(main, [str(tmp_path / "archive"), *options, "--truth", str(truth)])
    assert done.exit_code == 0, done.output
    first = made[0].root / "2024/XX/GEN01/HHZ.D"
    ours, theirs = (obspy.read(str(path / "*")) for path in (tmp_path / "archive/2024/XX/GEN01/HHZ.D", first))
    np.testing.assert_array_equal(ours[0].data, theirs[0].data[: len(ours[0])])
    known = [event.resource_id.id for event in made[1] if event.origins[0].time < BEGIN + 2 * 3600]
    assert [event.resource_id.id for event in obspy.read_events(str(truth))] == known
