"""Everything that a deployment mounts into its users' servers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from workbench_hub.identity import Identity
from workbench_hub.policy import Policy
from workbench_hub.volumes.folders import prepare_folder
from workbench_hub.volumes.homes import Homes
from workbench_hub.volumes.mounts import Mount, mounts
from workbench_hub.volumes.quotas import Quota, Usage, chosen

__all__ = ["Volumes"]


class Volumes:
    """Homes, folders and archive of a deployment.

    Its methods wait for the disk: call them away from an event loop.

    Parameters
    ----------
    policy : Policy
    homes, folders, archive : Path
        Where they are on the host, and in the servers.
    quota : Quota, optional
        Instead of the one of the policy.
    """

    def __init__(
        self, policy: Policy, *, homes: Path, folders: Path, archive: Path, quota: Quota | None = None
    ) -> None:
        self.policy = policy
        self.folders = folders
        self.archive = archive
        self.homes = Homes(homes, policy, quota or chosen(policy.home.method, homes))

    def check(self) -> None:
        """Make what does not belong to one user, so that what is wrong shows before anybody logs in.

        Raises
        ------
        InvalidSetting
            If a folder cannot be what the policy says.
        """
        self.folders.mkdir(mode=0o711, parents=True, exist_ok=True)
        for name in self.policy.folders:
            prepare_folder(name, self.policy, self.folders)

    def prepare(self, identity: Identity) -> Usage:
        """Make ready what somebody's server needs, and say how full the home is."""
        usage = self.homes.prepare(identity)
        for name, folder in self.policy.folders.items():
            if not {folder.group, *folder.readers}.isdisjoint(identity.groups):
                prepare_folder(name, self.policy, self.folders)
        return usage

    def mounts(self, identity: Identity, at: datetime) -> list[Mount]:
        """Return what is mounted into a server that starts at a time; call `prepare` before."""
        places = {"homes": self.homes.root, "folders": self.folders}
        return mounts(identity, self.policy, self.archive, at, **places)

    def usage(self, identity: Identity) -> Usage | None:
        """Say how full somebody's home is; None if there is none yet."""
        return self.homes.usage(identity)

    def release(self, identity: Identity, needed: Callable[[], bool] = lambda: False) -> bool:
        """Let go of the home after somebody's last server has ended, unless it is needed."""
        return self.homes.release(identity, needed)
