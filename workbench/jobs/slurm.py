"""SLURM's commands, run as whoever we are."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import Unavailable, WorkbenchError
from workbench.jobs.reasons import Reason, reason_of, refusal

__all__ = ["Partition", "Queued", "accounts", "ask", "cancel", "clean", "exit_code", "here", "nodes_reach",
           "partitions", "queue", "submit", "why_not"]  # fmt: skip

_SECONDS = 60
_OWN = ("SLURM_", "SBATCH_", "SQUEUE_", "SINFO_", "SCANCEL_", "SALLOC_", "SRUN_")
_CONFS = (Path("/etc/slurm/slurm.conf"), Path("/run/slurm/conf/slurm.conf"))
_REMEDY = "On a node or in a container of the cluster it is; kind='local' works on this machine alone."


@dataclass(frozen=True, slots=True)
class Queued:
    """A job as SLURM knows it.

    Attributes
    ----------
    number : int
        Its own number; `array` is the number of the array that it belongs to.
    index : int or None
        Its place in an array.
    name, state, node : str
    reason : Reason
        Why it waits.
    """

    number: int
    array: int
    index: int | None
    name: str
    state: str
    node: str
    reason: Reason

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state not in _ALIVE


_ALIVE = {
    *("PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "RESIZING", "REQUEUED", "SIGNALING"),
    *("REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED", "RESV_DEL_HOLD"),
}


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: whether it takes jobs, its longest time, and the largest of its nodes (memory in MB)."""

    name: str
    default: bool
    up: bool
    longest: str
    cpus: int
    memory: int


def here() -> bool:
    """Whether SLURM's commands and its configuration are on this machine, well or not."""
    return not why_not()


def why_not() -> str:
    """Return why SLURM cannot be here, or nothing."""
    if shutil.which("sbatch") is None:
        return "there is no sbatch here"
    # A broker has the configuration; the commands here are its own.
    if _conf() is None and not os.environ.get("WORKBENCH_BROKER"):
        named = os.environ.get("SLURM_CONF")
        return f"there is no {named or _CONFS[0]}"
    return ""


def ask(*words: str, given: str | None = None, seconds: float = _SECONDS) -> str:
    """Run a command of SLURM's and return what it says.

    Raises
    ------
    Unavailable
        If SLURM is not here, or does not answer.
    WorkbenchError
        If it refuses, in words.
    """
    # Without its configuration a command of SLURM's looks for it for a minute.
    if reason := why_not():
        raise Unavailable("SLURM", reason, _REMEDY)
    try:
        done = subprocess.run(
            words,
            env=clean(os.environ),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable("SLURM", f"there is no {words[0]} here", _REMEDY) from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable("SLURM's controller", f"did not answer in {seconds:g} s", _REMEDY) from error
    if done.returncode:
        raise refusal(words[0], done.stderr)
    return done.stdout


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what an enclosing job would pass on to the jobs that it submits."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(_OWN) or name == "SLURM_CONF"
    }


def submit(script: str, *options: str) -> int:
    """Submit a script; return the job's number.

    Raises
    ------
    WorkbenchError
        If SLURM refuses it.
    """
    return int(ask("sbatch", "--parsable", *options, given=script).partition(";")[0])


def queue(numbers: Iterable[int] = (), name: str = "") -> list[Queued]:
    """Return one's own jobs that wait, run, or ended a short while ago; each of an array apart.

    Parameters
    ----------
    numbers : iterable of int
        Only these, and those of these arrays; by default all.
    name : str
        Only those of this name.
    """
    words = ["squeue", "--noheader", "--states=all", "--array", "--format=%A|%F|%K|%T|%N|%U|%j|%r"]
    words += [f"--name={name}"] if name else []
    chosen = sorted(set(numbers))
    said = ""
    try:
        said = ask(*words, *([f"--jobs={','.join(map(str, chosen))}"] if chosen else []))
    except WorkbenchError as error:
        # What ended long ago SLURM has forgotten.
        if "Invalid job id" not in error.problem:
            raise
    # Not by --me, which asks for the name of a user who may only have a number here.
    mine = str(os.getuid())
    rows = (line.split("|", 7) for line in said.splitlines() if line.count("|") >= 7)
    return [_queued(row) for row in rows if row[5] == mine]


