"""What one session of a user is made of, worked out before anything is started.

Everything here may touch disks and name services, so it runs in a thread; the
hub goes on answering meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.errors import Unavailable
from workbench_hub.containers.catalogue import Chosen, choose_image
from workbench_hub.containers.choices import Choice, choose
from workbench_hub.containers.hardening import PRIVATE, Container, Limits
from workbench_hub.containers.membership import join
from workbench_hub.identity import Identity, gids, identify
from workbench_hub.life.slurm import JobsInSlurm
from workbench_hub.policy import Policy
from workbench_hub.scheduling import Scheduler, found
from workbench_hub.volumes import Usage, Volumes

__all__ = ["Session", "Site", "container", "prepare"]


class Site:
    """Where things are on this host, and what is allowed; one for all users.

    Parameters
    ----------
    policy : Policy
    state : Path
        The state directory.
    archive : Path
        Root of the shared archive.
    catalogue : Path
        What the build of the images wrote.
    """

    def __init__(self, policy: Policy, state: Path, archive: Path, catalogue: Path) -> None:
        self.policy = policy
        self.state = state
        self.archive = archive
        self.catalogue = catalogue

    @cached_property
    def volumes(self) -> Volumes:
        """Homes, folders and archive."""
        homes, folders = self.state / "homes", self.state / "folders"
        return Volumes(self.policy, homes=homes, folders=folders, archive=self.archive)

    @cached_property
    def scheduler(self) -> Scheduler | None:
        """The cluster, if there is one."""
        return found(self.state / "run")

    def who(self, name: str, auth_state: Mapping[str, Any] | None) -> Identity:
        """Return who a user is on this host."""
        return identify(name, self.policy, auth_state, register=self.state / "hub" / "uids.json")

    def usage(self, name: str) -> Usage | None:
        """Say how full somebody's home is; None if there is none."""
        return self.volumes.usage(Identity(name, uid=0, gid=0))

    def release(self, name: str, active: Callable[[], bool]) -> bool:
        """Let go of a home in which nobody works any more, whoever its user is by now.

        Parameters
        ----------
        name : str
            Of the user.
        active : callable
            Whether a server of the user is there or on its way.

        Returns
        -------
        bool
            Whether nobody needs it: jobs of its user that wait or run do.
        """

        def needed() -> bool:
            if self.scheduler is None:
                return active()
            try:
                return bool(JobsInSlurm(self.scheduler)(name)) or active()
            except Unavailable:
                return True

        return self.volumes.release(Identity(name, uid=0, gid=0), needed)


@dataclass(frozen=True, slots=True)
class Session:
    """What a user gets."""

    identity: Identity
    choice: Choice
    image: Chosen
    limits: Limits
    home: Path
    usage: Usage
    groups: tuple[int, ...]
    mounts: tuple[tuple[Path, str, bool], ...]
    environment: Mapping[str, str]
    """What it needs for the cluster."""

    warnings: tuple[str, ...] = ()


def prepare(
    name: str, options: Mapping[str, Any], site: Site, auth_state: Mapping[str, Any] | None
) -> Session:
    """Work out what a user gets, and make the home if there is none.

    Raises
    ------
    WorkbenchError
        If the user may not, or something that is needed is not there; the words say what.
    """
    identity = site.who(name, auth_state)
    choice = choose(options, site.policy, identity.groups)
    image = choose_image(choice.image, site.policy, site.catalogue)
    usage = site.volumes.prepare(identity)
    mounts = site.volumes.mounts(identity, datetime.now(UTC))
    profile = choice.limits
    home = site.volumes.homes.path(identity)
    membership = join(identity, site.policy, home, image.digest, site.scheduler)
    return Session(
        identity=identity,
        choice=choice,
        image=image,
        limits=Limits(memory=profile.memory, cpus=profile.cpus, pids=profile.pids, tmp=profile.tmp),
        home=home,
        usage=usage,
        groups=gids(identity, site.policy),
        mounts=(
            *((mount.source, str(mount.target), mount.read_only) for mount in mounts),
            *membership.mounts,
        ),
        environment=membership.environment,
        warnings=(*_warnings(usage, site.policy), *membership.warnings),
    )


def _warnings(usage: Usage, policy: Policy) -> Iterator[str]:
    if usage.full:
        yield f"Your home is full: {usage}. The server starts; delete what you do not need."
    elif usage.share >= policy.home.warn_at:
        yield f"Your home is nearly full: {usage}."


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
        }
        | dict(session.environment),
        **asked,
    )
