"""The Dask cluster: how to reach it, and how a call gets there.

Scheduler, workers and clients show each other a certificate; without the keys
nobody can connect.  A worker runs each call in a process of its own, so that a
kernel that crashes costs that call and not the worker.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench.settings import Settings

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.security import Security

    from workbench.jobs.isolated import Isolated
    from workbench.jobs.work import Answer, Request

__all__ = ["Cluster", "client", "result", "submit"]

TARGET = "workbench.jobs.work:work"
"""What each process calls."""

_CONNECT_SECONDS = 5


def security(settings: Settings) -> Security:
    """Return the keys for the cluster.

    Raises
    ------
    InvalidSetting
        If they are not there.
    """
    folder = settings.tls_dir
    if not (folder / "cert.pem").is_file():
        raise InvalidSetting(
            "WORKBENCH_DASK_TLS",
            f"there are no keys in {folder}",
            "`make up` makes them; name their directory.",
        )
    from workbench.jobs import sessions

    return sessions.security(folder)


def client(settings: Settings) -> Client:
    """Connect to the cluster of the settings.

    Raises
    ------
    InvalidSetting
        If none is named, or its keys are not there.
    Unavailable
        If it does not answer.
    """
    from distributed import Client

    if not settings.dask:
        raise InvalidSetting("WORKBENCH_DASK", "names no Dask scheduler", "`make up` starts one.")
    try:
        return Client(settings.dask, security=security(settings), timeout=_CONNECT_SECONDS)
    except OSError as error:
        raise Unavailable(settings.dask, f"does not answer ({error})", "`make status` shows why.") from error


def submit(dask: Client, request: Request, seconds: float) -> Future[Any]:
    """Send a request to the cluster; `result` makes an answer of what comes back."""
    return dask.submit(isolated, request, seconds, pure=False)


def isolated(request: Request, seconds: float) -> Answer | WorkbenchError:
    """Work off a request, in a process beside this one.

    What is wrong with a request is returned, not raised: for Dask it is no
    failure, which it would put into the worker's log with all that was sent.
    """
    try:
        return cast("Answer", _isolated().run(request, seconds))
    except WorkbenchError as error:
        return error


def result(returned: Answer | WorkbenchError) -> Answer:
    """Return the answer, or raise what was wrong.

    Raises
    ------
    WorkbenchError
    """
    if isinstance(returned, WorkbenchError):
        raise returned
    return returned


@cache
def _isolated() -> Isolated:
    from workbench.jobs.isolated import Isolated

    return Isolated(TARGET, Settings().workers)


class Cluster:
    """The cluster as a server in an event loop uses it: connected when needed, and again.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def connected(self) -> Client:
        """Return a client that is connected.

        Raises
        ------
        Unavailable
            If the scheduler does not answer.
        """
        from distributed import Client

        async with self._connecting:
            if self._client is not None and self._client.status == "running":
                return self._client
            await self.close()
            dask = self.settings.dask
            try:
                self._client = await Client(
                    dask,
                    security=security(self.settings),
                    timeout=_CONNECT_SECONDS,
                    asynchronous=True,
                    set_as_default=False,
                )
            except OSError as error:
                raise Unavailable(dask, f"does not answer ({error})", "Try again in a moment.") from error
            return self._client

    async def run(self, request: Request, seconds: float) -> Answer:
        """Have a request worked off; dropped when the caller goes away."""
        from distributed import CancelledError, KilledWorker
        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError

        future = submit(await self.connected(), request, seconds)
        try:
            return result(await future)
        except (FutureCancelledError, CancelledError, CommClosedError, KilledWorker) as error:
            raise Unavailable("The Dask cluster", "was interrupted", "Try again in a moment.") from error
        finally:
            future.release()

    async def ready(self) -> bool:
        """Whether the scheduler answers and has a worker."""
        try:
            scheduler = (await self.connected()).scheduler
            return scheduler is not None and bool((await scheduler.identity())["workers"])
        except (Unavailable, OSError):
            return False

    async def close(self) -> None:
        """Disconnect."""
        if self._client is not None:
            await self._client.close()
            self._client = None
