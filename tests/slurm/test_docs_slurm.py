"""docs/slurm.md has every command, option and word of what it describes."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import click
import pytest

from workbench_hub.broker.options import FLAGS, VALUES
from workbench_hub.broker.rules import Rules
from workbench_slurm.cli import main
from workbench_slurm.enforcement import ENFORCEMENTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "slurm.md").read_text()


def commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            found += commands(command, (*words, name))
        else:
            found.append(((*words, name), command))
    return found


@pytest.mark.parametrize(("words", "command"), commands(main), ids=lambda value: str(value)[:30])
def test_every_command_and_option_is_there(words: tuple[str, ...], command: click.Command):
    assert f"`{' '.join(words)}" in TEXT or f"`{words[-1]}`" in TEXT, words
    assert command.help
    if words[0] in ("up", "doctor") or words == ("user", "add"):
        for option in (parameter for parameter in command.params if isinstance(parameter, click.Option)):
            assert all(name in TEXT for name in (*option.opts, *option.secondary_opts)), option.opts


def test_every_way_of_enforcing_is_there():
    assert all(f"`{name}`" in TEXT or f"--limits {name}" in TEXT for name in ENFORCEMENTS)


def test_every_option_of_wb_exec_is_there():
    said = set(re.findall(r"\"(--[a-z-]+)\", (?:action|metavar)", (ROOT / "slurm/wb-exec").read_text()))
    assert said == {"--no-network", "--bare", "--home-only", "--read", "--write"}
    assert all(f"`{name}" in TEXT for name in said)


def test_the_example_of_a_configuration_is_one():
    example = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
    program = runpy.run_path(str(ROOT / "slurm" / "wb-exec"), run_name="wb_exec")
    assert set(example) == {"images", "read_only", "keep"}
    assert program["CONFIG"] in TEXT
    assert all(key in (ROOT / "slurm/wb-exec").read_text() for key in example)


def test_every_option_that_the_broker_takes_is_there():
    names = re.findall(r"`--([a-z-]+)`", TEXT[TEXT.index("**What the broker takes.**") :].split("\n\n")[0])
    assert {*FLAGS, *VALUES} <= {*names}
    assert {*names} <= {*FLAGS, *VALUES}


def test_the_limits_of_the_broker_are_there():
    rules = Rules(Path(), Path())
    said = TEXT[TEXT.index("**What the broker takes.**") :]
    for words in (
        f"({rules.array} jobs)",
        f"{rules.jobs} jobs at a time",
        f"{rules.a_minute} times a minute",
    ):
        assert words in said
    assert (rules.script_bytes, f"{rules.questions} times a minute" in said) == (2**20, True)
