"""An image that jobs run in, and what a test of the cluster shows when it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from slurmed import Slurm


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of the daemons with a test that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    slurm = getattr(item, "funcargs", {}).get("slurm")
    if report.failed and slurm is not None:
        report.sections.append(("logs", slurm.logs()))


@pytest.fixture(scope="session")
def small_image(slurm_cluster: Slurm) -> str:
    """Return the digest of a small image of the cluster's."""
    from smallimage import small_tree

    done = slurm_cluster.command("image", "add", f"{small_tree(slurm_cluster.root / 'tree')}/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def execute(slurm_cluster: Slurm, small_image: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in the small image: ``execute("id", user="ben", options=("--bare",))``."""

    def run(
        *command: str | Path, options: Sequence[str] = (), **given: Any
    ) -> subprocess.CompletedProcess[str]:
        return slurm_cluster.run(slurm_cluster.cluster.exec, *options, small_image, "--", *command, **given)

    return run


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder of root's that everybody may read."""
    folder = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def placed(slurm_cluster: Slurm, small_image: str) -> Iterator[Callable[..., tuple[Path, str]]]:
    """Install wb-exec with a configuration of its own: ``placed(read_only=[...])``; with the small image."""
    folder = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    folder.chmod(0o755)

    def place(**config: Any) -> tuple[Path, str]:
        shutil.copy(slurm_cluster.cluster.exec, folder / "wb-exec")
        config = {"images": str(slurm_cluster.cluster.images.folder), **config}
        (folder / "wb-exec.json").write_text(json.dumps(config))
        return folder / "wb-exec", small_image

    yield place
    shutil.rmtree(folder)
