"""The firewall rules of a plan, as text for ``iptables-restore --noflush``.

Four chains for each bridge, named after it: ``-in`` (from containers to this
machine) and ``-far`` (from elsewhere to the bridge's own address), hooked into
INPUT; ``-out`` (from containers to elsewhere) and ``-to`` (from elsewhere to
containers), hooked into DOCKER-USER, which Docker asks before its own rules and
leaves alone when it starts.

The text is what ``iptables-save`` gives back, so that one can compare.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench_hub.network.plan import Destination, Plan

__all__ = ["ENDS", "LINK_LOCAL", "chains", "hooks", "hooks6", "rules", "rules6", "unchanged"]

ENDS = ("in", "far", "out", "to", "six")
"""What the names of our chains end with."""

LINK_LOCAL = "169.254.0.0/16"
# Linux takes packets for any of its addresses at any of its interfaces; the doors are for containers alone.
_FAR = ("-i lo -j RETURN", "-j DROP")
_KNOWN = "-m conntrack --ctstate RELATED,ESTABLISHED"
_REFUSE = ("-p tcp -j REJECT --reject-with tcp-reset", "-j REJECT --reject-with icmp-admin-prohibited")
_MOST_PORTS = 15  # that one rule of multiport takes


def chains(plan: Plan) -> dict[str, list[str]]:
    """Return the rules of each of our chains, in order."""
    bridge = plan.bridge
    return {
        f"{bridge}-in": [f"-A {bridge}-in {rule}" for rule in _in(plan)],
        f"{bridge}-far": [f"-A {bridge}-far {rule}" for rule in _FAR],
        f"{bridge}-out": [f"-A {bridge}-out {rule}" for rule in _out(plan)],
        f"{bridge}-to": [f"-A {bridge}-to {rule}" for rule in _to(plan)],
    }


def hooks(plan: Plan) -> dict[str, list[str]]:
    """Return the rules by which the machine's chains come to ours, first one first."""
    bridge = plan.bridge
    return {
        "INPUT": [f"-i {bridge} -j {bridge}-in", f"-d {plan.gateway}/32 ! -i {bridge} -j {bridge}-far"],
        "DOCKER-USER": [f"-i {bridge} -j {bridge}-out", f"-o {bridge} -j {bridge}-to"],
    }


def rules(plan: Plan) -> str:
    """Return our chains, without the hooks that lead to them.

    Parameters
    ----------
    plan : Plan
        What the network is to be.

    Returns
    -------
    str
        For ``iptables-restore --noflush``, which takes all of it or nothing.
    """
    return _table(chains(plan))


def rules6(plan: Plan) -> str:
    """Return the chain for IPv6, which containers do not have at all."""
    return _table({f"{plan.bridge}-six": [f"-A {plan.bridge}-six -j DROP"]})


def hooks6(plan: Plan) -> dict[str, list[str]]:
    """Return the rules by which IPv6 comes to our chain."""
    inwards, outwards = f"-i {plan.bridge} -j {plan.bridge}-six", f"-o {plan.bridge} -j {plan.bridge}-six"
    return {"INPUT": [inwards], "FORWARD": [inwards, outwards]}


def unchanged(plan: Plan) -> str:
    """Return the rule of the table nat by which this machine finds itself at the bridge's address.

    Docker gives what leaves the containers' network another sender, and takes what this machine sends to
    itself there for that: daemons that listen there would not know each other.
    """
    here = f"{plan.gateway}/32"
    return f"-s {here} -d {here} -m comment --comment {plan.bridge} -j ACCEPT"


def _table(content: dict[str, list[str]]) -> str:
    named = [f":{name} - [0:0]" for name in content]
    return "\n".join(
        ["*filter", *named, *(rule for rules in content.values() for rule in rules), "COMMIT", ""]
    )


def _in(plan: Plan) -> Iterator[str]:
    """From containers to this machine."""
    yield f"! -s {plan.subnet} -j DROP"  # a forged sender
    yield f"{_KNOWN} -j ACCEPT"
    if plan.doors:
        yield from _flood(plan)
    for door in plan.doors:
        yield f"-d {plan.gateway}/32 -p tcp -m tcp --dport {door.ports} -j ACCEPT"
    yield from _REFUSE


def _out(plan: Plan) -> Iterator[str]:
    """From containers to elsewhere."""
    yield f"! -s {plan.subnet} -j DROP"
    # Before what is known: a neighbour is no one's old acquaintance.
    for refusal in _REFUSE:
        yield _to_bridge(plan, refusal)
    for refusal in _REFUSE:
        yield f"-d {LINK_LOCAL} {refusal}"  # the metadata address, whatever a name of the allow-list leads to
    yield f"{_KNOWN} -j RETURN"
    if any(destination.networks for destination in plan.egress):
        yield from _flood(plan)
    for server in plan.servers:
        for protocol in ("tcp", "udp"):
            yield f"-d {server}/32 -p {protocol} -m {protocol} --dport 53 -j RETURN"
    for destination in plan.egress:
        yield from _allowed(destination)
    yield from _REFUSE


def _to_bridge(plan: Plan, refusal: str) -> str:
    return f"-o {plan.bridge} {refusal}"


def _to(plan: Plan) -> Iterator[str]:
    """From elsewhere to containers: what they have asked for, and nothing else."""
    yield f"{_KNOWN} -j RETURN"
    yield "-j DROP"


def _flood(plan: Plan) -> Iterator[str]:
    limit = f"-m connlimit --connlimit-above {plan.most} --connlimit-mask 32 --connlimit-saddr"
    yield f"-p tcp {limit} -j REJECT --reject-with tcp-reset"


def _allowed(destination: Destination) -> Iterator[str]:
    ports = [str(port) for port in destination.ports]
    for network in destination.networks:
        for first in range(0, len(ports), _MOST_PORTS):
            some = ",".join(ports[first : first + _MOST_PORTS])
            yield f"-d {network} -p {destination.protocol} -m multiport --dports {some} -j RETURN"
