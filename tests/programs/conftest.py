"""Programs that the tests compile, and a registry that they may fill."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import kernel as declarations
from workbench.programs import File

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Let each test register what it likes."""
    monkeypatch.setattr(declarations, "_registry", dict(declarations._registry))
    return declarations._registry


@pytest.fixture(autouse=True, scope="session")
def bubblewrap(missing):
    if shutil.which("bwrap") is None:
        missing("bubblewrap", "as root: apt-get install bubblewrap")


def pinned(path: Path) -> File:
    return File(path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture(scope="session")
def compiled(tmp_path_factory, missing) -> Callable[..., File]:
    """Return a way to compile a source: ``compiled(path, "gcc", "-lm")``."""
    folder = tmp_path_factory.mktemp("programs")

    def build(source: Path, compiler: str, *more: str) -> File:
        if shutil.which(compiler) is None:
            missing(compiler, f"as root: apt-get install {compiler}")
        program = folder / source.stem
        if not program.exists():
            command = [compiler, "-O1", "-o", str(program), str(source), *more]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, done.stderr
        return pinned(program)

    return build


@pytest.fixture(scope="session")
def peaks_program(compiled) -> File:
    return compiled(HERE / "peaks.c", "gcc", "-lm")
