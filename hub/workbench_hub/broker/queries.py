"""squeue, scancel, sinfo, scontrol and sacct: one's own jobs, and what everybody may know."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from workbench.errors import Unavailable
from workbench_hub.broker.options import Command, read
from workbench_hub.broker.rules import Refused
from workbench_hub.broker.running import Done, Runner, Who

__all__ = ["QUERIES", "Owned", "owned"]

_JOB = re.compile(r"\d{1,10}(?:_(?:\d{1,7}|\[[\d,%-]{1,500}\]))?")
_NAMES = re.compile(r"[\w.+@:=,-]{1,500}", re.ASCII)
_FIELDS = re.compile(r"[\w%.,-]{1,500}", re.ASCII)
_OWNER = re.compile(r"^\s*JobId=.*?UserId=[^\s(]*\((\d+)\)", re.MULTILINE | re.DOTALL)
_SQUEUE = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
_SQUEUE_LONG = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
_SACCT = "jobid,jobname,partition,account,alloccpus,state,exitcode"
_WIDTH = 12


@dataclass(frozen=True, slots=True)
class Owned:
    """The jobs of a user that SLURM knows."""

    numbers: frozenset[str]
    """Of jobs and of arrays, those that ended a short while ago too."""
    alive: int
    """How many wait or run, each of an array for itself."""
    ids: dict[str, str]
    """The number of the job by the id of its submission."""


def owned(who: Who, runner: Runner) -> Owned:
    """Ask which jobs are a user's.

    Raises
    ------
    Unavailable
        If SLURM does not answer.
    """
    words = ["squeue", "--noheader", "--all", "--array", "--states=all", "--format=%A|%F|%U|%T|%k"]
    done = runner.run(who, words)
    if done.code:
        raise Unavailable("SLURM", f"does not say which jobs are yours: {done.err.strip()[:300]}")
    rows = [line.split("|", 4) for line in done.out.splitlines() if line.count("|") >= 4]
    mine = [row for row in rows if row[2] == str(who.uid)]
    ids = {found[1]: row[1] for row in mine if (found := re.search(r" id=([0-9a-f]{32})$", row[4]))}
    alive = sum(row[3] in _ALIVE for row in mine)
    return Owned(frozenset(number for row in mine for number in row[:2]), alive, ids)


_ALIVE = {"PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"}


def squeue(who: Who, words: Sequence[str], runner: Runner) -> Done:
    """Show the user's jobs, and nobody else's, whatever is asked."""
    flags = {"noheader": "h", "array": "r", "all": "a", "long": "l", "me": "", "version": "V"}
    valued = {
        "format": "o",
        "states": "t",
        "jobs": "j",
        "name": "n",
        "user": "u",
        "partition": "p",
        "sort": "S",
    }
    command = read("squeue", words, flags, valued, mixed=True)
    if command.has("version"):
        return runner.run(who, ["squeue", "--version"])
    _nothing_more("squeue", command)
    given = command.options
    if given.get("user", who.name) not in (who.name, str(who.uid)):
        raise Refused(f"squeue --user={given['user'][:80]}", "is somebody else", "One sees one's own jobs.")
    asked = ["squeue"] + [f"--{name}" for name in ("noheader", "array", "all") if name in given]
    if "jobs" in given:
        asked.append(f"--jobs={_jobs('squeue', given['jobs'].split(','))}")
    asked += _named("squeue", command, ("states", "name", "partition", "sort"))
    form = given.get("format", _SQUEUE_LONG if command.has("long") else _SQUEUE)
    done = runner.run(who, [*asked, f"--format=%U|{form}"])
    kept = [
        line.partition("|")[2]
        for number, line in enumerate(done.out.splitlines())
        if line.partition("|")[0] == str(who.uid) or (number == 0 and "noheader" not in given)
    ]
    return Done(done.code, _lines(kept), done.err)


def scancel(who: Who, words: Sequence[str], runner: Runner) -> Done:
    """Cancel jobs of the user's."""
    flags = {"quiet": "Q", "batch": "b", "full": "f", "verbose": "v"}
    command = read("scancel", words, flags, {"signal": "s"}, mixed=True)
    if not command.rest:
        raise Refused("scancel", "is told no job", "Give numbers of jobs.")
    wanted = [number for word in command.rest for number in word.split(",")]
    _jobs("scancel", wanted)
    mine = owned(who, runner).numbers
    if strange := [number for number in wanted if number.partition("_")[0] not in mine]:
        raise Refused(f"scancel {strange[0]}", "is no job of yours that SLURM knows")
    asked = ["scancel"] + [f"--{name}" for name in ("quiet", "batch", "full") if command.has(name)]
    asked += _named("scancel", command, ("signal",))
    return runner.run(who, [*asked, *wanted])


