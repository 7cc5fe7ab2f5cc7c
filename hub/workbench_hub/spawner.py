"""The spawner of the embedded default: a user's server is a process beside the hub.

All users' servers run as the account that runs the hub.  That isolates nobody
from anybody, and is meant for one person, or people who trust each other, on
one machine; it says so wherever it can.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Unicode

from workbench_hub.deployment import MARK, package_file

__all__ = ["UNISOLATED", "LocalSpawner"]

UNISOLATED = (
    "Users' servers are plain processes of one account: each user can read and change what the others have. "
    "Use this on a machine of your own, not for people who must be kept apart."
)

_MOST_LOG = 10 * 2**20


class LocalSpawner(SimpleLocalProcessSpawner):
    """Start a user's server as a process, with the workbench at hand."""

    state_dir = Unicode(config=True, help="The state directory of the deployment.")
    services_url = Unicode(config=True, help="Where the web services are.")
    archive = Unicode(config=True, help="Root of the shared archive.")
    dask = Unicode(config=True, help="Address of the Dask scheduler.")
    dask_tls = Unicode(config=True, help="Directory of the keys for it.")
    bin_dir = Unicode(config=True, help="Where the programs of the environment are.")

    def make_preexec_fn(self, name: str) -> None:
        """Change nothing between fork and exec."""

    def get_env(self) -> dict[str, str]:
        """Add what the workbench needs to the server's environment."""
        env: dict[str, str] = super().get_env()
        return env | {
            MARK: self.state_dir,
            "PATH": f"{self.bin_dir}:{env['PATH']}",
            "WORKBENCH_ARCHIVE": self.archive,
            "WORKBENCH_DASK": self.dask,
            "WORKBENCH_DASK_TLS": self.dask_tls,
            # The server's own token: it acts as the user, and ends with the server.
            "WORKBENCH_TOKEN": env["JUPYTERHUB_API_TOKEN"],
            "WORKBENCH_URL": self.services_url,
        }

    async def start(self) -> Any:
        """Prepare home and log, then start."""
        home = Path(self.home_dir)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        give_examples(package_file("../../examples"), home / "examples")
        log = Path(self.state_dir) / "logs" / f"server-{self.user.name}.log"
        if log.is_file() and log.stat().st_size > _MOST_LOG:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as file:
            self.popen_kwargs = {"cwd": str(home), "stdout": file, "stderr": subprocess.STDOUT}
            return await super().start()


def give_examples(source: Path, target: Path) -> None:
    """Copy the examples into a home, and leave alone what the user has already."""
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        part = path.relative_to(source)
        if any(name.startswith((".", "_")) for name in part.parts):
            continue
        copy = target / part
        if path.is_dir() or copy.exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
