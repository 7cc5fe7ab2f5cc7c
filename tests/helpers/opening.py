"""Fixtures that open notebooks of users of the cluster: ``pytest_plugins = ["opening"]`` in a test module."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notebooks import Notebook
from ordinary import ordinary_python
from smallimage import python_tree
from trialbook import Trials

if TYPE_CHECKING:
    from slurmed import Slurm


@pytest.fixture(scope="session")
def person_python() -> Iterator[Path]:
    """Return a Python that users of the cluster can run, with the workbench."""
    # Not below /tmp, in whose place a job sees its own.
    folder = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield ordinary_python(folder / "python")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def python_image(slurm_cluster: Slurm, person_python: Path) -> str:
    """Return the digest of an image of the cluster's whose `python` is that one: see `python_tree`."""
    done = slurm_cluster.command(
        "image", "add", f"{python_tree(slurm_cluster.root / 'python-tree', person_python)}/"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def notebook(slurm: Slurm, person_python: Path) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook: ``notebook()``, ``notebook("ben", more={"PATH": ...})``; all are closed at the end."""
    opened: list[Notebook] = []

    def open_one(user: str = "anna", more: Mapping[str, str] | None = None) -> Notebook:
        opened.append(Notebook(slurm, person_python, user, more))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def book(slurm_cluster: Slurm, person_python: Path) -> Iterator[Trials]:
    """Return anna's notebook; what jobs of other tests gave is no result of hers."""
    slurm_cluster.clean()
    shutil.rmtree(slurm_cluster.home("anna") / ".workbench", ignore_errors=True)
    with Trials(slurm_cluster, person_python) as opened:
        yield opened
    slurm_cluster.clean()
