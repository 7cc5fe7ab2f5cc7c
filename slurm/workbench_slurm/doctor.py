"""What of a cluster is as it should be, tried out: its settings, its nodes, a job of a user."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import NoData, Unavailable

__all__ = ["Finding", "Patient", "examine"]

_SECONDS = 90
_HOG = "x = bytearray({mb} * 2**20); print('not stopped')"
_LIMIT, _HOGGED = 64, 256
_LEAST_TMP = 2**30
_WANTED = {
    "PrivateData": "users see each other's jobs",
    "DisableRootJobs": "root may run jobs",
    "AuthType": "nothing says who somebody is",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found: good, bad, or not looked for (`good` is None)."""

    what: str
    good: bool | None
    words: str


@dataclass(frozen=True)
class Patient:
    """A cluster that is looked at.

    Parameters
    ----------
    conf : Path
        Its slurm.conf.
    user : str
        Who tries jobs; nobody, where empty.
    uid, gid : int
        Of that user.
    home : Path
        Of that user.
    names : mapping
        Further variables by which names of users are found.
    exec : Path or None
        wb-exec, where it is to be tried.
    digest : str
        The image to try it with.
    """

    conf: Path
    user: str = ""
    uid: int = 0
    gid: int = 0
    home: Path = Path("/")
    names: Mapping[str, str] | None = None
    exec: Path | None = None
    digest: str = ""

    def ask(self, *words: str, as_user: bool = False, cwd: Path | None = None) -> str:
        """Run one of SLURM's commands; raise `Unavailable` where it fails."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "SLURM_CONF": str(self.conf)}
        environment |= dict(self.names or {}) | ({"HOME": str(self.home)} if as_user else {})
        change = as_user and os.geteuid() == 0
        done = subprocess.run(
            words,
            env=environment,
            cwd=cwd,
            user=self.uid if change else None,
            group=self.gid if change else None,
            extra_groups=[] if change else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise Unavailable(words[0], done.stderr.strip() or f"ended with {done.returncode}")
        return done.stdout


def myself(user: str = "") -> tuple[str, int, int, Path]:
    """Return name, uid, gid and home of a user of this machine, of whoever asks where none is named.

    Raises
    ------
    NoData
        If the machine knows none of that name.
    """
    try:
        found = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise NoData(user or str(os.geteuid()), "is no user of this machine") from error
    return found.pw_name, found.pw_uid, found.pw_gid, Path(found.pw_dir)


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield what is found, one look after the other."""
    controller = _try("controller", lambda: _controller(patient))
    yield controller
    if not controller.good:
        return
    yield from _settings(patient)
    yield _try("nodes", lambda: _nodes(patient))
    yield _try("partitions", lambda: _partitions(patient))
    looks: dict[str, Callable[[Patient], str]] = {
        "a job on each node": _job,
        "own /tmp": _tmp,
        "memory limit": _memory,
        "image": _image,
    }
    for what, look in looks.items():
        if not patient.user or patient.uid == 0:
            yield Finding(what, None, "not tried: root runs no jobs; --user names somebody who does")
        elif what == "image" and not (patient.exec and patient.digest):
            yield Finding(what, None, "not tried: there is no image; workbench-slurm image add")
        else:
            yield _try(what, lambda look=look: look(patient))  # type: ignore[misc]


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except Unavailable as error:
        return Finding(what, False, str(error))
    except subprocess.TimeoutExpired:
        return Finding(what, False, f"no answer within {_SECONDS} s")


def _controller(patient: Patient) -> str:
    said = patient.ask("scontrol", "ping").strip()
    if "UP" not in said:
        raise Unavailable("slurmctld", said)
    return f"{said}; {patient.ask('sinfo', '--version').strip()}"


