"""What can be said about images without building one."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_lock_files_are_current():
    """Each is the part of the workbench's own lock that the image needs."""
    command = [sys.executable, "images/locks.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_what_makes_every_start_slower_is_in_no_lock_file(monkeypatch):
    from building import wheels

    monkeypatch.syspath_prepend(ROOT / "hub")
    from environment import LEFT_OUT

    locks = [*ROOT.glob("*.lock"), *ROOT.glob("images/*/*.lock")]
    assert len(locks) >= 6
    for lock in locks:
        assert not set(LEFT_OUT) & set(wheels.entries(lock.read_text())), lock


def test_what_the_hub_runs_on_is_in_an_image():
    from building import wheels
    from building.recipes import RECIPES

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {wheels.asked_name(line) for line in project["optional-dependencies"]["hub"]}
    given = wheels.asked(RECIPES["hub"].asked) | wheels.asked(RECIPES["user"].asked)
    assert wanted <= given


def test_the_hubs_image_locks_no_seismology():
    from building import wheels
    from building.recipes import RECIPES

    assert not {"obspy", "numba", "numpy"} & set(wheels.entries(RECIPES["hub"].lock.read_text()))


def test_every_locked_package_has_its_hash():
    from building import wheels
    from building.recipes import RECIPES

    for recipe in RECIPES.values():
        for name, lines in wheels.entries(recipe.lock.read_text()).items():
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", lines), name


@pytest.mark.parametrize("module", ["wheels", "recipes"])
def test_examples_of_the_build_run(module):
    assert doctest.testmod(importlib.import_module(f"building.{module}")).failed == 0


@pytest.mark.parametrize(
    "script",
    ["base/install", "base/debian", "worker/workbench-start", "user/outside/srun", "user/profile.sh"],
)
def test_scripts_can_be_read_by_a_plain_shell(script):
    done = subprocess.run(["sh", "-n", ROOT / "images" / script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["srun", "salloc"])
def test_what_does_not_work_in_a_notebook_says_so(name):
    done = subprocess.run([ROOT / "images/user/outside" / name], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}: does not work in a notebook")
    assert "sbatch" in done.stderr


def test_a_login_shell_keeps_the_path_of_its_session():
    start, profile = (ROOT / "images" / name for name in ("worker/workbench-start", "user/profile.sh"))
    login = f'PATH=/usr/bin:/bin; . {profile}; echo "$PATH"'
    done = subprocess.run(
        ["sh", start, "sh", "-c", login],
        env={"PATH": "/opt/workbench/bin:/usr/bin:/bin", "WORKBENCH_BROKER": "x", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    ours = [f"/opt/workbench/{name}" for name in ("broker", "outside", "bin")]
    assert done.stdout.strip().split(":") == [*ours, "/usr/bin", "/bin"]


def test_a_catalogue_keeps_what_it_has(tmp_path):
    from building import catalogue
    from building.catalogue import Entry

    def entry(digest: str) -> Entry:
        return Entry("workbench-user", digest, "t", "2024-01-01T00:00:00Z", "s", {}, 1, "workbench-user:1")

    catalogue.add(tmp_path, {"user": entry("sha256:1"), "api": entry("sha256:2")})
    catalogue.add(tmp_path, {"user": entry("sha256:3")})
    assert {name: entry.digest for name, entry in catalogue.read(tmp_path).items()} == {
        "api": "sha256:2",
        "user": "sha256:3",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue.json"]
