"""Dask's pages about a cluster, for its owner only.

They are served without a log-in, so they listen on 127.0.0.1 alone and answer
only below a path that nobody else knows.  In a notebook of the hub that path is
one of the user's server, which passes on what is asked below it
(`workbench_hub.life.lab.pages`): its log-in is the user's, and the secret is
written down in the user's home.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask
import distributed
from tornado import web

from workbench.jobs import identity

__all__ = ["MESSAGES", "Scheduler", "link"]

_PASSED_ON = "WORKBENCH_PAGES"
"""Where the user's server passes on from, as it tells its kernels."""

MESSAGES = 50
"""Messages to each worker that a scheduler keeps for whoever looks for a fault in Dask.

A task is in its message as a whole; with Dask's own thousand, two hundred workers make a gigabyte of them.
"""


class Scheduler(distributed.Scheduler):
    """A scheduler whose pages are below a secret path.

    Parameters
    ----------
    folder : Path
        Where the user's server finds the port of the secret.
    """

    def __init__(self, *arguments: Any, folder: Path, **options: Any) -> None:
        dask.config.update_defaults({"distributed": {"admin": {"low-level-log-length": MESSAGES}}})
        secret = secrets.token_urlsafe(16)
        self.secret = f"{os.environ.get(_PASSED_ON, '/')}{secret}"
        super().__init__(*arguments, **{**options, "http_prefix": self.secret})
        pages, find = self.http_application, self.http_application.find_handler

        def below(request: Any, **more: Any) -> Any:
            # Its own "/" would lead to the secret path, and a map of all paths would tell it.
            if request.path.startswith(f"{self.secret}/"):
                return find(request, **more)
            return pages.get_handler_delegate(request, web.ErrorHandler, {"status_code": 404})

        pages.find_handler = below  # type: ignore[method-assign]
        self._note = folder / f"{secret}.json"
        if _PASSED_ON in os.environ:
            _write(self._note, self.services["dashboard"].port)

    async def close(self, *arguments: Any, **options: Any) -> None:
        """End it; its pages are gone."""
        with suppress(OSError):
            self._note.unlink(missing_ok=True)
        await super().close(*arguments, **options)


def link(scheduler: Any) -> str:
    """Return where the owner of a scheduler sees its pages.

    Through the hub where the user's server passes them on, otherwise on this
    machine or in this container.
    """
    if scheduler is None or "dashboard" not in scheduler.services:
        return ""
    page = f"{scheduler.secret}/status"
    if _PASSED_ON in os.environ:
        return page
    return f"http://127.0.0.1:{scheduler.services['dashboard'].port}{page}"


def _write(note: Path, port: int) -> None:
    """Note a port, and clear away those of schedulers that are gone."""
    note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for other in note.parent.glob("*.json"):
        with suppress(OSError, ValueError, KeyError):
            known = json.loads(other.read_bytes())
            if identity.alive(known["pid"], known["began"], known["boot"]) is False:
                other.unlink()
    me = {"pid": os.getpid(), "began": identity.started(os.getpid()), "boot": identity.boot()}
    with os.fdopen(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"port": port, **me}, file)
