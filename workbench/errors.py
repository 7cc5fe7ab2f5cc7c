"""The tree of errors, all of it.

::

    WorkbenchError
    |-- InvalidSetting   (ValueError)    a setting or a command is wrong
    |-- UnknownKernel    (LookupError)   no kernel has that name
    |-- InvalidKernel    (TypeError)     a declaration that cannot be derived from
    |-- NoData           (LookupError)   nothing there to work on
    |-- BadInput         (ValueError)    the data themselves are wrong
    |   |-- UnreadableFile                corrupt, truncated, or of an unknown form
    |   |-- MissingResponse               no instrument response for a channel
    |   |-- MissingCoordinates            no coordinates for a station
    |   `-- BadVelocityModel              a hole, a wrong order, a wrong number
    |-- ResourceExceeded (RuntimeError)  time, memory, size or quota
    |-- Unavailable      (RuntimeError)  a service that is needed does not answer
    `-- Incomplete       (RuntimeError)  some channels failed, and that was not allowed

Each error names what it is about (`subject`), what is wrong (`problem`) and
what to do (`remedy`).  How an error becomes an exit code or an HTTP status is
the business of each surface, which owns one table for it.
"""

from __future__ import annotations

__all__ = [
    "BadInput",
    "BadVelocityModel",
    "Incomplete",
    "InvalidKernel",
    "InvalidSetting",
    "MissingCoordinates",
    "MissingResponse",
    "NoData",
    "ResourceExceeded",
    "Unavailable",
    "UnknownKernel",
    "UnreadableFile",
    "WorkbenchError",
]


class WorkbenchError(Exception):
    """Root of all errors that the workbench raises on purpose.

    Parameters
    ----------
    subject : str
        The thing it is about: a channel, a file, a setting.
    problem : str
        What is wrong with it, in one clause.
    remedy : str, optional
        What to do about it, in one sentence.
    """

    def __init__(self, subject: str, problem: str, remedy: str = "") -> None:
        super().__init__(subject, problem, remedy)
        self.subject = subject
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.subject}: {self.problem}"
        return f"{text}. {self.remedy}" if self.remedy else text


class InvalidSetting(WorkbenchError, ValueError):
    """A setting, a Call or a command that is wrong."""


class UnknownKernel(WorkbenchError, LookupError):
    """No kernel has that name."""


class InvalidKernel(WorkbenchError, TypeError):
    """A function that cannot be declared as a kernel."""


class NoData(WorkbenchError, LookupError):
    """Nothing there to work on."""


class BadInput(WorkbenchError, ValueError):
    """Data that cannot be worked on."""


class UnreadableFile(BadInput):
    """A file that is corrupt, truncated, or of no known form."""


class MissingResponse(BadInput):
    """A channel has no instrument response at the time of its data."""


class MissingCoordinates(BadInput):
    """A station has no coordinates at the time of its data."""


class BadVelocityModel(BadInput):
    """A velocity model with a hole, a wrong order or an impossible number."""


class ResourceExceeded(WorkbenchError, RuntimeError):
    """More time, memory, bytes or quota than is allowed."""


class Unavailable(WorkbenchError, RuntimeError):
    """A service that is needed does not answer."""


class Incomplete(WorkbenchError, RuntimeError):
    """Some channels failed, and the caller asked for all or nothing."""
