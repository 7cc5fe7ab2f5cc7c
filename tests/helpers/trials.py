"""A kernel that takes its time, its memory, or its leave; installed as one of somebody else's is."""

from __future__ import annotations

import os
import signal
import time
from typing import Literal

from workbench.kernel import kernel
from workbench.notices import progress
from workbench.nouns import Waveforms
from workbench.units import Seconds


@kernel(per="channel")
def wait(
    waveforms: Waveforms,
    *,
    seconds: Seconds = 0.0,
    megabytes: int = 0,
    end: Literal["return", "kill", "segv", "fail"] = "return",
    mark: str = "",
    until: str = "",
    number: int = 0,
) -> Waveforms:
    """Return waveforms after a while.

    Parameters
    ----------
    seconds
        How long it takes.
    megabytes
        How much memory it takes.
    end
        How it ends.
    mark
        File that gets a line for each run.
    until
        File with which it ends before that time.
    number
        Tells one Call from another.
    """
    if mark:
        with open(mark, "a") as file:
            file.write(f"{os.getpid()}\n")
    held = bytearray(megabytes * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    begun = time.monotonic()
    while time.monotonic() < begun + seconds and not (until and os.path.exists(until)):
        progress((time.monotonic() - begun) / seconds, "waiting")
        time.sleep(0.05)
    if end == "fail":
        raise ZeroDivisionError("told to fail")
    if end != "return":
        os.kill(os.getpid(), signal.SIGKILL if end == "kill" else signal.SIGSEGV)
    return waveforms
