"""The spawn doctor: what is known of a server that failed, in words, for the person who wanted it.

The evidence is gathered while there is any, since a container's counters go
with its last process.  Each cause that is known has one function here, which
looks at the evidence and says what it means and what to do; the first that
recognises something gives the headline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from workbench_hub.containers.counters import Counters

__all__ = ["Diagnosis", "Evidence", "Finding", "Space", "diagnose", "size"]

_KILLED, _TERMINATED, _NOT_EXECUTABLE, _NOT_FOUND = 137, 143, 126, 127
_NEARLY = 0.97  # of the memory: what is left cannot be told from nothing
_FULL = re.compile(r"No space left on device|Disk quota exceeded|database or disk is full", re.IGNORECASE)
_DENIED = re.compile(r"Permission ?denied: '?(/[^'\n]*)|PermissionError.*'(/[^']*)'", re.IGNORECASE)
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")
_NO_HUB = re.compile(r"Failed to connect to (my )?Hub|Connection refused.*hub/api", re.IGNORECASE)
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Space:
    """Room on a file system, or in a quota, in bytes."""

    used: int
    limit: int

    @property
    def full(self) -> bool:
        """Whether less is left than a server writes when it starts."""
        return self.limit - self.used < 2**20

    @property
    def share(self) -> float:
        """How much of it is used, from 0 to 1."""
        return self.used / self.limit if self.limit else 1.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about a server that failed.

    Attributes
    ----------
    refused : str
        Why it was not even tried, in a sentence that needs no doctor.
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
    error: str = ""
    exit_code: int | None = None
    oom_killed: bool = False
    counters: Counters | None = None
    memory_limit: int | None = None
    home: Space | None = None
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

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Build it from plain values."""
        findings = tuple(Finding(**finding) for finding in values["findings"])
        return cls(**values | {"findings": findings, "log": tuple(values["log"])})


_Cause = tuple[str, str, str]


def diagnose(evidence: Evidence, at: datetime | None = None) -> Diagnosis:
    """Say what happened."""
    cause, headline, remedy = next(_causes(evidence))
    moment = (at or datetime.now(UTC)).isoformat(timespec="seconds")
    return Diagnosis(cause, headline, remedy, tuple(_findings(evidence)), evidence.log, moment)


