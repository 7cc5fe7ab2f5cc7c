"""A session's part in the cluster: a name there, and a home for as long as jobs need it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench_hub import cluster
from workbench_hub.identity import Identity, group_gid
from workbench_hub.policy import Policy
from workbench_hub.scheduling import Scheduler, access

__all__ = ["Membership", "join", "let_go"]

_LOG = logging.getLogger("workbench_hub.containers")
_LOOK_SECONDS = 60.0
_WAITING: dict[str, asyncio.Task[None]] = {}


@dataclass(frozen=True, slots=True)
class Membership:
    """What a session has of the cluster: nothing, where there is none or it takes no such user."""

    mounts: tuple[tuple[Path, str, bool], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def join(
    identity: Identity, policy: Policy, home: Path, digest: str, scheduler: Scheduler | None
) -> Membership:
    """Let the cluster know a user, and return what the session gets.

    A cluster that is away keeps nobody from a server.

    Parameters
    ----------
    identity : Identity
    policy : Policy
    home : Path
        At the same path here, in the container and on nodes.
    digest : str
        The session's image, in which its jobs run.
    scheduler : Scheduler or None
    """
    if scheduler is None:
        return Membership()
    numbers = ((name, group_gid(name, policy)) for name in identity.groups)
    groups = [(name, gid) for name, gid in numbers if gid is not None]
    try:
        cluster.enrol(scheduler, identity.name, identity.uid, identity.gid, home, groups, identity.accounts)
        given = access(scheduler, policy.slurm)
    except (WorkbenchError, OSError) as error:
        _LOG.warning("%s has no part in the cluster: %s", identity.name, error)
        return Membership(warnings=(f"You can start no jobs: {error}",))
    account = {"WORKBENCH_ACCOUNT": identity.accounts[0]} if identity.accounts else {}
    # Finished tiles and indexes have to be where nodes see them, and outlive the server.
    shared = {"WORKBENCH_STATE": str(home / ".local" / "state" / "workbench")}
    warnings = [] if scheduler.has(digest) else ["The cluster does not have this image yet: no job starts."]
    return Membership(given.mounts, {**given.environment, **account, **shared}, tuple(warnings))


async def let_go(user: Any, release: Callable[[str, Callable[[], bool]], bool], leaving: Any) -> None:
    """Let go of a home in which nobody works any more, or look again each minute until it can be.

    A hub that is started anew meanwhile does not look again; the home then stays where it is until
    its user's next server ends, and nobody misses it.

    Parameters
    ----------
    user : jupyterhub.user.User
    release : callable
        Lets go of the home of a user of that name, unless it is needed; returns whether nobody needs it.
    leaving : jupyterhub.spawner.Spawner
        Whose server has ended.
    """

    def others() -> bool:
        return any(other.active for other in user.spawners.values() if other is not leaving)

    def any_() -> bool:
        return any(one.active for one in user.spawners.values())

    if others() or await asyncio.to_thread(release, user.name, others) or user.name in _WAITING:
        return

    async def wait() -> None:
        try:
            await asyncio.sleep(_LOOK_SECONDS)
            # The end of another server is another occasion.
            while not any_() and not await asyncio.to_thread(release, user.name, any_):
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            _WAITING.pop(user.name, None)

    _WAITING[user.name] = asyncio.create_task(wait())
