"""Fixtures that submit jobs of this machine: ``pytest_plugins = ["batching"]`` in a test module."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import obspy
import pytest

from plugins import install_trials
from workbench import kernel as declarations
from workbench.jobs.batch import jobs, submit
from workbench.jobs.batchjob import BatchJob
from workbench.settings import Settings

Send = Callable[..., BatchJob]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(jobs=tmp_path / "jobs", archive=tmp_path / "archive", home_archive=tmp_path, workers=2)


@pytest.fixture
def trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the kernel `trials.wait` here and in jobs."""
    import trials  # noqa: F401 - which declares it

    monkeypatch.setenv("PYTHONPATH", str(install_trials(tmp_path / "plugins")))
    yield
    del sys.modules["trials"]
    for name in [name for name in declarations._registry if name.startswith("trials.")]:
        del declarations._registry[name]


@pytest.fixture(scope="module")
def waveforms() -> dict[str, str]:
    buffer = io.BytesIO()
    obspy.read().write(buffer, format="MSEED")
    return {"value": base64.b64encode(buffer.getvalue()).decode()}


@pytest.fixture
def send(trials, settings: Settings, waveforms: dict[str, str]) -> Iterator[Send]:
    """Submit a Call of `trials.wait`: ``send(seconds=3, limits={"memory": "1 GiB"})``."""

    def submitted(limits: dict | None = None, **given) -> BatchJob:
        call = {"process": "trials.wait", "inputs": {"waveforms": waveforms, **given}}
        return submit(call, kind="local", settings=settings, **(limits or {}))

    yield submitted
    jobs(settings=settings).cancel().wait(30)


SENDER = """
import json, sys, workbench as wb
from pathlib import Path
from workbench.settings import Settings
if __name__ == "__main__":
    call = json.loads(Path(sys.argv[1]).read_text())
    job = wb.submit(call, kind="local", settings=Settings(jobs=sys.argv[2], workers=1))
    print(job.id, flush=True)
    input()
"""


@pytest.fixture
def elsewhere(tmp_path: Path, trials, waveforms) -> Callable[..., tuple[subprocess.Popen[str], str]]:
    """Submit from another process, which stays: return it and the id of the job."""

    def sent(**given) -> tuple[subprocess.Popen[str], str]:
        (tmp_path / "call.json").write_text(
            json.dumps({"process": "trials.wait", "inputs": {"waveforms": waveforms, **given}})
        )
        (tmp_path / "sender.py").write_text(SENDER)
        sender = subprocess.Popen(
            [sys.executable, tmp_path / "sender.py", tmp_path / "call.json", tmp_path / "jobs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert sender.stdout is not None
        return sender, sender.stdout.readline().strip()

    return sent
