"""Which jobs a user has elsewhere: a server is not ended while they need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from workbench.errors import InvalidSetting

__all__ = ["Job", "JobsOf", "load", "no_jobs"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a user: its number at the scheduler, its name, its state in the scheduler's words."""

    number: str
    name: str = ""
    state: str = ""

    def __str__(self) -> str:
        return f"{self.number} {self.name}".strip()


class JobsOf(Protocol):
    """Returns a user's jobs that wait or run.

    It is called in a thread, and raises `workbench.errors.Unavailable` where the
    scheduler does not answer: then nobody is taken for idle.
    """

    def __call__(self, user: str) -> Sequence[Job]:
        """Return the jobs of a user of that name."""


def no_jobs(user: str) -> Sequence[Job]:
    """Return nothing: there is no scheduler."""
    return ()


def load(name: str) -> JobsOf:
    """Find ``module:function``; nothing where the name is empty.

    Raises
    ------
    InvalidSetting
        If there is none of that name.
    """
    if not name:
        return no_jobs
    module, _, function = name.partition(":")
    try:
        found: JobsOf = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSetting(name, f"names no function ({error})", "Write module:function.") from error
    return found
