"""Declares a program that does what it may not, runs it, and prints what came of it.

``python attacks.py UID PATH SHA256 [IMAGE]``: a process that can be any account's.  It takes a list of
words a line, JSON: how to attack, and what; and answers each with a line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workbench import wire
from workbench.errors import WorkbenchError
from workbench.notices import listen
from workbench.nouns import Triggers
from workbench.programs import File, Limits, program

USER = 23456
"""An account that is nobody's."""

LIMITS = Limits(wall_s=1.5, cpu_s=60, memory_bytes=200 << 20, processes=20, disk_bytes=20 << 20)


def attack(
    file: File, how: str, *targets: str, limits: Limits = LIMITS, image: str | None = None
) -> dict[str, Any]:
    """Return what became of it: how many rows, the error and its text, the notices, the seconds."""

    @program(
        image=image,
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
    said: dict[str, Any] = {"rows": None, "error": "", "text": ""}
    with listen() as heard:
        try:
            said["rows"] = len(hostile_program())
        except WorkbenchError as error:
            said |= {"error": type(error).__name__, "text": str(error)}
    return said | {"notices": [str(n) for n in heard.notices], "seconds": time.monotonic() - begun}


@contextmanager
def attacker(
    file: File, uid: int, image: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Start a process of an account that runs attacks, and see that no work folder is left."""
    place = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    place.chmod(0o755)
    copy = shutil.copy(file.path, place)
    scratch = place / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    own = {"PATH": os.environ["PATH"], "TMPDIR": str(scratch), "HOME": str(scratch), "SECRET": "s"}
    with subprocess.Popen(
        [sys.executable, __file__, str(uid), copy, file.sha256, *filter(None, [image])],
        cwd=scratch,
        env=own | dict(environment or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ask, answers = process.stdin, process.stdout

        def run(*words: str) -> dict[str, Any]:
            ask.write(json.dumps(words) + "\n")
            ask.flush()
            answer = json.loads(answers.readline())
            left = [path for path in scratch.iterdir() if path.name.startswith("workbench-program-")]
            assert not left, "the work folder is still there"
            return dict(answer)

        yield run
        ask.close()
        process.wait(20)
    shutil.rmtree(place)


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
    file, image = File(Path(sys.argv[2]), sys.argv[3]), (sys.argv[4:] or [None])[0]
    for line in sys.stdin:
        print(json.dumps(attack(file, *json.loads(line), image=image)), flush=True)
