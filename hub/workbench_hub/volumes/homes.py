"""Users' homes: made, limited, and nobody's but their own."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import BadInput
from workbench_hub.identity import Identity
from workbench_hub.names import safe_name
from workbench_hub.policy import Policy
from workbench_hub.volumes.quotas import Quota, Usage

__all__ = ["BadHome", "Homes", "alone", "quota_of"]


class BadHome(BadInput):
    """A home that is not the user's, or is no directory."""


class Homes:
    """The directory of all homes.

    Parameters
    ----------
    root : Path
    policy : Policy
    quota : Quota
        How they are limited.
    """

    def __init__(self, root: Path, policy: Policy, quota: Quota) -> None:
        self.root = root
        self.policy = policy
        self.quota = quota

    def path(self, identity: Identity) -> Path:
        """Return where somebody's home is."""
        return self.root / safe_name(identity.name)

    def prepare(self, identity: Identity) -> Usage:
        """Make somebody's home, or put it in order, and say how full it is.

        A full one is none the worse for it: nothing is written into it here.

        Raises
        ------
        BadHome
            If it is somebody else's.
        """
        # Nobody but root lists homes; passing through is harmless, each is closed.
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        home = self.path(identity)
        with alone(home):
            fresh = not os.path.lexists(home)
            _plain(home)
            self.quota.ensure(
                home, identity.uid, identity.gid, quota_of(identity, self.policy), self.policy.home.inodes
            )
            _own(home, identity, fresh=fresh)
            return self.quota.usage(home)

    def usage(self, identity: Identity) -> Usage | None:
        """Say how full somebody's home is; None if there is none yet."""
        home = self.path(identity)
        return self.quota.usage(home) if home.is_dir() else None

    def release(self, identity: Identity, needed: Callable[[], bool] = lambda: False) -> bool:
        """Let go of a home that nobody works in any more.

        Parameters
        ----------
        identity : Identity
        needed : callable
            Is asked while nobody can begin to work there; the home stays if it says so.

        Returns
        -------
        bool
            Whether nobody needs it.
        """
        home = self.path(identity)
        if home.is_dir():
            with alone(home):
                if needed():
                    return False
                self.quota.release(home)
        return True


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Wait until nobody else makes, mounts or releases a home: another server of its user, or a backup."""
    locks = home.parent / ".locks"
    locks.mkdir(mode=0o700, exist_ok=True)
    with (locks / home.name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def quota_of(identity: Identity, policy: Policy) -> int:
    """Return how large a home may be: the user's own number, else the largest of the groups and of all."""
    entry = policy.users.get(identity.name)
    if entry is not None and entry.home is not None:
        return int(entry.home)
    groups = (policy.groups[name].home for name in identity.groups)
    return max(int(policy.home.quota), *(int(size) for size in groups if size is not None), 0)


def _plain(home: Path) -> None:
    if home.is_symlink() or (os.path.lexists(home) and not home.is_dir()):
        remedy = "The administrator has to move it away; the next start makes a home."
        raise BadHome(f"The home {home}", "is a link or a file, not a directory", remedy)


def _own(home: Path, identity: Identity, *, fresh: bool) -> None:
    """See that a home is its user's, and closed to all others."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        owner = os.fstat(descriptor).st_uid
        if owner != identity.uid and (fresh or (owner == 0 and not _holds_something(descriptor))):
            os.fchown(descriptor, identity.uid, identity.gid)
        elif owner != identity.uid:
            remedy = f"If the uid has changed: chown -R {identity.uid}:{identity.gid} {home}"
            raise BadHome(
                f"The home {home}",
                f"belongs to the uid {owner}, and '{identity.name}' has {identity.uid}",
                remedy,
            )
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _holds_something(descriptor: int) -> bool:
    with os.scandir(descriptor) as entries:
        return any(True for _ in entries)
