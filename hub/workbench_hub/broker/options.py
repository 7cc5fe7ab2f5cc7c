"""The options of sbatch that the broker knows: on the command line, and in a script's ``#SBATCH`` lines.

What stands here is all that there is.  An abbreviation, an option that SLURM
gets next year, a misspelt one: each is refused by name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from workbench_hub.broker.rules import Refused

__all__ = ["FLAGS", "VALUES", "Command", "before", "directives", "parse", "read"]

FLAGS = {
    "hold": "H",
    "no-requeue": "",
    "parsable": "",
    "quiet": "Q",
    "requeue": "",
    "test-only": "",
    "version": "V",
}
"""Options without a value, with their letters."""

VALUES = {
    "account": "A",
    "array": "a",
    "chdir": "D",
    "cpus-per-task": "c",
    "dependency": "d",
    "error": "e",
    "export": "",
    "job-name": "J",
    "mem": "",
    "nodes": "N",
    "ntasks": "n",
    "open-mode": "",
    "output": "o",
    "partition": "p",
    "signal": "",
    "time": "t",
}
"""Options with a value, with their letters."""

_MOST = 200
_LONGEST = 8192
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")
_DIRECTIVE = re.compile(rb"#SBATCH(?=[ \t])[ \t]*(.*)")


@dataclass(slots=True)
class Command:
    """A command line that was read: its options by name, and what follows them."""

    options: dict[str, str] = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        """Whether a flag was given."""
        return name in self.options


def read(
    program: str, words: Sequence[str], flags: dict[str, str], values: dict[str, str], *, mixed: bool = False
) -> Command:
    """Read a command line by an allow-list.

    Parameters
    ----------
    program : str
        For the words of a refusal.
    words : sequence of str
        Without the program itself.
    flags, values : dict
        Names of the options with their letters.
    mixed : bool
        Whether options may follow what is none, as with all of SLURM's commands but sbatch.

    Raises
    ------
    Refused
        If an option is not in the list, or is incomplete.
    """
    if len(words) > _MOST:
        raise Refused(program, f"is given {len(words)} words; {_MOST} are the most")
    for word in words:
        _plain(program, word)
    found = Command()
    left = iter(words)
    for word in left:
        if word == "--":
            found.rest += left
        elif word.startswith("--"):
            name, given, value = word[2:].partition("=")
            if name in flags and not given:
                found.options[name] = ""
            elif name in values:
                found.options[name] = value if given else _next(program, word, left)
            else:
                raise _unknown(program, f"--{name}", flags, values)
        elif word.startswith("-") and len(word) > 1:
            _letters(program, word[1:], left, flags, values, found)
        elif mixed:
            found.rest.append(word)
        else:
            found.rest += [word, *left]
    return found


def parse(words: Sequence[str]) -> Command:
    """Read the words of sbatch: options, then the script's name, then words that are the script's."""
    return read("sbatch", words, FLAGS, VALUES)


def before(words: Sequence[str]) -> list[str]:
    """Return the words that stand before a script's name, right or wrong: what follows is the script's own.

    Examples
    --------
    >>> before(["-n", "1", "--odd", "fit.sh", "--password=secret"])
    ['-n', '1', '--odd']
    """
    valued = {f"--{name}" for name in VALUES} | {f"-{letter}" for letter in VALUES.values() if letter}
    found: list[str] = []
    left = iter(words)
    for word in left:
        if not word.startswith("-") or word == "--":
            break
        found.append(word)
        if word in valued:
            found += [value for value in [next(left, None)] if value is not None]
    return found


def directives(script: bytes) -> dict[str, str]:
    r"""Return the options of a script's ``#SBATCH`` lines: those before its first command, as sbatch has it.

    Raises
    ------
    Refused
        If one of them is not allowed.

    Examples
    --------
    >>> directives(b"#!/bin/sh\n#SBATCH -n 1 --mem=2G # enough\necho\n#SBATCH --uid=0\n")
    {'ntasks': '1', 'mem': '2G'}
    """
    found: dict[str, str] = {}
    for line in script.split(b"\n"):
        bare = line.strip()
        if bare and not bare.startswith(b"#"):
            break
        match = _DIRECTIVE.match(line)
        if match is None:
            continue
        try:
            words = shlex.split(match[1].decode(), comments=True)
        except ValueError as error:
            raise Refused(f"#SBATCH {match[1][:80]!r}", f"cannot be read: {error}") from error
        command = parse(words)
        if command.rest:
            raise Refused(f"#SBATCH {match[1][:80].decode()}", f"has {command.rest[0]!r}, which is no option")
        found |= command.options
    return found


def _letters(
    program: str,
    word: str,
    left: Iterator[str],
    flags: dict[str, str],
    values: dict[str, str],
    found: Command,
) -> None:
    """Read ``-H``, ``-QH``, ``-n1`` or ``-n 1``."""
    flag = {letter: name for name, letter in flags.items() if letter}
    valued = {letter: name for name, letter in values.items() if letter}
    while word:
        letter, word = word[0], word[1:]
        if letter in flag:
            found.options[flag[letter]] = ""
        elif letter in valued:
            value = word.removeprefix("=") if word else _next(program, f"-{letter}", left)
            found.options[valued[letter]] = value
            return
        else:
            raise _unknown(program, f"-{letter}", flags, values)


def _next(program: str, word: str, left: Iterator[str]) -> str:
    value = next(left, None)
    if value is None:
        raise Refused(f"{program} {word}", "has no value")
    return value


def _plain(program: str, word: str) -> None:
    if len(word) > _LONGEST:
        raise Refused(program, f"is given a word of {len(word)} signs; {_LONGEST} are the most")
    if unseen := _UNSEEN.search(word):
        raise Refused(f"{program} {word[:80]!r}", f"has the sign {unseen[0]!r} in it")


def _unknown(program: str, option: str, flags: dict[str, str], values: dict[str, str]) -> Refused:
    known = ", ".join(sorted(f"--{name}" for name in {**flags, **values}))
    return Refused(f"{program} {option[:80]}", "is no option that the broker takes", f"It takes: {known}.")
