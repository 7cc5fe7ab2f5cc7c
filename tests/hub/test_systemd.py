"""The systemd units: what systemd's own checker says of them, and that each starts what it names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deployed import PROGRAM, free_port
from livehub import live_hub
from workbench.errors import InvalidSetting, NoData
from workbench.settings import Settings
from workbench_hub import processes
from workbench_hub.deployment import Deployment
from workbench_hub.health import healthy, wait_for
from workbench_hub.life.units import command_of, units, write_units


@pytest.fixture(params=["state", 'a state with 100% of $HOME and "quotes" \'n backslash \\'])
def deployment(request, tmp_path) -> Deployment:
    deployment = Deployment(Settings(state=tmp_path / request.param, port=free_port(), profile="embedded"))
    deployment.create()
    deployment.choose_ports()
    return deployment


def test_systemd_finds_nothing_wrong(deployment, tmp_path, missing):
    checker = shutil.which("systemd-analyze")
    if checker is None:
        missing("systemd", "there is no systemd-analyze; as root: apt-get install systemd")
    paths = write_units(deployment, tmp_path / "units", tmp_path / "back ups")
    checked = [path for path in paths if path.suffix != ".env"]
    done = subprocess.run(
        [checker, "verify", "--man=no", "--recursive-errors=no", *checked], capture_output=True, text=True
    )
    said = [line for line in done.stderr.splitlines() if "workbench" in line and "docker.service" not in line]
    assert done.returncode == 0, done.stderr
    assert not said, done.stderr


def test_a_wrong_unit_would_be_found(deployment, tmp_path, missing):
    """The checker is no rubber stamp."""
    checker = shutil.which("systemd-analyze")
    if checker is None:
        missing("systemd", "there is no systemd-analyze; as root: apt-get install systemd")
    (path,) = [
        one for one in write_units(deployment, tmp_path / "units") if one.name == "workbench-hub.service"
    ]
    path.write_text(path.read_text().replace("ExecStart=", "ExecStrat="))
    done = subprocess.run([checker, "verify", "--man=no", path], capture_output=True, text=True)
    assert "ExecStrat" in done.stderr


def test_there_is_a_unit_for_each_process_that_systemd_does_not_replace(deployment, tmp_path):
    names = {unit.name for unit in units(deployment, tmp_path)}
    for process in processes.listed(deployment):
        assert (f"workbench-{process.name}.service" in names) == (process.name != "guardian")
    assert "workbench-backup.timer" not in names
    target = next(unit.text for unit in units(deployment, tmp_path) if unit.name == "workbench.target")
    assert "Wants=workbench-hub.service" in target


def test_no_unit_holds_a_secret(deployment, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATABASE", "postgresql://hub:sesame@db/hub")
    paths = write_units(deployment, tmp_path / "units", tmp_path)
    for path in paths:
        text = path.read_text()
        assert not any(token in text for token in deployment.tokens.values()), path
        assert ("sesame" in text) == (path.name == "workbench.env")
        assert path.stat().st_mode & 0o777 == (0o600 if path.name == "workbench.env" else 0o644)


def test_a_line_break_in_a_path_is_refused(tmp_path):
    deployment = Deployment(Settings(state=tmp_path / "a\nb", profile="embedded"))
    deployment.create()
    deployment.choose_ports()
    with pytest.raises(InvalidSetting, match="line break"):
        units(deployment, tmp_path)


def test_a_process_that_there_is_not_is_named(deployment):
    with pytest.raises(NoData, match=r"There are: .*hub"):
        command_of(deployment, "hubb")


@pytest.mark.services
def test_what_a_unit_starts_is_well(tmp_path):
    """The proxy, the hub and `life`, started by the words of their units."""
    with live_hub(tmp_path / "state", start=()) as hub:
        folder = tmp_path / "units"
        write_units(hub.deployment, folder)
        for name in ("proxy", "hub", "life"):
            process = next(one for one in processes.listed(hub.deployment) if one.name == name)
            hub.spawn(name, *_words(folder / f"workbench-{name}.service"))
            wait_for(lambda process=process: healthy(process.health), 60, name)


def _words(unit: Path) -> list[str]:
    line = next(line for line in unit.read_text().splitlines() if line.startswith("ExecStart="))
    words = line.removeprefix("ExecStart=").strip('"').split('" "')
    assert words[0] == str(PROGRAM)
    return words
