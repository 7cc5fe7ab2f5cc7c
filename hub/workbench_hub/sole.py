"""``sole.py NAME=VALUE... -- COMMAND...``: end what is left of a service, then become it.

Whoever starts a process in a namespace of its own can be ended before it has
told the kernel that the process is to die with it; the process then goes on,
holds the service's name and port, and its successor never gets in.  What is
left is known by words in its environment.  What imports quickly is used, as this
runs before each start.
"""

import os
import signal
import sys
import time

SECONDS = 5.0


def left(words: set[bytes]) -> list[int]:
    """Return the other processes that have all these words in their environment."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123
                if words <= set(file.read().split(b"\0")):
                    found.append(int(name))
        except OSError:
            continue  # gone meanwhile, or not ours to see
    return found


def main() -> None:
    """End what is left, and become the command."""
    middle = sys.argv.index("--")
    words = {word.encode() for word in sys.argv[1:middle]}
    end = time.monotonic() + SECONDS
    while (numbers := left(words)) and time.monotonic() < end:
        for number in numbers:
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    command = sys.argv[middle + 1 :]
    os.execvp(command[0], command)  # noqa: S606 - there is no shell


if __name__ == "__main__":
    main()
