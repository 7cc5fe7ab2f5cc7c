"""The benchmarks: what they say when something cannot be measured, and that their page is current."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks import full_size, harness

ROOT = Path(__file__).parents[1]


def test_the_page_says_what_was_measured_last():
    assert harness.page(json.loads(harness.OUT.read_text())) == harness.PAGE.read_text()


def test_of_the_tests_at_full_size_those_that_passed_are_told(tmp_path):
    source = tmp_path / "test_some.py"
    source.write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [20, 500])\n"
        "def test_all_who_come_are_let_in(n): ...\n"
        "def test_measures(record_property):\n    record_property('seconds', 12.5)\n"
        "def test_fails():\n    assert False\n"
        "@pytest.mark.skip\ndef test_is_left_out(): ...\n"
    )
    # As the Makefile says it.
    said = re.search(r"pytest -m long (.*) --junitxml", (ROOT / "Makefile").read_text())
    assert said is not None
    given = [*said[1].split(), "-c", os.devnull, "--junitxml=report.xml"]
    words = [sys.executable, "-m", "pytest", *given, "-W", "error", source.name]
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode == 1
    found = full_size.rows((tmp_path / "report.xml").read_text())
    come, more, measured = found
    assert (come.what, more.what) == ("all who come are let in: 20", "all who come are let in: 500")
    assert 0 <= come.ours_s < 60
    assert (measured.what, measured.ours_s) == ("measures", 12.5)


@pytest.mark.parametrize(("required", "code"), [("", 0), ("spark", 1)])
def test_what_cannot_be_measured_is_named_and_fails_where_it_is_required(tmp_path, required, code):
    # No Java is found there, and in a tree without `make bench` no Spark either.
    environment = {**os.environ, "PATH": str(tmp_path), "REQUIRE": required}
    words = [sys.executable, "-m", "benchmarks", "spark"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "IS LEFT OUT: Spark " in done.stdout
    assert "NOT MEASURED, and their rows are of an earlier run" in done.stdout


def test_a_topic_that_there_is_not_is_told_with_those_that_there_are():
    words = [sys.executable, "-m", "benchmarks", "sparks"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "No such topic: bench_sparks. There are: bench_archive," in done.stderr


def test_peers_are_locked_apart_and_by_their_hashes():
    locked = (ROOT / "benchmarks" / "requirements.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in ("pyspark", "py4j"):
        assert f"{name}==" in locked
        assert name not in (ROOT / "requirements.lock").read_text()
        assert name not in (ROOT / "requirements-dev.lock").read_text()
    assert locked.count("==") <= locked.count("--hash=sha256:")
    assert [one.partition(">")[0] for one in project["optional-dependencies"]["bench"]] == ["pyspark"]
