"""Rules put in place, taken away, and compared with what stands."""

from __future__ import annotations

import subprocess
from pathlib import Path

from workbench.errors import Unavailable
from workbench_hub.network.plan import Plan
from workbench_hub.network.rules import ENDS, chains, hooks, hooks6, rules, rules6, unchanged

__all__ = ["apply", "missing", "remove", "standing"]

_WAIT = ("--wait", "10")
_SECONDS = 30.0
_LEAVING = "POSTROUTING"
_SETTINGS = {
    # Without it packets between two ports of a bridge pass no rule, and neighbours reach each other.
    "net/bridge/bridge-nf-call-iptables": "1",
    "net/ipv4/ip_forward": "1",
}
_SIX = Path("/proc/net/if_inet6")


def apply(plan: Plan) -> None:
    """Put the rules of a plan in place, in the stead of older ones; once or ten times is the same.

    All of it stands from one moment to the next: at no time is there half a wall.

    Raises
    ------
    Unavailable
        If the kernel or ``iptables`` does not take them.
    """
    for name, wanted in _SETTINGS.items():
        _set(name, wanted)
    saved = standing()
    _restore("iptables", _with_hooks(rules(plan), hooks(plan), saved, plan.bridge))
    if not _is_unchanged(plan):
        older = [f"-D {line}" for line in _marked(plan.bridge)]
        _restore("iptables", _body("nat", [*older, f"-I {_LEAVING} 1 {unchanged(plan)}"]))
    if _SIX.is_file():
        _restore("ip6tables", _with_hooks(rules6(plan), hooks6(plan), standing("ip6tables"), plan.bridge))
    left = missing(plan)
    if left:
        raise Unavailable("The firewall", f"does not hold what was put there: {'; '.join(left)}")


def remove(bridge: str) -> None:
    """Take away all rules and chains of a bridge; where there are none, nothing happens."""
    for program in ("iptables", "ip6tables") if _SIX.is_file() else ("iptables",):
        lines = standing(program)
        gone = [f"-D {line.removeprefix('-A ')}" for line in lines if _is_hook(line, bridge)]
        names = _chain_names(lines, bridge)
        if gone or names:
            body = [*gone, *(f"-F {name}" for name in names), *(f"-X {name}" for name in names)]
            _restore(program, _body("filter", body))
    if left := _marked(bridge):
        _restore("iptables", _body("nat", [f"-D {line}" for line in left]))


def missing(plan: Plan) -> tuple[str, ...]:
    """Return in words what of a plan does not stand; nothing if all of it does.

    Cheap enough to be asked before each spawn (10 ms).
    """
    problems = [
        f"{name} is not {wanted}" for name, wanted in _SETTINGS.items() if _get(name) not in (wanted, None)
    ]
    if _get("net/bridge/bridge-nf-call-iptables") is None:
        problems.append("the kernel has no br_netfilter, so nothing stands between neighbours")
    lines = standing()
    for name, wanted_rules in chains(plan).items():
        found = [line for line in lines if line.startswith(f"-A {name} ")]
        if not found:
            problems.append(f"chain {name} is not there")
        elif found != wanted_rules:
            problems.append(f"chain {name} is not as it should be")
    problems += _missing_hooks(hooks(plan), lines, plan.bridge)
    if not _is_unchanged(plan):
        problems.append(f"{_LEAVING} changes who this machine is to itself")
    if _SIX.is_file():
        lines = standing("ip6tables")
        if f"-A {plan.bridge}-six -j DROP" not in lines:
            problems.append(f"chain {plan.bridge}-six is not there")
        problems += _missing_hooks(hooks6(plan), lines, plan.bridge, " of IPv6")
    return tuple(problems)


def standing(program: str = "iptables", table: str = "filter") -> list[str]:
    """Return the lines of a table as it stands."""
    return _run([f"{program}-save", "-t", table]).splitlines()


