"""Fixtures of a broker: ``pytest_plugins = ["brokers"]`` in a test module."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from brokered import SHIMS, Brokered, brokered
from ordinary import folders_of
from smallimage import small_tree

if TYPE_CHECKING:
    from slurmed import Slurm


LIBRARIES = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libgomp.so.1", "libexpat.so.1", "libm.so.6"),
    *("librt.so.1", "libdl.so.2", "libpthread.so.0", "libutil.so.1", "libresolv.so.2"),
)
"""What wheels take for granted on any Linux."""


@pytest.fixture(scope="session")
def broker_image(slurm_cluster: Slurm, person_python: Path) -> str:
    """Return the digest of an image with what a user's image has for the broker, and with Python.

    The packages are shown in it as a group's folder is, so that they need not be copied.
    """
    tree = small_tree(slurm_cluster.root / "broker-tree")
    program = tree / "usr/bin/python"
    program.write_text(f'#!/bin/sh\nexec {person_python} "$@"\n')
    program.chmod(0o755)
    shutil.copytree(SHIMS, tree / "opt/workbench/broker")
    places = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    for name in LIBRARIES:
        found = next((line.split()[-1] for line in places.splitlines() if line.split()[:1] == [name]), None)
        if found is not None:
            shutil.copy(Path(found).resolve(), tree / "usr/lib" / name)
    done = slurm_cluster.command("image", "add", f"{tree}/")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def running_broker(slurm_cluster: Slurm, broker_image: str, person_python: Path) -> Iterator[Brokered]:
    """Start hub and broker beside the cluster."""
    shown = {f"python{number}": path for number, path in enumerate(folders_of(person_python))}
    with brokered(slurm_cluster, broker_image, **shown) as running:
        yield running


@pytest.fixture
def broker(running_broker: Brokered, slurm: Slurm) -> Brokered:
    """Return the broker, with nothing in the queue."""
    return running_broker


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of hub and broker with a test that failed."""
    outcome = yield
    report = outcome.get_result()
    broker = getattr(item, "funcargs", {}).get("broker")
    if report.failed and broker is not None:
        report.sections.append(("hub and broker", broker.hub.said()))
