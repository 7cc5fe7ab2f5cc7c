"""The guardian: watches the supervisor, and starts it again if it dies.

It runs under the supervisor and is started again by it; so each of the two
guards the other, and neither is a daemon of our own making.  When the
supervisor is told to stop it stops the guardian first.
"""

from __future__ import annotations

import os
import select
import sys

from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment
from workbench_hub.supervised import Supervised

__all__ = ["guard", "main"]


def guard(deployment: Supervised) -> None:
    """Wait for the parent's end; start its successor, which starts a guardian of its own."""
    parent = os.getppid()
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        watched = -1
    if watched >= 0 and os.getppid() == parent:
        select.select([watched], [], [])
    # The pipe that the supervisor read our words from is gone with it.
    sys.stdout = sys.stderr = (deployment.logs / "guardian.log").open("a", buffering=1)
    print('{"event": "the supervisor died; starting it again", "level": "warning"}')
    with deployment.alone():
        supervision.start(deployment)


def main() -> None:
    """Guard the supervisor of the workbench."""
    guard(Deployment(Settings()))


if __name__ == "__main__":
    main()