def size(count: float) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> size(2 * 2**30), size(1536 * 2**20), size(700)
    ('2 GiB', '1.5 GiB', '700 B')
    """
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= factor:
            return f"{count / factor:.1f}".removesuffix(".0") + f" {unit}"
    return f"{count:.0f} B"


def _causes(evidence: Evidence) -> Iterator[_Cause]:
    for look in _LOOKS:
        found = look(evidence)
        if found is not None:
            yield found


def _refused(evidence: Evidence) -> _Cause | None:
    return ("refused", evidence.refused, "") if evidence.refused else None


def _daemon(evidence: Evidence) -> _Cause | None:
    if not re.search(
        r"Connection (refused|aborted)|FileNotFoundError|Read timed out|No such file.*sock", evidence.error
    ):
        return None
    return (
        "docker",
        "The Docker daemon does not answer.",
        "Nothing of yours is lost; try again in a minute. If it stays so, tell the administrator.",
    )


def _image(evidence: Evidence) -> _Cause | None:
    if not re.search(r"No such image|image.*not found", evidence.error, re.IGNORECASE):
        return None
    return (
        "image",
        f"The image '{evidence.image}' is not on this machine.",
        "Choose another one, or ask the administrator to build it: python images/build.py.",
    )


def _mount(evidence: Evidence) -> _Cause | None:
    found = re.search(r"bind source path does not exist: (\S+)", evidence.error)
    if found is None:
        return None
    return "mount", f"The directory {found[1]} is not there.", "Tell the administrator: it is to be mounted."


def _memory(evidence: Evidence) -> _Cause | None:
    counters = evidence.counters
    kills = counters.oom_kills if counters else 0
    peak = (counters.memory_peak or counters.memory) if counters else 0
    limit = evidence.memory_limit or (counters.memory_limit if counters else None)
    close = evidence.exit_code == _KILLED and limit is not None and peak >= _NEARLY * limit
    if not (kills or evidence.oom_killed or close):
        return None
    allowed = f" of {size(limit)}" if limit else ""
    return (
        "memory",
        f"Out of memory: the server needed more than its limit{allowed}.",
        "Start it again, work on less data at a time, or choose a larger profile.",
    )


def _processes(evidence: Evidence) -> _Cause | None:
    counters = evidence.counters
    if counters is None or not counters.pids_refused:
        return None
    return (
        "processes",
        f"Too many processes and threads: the limit is {counters.pids_limit}.",
        "Start it again, and start fewer of them at a time.",
    )


def _home(evidence: Evidence) -> _Cause | None:
    if (
        evidence.home is not None
        and evidence.home.full
        and (evidence.exit_code or _FULL.search(evidence.said))
    ):
        return (
            "home",
            f"Your home is full: {size(evidence.home.used)} of {size(evidence.home.limit)}.",
            "Start the server again and delete what you do not need; it starts with a full home too.",
        )
    if _FULL.search(evidence.said):
        return "disk", "The machine's disk is full.", "Tell the administrator; your files are safe."
    return None


def _denied(evidence: Evidence) -> _Cause | None:
    found = _DENIED.search(evidence.said)
    if found is None or not evidence.exit_code:
        return None
    path = found[1] or found[2]
    return (
        "permission",
        f"The server may not use {path} with the uid {evidence.uid} and the gid {evidence.gid}.",
        "If it is in your home, its owner is wrong: tell the administrator.",
    )


def _module(evidence: Evidence) -> _Cause | None:
    found = _NO_MODULE.search(evidence.said)
    if found is None or not evidence.exit_code:
        return None
    return (
        "module",
        f"The image '{evidence.image}' has no Python module '{found[1]}'.",
        "If a file of yours in ~/.jupyter asks for it, remove that; else choose another image.",
    )


def _hub(evidence: Evidence) -> _Cause | None:
    if not _NO_HUB.search(evidence.said):
        return None
    return (
        "hub",
        "The server cannot reach the hub.",
        "Tell the administrator: `workbench-hub doctor` says which firewall rule is wrong.",
    )


def _command(evidence: Evidence) -> _Cause | None:
    found = re.search(r'exec: "([^"]+)": (executable file not found|.*permission denied)', evidence.said)
    if found is None and evidence.exit_code not in (_NOT_FOUND, _NOT_EXECUTABLE):
        return None
    name = f"'{found[1]}'" if found else "the server's program"
    return (
        "command",
        f"The image '{evidence.image}' cannot run {name}.",
        "Choose another image, and tell the administrator.",
    )


def _signal(evidence: Evidence) -> _Cause | None:
    if evidence.exit_code not in (_KILLED, _TERMINATED):
        return None
    how = "killed" if evidence.exit_code == _KILLED else "stopped"
    return (
        "signal",
        f"The server was {how} from outside: by the administrator, or because the machine restarts.",
        "What was in the memory of kernels is lost, files are not. Start it again.",
    )


def _silent(evidence: Evidence) -> _Cause | None:
    if not evidence.waited:
        return None
    return (
        "silent",
        f"The server runs and did not answer within {evidence.waited:.0f} seconds.",
        "The machine may be busy: try again. If it stays so, tell the administrator.",
    )


def _docker(evidence: Evidence) -> _Cause | None:
    if not evidence.error:
        return None
    return "docker", f"Docker refused to run it: {_last_line(evidence.error)}.", "Tell the administrator."


def _ended(evidence: Evidence) -> _Cause | None:
    code = evidence.exit_code
    if code is None:
        return "gone", "The server is gone: its container was removed from outside.", "Start it again."
    words = f"The server ended by itself, with the exit code {code}."
    return "ended", words, "Its last words are below; start it again."


# The order matters: what explains the most comes first.
_LOOKS: tuple[Callable[[Evidence], _Cause | None], ...] = (
    _refused,
    _daemon,
    _image,
    _mount,
    _memory,
    _processes,
    _home,
    _denied,
    _module,
    _hub,
    _command,
    _signal,
    _silent,
    _docker,
    _ended,
)


def _findings(evidence: Evidence) -> Iterator[Finding]:
    if evidence.image:
        yield Finding(
            "image", f"{evidence.image} ({evidence.digest.removeprefix('sha256:')[:12] or 'no digest'})"
        )
    if evidence.uid is not None:
        yield Finding("user", f"uid {evidence.uid}, gid {evidence.gid}")
    if evidence.home is not None:
        words = f"{size(evidence.home.used)} of {size(evidence.home.limit)} used"
        yield Finding("home", words, evidence.home.full)
    if evidence.ran:
        yield Finding("ran", _time(evidence.ran))
    if evidence.exit_code is not None:
        yield Finding("exit code", str(evidence.exit_code), evidence.exit_code != 0)
    yield from _counted(evidence)
    if evidence.error:
        yield Finding("Docker", _last_line(evidence.error), bad=True)


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


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"
