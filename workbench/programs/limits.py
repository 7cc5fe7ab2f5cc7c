"""What a program may use at most."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use at most; over it, it is ended and its run fails.

    Attributes
    ----------
    wall_s : float
        Seconds from start to end.
    cpu_s : float
        Seconds of processor time, of all its processes together.
    memory_bytes : int
        Resident memory of all its processes together, and files in memory
        (/tmp); pages that they share count for each.  A single process cannot even ask for more.
    processes : int
        Processes and threads at one time.
    disk_bytes : int
        All files that it writes together, and any one of them.
    """

    wall_s: float = 600.0
    cpu_s: float = 600.0
    memory_bytes: int = 2 << 30
    processes: int = 64
    disk_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)!r} is not above zero")