def sinfo(who: Who, words: Sequence[str], runner: Runner) -> Done:
    """Show partitions and nodes."""
    flags = {"noheader": "h", "long": "l", "summarize": "s", "Node": "N", "list-reasons": "R", "version": "V"}
    command = read("sinfo", words, flags, {"format": "o", "partition": "p", "states": "t"}, mixed=True)
    _nothing_more("sinfo", command)
    asked = [f"--{name}" for name in flags if command.has(name)]
    asked += [f"--format={command.options['format']}"] if "format" in command.options else []
    asked += _named("sinfo", command, ("partition", "states"))
    return runner.run(who, ["sinfo", *asked])


def scontrol(who: Who, words: Sequence[str], runner: Runner) -> Done:
    """Show the configuration, partitions, nodes, or a job of the user's."""
    command = read("scontrol", words, {"oneliner": "o", "version": "V"}, {}, mixed=True)
    flags = [f"--{name}" for name in command.options]
    if command.has("version"):
        return runner.run(who, ["scontrol", "--version"])
    match command.rest:
        case ["show", "config"]:
            return runner.run(who, ["scontrol", *flags, "show", "config"])
        case ["show", "partition" | "partitions" | "node" | "nodes" as what, *names] if len(names) < 2:
            names = [_plain(f"scontrol show {what}", name, _NAMES) for name in names]
            return runner.run(who, ["scontrol", *flags, "show", what, *names])
        case ["show", "job", number]:
            _jobs("scontrol show job", [number])
            done = runner.run(who, ["scontrol", *flags, "show", "job", number])
            if {*_OWNER.findall(done.out)} - {str(who.uid)}:
                raise Refused(f"scontrol show job {number}", "is no job of yours")
            return done
    shown = " ".join(command.rest)[:80]
    raise Refused(
        f"scontrol {shown}", "is not allowed", "There are: show config, partition, node, and job NUMBER."
    )


def sacct(who: Who, words: Sequence[str], runner: Runner) -> Done:
    """Show what the user's jobs used."""
    flags = {"noheader": "n", "parsable2": "P", "allocations": "X", "version": "V"}
    valued = {"format": "o", "jobs": "j", "starttime": "S", "endtime": "E", "state": "s"}
    command = read("sacct", words, flags, valued, mixed=True)
    _nothing_more("sacct", command)
    if command.has("version"):
        return runner.run(who, ["sacct", "--version"])
    asked = ["sacct"] + [
        f"--{name}" for name in ("noheader", "parsable2", "allocations") if command.has(name)
    ]
    if "jobs" in command.options:
        asked.append(f"--jobs={_jobs('sacct', command.options['jobs'].split(','))}")
    asked += _named("sacct", command, ("starttime", "endtime", "state"))
    form = _plain("sacct --format", command.options.get("format", _SACCT), _FIELDS)
    parsable = command.has("parsable2")
    done = runner.run(who, [*asked, f"--format=UID{'' if parsable else f'%{_WIDTH}'},{form}"])
    heads = 0 if command.has("noheader") else 1 if parsable else 2
    kept, mine = [], False
    for number, line in enumerate(done.out.splitlines()):
        uid, rest = line.split("|", 1) if parsable and "|" in line else (line[:_WIDTH], line[_WIDTH + 1 :])
        # Of a job's steps only the job itself has the uid.
        mine = uid.strip() == str(who.uid) if uid.strip() else mine
        if mine or number < heads:
            kept.append(rest)
    return Done(done.code, _lines(kept), done.err)


QUERIES: dict[str, Callable[[Who, Sequence[str], Runner], Done]] = {
    "sacct": sacct,
    "scancel": scancel,
    "scontrol": scontrol,
    "sinfo": sinfo,
    "squeue": squeue,
}
"""The commands besides sbatch."""


def _jobs(program: str, numbers: Sequence[str]) -> str:
    for number in numbers:
        if not _JOB.fullmatch(number):
            raise Refused(f"{program} {number[:80]}", "is no number of a job")
    return ",".join(numbers)


def _named(program: str, command: Command, names: Sequence[str]) -> list[str]:
    """Return the options of some names that were given, with plain values."""
    given = [(name, command.options[name]) for name in names if name in command.options]
    return [f"--{name}={_plain(f'{program} --{name}', value, _NAMES)}" for name, value in given]


def _plain(what: str, value: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(value):
        raise Refused(f"{what}={value[:80]}", "has signs in it that do not belong there")
    return value


def _nothing_more(program: str, command: Command) -> None:
    if command.rest:
        raise Refused(f"{program} {command.rest[0][:80]}", "is no option")


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