def _is_unchanged(plan: Plan) -> bool:
    """Whether our rule of the table nat stands before Docker's."""
    for line in standing(table="nat"):
        if line == f"-A {_LEAVING} {unchanged(plan)}":
            return True
        if line.startswith(f"-A {_LEAVING} -s {plan.subnet} ") and line.endswith("-j MASQUERADE"):
            return False
    return False


def _marked(bridge: str) -> list[str]:
    """Return our rules of the table nat, with their chain."""
    mark = f" --comment {bridge} "
    return [line.removeprefix("-A ") for line in standing(table="nat") if mark in line]


def _body(table: str, lines: list[str]) -> str:
    return "\n".join([f"*{table}", *lines, "COMMIT", ""])


def _with_hooks(text: str, hooked: dict[str, list[str]], saved: list[str], bridge: str) -> str:
    """Add to our chains the hooks, first of their chains; older hooks go in the same moment."""
    body = text.removesuffix("COMMIT\n").splitlines()
    head = [f":{name} - [0:0]" for name in hooked if not any(line.startswith(f":{name} ") for line in saved)]
    old = [f"-D {line.removeprefix('-A ')}" for line in saved if _is_hook(line, bridge)]
    new = [f"-I {name} 1 {rule}" for name, those in hooked.items() for rule in reversed(those)]
    # A chain of ours that nobody has planned any more, of an older version for example.
    return "\n".join([body[0], *head, *body[1:], *old, *new, "COMMIT", ""])


def _missing_hooks(hooked: dict[str, list[str]], lines: list[str], bridge: str, kind: str = "") -> list[str]:
    problems = []
    for name, wanted in hooked.items():
        first: list[str] = []
        for line in (line for line in lines if line.startswith(f"-A {name} ")):
            if not _hooks_any(line):
                break
            first.append(line.removeprefix(f"-A {name} "))
        # Hooks of other deployments may stand between; they look at other bridges only.
        if [rule for rule in first if _is_hook(f"-A {name} {rule}", bridge)] != wanted:
            problems.append(f"{name}{kind} does not come to the chains of {bridge} first")
    return problems


def _is_hook(line: str, bridge: str) -> bool:
    """Whether a rule of the machine's chains leads to one of ours."""
    words = line.split()
    ours = [["-j", f"{bridge}-{end}"] for end in ENDS]
    return line.startswith("-A ") and words[-2:] in ours and words[1] != words[-1]


def _hooks_any(line: str) -> bool:
    """Whether a rule is a hook of any deployment: it looks at one bridge only."""
    bridge = line.rpartition(" ")[2].rpartition("-")[0]
    return bridge in line.split() and _is_hook(line, bridge)


def _chain_names(lines: list[str], bridge: str) -> list[str]:
    ours = {f"{bridge}-{end}" for end in ENDS}
    return [name for line in lines if line.startswith(":") and (name := line[1:].split()[0]) in ours]


def _restore(program: str, text: str) -> None:
    _run([f"{program}-restore", "--noflush", *_WAIT], text)


def _run(command: list[str], given: str | None = None) -> str:
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise Unavailable(command[0], "is not installed", "As root: apt-get install iptables") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(command[0], f"did not end within {_SECONDS:.0f} s") from error
    if done.returncode:
        raise Unavailable(
            command[0], f"failed: {done.stderr.strip()}", "The walls of the network need root and iptables."
        )
    return done.stdout


def _get(name: str) -> str | None:
    path = Path("/proc/sys") / name
    return path.read_text().strip() if path.is_file() else None


def _set(name: str, wanted: str) -> None:
    if name.startswith("net/bridge/") and _get(name) is None:
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    if _get(name) in (wanted, None):
        return
    try:
        (Path("/proc/sys") / name).write_text(wanted)
    except OSError as error:
        raise Unavailable(
            f"/proc/sys/{name}", f"cannot be set to {wanted}: {error}", "Set it as root."
        ) from error
