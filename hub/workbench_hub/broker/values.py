"""What may stand behind the options of sbatch."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from workbench_hub.broker.rules import Refused

__all__ = ["array", "below", "dependency", "matching", "pattern", "tasks"]

_RANGE = re.compile(r"(\d{1,7})(?:-(\d{1,7})(?::(\d{1,7}))?)?")
_ARRAY = re.compile(r"[\d,:-]{1,8000}(%[1-9]\d{0,6})?")
_AFTER = re.compile(
    r"(after|afterany|afterok|afternotok|aftercorr):(\d{1,10}(?:_\d{1,7})?(?::\d{1,10}(?:_\d{1,7})?)*)"
)
_REPLACED = re.compile(r"%(?:\d{0,2}[AaJjNnstux]|%)")

_FORMS = {
    "cpus-per-task": (r"[1-9]\d{0,3}", "a number of cores"),
    "mem": (r"[1-9]\d{0,8}[KMGTkmgt]?[Bb]?", "an amount of memory, such as 4G"),
    # Neither 0 nor UNLIMITED, which both mean for ever.
    "time": (r"(?=.*[1-9])(?:\d{1,3}-)?\d{1,7}(?::\d{1,2}){0,2}", "a time, such as 90, 1:30:00 or 1-12"),
    # Not .., since %x in the name of a file stands for it.
    "job-name": (r"[\w+@:=,][\w.+@:=,-]{0,199}", "a name of letters, digits and _.+@:=,-"),
    "signal": (r"(?:B:)?[A-Z0-9]{1,10}(?:@\d{1,5})?", "a signal, such as B:USR1@60"),
    "open-mode": (r"append|truncate", "append or truncate"),
    "export": (r"NONE|none|NIL|nil", "NONE: nothing of a server's environment goes along"),
    "account": (r"[\w.@-]{1,64}", "an account"),
    "partition": (r"[\w.-]{1,64}(?:,[\w.-]{1,64}){0,9}", "a partition"),
}


def matching(name: str, value: str) -> str:
    """Return a value that has the form of its option.

    Raises
    ------
    Refused
        If it has not.

    Examples
    --------
    >>> matching("time", "1-12:00:00")
    '1-12:00:00'
    """
    form, wanted = _FORMS[name]
    if not re.fullmatch(form, value, re.ASCII):
        raise Refused(f"--{name}={value[:80]}", f"is not {wanted}")
    return value


def tasks(name: str, value: str) -> None:
    """See that a job is one task on one node: what is sent runs in one image on one of them."""
    if value not in ("1", "1-1"):
        raise Refused(f"--{name}={value[:80]}", "is not 1", "A job of the broker's is one task on one node.")


def array(value: str, most: int) -> str:
    """Return the indices of an array, if they are not too many; none of them is written out.

    Examples
    --------
    >>> array("0-9:3,20%2", 5)
    '0-9:3,20%2'
    """
    if not _ARRAY.fullmatch(value):
        raise Refused(f"--array={value[:80]}", "is no list of indices", "Write 0-9, 1,3,5 or 0-99%10.")
    count = 0
    for part in value.partition("%")[0].split(","):
        found = _RANGE.fullmatch(part)
        if found is None or found[3] == "0":
            raise Refused(f"--array={value[:80]}", f"has {part!r}, which is no range")
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        if last < first:
            raise Refused(f"--array={value[:80]}", f"has {part!r}, which is no range")
        count += (last - first) // step + 1
    if count > most:
        raise Refused(
            f"--array={value[:80]}", f"is {count} jobs; {most} are the most", "Submit fewer at a time."
        )
    return value


def dependency(value: str, owned: Callable[[], frozenset[str]]) -> str:
    """Return what a job waits for, if that is its user's own.

    Parameters
    ----------
    value : str
    owned : callable
        Returns the numbers of the user's jobs that SLURM knows.
    """
    if value == "singleton":
        return value
    for part in value.split(","):
        found = _AFTER.fullmatch(part)
        if found is None:
            raise Refused(
                f"--dependency={value[:80]}", f"has {part[:40]!r}", "Write afterok:NUMBER, or singleton."
            )
        numbers = {number.partition("_")[0] for number in found[2].split(":")}
        if strange := sorted(numbers - owned()):
            raise Refused(f"--dependency={value[:80]}", f"names {strange[0]}, which is no job of yours")
    return value


def pattern(name: str, value: str, base: PurePosixPath) -> str:
    """Return the file that a job writes to as an absolute path; what SLURM fills in is left as it is.

    Examples
    --------
    >>> pattern("output", "logs/%j.out", PurePosixPath("/homes/anna"))
    '/homes/anna/logs/%j.out'
    """
    if value == "/dev/null":
        return value
    if "%" in _REPLACED.sub("", value):
        raise Refused(f"--{name}={value[:80]}", "has a % that stands for nothing", "%j, %A and %a do.")
    return below(name, value, base)


def below(name: str, value: str, base: PurePosixPath) -> str:
    """Return an absolute path without dots in it: neither up, nor by way of signs that SLURM reads."""
    path = base / value
    if not value or "\\" in value or ".." in path.parts:
        raise Refused(f"--{name}={value[:80]}", "is no plain path", "Write it without .. and \\.")
    return str(path)
