"""What the broker allows, and where things are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.errors import InvalidSetting

__all__ = ["Refused", "Rules"]


class Refused(InvalidSetting):
    """Something that the broker does not do; the words say why."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the broker allows, and where things are.

    Parameters
    ----------
    conf : Path
        slurm.conf.
    launcher : Path
        wb-exec, as the nodes have it.
    partition : str
        Of those who name none; empty for SLURM's own.
    partitions : tuple of str
        Those that there are; empty for all that SLURM shows the user.
    script_bytes : int
        Largest script.
    array : int
        Most jobs of one array.
    jobs : int
        Most jobs of one user that wait or run, each of an array for itself.
    a_minute : int
        Most submissions of one user in a minute.
    questions : int
        Most requests of one user in a minute, whatever they are.
    at_a_time : int
        Most requests of one user that are worked at.
    seconds : float
        Longest time of one of SLURM's commands.
    """

    conf: Path
    launcher: Path
    partition: str = ""
    partitions: tuple[str, ...] = ()
    script_bytes: int = 2**20
    array: int = 1000
    jobs: int = 5000
    a_minute: int = 60
    questions: int = 600
    at_a_time: int = 4
    seconds: float = 60.0
