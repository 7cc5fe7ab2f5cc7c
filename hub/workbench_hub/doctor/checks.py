"""What one sees without trying: Docker's settings, the network, the rules, the containers that run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from workbench_hub.network.plan import Plan

__all__ = ["SWARM", "Finding", "containers", "daemon", "network", "walls"]

SWARM = {
    "live-restore": "a restart of Docker ends every session",
    "no-new-privileges": "a setuid file makes a user root in the container",
    "seccomp": "no seccomp profile keeps system calls away",
}
"""Walls that are not there in Swarm mode, by the names by which a site accepts that."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at."""

    what: str
    good: bool
    detail: str = ""
    remedy: str = ""


def daemon(info: Mapping[str, Any], accepted: Collection[str] = ()) -> list[Finding]:
    """Look at what a Docker daemon says of itself.

    Parameters
    ----------
    info : mapping
        The answer of ``/info``.
    accepted : collection of str
        Walls of `SWARM` that the site does without.
    """
    security = [str(option) for option in info.get("SecurityOptions") or []]
    seccomp = [option for option in security if option.startswith("name=seccomp")]
    unconfined = not seccomp or any("profile=unconfined" in option for option in seccomp)
    limits = [name for name in ("MemoryLimit", "SwapLimit", "CpuCfsQuota", "PidsLimit") if not info.get(name)]
    open_to_all = [line for line in info.get("Warnings") or [] if "API is accessible" in line]
    swarm = (info.get("Swarm") or {}).get("LocalNodeState", "inactive")
    return [
        *_swarm(swarm, accepted),
        Finding(
            "Docker: sessions outlive it",
            bool(info.get("LiveRestoreEnabled")) or (swarm != "inactive" and "live-restore" in accepted),
            "",
            'Set "live-restore": true in /etc/docker/daemon.json.',
        ),
        Finding(
            "Docker: seccomp",
            not unconfined,
            ", ".join(seccomp) or "none",
            "Start dockerd with its own seccomp profile.",
        ),
        Finding(
            "Docker: limits of memory, processor, processes",
            not limits,
            f"not kept: {', '.join(limits)}" if limits else "kept",
            "Boot with the cgroup controllers on: cgroup_enable=memory swapaccount=1.",
        ),
        Finding(
            "Docker: its own door",
            not open_to_all,
            "; ".join(open_to_all) or "a socket alone, or TLS",
            "Let dockerd listen at its socket alone.",
        ),
    ]


def _swarm(state: str, accepted: Collection[str]) -> list[Finding]:
    if state == "inactive":
        return [Finding("Docker: Swarm mode", True, "off")]
    remedy = "Use single hosts behind one hub (docs/running.md), or accept each missing wall by its name."
    return [
        Finding(f"Docker: Swarm mode without {wall}", wall in accepted, consequence, remedy)
        for wall, consequence in SWARM.items()
    ]


def network(attributes: Mapping[str, Any], plan: Plan) -> list[Finding]:
    """Look at Docker's network: ``attributes`` is the answer of ``/networks/NAME``."""
    options = attributes.get("Options") or {}
    icc = options.get("com.docker.network.bridge.enable_icc") == "false"
    bridge = options.get("com.docker.network.bridge.name")
    remake = f"Stop its containers, `docker network rm {plan.name}`, and start again."
    return [
        Finding("network: neighbours apart (icc)", icc, "off" if icc else "on", remake),
        Finding("network: bridge", bridge == plan.bridge, str(bridge), remake),
        Finding("network: IPv6", not attributes.get("EnableIPv6"), "", remake),
    ]


def walls(fallen: Collection[str]) -> Finding:
    """Say whether the firewall's rules stand; `fallen` is what does not."""
    return Finding(
        "firewall: rules",
        not fallen,
        "; ".join(fallen) or "as planned",
        "Run `workbench-hub network apply`; another firewall may have taken them away.",
    )


def containers(inspected: Collection[Mapping[str, Any]], plan: Plan) -> list[Finding]:
    """Look at the containers that run on the network: each has all of a user's walls."""
    findings = [finding for one in inspected for finding in _container(one, plan)]
    if not findings:
        findings.append(Finding("containers", True, f"{len(inspected)} run, each with all its walls"))
    return findings


def _container(one: Mapping[str, Any], plan: Plan) -> list[Finding]:
    config, host = one["Config"], one["HostConfig"]
    user = str(config.get("User") or "0").partition(":")[0]
    mounts = [str(mount.get("Source", "")) for mount in one.get("Mounts") or []]
    options = host.get("SecurityOpt") or []
    wanted = {
        "runs as root": user not in ("0", "root"),
        "is privileged": not host.get("Privileged"),
        "has capabilities": host.get("CapDrop") == ["ALL"] and not host.get("CapAdd"),
        "may gain privileges": any(
            option.startswith("no-new-privileges") and "false" not in option for option in options
        ),
        "has no seccomp profile": not any("seccomp=unconfined" in option for option in options),
        "may write its root": bool(host.get("ReadonlyRootfs")),
        "has no limit of memory": 0 < host.get("Memory", 0) == host.get("MemorySwap"),
        "has no limit of processes": (host.get("PidsLimit") or 0) > 0,
        "has no limit of its log": bool((host.get("LogConfig") or {}).get("Config", {}).get("max-size")),
        "shares the machine's namespaces": not any(
            str(host.get(kind) or "").startswith(("host", "container:"))
            for kind in ("PidMode", "IpcMode", "UTSMode", "NetworkMode", "UsernsMode")
        ),
        "has devices": not host.get("Devices"),
        "publishes ports": not host.get("PortBindings"),
        "has Docker's socket": not any(source.endswith(".sock") for source in mounts),
        "asks another name service": tuple(host.get("Dns") or ()) == plan.dns,
        "is on other networks too": set(one["NetworkSettings"]["Networks"]) == {plan.name},
    }
    name = str(one.get("Name", "")).lstrip("/")
    return [
        Finding(f"container {name}", False, problem, "Stop it; the hub starts it anew with all its walls.")
        for problem, good in wanted.items()
        if not good
    ]
