"""A notebook of a user, as far as a program can be one: a process that runs cells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from slurmed import Slurm

ARRAYS = """
import dask.array as da, numpy as np
a = np.random.default_rng(7).integers(-1000, 1000, (1200, 1200))
lazy = da.from_array(a, chunks=300)
worked = client.compute(((lazy + 1) * lazy.T)[::2].cumsum(axis=0)).result(timeout=90)
answer = bool(np.array_equal(worked, ((a + 1) * a.T)[::2].cumsum(axis=0)))
"""
"""A cell that works with arrays on the workers of ``client``, and says whether numpy gives the same."""

_KERNEL = """
import json, sys, traceback, warnings
space = {"__name__": "__main__"}
heard = []
warnings.showwarning = lambda message, *_, **__: heard.append(str(message))
warnings.simplefilter("always")
if __name__ == "__main__":
    out = open(int(sys.argv[1]), "w")
    for line in sys.stdin:
        space.pop("answer", None)
        try:
            exec(compile(json.loads(line), "<cell>", "exec"), space)
            said = {"answer": space.get("answer")}
        except BaseException as error:
            said = {"error": type(error).__name__, "text": str(error), "trace": traceback.format_exc()}
        print(json.dumps({**said, "warnings": heard}, default=str), file=out, flush=True)
"""


class CellError(AssertionError):
    """A cell raised: its message begins with the name of the error."""


class Notebook:
    """A process of a user that runs cells; ``answer`` is what a cell gives back.

    Its network is this machine's, or a namespace of some name.

    Examples
    --------
    ``notebook.run("answer = 1 + 1")`` returns 2.
    """

    def __init__(
        self,
        slurm: Slurm,
        python: Path,
        user: str = "anna",
        more: Mapping[str, str] | None = None,
        network: str = "",
    ) -> None:
        who = slurm.people[user]
        self.log = Path(who.home) / f"notebook-{id(self)}.log"
        kernel = Path(who.home) / "kernel.py"
        kernel.write_text(_KERNEL)
        inside = ["setpriv", f"--reuid={who.uid}", f"--regid={who.gid}"]
        groups = ",".join(map(str, sorted(who.groups.values())))
        inside += [f"--groups={groups}" if groups else "--clear-groups"]
        if network:
            inside = ["ip", "netns", "exec", network, *inside]
        read, write = os.pipe()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*inside, str(python), str(kernel), str(write)],
                cwd=who.home,
                env={**slurm.environment(user), **(more or {})},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[write],
                text=True,
                start_new_session=True,
            )
        os.close(write)
        self.warnings: list[str] = []
        self._answers: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, args=[read], daemon=True)
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor) as lines:
            for line in lines:
                self._answers.put(line)

    def send(self, code: str) -> None:
        """Begin a cell, and do not wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()

    def answer(self, seconds: float = 60) -> Any:
        """Wait for a cell; return its answer, or raise what it raised."""
        try:
            said = json.loads(self._answers.get(timeout=seconds))
        except Empty:
            raise AssertionError(f"no answer in {seconds} s\n{self.log.read_text()[-4000:]}") from None
        self.warnings = said["warnings"]
        if "error" in said:
            raise CellError(
                f"{said['error']}: {said['text']}\n{said['trace']}\n{self.log.read_text()[-4000:]}"
            )
        return said["answer"]

    def run(self, code: str, seconds: float = 60) -> Any:
        """Run a cell."""
        self.send(code)
        return self.answer(seconds)

    def kill(self) -> None:
        """End it as a crash of its machine would, with all that it started here."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End it as somebody who closes it does."""
        assert self.process.stdin is not None
        try:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
