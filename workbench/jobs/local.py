"""Dask on the cores of this machine, as closed to others as on a cluster."""

from __future__ import annotations

import logging
import multiprocessing
from typing import Any

import dask
from distributed import Nanny
from distributed.deploy.spec import SpecCluster
from distributed.security import Security

from workbench.errors import InvalidSetting, Unavailable
from workbench.jobs.dashboard import Scheduler, link
from workbench.settings import Settings

__all__ = ["Local", "local"]

_HERE = "127.0.0.1"
_REMEDY = "In a script, put what it does below: if __name__ == '__main__':"


class Local(SpecCluster):
    """Workers that are processes beside this one."""

    scheduler: Any

    @property
    def dashboard_link(self) -> str:
        """Where the owner sees what the cluster does."""
        return link(self.scheduler)


def local(settings: Settings, minimum: int, maximum: int, cores: int, memory: str | int | None) -> Local:
    """Start a cluster here.

    Parameters
    ----------
    settings : Settings
    minimum, maximum : int
        Of workers.
    cores : int
        Threads of each.
    memory : str or int, optional
        Of each; by default the machine's, divided.

    Raises
    ------
    InvalidSetting
        If a worker, which imports the script that started it, would start another.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise InvalidSetting(
            "The script", "starts its cluster again in each worker, where it is imported", _REMEDY
        )
    # Whoever else is logged in to this machine reaches 127.0.0.1 as well.
    shared = {"host": _HERE, "protocol": "tls://", "security": Security.temporary()}
    pages = {"dashboard_address": f"{_HERE}:0"}
    notes = {"folder": settings.jobs_dir / "pages"}
    worker = {
        "nthreads": cores,
        "memory_limit": memory if memory is not None else 1 / maximum,
        "dashboard": False,
        "silence_logs": logging.ERROR,
        **shared,
        **pages,
    }
    spec = {"cls": Nanny, "options": worker}
    try:
        with dask.config.set({"distributed.worker.http.routes": []}):
            cluster = Local(  # type: ignore[no-untyped-call]
                # At least one, so that workers that cannot start are told here, and not waited for.
                workers=dict.fromkeys(range(max(minimum, 1)), spec),
                scheduler={"cls": Scheduler, "options": {"dashboard": True, **shared, **pages, **notes}},
                worker=spec,
                security=shared["security"],
                silence_logs=logging.ERROR,
                name="local",
            )
    except RuntimeError as error:
        raise Unavailable("A worker on this machine", f"did not start ({error})", _REMEDY) from error
    if minimum != maximum:
        cluster.adapt(minimum=minimum, maximum=maximum)
    return cluster
