"""The Docker daemon as the spawner asks it: without holding up the hub, and without guessing."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException

from workbench.errors import Unavailable

__all__ = ["SILENT", "Daemon", "NoDaemon"]

SILENT = "The Docker daemon"
"""What the words of `NoDaemon` begin with."""

_SECONDS = 60
_AT_ONCE = 16  # stopping a container takes seconds, and twenty people may come at once


class NoDaemon(Unavailable):
    """The daemon does not answer, so that nobody knows."""


class Daemon:
    """A Docker daemon; asked in threads, each with a client of its own, since they are not safe to share."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="docker")
        self._local = threading.local()
        self._clients: list[docker.APIClient] = []

    async def ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of ``docker.APIClient``.

        Raises
        ------
        docker.errors.APIError
            If the daemon refuses.
        NoDaemon
            If it does not answer.
        """
        return await asyncio.wrap_future(self._threads.submit(self.call, method, *args, **kwargs))

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Do the same, and wait."""
        try:
            _knock(self.url)
            return getattr(self._client(), method)(*args, **kwargs)
        except APIError as error:
            if error.is_server_error() and "dial unix" in str(error.explanation):
                raise self._silent(error) from error  # dockerd lives, what it stands on does not
            raise
        except (OSError, DockerException) as error:  # what requests raises is an OSError, too
            raise self._silent(error) from error

    async def find(self, name: str) -> dict[str, Any] | None:
        """Look at a container; None if there is none, and only then."""
        try:
            return dict(await self.ask("inspect_container", name))
        except APIError as error:
            if error.status_code == requests.codes.not_found:
                return None
            raise

    async def remove(self, name: str) -> None:
        """Remove a container with its log, running or not; none is as well."""
        try:
            await self.ask("remove_container", name, force=True, v=True)
        except APIError as error:
            # 409: it is being removed.
            if error.status_code not in (requests.codes.not_found, requests.codes.conflict):
                raise

    async def log(self, name: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of what a container said."""
        try:
            said = await self.ask("logs", name, stdout=True, stderr=True, tail=lines)
        except APIError:
            return ()
        return tuple(bytes(said).decode(errors="replace").splitlines())

    def close(self) -> None:
        """Let go of threads and sockets."""
        self._threads.shutdown()
        for client in self._clients:
            client.close()

    def _client(self) -> docker.APIClient:
        if not hasattr(self._local, "client"):
            self._local.client = docker.APIClient(base_url=self.url, version="auto", timeout=_SECONDS)
            self._clients.append(self._local.client)
        return self._local.client

    def _silent(self, error: Exception) -> NoDaemon:
        return NoDaemon(f"{SILENT} at {self.url}", f"does not answer ({error!r:.200})")


def _knock(url: str) -> None:
    """See that somebody listens: docker-py leaves its socket open where nobody does."""
    scheme, _, path = url.partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(path)
