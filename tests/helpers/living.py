"""The process `life`, with no more around it than a folder, and a hub that a test makes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench_hub.life.audit import AuditLog
from workbench_hub.life.jobs import no_jobs
from workbench_hub.life.meters import Processes
from workbench_hub.life.metrics import Metrics
from workbench_hub.life.notices import Announcements, Board
from workbench_hub.life.servers import Hub
from workbench_hub.life.service import Life, Means
from workbench_hub.life.usage import Usage


def life_of(folder: Path, hub: type[Hub], **more: Any) -> Life:
    """Return one that looks at the servers of a hub; the test closes its usage."""
    means = Means(
        hub=hub("http://127.0.0.1:1/hub/api", "none"),
        meter=Processes(),
        usage=Usage(f"sqlite:///{folder / 'usage.sqlite'}"),
        jobs=no_jobs,
        audit=AuditLog(folder / "audit"),
        board=Board(folder / "board"),
        announcements=Announcements(folder, ()),
        metrics=Metrics(folder),
        rules=None,
        **more,
    )
    return Life(means)
