"""The network of a deployment's containers: put up at the start, watched while it runs, taken away.

As a program it is the warden, one of the processes of the list.
"""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import docker
from docker.errors import DockerException

from workbench.errors import Unavailable
from workbench.settings import Settings
from workbench_hub import network, scheduling
from workbench_hub.deployment import Deployment

__all__ = ["connect", "down", "fallen", "main", "names", "plan", "up"]

_SECONDS = 60


def connect(deployment: Deployment) -> docker.DockerClient:
    """Return a client of the deployment's Docker daemon.

    Raises
    ------
    Unavailable
        If it does not answer.
    """
    url = deployment.settings.docker
    try:
        client = docker.DockerClient(base_url=url, timeout=_SECONDS)
        client.ping()
    except DockerException as error:
        remedy = "Is it installed (apt-get install docker.io) and started?  WORKBENCH_DOCKER names another."
        raise Unavailable(f"The Docker daemon at {url}", "does not answer", remedy) from error
    return client


def plan(deployment: Deployment, *, renew: bool = False) -> network.Plan:
    """Return what the network is to be, by the policy in force; look known names up anew if `renew`."""
    ports = deployment.ports
    doors = [network.Door("hub", ports["hub"]), network.Door("web services", ports["api"])]
    if (scheduler := deployment.slurm) is not None:
        doors += scheduling.access(scheduler, deployment.policy.slurm).doors
    if deployment.brokered:
        doors.append(network.Door("the broker", ports["broker"]))
    name = network.bridge_name(deployment.state)
    egress = deployment.policy.egress
    return network.planned(egress, doors, deployment.state, deployment.run, name, renew=renew)


def up(deployment: Deployment) -> None:
    """Make bridge and walls, or see that they stand."""
    wanted = plan(deployment, renew=True)
    client = connect(deployment)
    try:
        network.ensure(client, wanted)
    finally:
        client.close()
    network.apply(wanted)
    network.write_resolver(wanted, names(deployment))


def fallen(settings: Settings) -> tuple[str, ...]:
    """Return what is wrong with the walls, in words, by the policy that is in force now."""
    return network.missing(plan(Deployment(settings)))


def names(deployment: Deployment) -> Path:
    """Return the directory of the files that tell containers names of hosts."""
    return deployment.run / "names"


def down(deployment: Deployment) -> None:
    """Take bridge and walls away, once no container is left on it."""
    client = connect(deployment)
    name = network.bridge_name(deployment.state)
    try:
        network.remove_bridge(client, name)
    finally:
        client.close()
    network.remove(name)


def main() -> None:
    """Look after the walls until told to stop."""
    settings, stop = Settings(), Event()
    deployment = Deployment(settings)

    def end(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)

    def now(renew: bool) -> network.Plan:
        return plan(Deployment(settings), renew=renew)  # which reads the policy anew

    def version() -> tuple[int, ...]:
        files = (
            deployment.policy_in_force,
            deployment.run / network.ADDRESSES,
            deployment.run / scheduling.NOTE,
        )
        return tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)

    network.Warden(now, _say, names(deployment), version=version, stop=stop).run()


def _say(words: str) -> None:
    line = {"timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "warning"}
    print(json.dumps(line | {"logger": "warden", "event": words}), flush=True)


if __name__ == "__main__":
    main()
