"""What has to be there before the profile ``host`` starts: found out first, so that nothing half stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench_hub import cluster, database, walls
from workbench_hub.containers.catalogue import choose_image
from workbench_hub.deployment import Deployment, package_file, write
from workbench_hub.doctor import checks
from workbench_hub.policy import Policy, load
from workbench_hub.volumes import Volumes, release_all

__all__ = ["check", "prepare", "remove_containers", "take_policy"]

_PROGRAMS = {"iptables": "iptables", "ip": "iproute2", "bwrap": "bubblewrap", "setpriv": "util-linux"}
_STOP_SECONDS = 10
_OUTLIVE = "Docker: sessions outlive it"
"""What one can do without, and should not: it is said at each start."""


def check(deployment: Deployment) -> Policy:
    """Return the policy, if it is right and this machine can keep users apart.

    Raises
    ------
    InvalidSetting
        If the policy or a fragment of configuration is wrong, or this is not root.
    Unavailable
        If a program or the Docker daemon is missing, or that daemon lacks a wall.
    """
    policy = load(deployment.policy_file)
    from workbench_hub import authenticators  # takes two seconds, which no other command should

    authenticators.check(policy)
    for fragment in deployment.fragments:
        _compile(fragment)
    if os.geteuid():
        remedy = "Run it with sudo, or as a service of the system."
        raise InvalidSetting("Profile host", "needs root: it makes homes, mounts and firewall rules", remedy)
    absent = {package for program, package in _PROGRAMS.items() if not shutil.which(program)}
    if absent:
        names = " ".join(sorted(absent))
        raise Unavailable("Profile host", f"lacks {names}", f"As root: apt-get install {names}")
    if not deployment.settings.database.get_secret_value():
        database.programs()
    cluster.check(deployment, policy)
    client = walls.connect(deployment)
    try:
        found = checks.daemon(client.info(), policy.accept)
    finally:
        client.close()
    problems = [item for item in found if not item.good and item.what != _OUTLIVE]
    if problems:
        words = "; ".join(f"{item.what}: {item.detail}" for item in problems)
        remedies = " ".join(dict.fromkeys(item.remedy for item in problems))
        raise Unavailable(
            f"The Docker daemon at {deployment.settings.docker}",
            f"does not keep users apart: {words}",
            remedies,
        )
    return policy


def take_policy(deployment: Deployment) -> None:
    """Put the policy that was found right in force: the hub reads this copy, and no other."""
    write(deployment.policy_in_force, deployment.policy_file.read_text(encoding="utf-8"), mode=0o600)
    deployment.__dict__.pop("policy", None)


def prepare(deployment: Deployment, say: Callable[[str], None]) -> None:
    """Make database, images, bridge and walls, as far as they are not there.

    Parameters
    ----------
    deployment : Deployment
    say : callable
        Is told what takes long.
    """
    take_policy(deployment)
    _volumes(deployment, deployment.policy).check()
    if not deployment.settings.database.get_secret_value():
        database.create(deployment.postgres, deployment.tokens["database"])
    client = walls.connect(deployment)
    try:
        for item in checks.daemon(client.info(), deployment.policy.accept):
            if item.what == _OUTLIVE and not item.good:
                say(f"  Users' servers end when Docker does. {item.remedy}")
        absent = _absent(deployment, client)
        if absent:
            say(f"  Building images, which takes some minutes: {', '.join(absent)}")
            _build(deployment, absent)
            absent = _absent(deployment, client)
    finally:
        client.close()
    if absent:
        raise Unavailable(f"Image {', '.join(absent)}", "was built, and the Docker daemon has it not")
    walls.up(deployment)
    if (scheduler := cluster.prepare(deployment, say)) is not None:
        walls.up(deployment)  # now that its ports are known
        cluster.add_images(deployment, scheduler, say)


def remove_containers(deployment: Deployment) -> None:
    """Stop and remove the users' containers that are left, the hub's word or not."""
    client = walls.connect(deployment)
    try:
        label = f"workbench.deployment={walls.plan(deployment).bridge}"
        for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True):
            container.stop(timeout=_STOP_SECONDS)
            container.remove(force=True)
    finally:
        client.close()
    release_all(deployment.homes)


def _volumes(deployment: Deployment, policy: Policy) -> Volumes:
    """Return what is mounted into users' servers; one that this machine cannot make is an error here."""
    folders = deployment.state / "folders"
    return Volumes(policy, homes=deployment.homes, folders=folders, archive=deployment.archive)


def _absent(deployment: Deployment, client: docker.DockerClient) -> list[str]:
    """Return the images that the policy names and no build has made, by the build's names."""
    policy, absent = deployment.policy, []
    for label, image in policy.images.items():
        try:
            client.images.get(choose_image(label, policy, deployment.catalogue).digest)
        except (WorkbenchError, ImageNotFound):
            if image.digest:
                raise Unavailable(
                    f"Image '{label}'", f"is not at the Docker daemon: {image.digest}", "Load or build it."
                ) from None
            absent.append(image.build or label)
    return list(dict.fromkeys(absent))


def _build(deployment: Deployment, names: Iterable[str]) -> None:
    build = package_file("../../images/build.py")
    where = ["--docker", deployment.settings.docker, "--out", str(deployment.state)]
    log = deployment.logs / "images.log"
    with log.open("wb") as file:
        command = [sys.executable, str(build), *names, *where]
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last = log.read_text(errors="replace").splitlines()[-5:]
        raise Unavailable("The build of the images", "failed: " + "\n".join(last), f"All of it: {log}")


def _compile(fragment: Path) -> None:
    try:
        compile(fragment.read_text(encoding="utf-8"), str(fragment), "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise InvalidSetting(
            f"{fragment}:{line}", f"is no Python: {error}", "Mend it, or move it."
        ) from error
