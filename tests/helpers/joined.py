"""A notebook in a container of a deployment that has a cluster."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil

from deployed import Running
from person import Person

BEGIN = """
import json, os, subprocess
from pathlib import Path
import workbench as wb
def shell(words):
    done = subprocess.run(words, shell=True, capture_output=True, text=True)
    return [done.returncode, (done.stdout + done.stderr).strip()]
"""


class Kernel:
    """A kernel in a user's server; cells leave what they found in ``answer``."""

    def __init__(self, site: Running, name: str) -> None:
        self.site, self.name = site, name
        self.person = Person(site.url, name, site.passwords[name])
        self.person.start_server(150)
        self.begin()

    def begin(self) -> None:
        """Start a kernel, after another of the same server."""
        self.id = self.person.start_kernel()
        self.run(BEGIN)
        self.space, self.inside = self.run("answer = [os.readlink('/proc/self/ns/pid'), os.getpid()]")

    def run(self, code: str, seconds: float = 60) -> Any:
        """Run a cell, and return its `answer`."""
        said = self.person.run(
            self.id, f"answer = None\n{code}\nprint('\\nANSWER' + json.dumps(answer))", seconds
        )
        return json.loads(said.rpartition("ANSWER")[2])

    def leave(self, code: str) -> None:
        """Run a cell, and do not wait for it."""
        self.person.leave(self.id, code)

    def shell(self, words: str, seconds: float = 60) -> tuple[int, str]:
        """Run a command in the container; return its exit code and what it says."""
        code, said = self.run(f"answer = shell({words!r})", seconds)
        return code, said

    def good(self, words: str, seconds: float = 60) -> str:
        """Run a command that has to succeed; return what it says."""
        code, said = self.shell(words, seconds)
        assert code == 0, said
        return said

    def submit_and_compare(self, selection: str) -> None:
        """Send a Call as a job: it gives the bytes that the notebook gives."""
        self.run(
            f"call = wb.Call(process='quality.rms', inputs={{'waveforms': {{'selection': {selection!r}}}}})\n"
            "job = wb.submit(call)"
        )
        assert self.run("answer = job.wait(90).status.state", 120) == "done", self.run("answer = job.log()")
        assert self.run("answer = job.result().canonical() == call.run().canonical()")

    @property
    def home(self) -> Path:
        """On this machine, on nodes and in the container."""
        return self.site.state / "homes" / self.name

    @property
    def uid(self) -> int:
        return int(self.run("answer = os.getuid()"))

    def processes(self, word: str) -> list[int]:
        """Return the user's processes with a word in their command, wherever they are."""
        found = []
        for process in psutil.process_iter(["uids", "cmdline"]):
            uids, command = process.info["uids"], process.info["cmdline"]
            if uids and uids.real == self.known_uid and command and any(word in part for part in command):
                found.append(process.pid)
        return found

    @property
    def known_uid(self) -> int:
        return json.loads((self.site.state / "hub" / "uids.json").read_text())[self.name]

    def kill(self) -> None:
        """End the kernel as the kernel of the machine would for want of memory."""
        for pid in self.processes("ipykernel"):
            spaces = [line.split()[1:] for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                      if line.startswith("NSpid")]  # fmt: skip
            # Another deployment has users with the same numbers.
            same = Path(f"/proc/{pid}/ns/pid").readlink() == Path(self.space)
            if same and spaces and spaces[0][-1] == str(self.inside):
                os.kill(pid, signal.SIGKILL)
                return
        raise AssertionError("the kernel was not found")

    def close(self) -> None:
        self.person.http.close()
