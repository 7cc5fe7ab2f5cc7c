"""Who a user is to the operating system: name, uid, gid, groups, accounts.

A name comes from the log-in; the rest from the policy's own list, from the
host (NSS), from what the identity provider said, or, for development, from
numbers that the hub hands out and writes down.  Whoever has no uid, or one of
the system's, is not let in.
"""

from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InvalidSetting
from workbench_hub.deployment import write
from workbench_hub.policy import Policy
from workbench_hub.policy.checks import USERS_GID

__all__ = ["Identity", "NoIdentity", "gids", "identify"]

_NOBODY = frozenset({65534, 65535, 2**32 - 1, 2**32 - 2})


class NoIdentity(InvalidSetting):
    """Somebody who has logged in and may not work here; the words say why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the operating system and the cluster know of a user."""

    name: str
    uid: int
    gid: int
    groups: tuple[str, ...] = ()
    """Groups of the policy that the user belongs to."""
    accounts: tuple[str, ...] = ()
    """SLURM accounts that the user may charge."""


def identify(
    name: str,
    policy: Policy,
    auth_state: Mapping[str, Any] | None = None,
    *,
    register: Path | None = None,
) -> Identity:
    """Find out who somebody is.

    Parameters
    ----------
    name : str
        As the hub knows it.
    policy : Policy
    auth_state : mapping, optional
        What the identity provider said; its claims are below ``oauth_user``.
    register : Path, optional
        File in the state directory where the uids that are handed out here
        stand; needed with the source ``local``.

    Raises
    ------
    NoIdentity
        If there is no uid, or one that no person may have.
    """
    entry = policy.users.get(name)
    host = _host(name) if policy.identity.source in ("nss", "pam", "oidc") else None
    claims = _claims(auth_state) if policy.identity.source == "oidc" else {}
    _admitted(name, policy, claims)
    claimed = _claimed(name, policy, claims)
    said = {
        "the policy": _pair(entry.uid, entry.gid) if entry else None,
        "the identity provider": claimed,
        "the host": (host.pw_uid, host.pw_gid) if host else None,
    }
    known = {origin: numbers for origin, numbers in said.items() if numbers}
    if len({uid for uid, _ in known.values()}) > 1:
        listed = ", ".join(f"{uid} by {origin}" for origin, (uid, _) in known.items())
        raise _refused(name, f"has more than one uid: {listed}", "make them agree")
    if known:
        uid, gid = next(iter(known.values()))
    elif policy.identity.source == "local" and register is not None:
        uid = gid = _handed_out(name, policy, register)
    else:
        raise _refused(name, "has no uid", _where(policy))
    _check(name, uid, gid, policy)
    groups = _groups(name, policy, claims, host)
    named = [account for group in groups for account in policy.groups[group].accounts]
    accounts = tuple(dict.fromkeys([*(entry.accounts if entry else ()), *named]))
    return Identity(name, uid, gid, groups, accounts)


def gids(identity: Identity, policy: Policy) -> tuple[int, ...]:
    """Return the numbers of the groups that a user's processes belong to, besides the main one.

    Raises
    ------
    NoIdentity
        If one of them is a group of the system, such as `docker`: its members own the host.
    """
    found: dict[int, None] = {}
    for name in identity.groups:
        gid = group_gid(name, policy)
        if gid is None or gid == identity.gid:
            continue
        if gid < policy.identity.minimum_uid and gid != USERS_GID:
            remedy = "remove the user from it, or the group from the policy"
            raise _refused(identity.name, f"is in '{name}', a group of the system (gid {gid})", remedy)
        found[gid] = None
    return tuple(found)


