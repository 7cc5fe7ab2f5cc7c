"""A Dask cluster as `make up` starts it: TLS with keys of its own, one worker process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import LocalCluster

from workbench.jobs.cluster import security
from workbench.settings import Settings
from workbench_hub import tls


@contextmanager
def clustered(folder: Path) -> Iterator[Settings]:
    """Start a cluster; give the settings by which `workbench.jobs.client` reaches it."""
    tls.create(folder)
    cluster = LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        host="127.0.0.1",
        protocol="tls://",
        security=security(Settings(dask_tls=folder)),
        dashboard_address="127.0.0.1:0",
        silence_logs=40,
    )
    try:
        yield Settings(dask=cluster.scheduler_address, dask_tls=folder)
    finally:
        cluster.close()
