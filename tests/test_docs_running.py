"""What operators read names everything that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from workbench.settings import Settings
from workbench_hub import cli

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "running.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_each_setting_is_documented(name):
    assert f"| `WORKBENCH_{name.upper()}` |" in TEXT


def test_no_setting_is_documented_that_there_is_not():
    known = {f"WORKBENCH_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"WORKBENCH_[A-Z_]+", TEXT)) <= known


def test_each_word_of_make_is_documented():
    words = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words) >= {"help", "setup", "up", "down", "status", "logs", "test", "lint", "lock", "clean"}
    for word in set(words) - {"help"}:
        assert f"`make {word}`" in TEXT, word


@pytest.mark.parametrize("name", cli.main.commands)
def test_each_command_of_the_hub_is_documented_and_has_help(name):
    assert f"`make {name}`" in TEXT or f"workbench-hub {name}" in TEXT
    assert CliRunner().invoke(cli.main, [name, "--help"]).exit_code == 0


def test_each_process_is_documented():
    for name in yaml.safe_load((ROOT / "hub" / "workbench_hub" / "processes.yaml").read_text()):
        assert f"| {name} |" in TEXT


def test_a_config_of_the_hub_stays_short():
    assert len((ROOT / "hub" / "jupyterhub_config.py").read_text().splitlines()) < 60


def test_the_address_of_the_services_is_joined_as_it_is_set():
    # It ends in a slash, and a second one is another path.
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        assert "$WORKBENCH_URL/" not in page.read_text(), page.name
