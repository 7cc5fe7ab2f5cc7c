"""Databases into files and back: SQLite by its own backup, PostgreSQL by pg_dump and pg_restore."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.engine import URL

from workbench.errors import Unavailable, UnreadableFile
from workbench_hub import database
from workbench_hub.health import wait_for

__all__ = ["dump", "load", "running"]

_START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_UNREACHABLE = "Is it up? `make status` says so."


def dump(url: str, folder: Path, name: str) -> Path | None:
    """Write a database, as it is at one moment, into a file; None where there is none yet.

    Parameters
    ----------
    url : str
        As SQLAlchemy writes it.
    folder : Path
    name : str
        Of the file, without what says its kind.

    Raises
    ------
    Unavailable
        If the database does not answer.
    """
    parsed = sql.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        source, path = Path(parsed.database or ""), folder / f"{name}.sqlite"
        if not source.is_file():
            return None
        opened = sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)
        with closing(opened) as live, closing(sqlite3.connect(path)) as copy:
            live.backup(copy)
        path.chmod(0o600)
        return path
    if not _exists(parsed):
        return None
    path = folder / f"{name}.dump"
    _postgres("pg_dump", parsed, "--format=custom", "--no-owner", "--no-acl", f"--file={path}")
    path.chmod(0o600)
    return path


def load(path: Path, url: str) -> None:
    """Put a dump into a database, which is made if it is missing; what is in it is replaced.

    Raises
    ------
    Unavailable
        If the database does not answer, or does not take it.
    UnreadableFile
        If the dump is not of this kind of database.
    """
    parsed = sql.make_url(url)
    kind = "sqlite" if parsed.get_backend_name() == "sqlite" else "dump"
    if path.suffix != f".{kind}":
        remedy = "Restore with the profile and the kind of database that it was made with."
        raise UnreadableFile(str(path), f"cannot go into {parsed.get_backend_name()}", remedy)
    if kind == "sqlite":
        target = Path(parsed.database or "")
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        target.chmod(0o600)
        return
    if not _exists(parsed):
        _postgres("createdb", parsed.set(database="postgres"), "--", str(parsed.database))
    _postgres("pg_restore", parsed, "--clean", "--if-exists", "--no-owner", "--exit-on-error", str(path))


@contextmanager
def running(folder: Path, password: str) -> Iterator[None]:
    """Have our own cluster up for a while: make it if it is missing, stop it if it was not up before."""
    if database.ready(folder):
        yield
        return
    database.create(folder, password)
    account = database.ACCOUNT
    words = ["setpriv", "--reuid", account, "--regid", account, "--clear-groups", "--"]
    with (folder / "restore.log").open("wb") as log:
        process = subprocess.Popen([*words, *database.command(folder)], cwd=folder, stdout=log, stderr=log)
    try:
        wait_for(partial(database.ready, folder), _START_SECONDS, "PostgreSQL")
        yield
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for whoever is still connected
        process.wait(_STOP_SECONDS)
        (folder / "restore.log").unlink()


def _exists(url: URL) -> bool:
    """Whether there is a database of that name."""
    listed = _postgres("psql", url.set(database="postgres"), "-XAtq", "-c", "SELECT datname FROM pg_database")
    return str(url.database) in listed.splitlines()


def _postgres(program: str, url: URL, *words: str) -> str:
    """Call one of PostgreSQL's programs; the password is in its environment, where no `ps` shows it."""
    given = {
        "PGHOST": _socket(url) or url.host or "127.0.0.1",
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username or "",
        "PGPASSWORD": str(url.password or ""),
        "PGDATABASE": url.database or "",
        "PGCONNECT_TIMEOUT": "20",
    }
    ssl = url.query.get("sslmode")
    if isinstance(ssl, str):
        given["PGSSLMODE"] = ssl
    command = [str(database.programs() / program), *_named(program, url), *words]
    done = subprocess.run(command, env=dict(os.environ) | given, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise Unavailable(f"{program} of the database '{url.database}'", f"failed: {said}", _UNREACHABLE)
    return done.stdout


def _named(program: str, url: URL) -> list[str]:
    # pg_restore writes to standard output unless it is told where to.
    return [f"--dbname={url.database}"] if program == "pg_restore" else []


def _socket(url: URL) -> str:
    """Return the folder of a socket, as PostgreSQL's own programs want it."""
    given = url.query.get("unix_sock", "")
    return str(Path(given).parent) if isinstance(given, str) and given else ""
