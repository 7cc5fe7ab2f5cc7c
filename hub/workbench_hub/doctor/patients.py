"""Containers that the doctor starts: walled in like a user's, running the probe."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container as Running

from workbench.errors import Unavailable
from workbench_hub.containers.hardening import Container, Limits, arguments
from workbench_hub.doctor.probe import SOURCE
from workbench_hub.network.plan import Plan

__all__ = ["PYTHON", "Answers", "address", "ask", "listening", "patient"]

PYTHON = "/opt/workbench/bin/python"
"""Of the image that users' servers run in."""

_NOBODY = 65534
_LIMITS = Limits(memory=256 * 2**20, cpus=1.0, tmp=16 * 2**20, shm=16 * 2**20)
_SECONDS = 60
_TRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of the tries, in their order, and the container's IPv6 addresses."""

    tcp: tuple[str, ...] = ()
    udp: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    six: tuple[str, ...] = ()


def ask(
    client: docker.DockerClient,
    plan: Plan,
    image: str,
    *,
    tcp: list[tuple[str, int]] | None = None,
    udp: list[tuple[str, int]] | None = None,
    names: list[str] | None = None,
) -> Answers:
    """Try to reach places from within a container, which is gone afterwards."""
    tasks = {"seconds": _TRY_SECONDS, "tcp": tcp or [], "udp": udp or [], "names": names or []}
    with patient(client, plan, image, "try", json.dumps(tasks)) as container:
        code = container.wait(timeout=_SECONDS)["StatusCode"]
        said = container.logs(stdout=True, stderr=False).decode()
        if code:
            raise Unavailable("The doctor's probe", f"ended with {code}: {container.logs().decode()[-500:]}")
    return Answers(**{name: tuple(those) for name, those in json.loads(said).items()})


@contextmanager
def listening(client: docker.DockerClient, plan: Plan, image: str, port: int = 8888) -> Iterator[str]:
    """Run a neighbour whose server listens; give its address."""
    with patient(client, plan, image, "listen", str(port), "0.0.0.0") as container:  # noqa: S104
        yield address(container)


@contextmanager
def patient(client: docker.DockerClient, plan: Plan, image: str, *words: str) -> Iterator[Running]:
    """Run the probe in a container with a user's walls."""
    container = Container(
        name=f"{plan.bridge}-doctor-{secrets.token_hex(3)}",
        image=image,
        command=words,
        uid=_NOBODY,
        gid=_NOBODY,
        home="/",
        network=plan.name,
        limits=_LIMITS,
        labels={"workbench.doctor": plan.bridge},
        dns=plan.dns,
    )
    given: dict[str, Any] = arguments(container) | {"entrypoint": [PYTHON, "-I", "-c", SOURCE]}
    try:
        made = client.api.create_container(**given)["Id"]
    except ImageNotFound as error:
        raise Unavailable(image, "is not there", "Build it: `make up PROFILE=host`.") from error
    try:
        client.api.start(made)
        yield client.containers.get(made)
    except APIError as error:
        raise Unavailable("The doctor's container", f"does not start: {error.explanation}") from error
    finally:
        client.api.remove_container(made, force=True, v=True)


def address(container: Running) -> str:
    """Return a container's address on its network."""
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])
