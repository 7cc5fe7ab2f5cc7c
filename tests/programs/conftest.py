"""Programs that the tests compile, and a registry that they may fill."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import sited
from workbench import kernel as declarations
from workbench.programs import File


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Let each test register what it likes."""
    monkeypatch.setattr(declarations, "_registry", dict(declarations._registry))
    return declarations._registry


@pytest.fixture(autouse=True, scope="session")
def bubblewrap(missing):
    if shutil.which("bwrap") is None:
        missing("bubblewrap", "as root: apt-get install bubblewrap")


@pytest.fixture(scope="session")
def pinned() -> Callable[[Path], File]:
    """Return a file as a declaration names it."""
    return sited.pinned


@pytest.fixture(scope="session")
def compiled(tmp_path_factory, missing) -> Callable[..., File]:
    """Return a way to compile a source of this folder: ``compiled("peaks.c", "gcc", "-lm")``."""
    folder = tmp_path_factory.mktemp("programs")

    def build(source: str, compiler: str, *more: str, package: str = "") -> File:
        if shutil.which(compiler) is None:
            missing(package or compiler, f"as root: apt-get install {package or compiler}")
        return sited.compiled(source, folder, compiler, *more)

    return build


@pytest.fixture(scope="session")
def peaks_program(compiled) -> File:
    return compiled("peaks.c", "gcc", "-lm")


@pytest.fixture(scope="session")
def hostile(compiled) -> File:
    return compiled("hostile.c", "gcc")