def _settings(patient: Patient) -> Iterator[Finding]:
    """Compare what keeps users apart, and jobs within their limits, with what it should be."""
    lines = (line.partition("=") for line in patient.ask("scontrol", "show", "config").splitlines())
    found = {name.strip(): value.strip() for name, _, value in lines}
    private = {"jobs", "usage"} <= set(found.get("PrivateData", "").split(","))
    good = {
        "PrivateData": private,
        "DisableRootJobs": found.get("DisableRootJobs") == "Yes",
        "AuthType": found.get("AuthType") == "auth/munge",
    }
    for name, fine in good.items():
        value = found.get(name, "")
        yield Finding(name, fine, value if fine else f"{value or 'nothing'}: {_WANTED[name]}")
    groups = "cgroup" in found.get("TaskPlugin", "") and found.get("ConstrainRAMSpace", "").lower() == "yes"
    polling = "OverMemoryKill" in found.get("JobAcctGatherParams", "")
    how = {
        (True, True): "task/cgroup",
        (True, False): "task/cgroup",
        (False, True): "polling, each second or later",
    }
    words = how.get((groups, polling), "nothing holds jobs to the memory that they asked for")
    yield Finding("memory is enforced", groups or polling, words)
    accounting = found.get("AccountingStorageType", "")
    by = "slurmdbd" in accounting
    yield Finding(
        "accounting",
        True if by else None,
        accounting if by else "no slurmdbd: no sacct, no limits by account",
    )


def _nodes(patient: Patient) -> str:
    said = patient.ask("sinfo", "--noheader", "--Node", "--format=%N|%T|%E").splitlines()
    rows = {row[0]: row for row in (line.split("|", 2) for line in said)}
    bad = [f"{n} is {state} ({why})" for n, state, why in rows.values() if _unfit(state)]
    if bad:
        raise Unavailable("nodes", "; ".join(bad))
    return f"{len(rows)} are there"


def _unfit(state: str) -> bool:
    return state.endswith("*") or state.startswith(("down", "drain", "fail", "unk", "inval"))


def _partitions(patient: Patient) -> str:
    said = patient.ask("sinfo", "--noheader", "--summarize", "--format=%R %a").splitlines()
    rows = dict(line.split() for line in said)
    if bad := [name for name, state in rows.items() if state != "up"]:
        raise Unavailable("partitions", f"{', '.join(bad)} not up")
    return ", ".join(rows)


def _job(patient: Patient) -> str:
    nodes = patient.ask("sinfo", "--noheader", "--format=%D").split()[0]
    command = "echo $SLURMD_NODENAME $(id -u)"
    said = _run(patient, f"--nodes={nodes}", "--ntasks-per-node=1", "sh", "-c", command)
    rows = [line.split() for line in said.splitlines()]
    wrong = [row for row in rows if row[-1] != str(patient.uid)]
    if wrong or len(rows) != int(nodes):
        raise Unavailable("a job", f"ran as {rows}, not as {patient.uid} on {nodes} nodes")
    return f"{', '.join(sorted(row[0] for row in rows))}, as {patient.user}"


def _tmp(patient: Patient) -> str:
    said = _run(patient, "sh", "-c", "ls -A /tmp | wc -l; df --output=avail -B1 /tmp | tail -1")
    files, free = map(int, said.split())
    if files:
        raise Unavailable("own /tmp", f"a job sees {files} files there that are not its own")
    if free < _LEAST_TMP:
        raise Unavailable("own /tmp", f"has room for {free / 2**20:.0f} MB and no more")
    return f"empty, {free / 2**30:.0f} GB free"


def _memory(patient: Patient) -> str:
    try:
        said = _run(patient, f"--mem={_LIMIT}", "python3", "-c", _HOG.format(mb=_HOGGED))
    except Unavailable as error:
        if not any(word in error.problem.lower() for word in ("oom", "memory")):
            raise
        return f"a job of {_LIMIT} MB that took {_HOGGED} MB was ended"
    raise Unavailable("memory", f"a job of {_LIMIT} MB took {_HOGGED} MB and was {said.strip()}")


def _image(patient: Patient) -> str:
    said = _run(patient, str(patient.exec), "--bare", patient.digest, "sh", "-c", "echo $JUPYTER_IMAGE_SPEC")
    if said.strip() != patient.digest:
        raise Unavailable("wb-exec", f"said {said.strip()!r}")
    return f"runs {patient.digest[:19]}..."


def _run(patient: Patient, *words: str) -> str:
    """Run a command by srun as the user, from a directory that everybody has."""
    limits = ("--quiet", "--time=2", "--immediate=60", "--job-name=doctor")
    given = {"--mem=100"} if not any(word.startswith("--mem=") for word in words) else set()
    return patient.ask("srun", *limits, *given, *words, as_user=True, cwd=Path("/"))
