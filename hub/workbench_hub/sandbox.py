"""What the web services see of a host whose users are kept apart: programs, open data, a place to write.

They run as an account of their own in a mount namespace that bubblewrap makes: no
home, no secret, no Docker socket, and of the archive what everybody may see.  So a
selection that leads to restricted data finds none, whoever asks.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import Unavailable
from workbench_hub.deployment import MARK, PROCESS, SERVICES, Deployment, package_file
from workbench_hub.identity import Identity
from workbench_hub.volumes.mounts import mounts

__all__ = ["words"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
_TMP = "/tmp"  # noqa: S108 - one of its own


def words(deployment: Deployment, name: str) -> list[str]:
    """Return the words that stand before the command of a service of that name.

    Raises
    ------
    Unavailable
        If bubblewrap is not installed.
    """
    if not shutil.which("bwrap"):
        raise Unavailable("bubblewrap", "is not installed", "As root: apt-get install bubblewrap")
    number = str(SERVICES)
    return [
        # bubblewrap may be ended before it has told the kernel that its child is to die with it.
        *(sys.executable, "-I", "-S", str(package_file("sole.py"))),
        *(f"{MARK}={deployment.state}", f"{PROCESS}={name}", "--"),
        # With its first process the kernel ends all of a process namespace, whatever account they have.
        *("bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", _TMP),
        *_shown([Path(name) for name in _SYSTEM]),
        *_ways([*_programs(), deployment.archive, deployment.services]),
        *_shown(_programs()),
        *_archive(deployment),
        *("--bind", str(deployment.services), str(deployment.services)),
        *("--setenv", "HOME", str(deployment.services), "--chdir", str(deployment.services)),
        *("--setenv", "NUMBA_CACHE_DIR", str(deployment.services / "numba")),
        *("--", "setpriv", "--reuid", number, "--regid", number),
        *("--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"),
    ]


def _shown(paths: list[Path]) -> list[str]:
    return [word for path in paths if path.exists() for word in ("--ro-bind", str(path), str(path))]


def _ways(paths: list[Path]) -> list[str]:
    """Make the directories above, open to walk through: bubblewrap's own are closed."""
    above = dict.fromkeys(parent for path in paths for parent in reversed(path.parents))
    ways = [path for path in above if str(path) not in ("/", _TMP, *_SYSTEM)]
    return [word for path in ways for word in ("--perms", "0755", "--dir", str(path))]


def _programs() -> list[Path]:
    """Python, its packages and our own, wherever they are installed."""
    places = [Path(sys.base_prefix), Path(sys.prefix), package_file("../../workbench"), package_file("..")]
    places.append(package_file("../../api"))
    return [path for path in dict.fromkeys(places) if not path.is_relative_to("/usr")]


def _archive(deployment: Deployment) -> list[str]:
    """Show what is open to everybody, and nothing else of the archive."""
    nobody = Identity("web services", SERVICES, SERVICES)
    shown = mounts(
        nobody,
        deployment.policy,
        deployment.archive,
        datetime.now(UTC),
        homes=deployment.homes,
        folders=deployment.state / "folders",
    )
    words = []
    for mount in shown:
        if mount.target.is_relative_to(deployment.archive):
            words += [*_ways([mount.target]), "--ro-bind", str(mount.source), str(mount.target)]
    return words
