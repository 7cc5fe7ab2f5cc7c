"""Fixtures that all tests share, and how a missing component is met."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import hypothesis
import pytest

# A change is judged by the same examples each time; `make test-long` searches for new ones.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.register_profile("search", derandomize=False)
hypothesis.settings.load_profile("same")

# Begun in the background of a script: what tests start would not hear SIGINT either, and end only by force.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

if TYPE_CHECKING:
    import httpx
    from distributed import Client
    from playwright.sync_api import Page

    from dockerd import Daemon
    from slurmed import Slurm

# Helpers are no tests, and some of them declare kernels where they are imported.
collect_ignore = ["helpers"]


class ImageBuild(NamedTuple):
    """A build of images that is under way, and the folder of its catalogue."""

    process: subprocess.Popen[bytes]
    out: Path


REQUIRED = frozenset(filter(None, os.environ.get("REQUIRE", "").split(",")))
"""Components whose absence is a failure: ``REQUIRE=shared,slurm,docker,browser``."""


def missing(component: str, reason: str) -> None:
    """Skip a test because a component is not here; fail where it is required."""
    if component in REQUIRED:
        pytest.fail(f"{component} is required and missing: {reason}", pytrace=False)
    pytest.skip(f"{component} is missing: {reason}")


@pytest.fixture(name="missing", scope="session")
def _missing() -> Callable[[str, str], None]:
    """Return `missing`, for tests that find out by themselves."""
    return missing


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with a table of what was left out for want of a component."""
    left_out: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        component, found, why = reason.removeprefix("Skipped: ").partition(" is missing: ")
        if found:
            left_out.setdefault(component, []).append(why)
    if not left_out:
        return
    terminalreporter.section("left out")
    for component, reasons in sorted(left_out.items()):
        terminalreporter.write_line(f"{component:<10} {len(reasons):>4} tests   {reasons[0]}")
    terminalreporter.write_line("REQUIRE=" + ",".join(sorted(left_out)) + " makes these failures.")


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for something that takes its time."""
    from workbench_hub.health import wait_for

    def wait(check: Callable[[], Any], seconds: float, what: str) -> None:
        wait_for(lambda: bool(check()), seconds, what)

    return wait


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots go: the folder of test results."""
    folder = Path(os.environ.get("TEST_RESULTS", Path(__file__).parents[1] / "test-results"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def browsed() -> Callable[..., AbstractContextManager[Page]]:
    """Return a way to open a page of a deployment in Chromium: ``with browsed(url) as page``."""
    program = shutil.which("chromium")
    if program is None:
        missing("browser", "there is no chromium; as root: apt-get install chromium")
    from chromium import browsing

    return partial(browsing, program)


@pytest.fixture(scope="session")
def services() -> Iterator[httpx.Client]:
    """Return a client of the web services, which run kernels in processes beside them."""
    from serving import served, settings
    from workbench_api import app

    with served(app.create(settings())) as client:
        yield client


@pytest.fixture(scope="session")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a Dask cluster with TLS, as `make up` starts it."""
    from clustered import clustered
    from workbench.jobs import client

    with clustered(tmp_path_factory.mktemp("keys")) as settings, client(settings) as dask:
        yield dask


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[Daemon]:
    """Return a Docker daemon of the tests' own, which they may kill and start again."""
    import dockerd

    reason = dockerd.why_not()
    if reason:
        missing("docker", reason)
    with dockerd.own_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Slurm]:
    """Start a SLURM cluster of three nodes, which all tests of a run share."""
    import slurmed

    reason = slurmed.why_not()
    if reason:
        missing("slurm", reason)
    with slurmed.slurmed() as running:
        yield running


@pytest.fixture
def slurm(slurm_cluster: Slurm) -> Iterator[Slurm]:
    """Return the cluster, well and with nothing in its queue: see `slurmed.Slurm`."""
    slurm_cluster.clean()
    yield slurm_cluster
    slurm_cluster.clean()


@pytest.fixture(scope="session")
def image_build(
    request: pytest.FixtureRequest, docker_daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ImageBuild]:
    """Begin to build the images, once in a run: the users', and the services' where tests ask for them."""
    names = ["user", *(["api", "hub"] if _wanted(request, "service_images") else [])]
    out = tmp_path_factory.mktemp("images")
    build = Path(__file__).parents[1] / "images" / "build.py"
    command = [sys.executable, str(build), *names, "--docker", docker_daemon.url, "--out", str(out)]
    with (out / "build.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    yield ImageBuild(process, out)
    process.kill()
    process.wait()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take modules with Docker last, and of these those that wait for images: meanwhile these are built."""
    uses = {
        name: {item.path for item in items if name in getattr(item, "fixturenames", ())}
        for name in ("docker_daemon", "catalogue")
    }
    items.sort(key=lambda item: (item.path in uses["docker_daemon"], item.path in uses["catalogue"]))


@pytest.fixture(scope="session", autouse=True)
def _ahead(request: pytest.FixtureRequest) -> None:
    """Begin what takes minutes at the start of a run, beside tests that do not need it."""
    if _wanted(request, "catalogue") and "TEST_CATALOGUE" not in os.environ:
        import dockerd

        if not dockerd.why_not():
            with suppress(Exception):  # whoever needs it meets it again
                request.getfixturevalue("image_build")


def _wanted(request: pytest.FixtureRequest, fixture: str) -> bool:
    return any(fixture in getattr(item, "fixturenames", ()) for item in request.session.items)


@pytest.fixture(scope="session")
def catalogue(request: pytest.FixtureRequest, docker_daemon: Daemon) -> Path:
    """Wait for the images; return the catalogue that names them by digest.

    ``TEST_CATALOGUE`` names one of an earlier run, whose images are there still (see `dockerd.KEPT`).
    """
    if kept := os.environ.get("TEST_CATALOGUE"):
        return Path(kept)
    build: ImageBuild = request.getfixturevalue("image_build")
    code = build.process.wait(900)
    assert code == 0, (build.out / "build.log").read_text()[-4000:]
    return build.out / "catalogue.json"


@pytest.fixture
def mortal_daemon(request: pytest.FixtureRequest, docker_daemon: Daemon) -> Daemon:
    """Return the daemon when nobody builds on it any more, so that it may be killed."""
    if _wanted(request, "catalogue"):
        request.getfixturevalue("catalogue")
    return docker_daemon


@pytest.fixture(scope="session")
def user_image(catalogue: Path) -> str:
    """Return the digest of the image that users' servers run in."""
    return str(json.loads(catalogue.read_text())["user"]["digest"])


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """Return the folder of a recorded case: ``shared("crl_corinth20100118")``."""
    root = Path(os.environ.get("WORKBENCH_SHARED", Path(__file__).parents[2] / "shared")).absolute()

    def case(name: str) -> Path:
        folder = root / "data" / name
        if not folder.is_dir():
            missing("shared", f"no recordings of {name}: set WORKBENCH_SHARED to the folder that holds data/")
        return folder

    return case