def cancel(*jobs: str | int) -> None:
    """Cancel jobs: numbers, or ``ARRAY_INDEX``; one that has ended already is left alone."""
    if jobs:
        ask("scancel", "--quiet", *map(str, jobs))


def accounts(numbers: Iterable[int]) -> dict[str, str]:
    """Return the states of jobs that the queue has forgotten, where SLURM keeps accounts.

    By ``NUMBER``, or ``ARRAY_INDEX``.
    """
    words = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=JobID,State"]
    try:
        said = ask(*words, f"--jobs={','.join(map(str, sorted(numbers)))}")
    except WorkbenchError:
        return {}  # without slurmdbd there are none
    rows = (line.split("|", 1) for line in said.splitlines() if "|" in line)
    # 'CANCELLED by 20101'
    return {name: state.split()[0] for name, state in rows if state and state.split()[0] not in _ALIVE}


def exit_code(job: str) -> int:
    """Return the exit code of a job that ended a short while ago; 0 if SLURM does not know it."""
    try:
        found = re.search(r"ExitCode=(\d+):(\d+)", ask("scontrol", "--oneliner", "show", "job", job))
    except WorkbenchError:
        return 0
    if found is None:
        return 0
    return int(found[1]) or (128 + int(found[2]) if int(found[2]) else 0)


def partitions() -> list[Partition]:
    """Return the partitions that one may see.

    Raises
    ------
    Unavailable
        If SLURM does not answer.
    """
    found: dict[str, Partition] = {}
    for line in ask("sinfo", "--noheader", "--format=%P|%a|%l|%c|%m").splitlines():
        name, state, longest, cpus, memory = line.strip().split("|")
        known = found.get(name.rstrip("*"))
        found[name.rstrip("*")] = Partition(
            name.rstrip("*"),
            name.endswith("*"),
            state == "up",
            longest,
            max(_number(cpus), known.cpus if known else 0),
            max(_number(memory), known.memory if known else 0),
        )
    return list(found.values())


def nodes_reach() -> str:
    """Return the address of this machine or container on the way to SLURM's controller.

    Who is reached by the controller's network is reached by the nodes, which
    the controller has to reach as well.

    Raises
    ------
    Unavailable
        If the controller's address cannot be found out.
    """
    host = _controller()
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as line:
            # Nothing is sent: the kernel only chooses a route.
            line.connect(address)
            return str(line.getsockname()[0])
    except OSError as error:
        raise Unavailable(
            f"SLURM's controller {host}",
            f"cannot be found ({error.strerror})",
            "WORKBENCH_SCHEDULER_HOST names the address of this machine that nodes reach.",
        ) from error


def _controller() -> str:
    """Return where the controller is, as this machine has to address it."""
    conf = _conf()
    text = conf.read_text(errors="replace") if conf else ""
    found = re.search(r"(?mi)^\s*(?:SlurmctldHost|ControlAddr)\s*=\s*([^\s(#]+)(?:\(([^)]*)\))?", text)
    if found is None:
        said = ask("scontrol", "show", "config")
        found = re.search(r"SlurmctldHost\[0\]\s*=\s*([^\s(]+)(?:\(([^)]*)\))?", said)
    if found is None:
        raise Unavailable(
            "SLURM's controller",
            f"is not named in {conf}",
            "WORKBENCH_SCHEDULER_HOST names the address of this machine that nodes reach.",
        )
    return found[2] or found[1]


def _conf() -> Path | None:
    named = os.environ.get("SLURM_CONF")
    places = [Path(named)] if named else _CONFS
    return next((path for path in places if path.is_file()), None)


def _queued(row: list[str]) -> Queued:
    number, array, index, state, node, _, name, reason = row
    place = int(index) if index.isdigit() else None
    return Queued(int(number), int(array), place, name, state, node, reason_of(reason.strip()))


def _number(text: str) -> int:
    """Read a number that sinfo may end with a plus, for nodes that differ."""
    return int(text.rstrip("+") or 0)
