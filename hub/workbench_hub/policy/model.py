"""The policy of a site: one file of data, complete and checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from workbench.access import Access, Rule
from workbench_hub.policy.people import Group, Identities, Part, User
from workbench_hub.policy.quantities import Label, Name, NetworkKey
from workbench_hub.policy.work import (
    Announcement,
    Culling,
    Egress,
    Folder,
    Home,
    Image,
    Profile,
    Site,
    Slurm,
)

__all__ = ["Policy"]


class Policy(Part):
    """What a site allows, to whom."""

    version: Literal[1]
    """Form of this file."""
    metadata: Site = Site()
    """What users read about who runs this."""
    admins: tuple[Name, ...] = ()
    """Users who see and stop others' servers."""
    identity: Identities = Identities()
    """Where names, uids and groups come from."""
    groups: dict[Label, Group] = Field(default_factory=dict)
    """Groups, by name: of the host, of the identity provider, or of this file alone."""
    users: dict[Name, User] = Field(default_factory=dict)
    """Users of whom there is something to say, by name."""
    images: dict[Label, Image] = Field(min_length=1)
    """The closed catalogue; the first one is the default."""
    profiles: dict[Label, Profile] = Field(min_length=1)
    """Sizes of servers; the first one is the default."""
    networks: dict[NetworkKey, Rule] = Field(default_factory=dict)
    """Who sees which network; `*` stands for those that are not named. What no rule covers nobody sees."""
    home: Home = Home()
    """Users' homes."""
    folders: dict[Label, Folder] = Field(default_factory=dict)
    """Folders that groups share, by name."""
    egress: Egress = Egress()
    """What users' servers reach outside; all else is rejected."""
    accept: tuple[Literal["live-restore", "no-new-privileges", "seccomp"], ...] = ()
    """Walls that Docker's Swarm mode lacks and this site does without; `workbench-hub doctor` names them."""
    culling: Culling = Culling()
    """When idle servers are stopped."""
    announcements: tuple[Announcement, ...] = ()
    """What users read on the hub's pages."""
    slurm: Slurm = Slurm()
    """The cluster."""

    def profiles_of(self, groups: Iterable[str]) -> dict[str, Profile]:
        """Return the profiles that somebody of these groups may choose, in the order of the file."""
        return {name: item for name, item in self.profiles.items() if _for(item.groups, groups)}

    def images_of(self, groups: Iterable[str], profile: str = "") -> dict[str, Image]:
        """Return the images that somebody of these groups may choose, for one profile or for any."""
        named = self.profiles[profile].images if profile else ()
        return {
            name: self.images[name] for name in named or self.images if _for(self.images[name].groups, groups)
        }

    @property
    def access(self) -> Access:
        """The rules on networks."""
        return Access(self.networks)

    def is_admin(self, name: str) -> bool:
        """Whether a user administers the hub."""
        return name in self.admins


def _for(allowed: tuple[str, ...], groups: Iterable[str]) -> bool:
    return not allowed or not set(allowed).isdisjoint(groups)