def group_gid(name: str, policy: Policy) -> int | None:
    """Return the number of a group: the policy's, else the host's, else None."""
    group = policy.groups.get(name)
    if group is not None and group.gid is not None:
        return group.gid
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _host(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except (KeyError, ValueError):  # ValueError: a zero byte in the name
        return None


def _claims(auth_state: Mapping[str, Any] | None) -> Mapping[str, Any]:
    claims = (auth_state or {}).get("oauth_user")
    return claims if isinstance(claims, Mapping) else {}


def _admitted(name: str, policy: Policy, claims: Mapping[str, Any]) -> None:
    """See that somebody is in one of the provider's groups that may log in."""
    oidc = policy.identity.oidc
    if policy.identity.source != "oidc" or oidc is None or not oidc.allow_groups:
        return
    if set(oidc.allow_groups).isdisjoint(_listed(claims.get(oidc.groups_claim))):
        wanted = ", ".join(oidc.allow_groups)
        problem = f"is in none of the identity provider's groups that may log in ({wanted})"
        raise _refused(name, problem, "add the person to one of them")


def _listed(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list | tuple) else set()


def _claimed(name: str, policy: Policy, claims: Mapping[str, Any]) -> tuple[int, int] | None:
    oidc = policy.identity.oidc
    if oidc is None or not oidc.uid_claim or claims.get(oidc.uid_claim) in (None, ""):
        return None
    uid = _number(name, oidc.uid_claim, claims[oidc.uid_claim])
    gid = claims.get(oidc.gid_claim) if oidc.gid_claim else None
    return uid, uid if gid in (None, "") else _number(name, oidc.gid_claim, gid)


def _number(name: str, claim: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        return int(value)
    problem = f"has {value!r:.40} as '{claim}', which is no number"
    raise _refused(name, problem, "correct it at the identity provider")


def _pair(uid: int | None, gid: int | None) -> tuple[int, int] | None:
    return None if uid is None else (uid, uid if gid is None else gid)


def _check(name: str, uid: int, gid: int, policy: Policy) -> None:
    least = policy.identity.minimum_uid
    if uid < least:
        problem = f"has the uid {uid}, and those below {least} are the system's"
        raise _refused(name, problem, "give the person a uid of their own")
    if uid >= 2**31 or uid in _NOBODY:
        raise _refused(
            name, f"has the uid {uid}, which stands for nobody", "give the person a uid of their own"
        )
    if (gid < least and gid != USERS_GID) or gid >= 2**31 or gid in _NOBODY:
        problem = f"has the main group {gid}, which is the system's"
        raise _refused(name, problem, "give the person another main group")
    others = [other for other, user in policy.users.items() if user.uid == uid and other != name]
    with suppress(KeyError):
        others += [pwd.getpwuid(uid).pw_name]
    if taken := [other for other in others if other != name]:
        raise _refused(
            name, f"has the uid {uid}, which is that of '{taken[0]}'", "give each a uid of their own"
        )


def _groups(
    name: str, policy: Policy, claims: Mapping[str, Any], host: pwd.struct_passwd | None
) -> tuple[str, ...]:
    entry = policy.users.get(name)
    belongs = set(entry.groups) if entry else set()
    belongs |= {group for group, item in policy.groups.items() if name in item.members}
    if policy.identity.oidc is not None:
        belongs |= _listed(claims.get(policy.identity.oidc.groups_claim))
    if host is not None:
        for gid in os.getgrouplist(name, host.pw_gid):
            try:
                belongs.add(grp.getgrgid(gid).gr_name)
            except KeyError:
                continue
    return tuple(group for group in policy.groups if group in belongs)


def _handed_out(name: str, policy: Policy, register: Path) -> int:
    """Return the uid that was written down for a name; the first time choose one."""
    register.parent.mkdir(parents=True, exist_ok=True)
    with register.with_name(f"{register.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known: dict[str, int] = json.loads(register.read_text()) if register.is_file() else {}
        if name in known:
            return known[name]
        local = policy.identity.local
        taken = {*known.values(), *(entry.pw_uid for entry in pwd.getpwall())}
        free = (uid for uid in range(local.first_uid, local.last_uid + 1) if uid not in taken)
        uid = next(free, None)
        if uid is None:
            remedy = "raise `identity.local.last_uid` in the policy"
            raise _refused(name, "gets no uid: all that the hub may hand out are taken", remedy)
        write(register, json.dumps(known | {name: uid}, indent=1, ensure_ascii=True), mode=0o600)
        return uid


def _where(policy: Policy) -> str:
    oidc = policy.identity.oidc
    claim = f"the identity provider's '{oidc.uid_claim}', " if oidc and oidc.uid_claim else ""
    return f"give one in {claim}the host's users (getent passwd) or the policy's `users`"


def _refused(name: str, problem: str, remedy: str) -> NoIdentity:
    return NoIdentity(f"User {name!r:.80}", problem, f"The administrator can {remedy}.")
