"""The work on one tile: what runs in a worker, whichever process and machine that is.

Results do not travel: they go into the store, and what is returned says how it
went.  Nothing is raised but the interruption by a user.
"""

from __future__ import annotations

import importlib
import json
import logging
import platform
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, Literal

from workbench.archive.trees import UNREADABLE
from workbench.calls import Result, keys, run
from workbench.errors import BadInput, InvalidKernel, InvalidSetting, NoData, UnknownKernel, WorkbenchError
from workbench.jobs.job import Job
from workbench.jobs.tilestore import TileStore
from workbench.jobs.units import Tile
from workbench.kernel import Kernel, get
from workbench.notices import Notice
from workbench.wire.clip import clip
from workbench.wire.packed import pack

__all__ = ["SHARE", "Outcome", "State", "versions", "work"]

SHARE = "Put it where this session and all workers see it, as in your home; each has a /tmp of its own."

State = Literal["computed", "reused", "busy", "failed", "refused"]

log = logging.getLogger("workbench.jobs")

_TOLD = 20
"""Notices of a tile that are kept; one that has more has them over and over."""

_JOBS = 4
"""Jobs that a process remembers."""

_LASTING = (BadInput, InvalidSetting, InvalidKernel, UnknownKernel)
"""What comes out the same however often it is tried."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the work on a tile went.

    Attributes
    ----------
    number : int
        Of the tile.
    state : str
        ``computed``; ``reused``, if it was finished already; ``busy``, if
        somebody else is at it; ``failed``; ``refused``, if this process has
        other code than the one that asks, or does not see its files.
    key : str
        Under which the store has it.
    cpu_s, wall_s : float
        What it took.
    bytes_in, bytes_out : int
        What was read, and what was written.
    error : tuple of str
        Class, subject, problem and remedy, if it failed.
    lasting : bool
        Whether another try would come out the same.
    notices : list of Notice
    """

    number: int
    state: State
    key: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    error: tuple[str, str, str, str] | None = None
    lasting: bool = False
    notices: list[Notice] = field(default_factory=list)


def work(job: Job, tile: Tile) -> Outcome:
    """Work on a tile, unless it is finished, or somebody else is at it."""
    job = _known(job)
    try:
        refused = _refused(job, tile)
        if refused is not None:
            return Outcome(tile.number, "refused", error=refused)
        head = job.store.head(tile.key)
        if head is not None:
            return _reused(job, tile, head)
        claimed = job.store.claim(tile.key)
        if claimed is None:
            return Outcome(tile.number, "busy")
        with claimed:
            head = job.store.head(tile.key)
            outcome = _reused(job, tile, head) if head is not None else _compute(job, tile)
    except Exception as error:  # noqa: BLE001 - the outermost handler: one tile must not cost the others
        outcome = _failed(tile, error)
    _say(job, tile, outcome)
    return outcome


def versions(process: str, module: str, store: TileStore) -> dict[str, Any]:
    """Return which code and which environment this process has, and whether it sees the store."""
    _import(module)
    facts = keys.environment()
    return {
        "code": _code(process),
        "environment": facts["digest"],
        "packages": {"python": facts["python"], **facts["packages"]},
        "host": platform.node(),
        "sees": store.seen(),
    }


def _compute(job: Job, tile: Tile) -> Outcome:
    begun, cpu = time.perf_counter(), time.thread_time()
    empty: NoData | None = None
    notices: list[Notice] = []
    outputs: dict[str, Any] = {}
    try:
        result: Result = run(job.call(tile), job.policy(tile), key=False, on_notice=notices.append)
        outputs = {name: clip(value, tile.start, tile.stop) for name, value in result.outputs.items()}
    except NoData as error:
        empty = error
        notices.append(Notice(tile.name, f"{error.subject}: {error.problem}", error.remedy))
    cpu_s, wall_s = time.thread_time() - cpu, time.perf_counter() - begun
    kept = _lasting_notices(job, tile, notices)[:_TOLD]
    more = {
        "tile": tile.name,
        "empty": empty is not None,
        "notices": [asdict(said) for said in kept],
        "samples": tile.samples,
        "bytes_in": tile.bytes,
        "cpu_s": cpu_s,
        "wall_s": wall_s,
    }
    # What could not be read may be another time, with nothing to show for it.
    passing = any(said.problem.startswith(UNREADABLE) for said in notices)
    key = tile.key if not passing and _unchanged(job, tile) else f"{tile.key}-{time.time_ns():x}"
    size = job.store.write(key, {name: pack(value) for name, value in outputs.items()}, more)
    return Outcome(tile.number, "computed", key, cpu_s, wall_s, tile.bytes, size, notices=kept)


