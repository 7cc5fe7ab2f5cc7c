"""The other commands, and how quickly they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from workbench import cli
from workbench import kernel as declarations
from workbench.settings import Settings
from workbench_hub.cli import main as hub
from workbench_slurm.cli import main as slurm


def test_list_has_every_kernel(workbench):
    done = workbench("list")
    assert [line.split()[0] for line in done.out.splitlines()] == list(declarations.kernels())
    rows = json.loads(workbench("list", "--json").out)
    assert [row["id"] for row in rows] == list(declarations.kernels())


def test_describe_is_what_the_web_says(workbench):
    from workbench.calls.describe import describe

    done = workbench("describe", "triggers.sta_lta")
    assert json.loads(done.out) == json.loads(json.dumps(describe(declarations.get("triggers.sta_lta"))))


@pytest.mark.parametrize("kernel_id", declarations.kernels())
def test_help_of_every_kernel_names_every_setting_with_unit_and_default(workbench, kernel_id):
    done = workbench("run", kernel_id, "--help")
    assert done.code == 0
    for name in declarations.get(kernel_id).settings.model_fields:
        assert f"--{name.replace('_', '-')}" in done.out
    assert "DATA:" in done.out


def test_run_alone_lists_the_kernels(workbench):
    assert "subnets.coincidence" in workbench("run", "--help").out


def test_version(workbench):
    assert workbench("--version").out == "workbench, version 0.1.0\n"


def test_settings_are_all_explained_and_the_token_is_not_shown(workbench, monkeypatch):
    monkeypatch.setenv("WORKBENCH_TOKEN", "secret-token")
    done = workbench("settings")
    assert "secret-token" not in done.out
    assert "WORKBENCH_TOKEN=(set)" in done.out
    for name, field in Settings.model_fields.items():
        assert f"WORKBENCH_{name.upper()}=" in done.out
        assert str(field.description) in done.out
    monkeypatch.setenv("WORKBENCH_PORT", "many")
    done = workbench("settings")
    assert done.code == 2
    assert "WORKBENCH_PORT" in done.err


def test_help_and_list_import_no_more_than_they_need(process):
    code = "import sys; from workbench import cli\ntry:\n cli.main(['--help'])\nexcept SystemExit:\n pass\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print(sorted({m.partition('.')[0] for m in sys.modules}))"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("obspy", "numpy", "pandas", "numba", "pydantic"):
        assert f"'{heavy}'" not in loaded


def test_run_imports_the_topic_that_it_needs_and_nothing_slow(folder):
    code = (
        "import sys; from workbench import cli\n"
        "try:\n cli.main(['run', 'triggers.sta_lta', 'waves', '-o', 't.csv'])\nexcept SystemExit:\n pass\n"
        "print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    loaded = done.stdout.splitlines()[-1]
    for other in (
        "workbench.kernels.locators",
        "xarray",
        "matplotlib",
        "bokeh",
        "dask",
        "httpx",
        "scipy.signal",
    ):
        assert f"'{other}'" not in loaded, other
    assert "'workbench.kernels.triggers'" in loaded


def test_first_result_of_a_new_process_comes_soon(process, folder):
    arguments = ("run", "triggers.sta_lta", "waves", "--sta", "0.5", "--lta", "5", "-o", "t.csv")
    process(*arguments)

    def cpu() -> float:
        before = os.times()
        assert process(*arguments).code == 0
        after = os.times()
        return after.children_user - before.children_user + after.children_system - before.children_system

    # CPU time, as the machine may be busy; the best of three, as caches may be cold.
    assert min(cpu() for _ in range(3)) < 2.0
    started = time.perf_counter()
    process("--help")
    assert time.perf_counter() - started < 1.5


def test_pipe_that_closes_early_is_no_error(folder):
    command = f"{sys.executable} -m workbench.cli describe triggers.sta_lta | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_python_m_is_the_command(process):
    assert process("--version").out.startswith("workbench")
    script = Path(sys.executable).with_name("workbench")
    done = subprocess.run([str(script), "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("workbench")


def test_help_of_every_command_is_laid_out_as_it_was_written():
    """A mark of Click that Click does not see stands in the text, and examples run into each other."""
    found = {}

    def look(command, context):
        found[context.command_path] = command.get_help(context)
        for name in command.list_commands(context) if isinstance(command, click.Group) else ():
            below = command.get_command(context, name)
            look(below, click.Context(below, info_name=name, parent=context))

    for name, command in {"workbench": cli.app, "workbench-hub": hub, "workbench-slurm": slurm}.items():
        look(command, click.Context(command, info_name=name))
    assert {"workbench archive fetch", "workbench-hub doctor", "workbench-slurm up"} <= set(found)
    assert [path for path, text in found.items() if "\\b" in text] == []
    assert "  workbench archive add *.sac --root /data/archive\n" in found["workbench archive add"]
