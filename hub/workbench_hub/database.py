"""The hub's PostgreSQL: a cluster in the state directory, reached through its socket and nothing else.

The hub alone reads and writes it.  A site that has a PostgreSQL server of its own
names it by ``WORKBENCH_DATABASE``, and none of this is used.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from urllib.parse import quote

from workbench.errors import InvalidSetting, Unavailable

__all__ = ["ACCOUNT", "command", "create", "programs", "ready", "url"]

ACCOUNT = "postgres"
"""The account it runs as: PostgreSQL refuses to run as root."""

_USER = "workbench"
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET = 107
_REMEDY = "As root: apt-get install postgresql; or name a server by WORKBENCH_DATABASE."
_INITDB_SECONDS = 120


@cache
def programs() -> Path:
    """Return the directory of PostgreSQL's programs, the newest where there are several.

    Raises
    ------
    Unavailable
        If PostgreSQL is not installed.
    """
    # Debian keeps them beside each other by version, and only clients on the path.
    versions = [
        folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if (folder / "initdb").exists()
    ]
    if versions:
        return max(versions, key=lambda folder: float(folder.parent.name))
    found = shutil.which("initdb")
    if found is None:
        raise Unavailable("PostgreSQL", "is not installed", _REMEDY)
    return Path(found).resolve().parent


def create(folder: Path, password: str) -> None:
    """Make the cluster, unless it is there.

    Parameters
    ----------
    folder : Path
        Of the cluster and its socket; it belongs to the account that PostgreSQL runs as.
    password : str
        That the hub shows.

    Raises
    ------
    InvalidSetting
        If that account cannot get into the directory, or its name is too long for a socket.
    Unavailable
        If PostgreSQL is not installed, or refuses.
    """
    initdb = programs() / "initdb"
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError as error:
        raise Unavailable(f"The account {ACCOUNT}", "is not there", _REMEDY) from error
    if len(os.fsencode(folder / _SOCKET)) > _LONGEST_SOCKET:
        raise InvalidSetting(str(folder), "is too long for a socket", "Choose a shorter WORKBENCH_STATE.")
    for parent in folder.parents:
        if parent.exists() and not parent.stat().st_mode & 0o001:
            raise InvalidSetting(
                str(parent), f"cannot be entered by the account {ACCOUNT}", "Choose another WORKBENCH_STATE."
            )
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.pw_uid, account.pw_gid)
    _tidy(folder)
    if (folder / "data" / "PG_VERSION").is_file():
        return
    with tempfile.NamedTemporaryFile("w", dir=folder) as file:
        file.write(password + "\n")
        file.flush()
        os.chown(file.name, account.pw_uid, account.pw_gid)
        words = [
            *("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"),
            *(str(initdb), "--pgdata", str(folder / "new"), "--username", _USER, "--pwfile", file.name),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
        ]
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, timeout=_INITDB_SECONDS, check=False
        )
    if done.returncode:
        raise Unavailable("PostgreSQL's initdb", f"failed: {done.stderr.strip()}")
    (folder / "new").replace(folder / "data")  # whole or not at all


def command(folder: Path) -> tuple[str, ...]:
    """Return how it is started: no port, a socket that root and its own account reach."""
    return (
        *(str(programs() / "postgres"), "-D", str(folder / "data"), "-k", str(folder)),
        *("-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "max_connections=50"),
        *("-c", "log_timezone=UTC", "-c", "fsync=on", "-c", "shared_buffers=64MB"),
    )


def url(folder: Path, password: str) -> str:
    """Return the address that SQLAlchemy takes."""
    socket = quote(str(folder / _SOCKET), safe="")
    return f"postgresql+pg8000://{_USER}:{quote(password)}@/postgres?unix_sock={socket}"


def ready(folder: Path) -> bool:
    """Whether it takes connections; while it recovers from a crash it does not."""
    words = [str(programs() / "pg_isready"), "--quiet", "--host", str(folder)]
    return subprocess.run(words, capture_output=True, timeout=10, check=False).returncode == 0


def _tidy(folder: Path) -> None:
    """Remove what an initdb that was ended half-way left."""
    if (folder / "new").is_dir():
        shutil.rmtree(folder / "new")
