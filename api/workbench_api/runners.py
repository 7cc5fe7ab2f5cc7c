"""Where the web's Calls run: on the Dask cluster, or in processes beside this one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, cast

from fastapi import Request

from workbench.errors import Unavailable
from workbench.jobs import Cluster, Isolated
from workbench.jobs.cluster import TARGET
from workbench.jobs.work import Answer
from workbench.jobs.work import Request as Work
from workbench.settings import Settings
from workbench_api.problems import ClientGone

__all__ = ["Executor", "Local", "Places", "executor", "run"]

_MOST_WAITING = 64
_GRACE_SECONDS = 30.0


class Executor(Protocol):
    """Where Calls are run."""

    async def run(self, request: Work, seconds: float) -> Answer:
        """Run one, in at most so many seconds."""

    async def ready(self) -> bool:
        """Whether it can."""

    async def close(self) -> None:
        """End what was started for it."""


class Local:
    """Processes beside this one, where there is no cluster.

    Parameters
    ----------
    size : int
        How many Calls run at the same time.
    """

    def __init__(self, size: int) -> None:
        self._isolated = Isolated(TARGET, size)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="isolated")

    async def run(self, request: Work, seconds: float) -> Answer:
        """Run one in the next process that is free."""
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._threads, self._isolated.run, request, seconds)
        return cast(Answer, answer)

    async def ready(self) -> bool:
        """Say yes: processes are started when they are needed."""
        return True

    async def close(self) -> None:
        """End the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._isolated.close)


def executor(settings: Settings) -> Executor:
    """Return the cluster of the settings, or processes beside this one."""
    return Cluster(settings) if settings.dask else Local(settings.workers)


async def run(work: Work, seconds: float, runner: Executor, request: Request) -> Answer:
    """Run what is asked; stop waiting when the client goes away.

    Raises
    ------
    WorkbenchError
        What went wrong.
    """
    task = asyncio.ensure_future(runner.run(work, seconds))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait(
            {task, gone}, timeout=seconds + _GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        if gone.done():
            raise ClientGone
        raise Unavailable("The call", "found no free worker in time", "Try again later.")
    finally:
        for waiting in (task, gone):
            waiting.cancel()


class Places:
    """How many executions may wait and run; one more is refused at once."""

    def __init__(self, size: int = _MOST_WAITING) -> None:
        self._free = size

    async def __aenter__(self) -> None:
        if not self._free:
            raise Unavailable("The service", "has too many executions waiting", "Try again later.")
        self._free -= 1

    async def __aexit__(self, *_: object) -> None:
        self._free += 1


async def _gone(request: Request) -> None:
    """Wait until the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
