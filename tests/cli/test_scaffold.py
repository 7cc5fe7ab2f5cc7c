"""New kernels: what is written passes lint and tests at once, and the page about it is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

SCRIPT = '''\
"""What a seismologist has lying around."""
import numpy as np
from obspy import read, read_inventory

THRESHOLD = 3.5


def clean(st, inv, freqmin=1.0, freqmax=20, label="x"):
    """Zero what is small in a band"""
    corners = 4
    st.detrend("linear")
    st.filter("bandpass", freqmin=freqmin, freqmax=freqmax, corners=corners)
    for tr in st:
        # only what stands out
        tr.data = np.where(np.abs(tr.data) > THRESHOLD, tr.data, 0.0)
        tr.taper(max_percentage=0.05)
    return st


st = read("x.mseed")
print(clean(st, read_inventory("x.xml")))
'''


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the sources, to write into, with what Python and numba compiled of them."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("workbench", "tests"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("pyproject.toml",):
        shutil.copy(ROOT / name, tree / name)
    return tree


def sh(tree: Path, command: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(tree),
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }
    done = subprocess.run(
        command, shell=True, cwd=tree, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def test_every_command_of_the_page_works(tree):
    page = (ROOT / "docs" / "adding-a-kernel.md").read_text()
    commands = [
        line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()
    ]
    assert len(commands) > 10
    (tree / "script.py").write_text(SCRIPT)
    for command in commands:
        if command.startswith("make "):
            target = command.split()[1]
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command
            continue
        sh(tree, command)
    assert (tree / "results" / "provenance.json").exists()


def test_what_is_written_passes_lint(tree):
    if not (tree / "workbench" / "kernels" / "spectra.py").exists():
        sh(tree, "workbench kernel new spectra.first")
    sh(tree, "workbench kernel new spectra.second")
    sh(tree, "workbench kernel new triggers.third")
    new = "workbench/kernels/spectra.py workbench/kernels/triggers.py"
    tests = "tests/kernels/test_spectra_first.py tests/kernels/test_spectra_second.py"
    for command in ("check", "format --check"):
        sh(tree, f"ruff {command} {new} {tests} tests/kernels/test_triggers_third.py")
    sh(tree, f"pytest -q {tests} tests/kernels/test_triggers_third.py {new}")
    assert "def sta_lta" in (tree / "workbench" / "kernels" / "triggers.py").read_text()


def test_script_gives_its_function_and_its_literals(tree):
    (tree / "script.py").write_text(SCRIPT)
    said = sh(tree, "workbench kernel new adopted.clean --from script.py")
    text = (tree / "workbench" / "kernels" / "adopted.py").read_text()
    head = re.search(r"def clean\((.*?)\) -> Waveforms:", text, re.DOTALL)
    assert head is not None
    assert " ".join(head.group(1).split()).rstrip(",") == (
        'waveforms: Waveforms, *, freqmin: Hertz = 1.0, freqmax: Hertz = 20, label: str = "x", '
        "corners: int = 4, max_percentage: Ratio = 0.05, threshold: Ratio = 3.5"
    )
    assert "freqmin (Hertz)" in said
    assert "comments are not brought along" in said
    sh(tree, "ruff check workbench/kernels/adopted.py tests/kernels/test_adopted_clean.py")
    sh(tree, "ruff format --check workbench/kernels/adopted.py tests/kernels/test_adopted_clean.py")
    sh(tree, "pytest -q tests/kernels/test_adopted_clean.py tests/test_declarations.py -k 'clean'")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("new", "Energy.average"), "no name of a kernel"),
        (("new", "energy"), "no name of a kernel"),
        (("new", "energy.class"), "no name of a kernel"),
        (("new", "triggers.sta_lta"), "is there already"),
    ],
)
def test_names_that_cannot_be_are_refused(workbench, tree, arguments, word):
    done = workbench("kernel", *arguments, "--root", tree)
    assert done.code == 2
    assert word in done.err


@pytest.mark.parametrize(
    ("script", "code", "word"),
    [
        ("x = 1\n", 2, "has no function"),
        ("def f(:\n", 4, "no Python"),
        ("def f():\n    return 1\n", 2, "takes no data"),
    ],
)
def test_script_without_a_method_is_refused_by_name(workbench, tree, tmp_path, script, code, word):
    path = tmp_path / "script.py"
    path.write_text(script)
    done = workbench("kernel", "new", "refused.method", "--from", path, "--root", tree)
    assert done.code == code
    assert word in done.err
    assert "script.py" in done.err
    assert not (tree / "workbench" / "kernels" / "refused.py").exists()


def test_method_that_reads_its_own_data_takes_them_instead(workbench, tree, tmp_path):
    path = tmp_path / "script.py"
    body = "    st = read('a.mseed')\n    st.detrend('demean')\n    return st\n"
    path.write_text(f"from obspy import read\n\ndef main():\n{body}")
    assert workbench("kernel", "new", "demeaned.whole", "--from", path, "--root", tree).code == 0
    text = (tree / "workbench" / "kernels" / "demeaned.py").read_text()
    assert "def whole(waveforms: Waveforms) -> Waveforms:" in text
    assert "read" not in text.partition('"""\n    st = ')[2]
