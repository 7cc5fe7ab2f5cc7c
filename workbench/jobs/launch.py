"""How a job begins on a node: which Python, in which environment, within which limits."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from workbench.errors import InvalidSetting
from workbench.settings import Settings

__all__ = ["Limits", "environment", "mebibytes", "minutes", "passed", "python", "script"]

_PATH = "/usr/local/bin:/usr/bin:/bin"
_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", re.IGNORECASE)
_SPELT = re.compile(r"(?:(\d+)\s*d[a-z]*)?\s*(?:(\d+)\s*h[a-z]*)?\s*(?:(\d+)\s*m[a-z]*)?", re.IGNORECASE)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job asks for.

    Attributes
    ----------
    cores : int
    memory : int
        MiB.
    walltime : int
        Minutes.
    partition, account : str
        Empty for SLURM's own choice.
    """

    cores: int = 1
    memory: int = 2048
    walltime: int = 60
    partition: str = ""
    account: str = ""

    @classmethod
    def of(
        cls,
        settings: Settings,
        cores: int | None = None,
        memory: str | int | None = None,
        walltime: str | int | None = None,
        partition: str | None = None,
        account: str | None = None,
    ) -> Limits:
        """Fill in what was not said.

        Raises
        ------
        InvalidSetting
            If something is no number of cores, no memory, or no time.
        """
        return cls(partition=settings.partition, account=settings.account).changed(
            cores, memory, walltime, partition, account
        )

    def changed(
        self,
        cores: int | None = None,
        memory: str | int | None = None,
        walltime: str | int | None = None,
        partition: str | None = None,
        account: str | None = None,
    ) -> Limits:
        """Return them with what was said."""
        given: dict[str, int | str] = {}
        if cores is not None:
            if cores < 1:
                raise InvalidSetting(f"cores = {cores}", "is less than one")
            given["cores"] = cores
        if memory is not None:
            given["memory"] = mebibytes(memory)
        if walltime is not None:
            given["walltime"] = minutes(walltime)
        for name, value in (("partition", partition), ("account", account)):
            if value is not None:
                # It becomes a line of a script.
                if not re.fullmatch(r"[\w.,@+-]*", value):
                    raise InvalidSetting(f"{name} = {value!r}", "is no name")
                given[name] = value
        return replace(self, **given)  # type: ignore[arg-type]

    @property
    def directives(self) -> list[str]:
        """They, as sbatch has them."""
        words = [
            "--export=NONE",
            "--ntasks=1",
            f"--cpus-per-task={self.cores}",
            f"--mem={self.memory}M",
            f"--time={self.walltime}",
        ]
        words += [f"--partition={self.partition}"] if self.partition else []
        words += [f"--account={self.account}"] if self.account else []
        return words


def python(settings: Settings, read: Iterable[Path] = (), write: Iterable[Path] = ()) -> list[str]:
    """Return the words that run Python on a node: in the image of this notebook, where it has one.

    Parameters
    ----------
    settings : Settings
    read, write : iterable of Path
        What it needs of this machine besides the home and the archives.
    """
    if not settings.digest:
        return [sys.executable]
    # In an image nothing is left of the environment around it.
    said = [f"{name}={value}" for name, value in passed(settings).items()]
    shown: list[str] = []
    for option, paths in (("--read", read), ("--write", {settings.jobs_dir, *write})):
        for path in sorted(path for path in {*paths} if not path.is_relative_to(Path.home())):
            shown += [option, str(path)]
    return [settings.launcher, *shown, settings.digest, "--", "env", *said, "python"]


def environment(settings: Settings, cores: int) -> dict[str, str]:
    """Return what a job has in its environment: it inherits nothing, and gets no secret."""
    path = _PATH if settings.digest else os.environ.get("PATH", _PATH)
    own = {"HOME": str(Path.home()), "LANG": "C.UTF-8", "PATH": path}
    return {**own, **dict.fromkeys(_THREADS, str(cores)), **passed(settings)}


def passed(settings: Settings) -> dict[str, str]:
    """Return the settings that were made here and hold there too."""
    return {
        f"WORKBENCH_{name.upper()}": str(value.expanduser().absolute() if isinstance(value, Path) else value)
        for name in sorted(settings.model_fields_set)
        if (value := getattr(settings, name)) is not None and not isinstance(value, SecretStr)
    }


def script(directives: Sequence[str], variables: dict[str, str], command: Sequence[str]) -> str:
    """Return a script for sbatch that becomes a command.

    Examples
    --------
    >>> print(script(["--time=1"], {"LANG": "C"}, ["echo", "a b"]))
    #!/bin/sh
    #SBATCH --time=1
    export LANG=C
    exec echo 'a b'
    <BLANKLINE>
    """
    lines = ["#!/bin/sh", *(f"#SBATCH {word}" for word in directives)]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, f"exec {shlex.join(command)}", ""])


def mebibytes(text: str | int) -> int:
    """Read an amount of memory, in MiB; a bare number is bytes.

    Examples
    --------
    >>> mebibytes("1.5 GiB"), mebibytes("2G"), mebibytes(2**21)
    (1536, 2048, 2)
    """
    found = _SIZE.fullmatch(str(text))
    size = float(found[1]) * _UNITS[found[2].upper()] if found else 0.0
    if size < 2**20:
        raise InvalidSetting(f"memory = {text!r}", "is no amount of memory", "Write '4 GiB' or '500 MiB'.")
    return -int(-size // 2**20)


def minutes(text: str | int) -> int:
    """Read a time in minutes: a number of seconds, ``2h``, ``1d 12h``, or SLURM's ``1-12:00:00``.

    Examples
    --------
    >>> minutes("1h30m"), minutes("1-00:00:00"), minutes(90)
    (90, 1440, 2)
    """
    said = str(text).strip()
    total = 0.0
    if said.isdigit():
        total = int(said) / 60
    elif found := _CLOCK.fullmatch(said):
        days, first, second, third = (int(part or 0) for part in found.groups())
        # As SLURM reads it: with days the first is hours, and with two parts alone minutes.
        if found[4] is None and not found[1]:
            total = first + second / 60
        else:
            total = days * 1440 + first * 60 + second + third / 60
    elif said and (found := _SPELT.fullmatch(said)):
        days, hours, rest = (int(part or 0) for part in found.groups())
        total = days * 1440 + hours * 60 + rest
    if total <= 0:
        raise InvalidSetting(
            f"walltime = {text!r}", "is no length of time", "Write '2h', '90m' or '1-12:00:00'."
        )
    return -int(-total // 1)
