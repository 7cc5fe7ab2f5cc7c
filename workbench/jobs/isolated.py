"""A few processes that run one request each at a time, so that a crash costs one request.

A kernel may crash its process (compiled code), eat all memory, or never end.
Whoever runs it in a process of its own can say so and go on: the others do not
notice.  The processes stay, warm, for the next request.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from queue import LifoQueue
from typing import Any, Self

from workbench.errors import ResourceExceeded, WorkbenchError

__all__ = ["Isolated", "echo"]


class Isolated:
    """Processes that call one function, each request in one of them.

    Parameters
    ----------
    target : str
        ``module:function``.  It takes one argument of plain data and returns
        plain data.
    size : int
        Number of processes, and so of requests that run at the same time.

    Raises
    ------
    WorkbenchError
        From `run`, when the process ends before it answers.
    ResourceExceeded
        From `run`, when no answer comes in time; the process is ended.
    """

    def __init__(self, target: str, size: int) -> None:
        self.target = target
        # The one used last is taken first: it is the warmest, and idle ones are never even started.
        self._free: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(size):
            self._free.put(None)
        self._size = size

    def run(self, request: Any, seconds: float) -> Any:
        """Have a request worked off; wait for a free process first.

        Parameters
        ----------
        request
            Plain data.
        seconds : float
            Longest time to wait for the answer once a process has the request.
        """
        worker = self._free.get()
        try:
            if worker is None or not worker.alive:
                worker = _Worker(self.target)
            return worker.run(request, seconds)
        finally:
            self._free.put(worker if worker is not None and worker.alive else None)

    def close(self) -> None:
        """End the processes, once they are free."""
        for _ in range(self._size):
            worker = self._free.get()
            if worker is not None:
                worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """One process, and our end of the line to it."""

    def __init__(self, target: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            numbers = [str(theirs.fileno()), str(os.getpid())]
            command = [sys.executable, "-m", "workbench.jobs.process", target, *numbers]
            # What a kernel prints goes to our log, never between two answers.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sys.__stderr__, pass_fds=[theirs.fileno()]
            )
        self.line: Connection[Any, Any] = Connection(ours.detach())
        self.alive = True

    def run(self, request: Any, seconds: float) -> Any:
        try:
            self.line.send(request)
            if not self.line.poll(seconds):
                self.end()
                raise ResourceExceeded(
                    "The call",
                    f"took longer than {seconds:g} s and was ended",
                    "Ask for less data at a time.",
                )
            good, answer = self.line.recv()
        except (EOFError, OSError) as error:
            code = self.end()
            raise WorkbenchError(
                "The call",
                f"was lost: its process ended with {_how(code)}",
                "It may have needed more memory.",
            ) from error
        if not good:
            raise answer
        return answer

    def end(self) -> int:
        """End the process; return its exit code."""
        self.alive = False
        self.line.close()
        try:
            # A process whose line is closed ends by itself, unless it is at work.
            return self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def echo(request: Any) -> Any:
    """Return the request: the smallest target there is."""
    return request


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