def _lasting_notices(job: Job, tile: Tile, notices: list[Notice]) -> list[Notice]:
    """Leave out what is said only because a stretch of data is cut off by the end of the trail, or the lead.

    Too short, a kernel would say of the first seconds after a gap: it is the
    tile they belong to that can tell.
    """
    if not tile.inner or not any(said.loss for said in notices):
        return notices
    heard: list[Notice] = []
    with suppress(WorkbenchError):
        run(job.call(tile, inner=True), job.policy(tile), key=False, on_notice=heard.append)
    again = set(heard)
    return [said for said in notices if not said.loss or said.subject == tile.name or said in again]


def _unchanged(job: Job, tile: Tile) -> bool:
    """Whether what was read is what was planned: else the result is right now, and not kept for later."""
    for number, source in enumerate(job.sources):
        mine = [one for one in tile.files if one[0] == number]
        if not mine:
            continue
        tree = source.index.tree  # type: ignore[attr-defined]
        for one, status in zip(mine, tree.statuses([one[1] for one in mine]), strict=True):
            if status != one[2:]:
                return False
    return True


def _reused(job: Job, tile: Tile, head: dict[str, Any]) -> Outcome:
    job.store.use(tile.key)
    notices = [Notice(**said) for said in head["more"]["notices"]]
    return Outcome(tile.number, "reused", tile.key, notices=notices)


def _failed(tile: Tile, error: Exception) -> Outcome:
    name = type(error).__name__
    if isinstance(error, WorkbenchError):
        said = (name, error.subject, error.problem, error.remedy)
    else:
        text = " ".join(str(error).split())
        said = (name, tile.name, f"{name}: {text}" if text else name, "")
    return Outcome(tile.number, "failed", error=said, lasting=isinstance(error, _LASTING))


def _refused(job: Job, tile: Tile) -> tuple[str, str, str, str] | None:
    mine = _code(job.process), keys.environment()["digest"]
    who = f"the worker on {platform.node()}"
    if mine == (job.code, job.environment):
        # Without its files a tile would be one without data.
        for number in {-1, *(one[0] for one in tile.files)} if job.unseen else ():
            if number in job.unseen:
                return "Unavailable", who, f"does not see {job.unseen[number]}", SHARE
        return None
    return (
        "Unavailable",
        who,
        f"has the code {mine[0]} in the environment {mine[1][:12]}, "
        f"and here it is {job.code} in {job.environment[:12]}",
        "Start the workers from the image of this session.",
    )


def _say(job: Job, tile: Tile, outcome: Outcome) -> None:
    """Write a line for those who look after a cluster; nothing is formatted that nobody reads."""
    if log.isEnabledFor(logging.INFO):
        facts = {
            "event": f"tile {outcome.state}",
            "user": job.user,
            "job": job.batch or job.name,
            "kernel": job.process,
            "tile": tile.name,
            "key": tile.key[:16],
            "cpu_s": round(outcome.cpu_s, 4),
            "wall_s": round(outcome.wall_s, 4),
        }
        if outcome.error is not None:
            facts["error"] = ": ".join(outcome.error[1:3])
        log.info(json.dumps(facts))


_jobs: OrderedDict[str, Job] = OrderedDict()
_jobs_lock = threading.Lock()


def _known(job: Job) -> Job:
    """Return a job as this process has seen it first, with what it remembers."""
    with _jobs_lock:
        found = _jobs.pop(job.token, job)
        _jobs[job.token] = found
        while len(_jobs) > _JOBS:
            _jobs.popitem(last=False)
        if found is job:
            _import(job.module)
        return found


def _import(module: str) -> None:
    """Kernels of other distributions are known once their module has been imported."""
    if module and module != "__main__":
        importlib.import_module(module)


def _code(process: str) -> str:
    return _code_of(get(process))


@cache
def _code_of(kernel: Kernel) -> str:
    return keys.code_version(kernel)
