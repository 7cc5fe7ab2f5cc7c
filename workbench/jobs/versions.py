"""Versions: whether the workers of a cluster would compute what this process would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import InvalidSetting, Unavailable
from workbench.jobs.job import Job
from workbench.jobs.tilework import SHARE, versions

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["check_workers"]


def check_workers(client: Client, job: Job) -> None:
    """Refuse workers that would compute something else, or whose results nobody would find.

    Raises
    ------
    InvalidSetting, Unavailable
    """
    if getattr(client, "asynchronous", False):
        raise InvalidSetting("client", "is asynchronous", "Give one that is not.")
    if job.module == "__main__":
        raise InvalidSetting(
            job.process,
            "is declared in this session, where workers cannot import it",
            "Put it into a module, or run it without a client.",
        )
    mine = versions(job.process, job.module, job.store)
    try:
        theirs = client.run(versions, job.process, job.module, job.store, on_error="return")
    except (OSError, TypeError) as error:
        raise Unavailable("The cluster", f"does not answer ({error})", "Start it again.") from error
    from distributed.comm.core import CommClosedError

    for address, found in theirs.items():
        if isinstance(found, CommClosedError):
            continue  # it left meanwhile, as workers without work do, and computes nothing
        if isinstance(found, BaseException):
            raise Unavailable(
                f"the worker {address}",
                f"cannot run {job.process} ({type(found).__name__}: {found})",
                "Start the workers from the image of this session.",
            )
        if (found["code"], found["environment"]) != (job.code, job.environment):
            raise Unavailable(
                f"the worker {address} on {found['host']}",
                f"has the workbench {found['code']}, and here it is {job.code}{_packages(mine, found)}",
                "Start the workers from the image of this session.",
            )
        if not found["sees"]:
            raise Unavailable(
                f"the worker {address} on {found['host']}",
                f"does not see {job.store.folder}",
                SHARE,
            )


def _packages(mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Name some packages whose versions differ."""
    a, b = mine["packages"], theirs["packages"]
    differ = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
    if not differ:
        return ""
    said = [f"{name} {b.get(name, 'none')} there and {a.get(name, 'none')} here" for name in differ[:3]]
    more = f", and {len(differ) - 3} more packages" if len(differ) > 3 else ""
    return f" ({', '.join(said)}{more})"
