"""What one session of a user is made of, worked out before anything is started.

Everything here may touch disks and name services, so it runs in a thread; the
hub goes on answering meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench_hub.containers.catalogue import Chosen, choose_image
from workbench_hub.containers.choices import Choice, choose
from workbench_hub.containers.diagnosis import Space, size
from workbench_hub.containers.hardening import PRIVATE, Container, Limits
from workbench_hub.identity import Identity, gids, identify
from workbench_hub.names import safe_name
from workbench_hub.policy import Policy

__all__ = ["Session", "Site", "container", "prepare", "who"]


@dataclass(frozen=True, slots=True)
class Site:
    """Where things are on this host.

    Attributes
    ----------
    state : Path
        The state directory.
    archive : Path
        Root of the shared archive.
    catalogue : Path
        What the build of the images wrote.
    """

    policy: Policy
    state: Path
    archive: Path
    catalogue: Path


@dataclass(frozen=True, slots=True)
class Session:
    """What a user gets."""

    identity: Identity
    choice: Choice
    image: Chosen
    limits: Limits
    home: Path
    space: Space | None
    groups: tuple[int, ...]
    mounts: tuple[tuple[Path, str, bool], ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know before it is too late."""
        if self.space is None or self.space.share < 0.9:
            return ()
        return (f"Your home is nearly full: {size(self.space.used)} of {size(self.space.limit)}.",)


def who(name: str, site: Site, auth_state: Mapping[str, Any] | None) -> Identity:
    """Return who a user is on this host."""
    return identify(name, site.policy, auth_state, register=site.state / "hub" / "uids.json")


def prepare(
    name: str, options: Mapping[str, Any], site: Site, auth_state: Mapping[str, Any] | None
) -> Session:
    """Work out what a user gets, and make the home if there is none.

    Raises
    ------
    WorkbenchError
        If the user may not, or something that is needed is not there; the words say what.
    """
    identity = who(name, site, auth_state)
    choice = choose(options, site.policy, identity.groups)
    image = choose_image(choice.image, site.policy, site.catalogue)
    profile = choice.limits
    limits = Limits(memory=profile.memory, cpus=profile.cpus, pids=profile.pids, tmp=profile.tmp)
    home = site.state / "homes" / safe_name(identity.name)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(home, identity.uid, identity.gid)
    return Session(
        identity=identity,
        choice=choice,
        image=image,
        limits=limits,
        home=home,
        space=None,
        groups=gids(identity, site.policy),
        mounts=((home, str(home), False),),
    )


def container(session: Session, *, environment: dict[str, str], **asked: Any) -> Container:
    """Return the container of a session; `asked` are the fields that the hub knows better."""
    home, limits = str(session.home), session.limits
    return Container(
        image=session.image.digest,
        uid=session.identity.uid,
        gid=session.identity.gid,
        groups=session.groups,
        home=home,
        limits=limits,
        mounts=session.mounts,
        environment=environment
        | {
            "HOME": home,
            "USER": session.identity.name,
            "MEM_LIMIT": str(limits.memory),
            "CPU_LIMIT": f"{limits.cpus:g}",
            "JUPYTERHUB_ROOT_DIR": home,
            "JUPYTER_IMAGE": session.image.title,
            "JUPYTER_IMAGE_SPEC": session.image.digest,
            "WORKBENCH_STATE": f"{PRIVATE}/state",
            # The server's own token: it acts as the user, and ends with the server.
            "WORKBENCH_TOKEN": environment["JUPYTERHUB_API_TOKEN"],
        },
        **asked,
    )
