"""A whole examination: Docker, network, rules, containers, and what one of them reaches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import docker
from docker.errors import DockerException, NotFound

from workbench.errors import Unavailable
from workbench_hub.doctor import checks, reach
from workbench_hub.doctor.checks import Finding
from workbench_hub.doctor.reach import Row
from workbench_hub.network.firewall import missing
from workbench_hub.network.plan import Plan

__all__ = ["Examination", "examine"]

_EXAMINED = "workbench.doctor"


@dataclass(frozen=True, slots=True)
class Examination:
    """What the doctor found."""

    findings: tuple[Finding, ...]
    rows: tuple[Row, ...]

    @property
    def good(self) -> bool:
        """Whether all is well."""
        return all(finding.good for finding in self.findings) and all(row.good for row in self.rows)


def examine(
    client: docker.DockerClient,
    plan: Plan,
    image: str,
    *,
    accepted: Collection[str] = (),
    outside: bool = False,
) -> Examination:
    """Look at everything, and try everything.

    Parameters
    ----------
    client : DockerClient
        Of the daemon that users' containers run on.
    plan : Plan
        The network as it should be.
    image : str
        By its digest; the one that users' servers run in.
    accepted : collection of str
        Walls that Swarm mode lacks and the site does without.
    outside : bool
        Whether to try the destinations of the allow-list, which sends to them.

    Raises
    ------
    Unavailable
        If Docker does not answer or the image is not there.
    """
    try:
        info = client.info()
        attributes = client.networks.get(plan.name).attrs
        running = client.containers.list(filters={"network": plan.name})
        findings = (
            *checks.daemon(info, accepted),
            *checks.network(attributes, plan),
            checks.walls(missing(plan)),
            *checks.containers([one.attrs for one in running if _EXAMINED not in one.labels], plan),
        )
        return Examination(findings, tuple(reach.reach(client, plan, image, outside=outside)))
    except NotFound as error:
        raise Unavailable(
            f"Docker's network '{plan.name}'", "is not there", "`make up PROFILE=host` makes it."
        ) from error
    except DockerException as error:
        raise Unavailable("Docker", f"does not do what is asked: {error}", "Is dockerd running?") from error
