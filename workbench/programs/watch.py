"""Runs a command, hears what it says, and ends it when it uses more than it may."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ResourceExceeded
from workbench.programs.files import MOST_FILES, in_memory, nameless, used
from workbench.programs.limits import Limits

__all__ = ["Ended", "watch"]

KEPT = 64 << 10
"""Bytes of what a program says that are kept: the last."""

_EVERY = 0.05
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    code : int
        Its exit code; 128 and more stand for the signal that ended it.
    said : str
        The last of its standard output.
    complained : str
        The last of its standard error.
    """

    code: int
    said: str
    complained: str


@dataclass(frozen=True, slots=True)
class _Use:
    tasks: int = 0
    resident: int = 0
    cpu: float = 0.0
    pids: tuple[int, ...] = ()


def watch(
    name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path, limits: Limits
) -> Ended:
    """Run a command to its end.

    Parameters
    ----------
    name : str
        What to call it in an error.
    command : sequence of str
    environment : mapping of str to str
        All of it.
    folder : Path
        Where it starts, and what it writes in.
    limits : Limits

    Raises
    ------
    ResourceExceeded
        If it used more than it may; it was ended.
    """
    started = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert started.stdout is not None
    assert started.stderr is not None
    heard = {started.stdout.fileno(): bytearray(), started.stderr.fileno(): bytearray()}
    out, err = heard
    begun = looked = time.monotonic()
    pause = _EVERY
    with started, selectors.DefaultSelector() as lines:
        for number in heard:
            lines.register(number, selectors.EVENT_READ)
        try:
            # A process that holds the lines open is the program's still: bubblewrap ends with the first one.
            while started.poll() is None or lines.get_map():
                if lines.get_map():
                    _hear(lines, heard, pause)
                else:
                    with suppress(subprocess.TimeoutExpired):
                        started.wait(pause)
                now = time.monotonic()
                if now - looked >= pause:
                    looked = now
                    _check(name, started.pid, now - begun, folder, limits, bytes(heard[err]))
                    # A look at a machine with many processes takes its time.
                    pause = max(_EVERY, 10 * (time.monotonic() - now))
        finally:
            _end(started)
    code = started.returncode
    if code == 128 + signal.SIGXCPU:
        raise _exceeded(name, f"used more than {limits.cpu_s:g} s of processor time", "more time", heard[err])
    if code == 128 + signal.SIGXFSZ:
        raise _exceeded(name, f"wrote more than {limits.disk_bytes} bytes", "more disk", heard[err])
    return Ended(code if code >= 0 else 128 - code, _text(heard[out]), _text(heard[err]))


def _hear(lines: selectors.BaseSelector, heard: dict[int, bytearray], seconds: float) -> None:
    for key, _ in lines.select(seconds):
        said = os.read(key.fd, KEPT)
        if not said:
            lines.unregister(key.fd)
        kept = heard[key.fd]
        kept += said
        del kept[:-KEPT]


def _check(name: str, first: int, seconds: float, folder: Path, limits: Limits, said: bytes) -> None:
    use = _use(first)
    count, size = used(folder)
    size += nameless(use.pids)
    for over, what, remedy in (
        (seconds > limits.wall_s, f"took longer than {limits.wall_s:g} s", "more time"),
        (use.cpu > limits.cpu_s, f"used more than {limits.cpu_s:g} s of processor time", "more time"),
        (
            use.resident + in_memory(use.pids) > limits.memory_bytes,
            f"used more than {limits.memory_bytes} bytes of memory",
            "more memory",
        ),
        (
            use.tasks > limits.processes,
            f"had more than {limits.processes} processes and threads",
            "more processes",
        ),
        (size > limits.disk_bytes, f"wrote more than {limits.disk_bytes} bytes", "more disk"),
        (
            count > MOST_FILES,
            f"made more than {MOST_FILES} files, or folders that nobody can look into",
            "fewer files",
        ),
    ):
        if over:
            raise _exceeded(name, what, remedy, said)


def _exceeded(name: str, what: str, remedy: str, said: bytes | bytearray) -> ResourceExceeded:
    last = last_lines(_text(said))
    return ResourceExceeded(
        name,
        f"its program {what} and was ended" + (f"; it said: {last}" if last else ""),
        f"Give it less to do, or declare it with {remedy}.",
    )


def last_lines(said: str, lines: int = 10, most: int = 1000) -> str:
    """Return the end of what a program said, on one line."""
    kept = [line.rstrip() for line in said.splitlines() if line.strip()][-lines:]
    return " | ".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
                      for line in kept)[-most:]  # fmt: skip


def _text(said: bytes | bytearray) -> str:
    return bytes(said).decode(errors="replace")


def _use(first: int) -> _Use:
    """Add up what a process and all that descend from it use."""
    found: dict[int, tuple[int, _Use]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat", "rb") as file:  # noqa: PTH123 - there are thousands
                words = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        # Fields of proc(5) from the third on: 4 ppid, 14-17 times, 20 threads, 24 resident pages.
        cpu = sum(map(int, words[11:15])) / _TICK
        found[int(entry.name)] = int(words[1]), _Use(int(words[17]), int(words[21]) * _PAGE, cpu)
    ours = {first}
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    waiting = [first]
    while waiting:
        for pid in children.get(waiting.pop(), []):
            if pid not in ours:
                ours.add(pid)
                waiting.append(pid)
    uses = [found[pid][1] for pid in ours if pid in found]
    # Two of them are bubblewrap's.
    return _Use(
        max(0, sum(use.tasks for use in uses) - 2),
        sum(use.resident for use in uses),
        sum(use.cpu for use in uses),
        tuple(ours),
    )


def _end(started: subprocess.Popen[bytes]) -> None:
    """End bubblewrap, and with the first process of its namespace the kernel ends all others."""
    if started.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
    started.wait()
