"""Which way the arrows point, and what kernels may not do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_imports_go_down_the_layers():
    done = run(str(BIN / "lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "line",
    ["import obspy.clients.fdsn", "from obspy import read", "handle = open('x')"],
)
def test_a_kernel_that_does_io_is_refused(line):
    """The ban can fail: each of these lines in a kernel makes ruff complain."""
    code = f'"""A topic."""\n\n{line}\n'
    done = subprocess.run(
        [str(BIN / "ruff"), "check", "--no-cache", "--stdin-filename", "workbench/kernels/topic.py", "-"],
        input=code,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert re.search("TID251|PTH123", done.stdout), done.stdout


def tracked() -> list[Path]:
    done = run("git", "ls-files", "-z")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_module_is_a_house_of_its_own():
    """Past 400 lines a second noun is hiding in a module."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix == ".py" and (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_nothing_tracked_names_a_machine_or_a_registry():
    registries = re.compile(
        r"(?i)pypi\.org|pythonhosted|registry\.npmjs|files\.pythonhosted|(?<![}\w])/root/|/home/[a-z]+/"
    )
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if path.suffix in {".py", ".toml", ".lock", ".json", ".md", ".yml", ".yaml", ".sh", ".ipynb", ""}
        and path != Path(__file__)
        for match in registries.finditer(path.read_text(errors="replace"))
    ]
    assert not found
