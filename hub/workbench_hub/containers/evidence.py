"""What is known of a server that failed, and what the spawn doctor made of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass

from workbench_hub.containers.counters import Counters
from workbench_hub.containers.words import duration, size
from workbench_hub.volumes import Usage

__all__ = ["Diagnosis", "Evidence", "Finding", "exit_words", "findings", "last_line"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about a server that failed.

    Attributes
    ----------
    refused, advice : str
        Why it was not even tried and what to do, in sentences that need no doctor.
    error : str
        What Docker said.
    exit_code : int or None
        None if it still ran.
    oom_killed : bool
        Docker's own word for it; it says no where only a kernel was ended.
    waited : float
        Seconds until one gave up waiting for its answer; 0 if it ended by itself.
    ran : float
        Seconds that it ran.
    """

    image: str = ""
    digest: str = ""
    uid: int | None = None
    gid: int | None = None
    refused: str = ""
    advice: str = ""
    error: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    counters: Counters | None = None
    memory_limit: int | None = None
    home: Usage | None = None
    waited: float = 0.0
    ran: float = 0.0
    log: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """All the words there are."""
        return "\n".join((self.error, *self.log))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `bad` if it may be the cause."""

    name: str
    words: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What happened, what to do, and everything that was looked at."""

    cause: str
    headline: str
    remedy: str
    findings: tuple[Finding, ...]
    log: tuple[str, ...]
    at: str

    def __str__(self) -> str:
        return f"{self.headline} {self.remedy}".strip()


def findings(evidence: Evidence) -> Iterator[Finding]:
    """List what was looked at."""
    if evidence.image:
        yield Finding(
            "image", f"{evidence.image} ({evidence.digest.removeprefix('sha256:')[:12] or 'no digest'})"
        )
    if evidence.uid is not None:
        yield Finding("user", f"uid {evidence.uid}, gid {evidence.gid}")
    if evidence.home is not None:
        yield Finding("home", str(evidence.home), evidence.home.full)
    if evidence.ran:
        yield Finding("ran", duration(evidence.ran))
    if evidence.exit_code is not None:
        yield Finding("exit code", exit_words(evidence.exit_code), evidence.exit_code != 0)
    yield from _counted(evidence)
    if evidence.error:
        yield Finding("Docker", last_line(evidence.error), bad=True)


def _counted(evidence: Evidence) -> Iterator[Finding]:
    counters = evidence.counters
    if counters is None:
        return
    limit = evidence.memory_limit or counters.memory_limit
    words = f"{size(counters.memory_peak or counters.memory)} at most"
    yield Finding("memory", f"{words}, limit {size(limit)}" if limit else words)
    kills = counters.oom_kills
    yield Finding("ended for want of memory", f"{kills} process{'es' if kills != 1 else ''}", kills > 0)
    words = f"{counters.pids}, limit {counters.pids_limit or 'none'}, {counters.pids_refused} refused"
    yield Finding("processes and threads", words, counters.pids_refused > 0)


def exit_words(code: int) -> str:
    """Return an exit code with the signal that it stands for.

    Examples
    --------
    >>> exit_words(3), exit_words(134)
    ('3', '134 (SIGABRT)')
    """
    known = {128 + number: number.name for number in signal.Signals}
    return f"{code} ({known[code]})" if code in known else str(code)


def last_line(text: str) -> str:
    """Return the last line that says something, and not all of it."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
