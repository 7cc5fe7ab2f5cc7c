"""slurmdbd and its database: who used how much, as SLURM itself keeps it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from workbench.errors import Unavailable
from workbench_hub.deployment import write
from workbench_slurm.cluster import SLURM, Cluster, program
from workbench_slurm.usage import JobUsage
from workbench_slurm.users import User

__all__ = ["DATABASE", "accounted", "associate", "create", "database_command", "database_ready", "installed"]

DATABASE = "mysql"
"""Account of Debian's package that the database runs as."""

_PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb-admin", "sacct")
_SECONDS = 60
_FORMAT = "JobIDRaw,UID,User,Account,NodeList,Start,End,TotalCPU,MaxRSS,ExitCode"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_CPU = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)")

# The database's own account for slurmdbd is who asks over the socket, and has no password.
_GRANTS = f"""\
CREATE DATABASE IF NOT EXISTS slurm;
CREATE USER IF NOT EXISTS {SLURM}@localhost IDENTIFIED VIA unix_socket;
GRANT ALL ON slurm.* TO {SLURM}@localhost;
"""


def installed() -> bool:
    """Whether slurmdbd and MariaDB are here."""
    try:
        return all(program(name) for name in _PROGRAMS)
    except Unavailable:
        return False


def create(cluster: Cluster) -> None:
    """Make the database's directory, once.

    Raises
    ------
    Unavailable
        If MariaDB does not make it.
    """
    folder, tmp, data = cluster.database, cluster.database / "tmp", cluster.database / "data"
    for path, mode in ((folder, 0o711), (tmp, 0o700)):
        path.mkdir(mode=mode, exist_ok=True)
        path.chmod(mode)
        shutil.chown(path, DATABASE, DATABASE)
    write(folder / "grants.sql", _GRANTS)
    if data.is_dir():
        return
    part = folder / "data.part"
    shutil.rmtree(part, ignore_errors=True)
    command = [program("mariadb-install-db"), "--no-defaults", f"--user={DATABASE}", f"--datadir={part}"]
    command += [f"--tmpdir={tmp}", "--auth-root-authentication-method=socket", "--skip-test-db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise Unavailable("mariadb-install-db", f"failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    part.rename(data)


def database_command(cluster: Cluster) -> tuple[str, ...]:
    """Return how the database is started: small, and reached by its socket alone."""
    folder = cluster.database
    return (
        *(program("mariadbd"), "--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={folder / 'tmp'}"),
        *(f"--socket={cluster.database_socket}", f"--pid-file={folder / 'pid'}", "--skip-networking"),
        *(f"--init-file={folder / 'grants.sql'}", "--performance-schema=off"),
        *("--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"),
        # A killed database loses nothing, a machine without power its last second.
        "--innodb-flush-log-at-trx-commit=2",
    )


def database_ready(cluster: Cluster) -> bool:
    """Whether the database answers."""
    command = [program("mariadb-admin"), "--no-defaults", f"--socket={cluster.database_socket}", "ping"]
    return subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False).returncode == 0


def associate(cluster: Cluster, users: Sequence[User]) -> None:
    """Tell slurmdbd of users and their accounts: it shows its jobs to nobody whom it does not know."""
    accounts = sorted({account for user in users for account in user.accounts})
    if not accounts:
        return
    add = ("sacctmgr", "--immediate", "--quiet", "add")
    # What is there already is no success to sacctmgr.
    cluster.ask(*add, "account", ",".join(accounts), check=False)
    for user in users:
        known = f"Accounts={','.join(user.accounts)}"
        cluster.ask(*add, "user", user.name, known, f"DefaultAccount={user.accounts[0]}", check=False)
    listed = cluster.ask(
        "sacctmgr", "--noheader", "--parsable2", "list", "associations", "format=user,account"
    )
    there = {tuple(line.split("|")) for line in listed.splitlines()}
    for user in users:
        if missing := {(user.name, account) for account in user.accounts} - there:
            raise Unavailable("slurmdbd", f"did not take {sorted(missing)}")


def accounted(ask: Callable[..., str], since: float, user: str = "") -> list[JobUsage]:
    """Return what jobs used, from slurmdbd: of everybody, or of one user.

    Parameters
    ----------
    ask : callable
        Runs one of SLURM's commands; root sees everybody's jobs.
    since : float
        Jobs that ran after that time are returned; seconds since 1970.
    user : str
        Name or uid; everybody, where empty.
    """
    begin = datetime.fromtimestamp(since, UTC).astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    whose = ("--user", user) if user else ("--allusers",)
    environment = ["env", "SLURM_TIME_FORMAT=%s"]
    said = ask(*environment, "sacct", "--noheader", "--parsable2", "--duplicates", *whose,
               f"--starttime={begin}", "--units=K", f"--format={_FORMAT}")  # fmt: skip
    jobs: dict[tuple[int, str], list[list[str]]] = {}
    for row in (line.split("|") for line in said.splitlines()):
        number, _, step = row[0].partition(".")
        # A job that ran twice has two rows of the same number, its steps after each.
        if not step:
            jobs[int(number), row[5]] = [row]
        elif parents := [key for key in jobs if key[0] == int(number)]:
            jobs[parents[-1]].append(row)
    return [_usage(number, rows) for (number, _), rows in jobs.items()]


def _usage(number: int, rows: list[list[str]]) -> JobUsage:
    _, uid, user, account, nodes, begun, ended, cpu, _, code = rows[0]
    most = [_bytes(row[8]) for row in rows if row[8]]
    return JobUsage(
        job=number,
        uid=int(uid),
        user=user,
        account=account,
        nodes=tuple(nodes.split(",")),
        begun=_time(begun),
        ended=_time(ended),
        cpu_seconds=_seconds(cpu),
        memory=max(most) if most else None,
        exit_code=code,
    )


def _time(text: str) -> float:
    """Read a time; a job that runs on has no end."""
    return float(text) if text.isdigit() else float("nan")


def _seconds(text: str) -> float | None:
    found = _CPU.fullmatch(text)
    if found is None:
        return None
    days, hours, minutes, seconds = found.groups(default="0")
    return ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)


def _bytes(text: str) -> int:
    return round(float(text.rstrip("KMGT")) * _UNITS[text[-1] if text[-1] in _UNITS else ""])
