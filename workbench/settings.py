"""Settings of a deployment: environment variables that begin with ``WORKBENCH_``.

Read once, where a process starts, and handed down; nothing reads them at import.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]

_PORTS = r"^([0-9]{1,5}(:[0-9]{1,5})?)?$"


def _place(value: Any) -> Any:
    """Tell a URL from a path, which would lose one of its slashes."""
    return Path(value) if isinstance(value, str) and "://" not in value else value


class Settings(BaseSettings):
    """Every setting there is; ``workbench settings`` prints them with their meaning."""

    model_config = SettingsConfigDict(env_prefix="WORKBENCH_", extra="ignore", frozen=True)

    state: Path = Field(
        default=Path("~/.local/state/workbench"),
        description="Directory of everything that lives on: archive, databases, homes, logs, secrets; "
        "with profile host /var/lib/workbench by default.",
    )
    profile: Literal["embedded", "host"] | None = Field(
        default=None,
        description="embedded: users' servers are processes of one account; host: each is a container of "
        "Docker's, and the hub's database is PostgreSQL. By default what the state directory was started "
        "with, and embedded before that.",
    )
    docker: str = Field(
        default="unix:///var/run/docker.sock",
        description="Address of the Docker daemon that runs users' containers; profile host.",
    )
    policy: Path | None = Field(
        default=None,
        description="The policy of the deployment, a YAML file; by default the one that is shipped, "
        "hub/policy.yaml; profile host.",
    )
    database: SecretStr = Field(
        default=SecretStr(""),
        description="URL of the hub's PostgreSQL database; by default a cluster of our own in the state "
        "directory; profile host.",
    )
    archive: Annotated[Path | str, BeforeValidator(_place)] | None = Field(
        default=None,
        description="Root of the shared SDS archive, a folder, or a URL that fsspec reaches (s3://..., "
        "https://...), which is only read; by default archive/ in the state directory.",
    )
    home_archive: Path = Field(
        default=Path("~/archive"),
        description="Root of the user's own SDS archive, searched after the shared one; "
        "in the web services {user} stands for who asks.",
    )
    port: int = Field(default=8000, ge=1, le=65535, description="Port on 127.0.0.1 that the hub answers at.")
    url: str = Field(
        default="",
        description="Base URL of the web services; by default /services/workbench/ at the port above.",
    )
    token: SecretStr = Field(default=SecretStr(""), description="Token that the web services ask for.")
    dask: str = Field(
        default="", description="Address of the Dask scheduler; empty means this process works alone."
    )
    dask_tls: Path | None = Field(
        default=None,
        description="Directory of ca.pem, cert.pem and key.pem for Dask; "
        "by default secrets/tls/ in the state directory.",
    )
    workers: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)),
        ge=1,
        description="How many kernels run at the same time; by default as many as there are cores.",
    )
    sync_seconds: float = Field(
        default=300.0, gt=0, description="Longest time that a synchronous execution may take, in seconds."
    )
    href_hosts: str = Field(
        default="",
        description="Hosts, separated by commas, that a link in a request may lead to; "
        "by default only our own.",
    )
    max_bytes: int = Field(
        default=64 * 2**20, ge=1, description="Largest body that the web services accept, in bytes."
    )
    jobs: Path = Field(
        default=Path("~/.workbench"),
        description="Directory of one's own jobs and of the keys of one's Dask clusters; SLURM's nodes have "
        "to have it at the same path.",
    )
    image: str = Field(
        default="",
        description="Digest of the image that jobs run in; by default that of the user's server, and outside "
        "of one this very Python runs on the nodes.",
    )
    launcher: str = Field(
        default="wb-exec",
        description="Command that runs a program in an image on a node: wb-exec, or its path.",
    )
    partition: str = Field(default="", description="SLURM's partition for jobs; by default SLURM's own.")
    account: str = Field(default="", description="SLURM's account for jobs; by default the user's own.")
    scheduler_host: str = Field(
        default="",
        description="Address at which nodes reach a notebook's Dask scheduler; by default the one on the "
        "way to SLURM's controller.",
    )
    scheduler_ports: str = Field(
        default="", description="Its ports, FIRST:LAST; by default any that is free.", pattern=_PORTS
    )
    worker_ports: str = Field(
        default="42000:42999",
        description="Ports of Dask workers on nodes, FIRST:LAST; firewalls have to let them pass.",
        pattern=_PORTS,
    )

    @property
    def state_dir(self) -> Path:
        """The state directory, absolute."""
        if self.profile == "host" and "state" not in self.model_fields_set:
            return Path("/var/lib/workbench")  # accounts other than root's have to get into it
        return self.state.expanduser().absolute()

    @property
    def tls_dir(self) -> Path:
        """Where the keys of the Dask cluster are."""
        return self.dask_tls.expanduser().absolute() if self.dask_tls else self.state_dir / "secrets" / "tls"

    @property
    def digest(self) -> str:
        """The image that jobs run in; empty where they run this very Python."""
        # So the hub names a server's image, and so does what runs a job in one.
        here = os.environ.get("JUPYTER_IMAGE_SPEC", "")
        return self.image or (here if here.startswith("sha256:") else "")

    @property
    def jobs_dir(self) -> Path:
        """The directory of one's own jobs, absolute."""
        return self.jobs.expanduser().absolute()

    @property
    def archive_roots(self) -> tuple[Path | str, ...]:
        """The archives to search, in order: the shared one, then the user's own; text is a URL."""
        shared = self.archive or self.state_dir / "archive"
        if isinstance(shared, Path):
            shared = shared.expanduser().absolute()
        return shared, self.home_archive.expanduser().absolute()

    @property
    def base_url(self) -> str:
        """Where the web services are, with a slash at the end."""
        url = self.url or f"http://127.0.0.1:{self.port}/services/workbench/"
        return url if url.endswith("/") else url + "/"
