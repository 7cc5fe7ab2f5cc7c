"""The inside of one of the processes of `workbench.jobs.isolated`: ``python -m workbench.jobs.process``."""

from __future__ import annotations

import importlib
import os
import select
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from workbench.errors import WorkbenchError

__all__ = ["end_with_parent", "serve"]


def serve(target: str, line: Connection[Any, Any], parent: int) -> None:
    """Answer requests until the other end is closed.

    Parameters
    ----------
    target : str
        ``module:function`` that works a request off.
    line : Connection
        Where requests come from, and answers go to: whether it went well, and
        the answer or the error.
    parent : int
        Process id of the other end.
    """
    threading.Thread(target=end_with_parent, args=[parent], daemon=True).start()
    module, name = target.split(":")
    function = getattr(importlib.import_module(module), name)
    while True:
        try:
            request = line.recv()
        except EOFError:
            return
        answer: tuple[bool, Any]
        try:
            answer = True, function(request)
        except WorkbenchError as error:
            answer = False, error
        except Exception as error:  # noqa: BLE001 - the outermost handler of this process
            traceback.print_exc()
            answer = False, WorkbenchError("The call", f"failed inside: {type(error).__name__}: {error}")
        try:
            line.send(answer)
        except OSError:
            return


def end_with_parent(parent: int) -> None:
    """End this process as soon as the one that started it is gone, at work or not."""
    try:
        watched = os.pidfd_open(parent)
        if os.getppid() == parent:
            select.select([watched], [], [])
    except ProcessLookupError:
        pass
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.argv[1], Connection(int(sys.argv[2])), int(sys.argv[3]))
