"""What a kernel says while it works: notices of trouble, and progress.

A kernel does no I/O and never fails as a whole because one channel is bad: it
leaves the channel out and says so with `notice`.  In a notebook the notice is
an ordinary Python warning.  Where a surface runs the kernel (command line, web,
batch) it collects the notices with `listen` and puts them in its log, its
answer and its provenance.

A context variable, not a global, holds the listener: two calls in two threads
never hear each other.

Examples
--------
>>> with listen() as heard:
...     notice("GR.FUR..HHZ", "has only zeros", "Check the digitiser.")
>>> heard.notices[0].subject
'GR.FUR..HHZ'
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

__all__ = ["Listener", "Notice", "WorkbenchWarning", "listen", "notice", "part", "progress"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that was left out or changed, and what to do about it."""

    subject: str
    problem: str
    remedy: str = ""
    loss: bool = True
    """Whether data were left out; `--strict` counts these as a failure."""

    def __str__(self) -> str:
        text = f"{self.subject}: {self.problem}"
        return f"{text}. {self.remedy}" if self.remedy else text


class WorkbenchWarning(UserWarning):
    """A notice, as a notebook sees it."""


@dataclass(slots=True)
class Listener:
    """Collects the notices and passes on the progress of one call."""

    notices: list[Notice] = field(default_factory=list)
    on_notice: Callable[[Notice], None] | None = None
    on_progress: Callable[[float, str], None] | None = None

    def add(self, said: Notice) -> None:
        """Keep a notice, each one once."""
        if said in self.notices:
            return
        self.notices.append(said)
        if self.on_notice is not None:
            self.on_notice(said)


_listener: ContextVar[Listener | None] = ContextVar("workbench_listener", default=None)


@contextmanager
def listen(
    on_notice: Callable[[Notice], None] | None = None,
    on_progress: Callable[[float, str], None] | None = None,
) -> Iterator[Listener]:
    """Collect what is said inside the ``with`` block.

    Parameters
    ----------
    on_notice : callable, optional
        Called with each `Notice` as it is said.
    on_progress : callable, optional
        Called with the fraction done (0 to 1) and what is being done.
    """
    listener = Listener(on_notice=on_notice, on_progress=on_progress)
    token = _listener.set(listener)
    try:
        yield listener
    finally:
        _listener.reset(token)


def notice(subject: str, problem: str, remedy: str = "", *, loss: bool = True) -> None:
    """Say that something was left out or changed, and what to do about it.

    Parameters
    ----------
    subject : str
        The channel, station or file that it is about.
    problem : str
        What is wrong, in one clause.
    remedy : str, optional
        What to do, in one sentence.
    loss : bool
        Whether data were left out because of it.
    """
    said = Notice(subject, problem, remedy, loss)
    listener = _listener.get()
    if listener is None:
        warnings.warn(str(said), WorkbenchWarning, stacklevel=2)
    else:
        listener.add(said)


def progress(fraction: float, doing: str = "") -> None:
    """Say how far the work has come.

    Parameters
    ----------
    fraction : float
        0 at the start, 1 at the end.
    doing : str, optional
        What is being done now, in a few words.
    """
    listener = _listener.get()
    if listener is not None and listener.on_progress is not None:
        listener.on_progress(min(max(fraction, 0.0), 1.0), doing)


@contextmanager
def part(first: float, last: float) -> Iterator[None]:
    """Make the progress of what is called inside a part of one's own.

    Parameters
    ----------
    first, last : float
        Fractions of one's own work between which this part lies.

    Examples
    --------
    >>> with listen(on_progress=lambda done, doing: print(done)):
    ...     with part(0.5, 1.0):
    ...         progress(0.5)
    0.75
    """
    outer = _listener.get()
    if outer is None or outer.on_progress is None:
        yield
        return
    report = outer.on_progress

    def scaled(fraction: float, doing: str) -> None:
        report(first + (last - first) * fraction, doing)

    token = _listener.set(Listener(outer.notices, outer.on_notice, scaled))
    try:
        yield
    finally:
        _listener.reset(token)
