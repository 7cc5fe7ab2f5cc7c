"""The words that stand before a program's own: what it sees, who it is, what it may use.

Without an image that is bubblewrap on the system that the Call runs in, of which
the program sees /usr; with one it is ``wb-exec``, which shows the image.  Both
give no network, no home, no process but the program's own.
"""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

from workbench.errors import Unavailable
from workbench.programs.limits import Limits
from workbench.settings import Settings

__all__ = ["ENVIRONMENT", "HELD", "NOBODY", "WORK", "words"]

WORK = "/work"
"""Where a program finds its work folder, when it has no image of its own."""

NOBODY = 65534
"""Who a program is when root runs it."""

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - one of its own
    "TMPDIR": "/tmp",  # noqa: S108 - one of its own
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "OMP_NUM_THREADS": "1",
}
"""All that a program has in its environment: the same everywhere, for the same result."""

_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/java*")
"""What of /etc the programs of /usr are not whole without; nothing of it is secret."""

HELD = 64 << 20
"""Bytes that /tmp and /dev/shm of a program hold each."""


def words(image: str | None, folder: Path, limits: Limits) -> list[str]:
    """Return the words to put before the arguments of a program.

    Parameters
    ----------
    image : str, optional
        Digest of a released image.
    folder : Path
        The work folder; its ``in/`` is shown read-only.
    limits : Limits

    Raises
    ------
    Unavailable
        If there is nothing here to keep a program in.
    """
    bubblewrap = shutil.which("bwrap")
    if not bubblewrap:
        raise Unavailable(
            "bubblewrap",
            "is not installed, and a program is not run without it",
            "As root: apt-get install bubblewrap",
        )
    if image is None:
        return [*_here(bubblewrap, folder), *_who(), *_limited(limits)]
    launcher = Settings().launcher
    command = shutil.which(launcher)
    if not command:
        raise Unavailable(
            launcher, "is not here, and the program runs in an image", "See docs/slurm.md: wb-exec."
        )
    shown = ["--read", str(folder / "in"), "--write", str(folder)]
    return [command, "--no-network", "--bare", *shown, image, "--", *_limited(limits)]


def _here(bubblewrap: str, folder: Path) -> list[str]:
    users = [] if os.geteuid() == 0 else ["--unshare-user"]
    return [
        *(bubblewrap, "--die-with-parent", *users, "--unshare-pid", "--unshare-net", "--unshare-ipc"),
        *("--unshare-uts", "--hostname", "program", "--unshare-cgroup-try"),
        *("--perms", "0755", "--tmpfs", "/", "--ro-bind", "/usr", "/usr"),
        # The folders above what is shown would be root's alone.
        *("--perms", "0755", "--dir", "/etc", *_system()),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", str(HELD), "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
        *("--size", str(HELD), "--perms", "1777", "--tmpfs", "/tmp"),  # noqa: S108
        *("--bind", str(folder), WORK, "--ro-bind", str(folder / "in"), f"{WORK}/in"),
        *("--chdir", WORK, "--remount-ro", "/", "--"),
    ]


def _system() -> list[str]:
    found: list[str] = []
    for name in _LINKS:
        path = Path(name)
        if path.is_symlink():
            found += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            found += ["--ro-bind", name, name]
    for pattern in _ETC:
        for path in sorted(Path("/").glob(pattern.removeprefix("/"))):
            found += ["--ro-bind", str(path), str(path)]
    return found


def _who() -> list[str]:
    if os.geteuid() != 0:
        return []
    return [
        *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
        *("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"),
    ]


def _limited(limits: Limits) -> list[str]:
    """Return what bounds each process; `watch` bounds all of them together."""
    seconds = math.ceil(limits.cpu_s)
    return [
        # At the first number SIGXCPU, which says why, at the second SIGKILL.
        *("prlimit", f"--cpu={seconds}:{seconds + 1}", f"--data={limits.memory_bytes}"),
        # Counted for an account; where nobody runs several programs, for all of these.
        *(f"--nproc={4 * limits.processes}", f"--fsize={limits.disk_bytes}", "--core=0", "--nofile=1024"),
        *("--memlock=0", "--msgqueue=0", "--"),
    ]
