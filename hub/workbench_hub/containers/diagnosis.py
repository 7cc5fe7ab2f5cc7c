"""The spawn doctor: what is known of a server that failed, in words, for the person who wanted it.

The evidence is gathered while there is any, since a container's counters go
with its last process.  Each cause that is known has one function here, which
looks at the evidence and says what it means and what to do; the first that
recognises something gives the headline.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from workbench_hub.containers.daemon import SILENT
from workbench_hub.containers.evidence import Diagnosis, Evidence, exit_words, findings, last_line
from workbench_hub.containers.words import size

__all__ = ["diagnose"]

_KILLED, _TERMINATED, _NOT_EXECUTABLE, _NOT_FOUND = 137, 143, 126, 127
_NEARLY = 0.97  # of the memory: what is left cannot be told from nothing
_FULL = re.compile(r"No space left on device|Disk quota exceeded|database or disk is full", re.IGNORECASE)
_DENIED = re.compile(r"Permission ?denied: '?(/[^'\n]*)|PermissionError.*'(/[^']*)'", re.IGNORECASE)
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")
_NO_PROGRAM = re.compile(r'exec: "([^"]+)": (executable file not found|stat .*: no such|.*permission denied)')
_NO_HUB = re.compile(r"Failed to connect to (my )?Hub|Connection refused.*hub/api", re.IGNORECASE)

_Cause = tuple[str, str, str]


def diagnose(evidence: Evidence, at: datetime | None = None) -> Diagnosis:
    """Say what happened."""
    cause, headline, remedy = next(_causes(evidence))
    moment = (at or datetime.now(UTC)).isoformat(timespec="seconds")
    return Diagnosis(cause, headline, remedy, tuple(findings(evidence)), evidence.log, moment)


def _causes(evidence: Evidence) -> Iterator[_Cause]:
    for look in _LOOKS:
        found = look(evidence)
        if found is not None:
            yield found


def _refused(evidence: Evidence) -> _Cause | None:
    return ("refused", evidence.refused, evidence.advice) if evidence.refused else None


def _daemon(evidence: Evidence) -> _Cause | None:
    if not evidence.error.startswith(SILENT):
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
            f"Your home is full: {evidence.home}.",
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
    found = re.search(
        r'exec: "([^"]+)": (executable file not found|stat .*: no such file|.*permission denied)',
        evidence.said,
    )
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
        f"The server was {how}, and not for want of memory: by a program of yours, "
        "by the administrator, or because the machine restarts.",
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
    return "docker", f"Docker refused to run it: {last_line(evidence.error)}.", "Tell the administrator."


def _ended(evidence: Evidence) -> _Cause | None:
    code = evidence.exit_code
    if code is None:
        return "gone", "The server is gone: its container was removed from outside.", "Start it again."
    words = f"The server ended by itself, with the exit code {exit_words(code)}."
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
