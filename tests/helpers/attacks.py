"""Declares a program that does what it may not, runs it, and prints what came of it.

``python attacks.py UID PATH SHA256``: a process that can be any account's.  It takes a list of words a
line, JSON: how to attack, and what; and answers each with a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from workbench import wire
from workbench.errors import WorkbenchError
from workbench.notices import listen
from workbench.nouns import Triggers
from workbench.programs import File, Limits, program

LIMITS = Limits(wall_s=1.5, cpu_s=60, memory_bytes=200 << 20, processes=20, disk_bytes=20 << 20)


def attack(file: File, how: str, *targets: str, limits: Limits = LIMITS) -> dict[str, object]:
    """Return what became of it: how many rows, the error and its text, the notices, the seconds."""

    @program(
        image=None,
        argv=("{hostile}", how, *(target.replace("{", "{{") for target in targets), "{result}"),
        files={"hostile": file},
        reads={},
        writes={"result": "text/csv"},
        limits=limits,
        per="archive",
    )
    def hostile_program() -> Triggers:
        """Do what it may not."""
        raise AssertionError

    begun = time.monotonic()
    said: dict[str, object] = {"rows": None, "error": "", "text": ""}
    with listen() as heard:
        try:
            said["rows"] = len(hostile_program())
        except WorkbenchError as error:
            said |= {"error": type(error).__name__, "text": str(error)}
    return said | {"notices": [str(n) for n in heard.notices], "seconds": time.monotonic() - begun}


def become(uid: int) -> None:
    """Be an account, with all imported that it could not read."""

    wire.read(wire.encode(Triggers()))
    with suppress(WorkbenchError):
        wire.read(b"of no form that is known")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


if __name__ == "__main__":
    if os.geteuid() != int(sys.argv[1]):
        become(int(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(attack(File(Path(sys.argv[2]), sys.argv[3]), *json.loads(line))), flush=True)
