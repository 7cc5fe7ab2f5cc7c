"""A notebook that submits batch jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from notebooks import Notebook

_BEGIN = """
import base64, io, itertools, json, os, obspy, workbench as wb
from pathlib import Path
from workbench import wire
from workbench.settings import Settings
buffer = io.BytesIO()
obspy.read().write(buffer, format="MSEED")
data = {"value": base64.b64encode(buffer.getvalue()).decode()}
numbers = itertools.count(1)
def trial(**given):
    inputs = {"waveforms": data, "number": next(numbers) + 1000 * os.getpid(), **given}
    return {"process": "trials.wait", "inputs": inputs}
def told(job):
    status = job.status
    return {"state": status.state, "code": status.exit_code, "error": str(job.error), "node": status.node}
picking = {"process": "triggers.sta_lta", "inputs": {"waveforms": data, "sta": 0.5, "lta": 5.0}}
"""


class Trials(Notebook):
    """A notebook; ``trial(...)`` in it is a new Call of `trials.wait`, ``picking`` one of ours."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.run(_BEGIN)

    def told(self, name: str = "job") -> dict[str, Any]:
        """Return how a job is."""
        found: dict[str, Any] = self.run(f"answer = told({name})")
        return found

    def number(self, name: str = "job") -> int:
        """Return the number of a job in SLURM."""
        return int(self.run(f"answer = {name}.submission.runs[-1].number"))

    def running(self, eventually: Callable[..., None], name: str = "job") -> None:
        """Wait until a job is at work."""
        eventually(lambda: self.run(f"answer = {name}.status.doing") == "waiting", 60, "progress of the job")
