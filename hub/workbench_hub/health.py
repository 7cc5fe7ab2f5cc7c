"""Whether a process is well, as its own health address says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic

import httpx

from workbench.errors import Unavailable
from workbench_hub import database

__all__ = ["healthy", "wait_for"]

_POSTGRESQL = "postgresql:"


def healthy(url: str, timeout: float = 2.0) -> bool:
    """Ask a health address: of HTTP, or ``postgresql:`` and the directory of its socket."""
    if url.startswith(_POSTGRESQL):
        return database.ready(Path(url.removeprefix(_POSTGRESQL)))
    try:
        # No proxy of the environment stands between processes of one machine.
        return httpx.get(url, timeout=timeout, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def wait_for(check: Callable[[], bool], seconds: float, what: str, *, fail: bool = True) -> bool:
    """Wait until a check holds.

    Raises
    ------
    Unavailable
        If it does not hold in time and `fail` is set.
    """
    pause, end = Event(), monotonic() + seconds
    while not check():
        if monotonic() > end:
            if fail:
                raise Unavailable(what, f"did not come within {seconds:.0f} s", "See its log: `make logs`.")
            return False
        pause.wait(0.1)
    return True
