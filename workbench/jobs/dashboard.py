"""Dask's pages about a cluster, for its owner only.

They are served without a log-in, so they listen on 127.0.0.1 alone and answer
only below a path that nobody else knows.
"""

from __future__ import annotations

import os
import secrets
from importlib.util import find_spec
from typing import Any

import distributed
from tornado import web

__all__ = ["Scheduler", "link"]


class Scheduler(distributed.Scheduler):
    """A scheduler whose pages are below a secret path."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.secret = f"/{secrets.token_urlsafe(16)}"
        super().__init__(*arguments, **{**options, "http_prefix": self.secret})
        pages, find = self.http_application, self.http_application.find_handler

        def below(request: Any, **more: Any) -> Any:
            # Its own "/" would lead to the secret path, and a map of all paths would tell it.
            if request.path.startswith(f"{self.secret}/"):
                return find(request, **more)
            return pages.get_handler_delegate(request, web.ErrorHandler, {"status_code": 404})

        pages.find_handler = below  # type: ignore[method-assign]


def link(scheduler: Any) -> str:
    """Return where the owner of a scheduler sees its pages.

    Through the hub where the user's server passes on to ports of its own,
    otherwise on this machine or in this container.
    """
    if scheduler is None or "dashboard" not in scheduler.services:
        return ""
    port = scheduler.services["dashboard"].port
    page = f"{scheduler.secret}/status"
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if prefix and find_spec("jupyter_server_proxy") is not None:
        return f"{prefix.rstrip('/')}/proxy/{port}{page}"
    return f"http://127.0.0.1:{port}{page}"
