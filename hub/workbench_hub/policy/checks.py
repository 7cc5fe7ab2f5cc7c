"""What a policy's values have to do with each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from workbench_hub.policy.model import Policy
from workbench_hub.policy.people import Group, User
from workbench_hub.policy.reading import Location, Problem

__all__ = ["USERS_GID", "check", "nearest"]

USERS_GID = 100
"""Debian's group `users`, the main group of people at sites without a group for each."""

_FIRST_PORT, _LAST_PORT = 1024, 65535


def check(policy: Policy, written: Mapping[str, Any]) -> Iterator[Problem]:
    """Find names that mean nothing, numbers used twice, and things that cannot go together.

    Parameters
    ----------
    policy : Policy
        What could be read.
    written : mapping
        The file as it is written; a group whose own entry is wrong is known all the same.
    """
    yield from _references(policy, written)
    yield from _numbers(policy)
    yield from _identity(policy)
    yield from _networks(policy)
    yield from _ports(policy)
    for name, image in policy.images.items():
        if not image.build and not image.digest:
            remedy = "Give `build` (its name in the catalogue) or `digest` (sha256:...)."
            yield Problem(("images", name), "says no image", remedy)
    for name, folder in policy.folders.items():
        if folder.path is not None and not folder.path.is_absolute():
            yield Problem(("folders", name, "path"), "is relative", "Write the path from / on.")
    if policy.culling.enabled and policy.culling.warn >= policy.culling.idle:
        remedy = "Make it shorter, so that there is time to read it."
        yield Problem(("culling", "warn"), "is as long as `culling.idle` or longer", remedy)
    for index, item in enumerate(policy.announcements):
        if item.begins and item.ends and item.ends <= item.begins:
            yield Problem(("announcements", index, "ends"), "is before `begins`", "Swap them.")


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known word was perhaps meant, or which there are."""
    words = list(known)
    if close := get_close_matches(word, words, n=1):
        return f"Perhaps '{close[0]}' was meant."
    return f"There are: {', '.join(words)}." if words else "There are none."


def _references(policy: Policy, written: Mapping[str, Any]) -> Iterator[Problem]:
    groups, images = _keys(written, "groups"), _keys(written, "images")
    named: list[tuple[Location, Iterable[str]]] = []
    for kind in ("images", "profiles", "networks", "users"):
        items: Mapping[str, Any] = getattr(policy, kind)
        named += [((kind, name, "groups"), item.groups) for name, item in items.items()]
    named += [(("folders", name, "readers"), item.readers) for name, item in policy.folders.items()]
    named += [(("announcements", i, "groups"), item.groups) for i, item in enumerate(policy.announcements)]
    for location, names in named:
        yield from _unknown(location, names, groups, "group")
    for name, folder in policy.folders.items():
        if folder.group not in groups:
            remedy = f"Write it under `groups`. {nearest(folder.group, groups)}"
            yield Problem(("folders", name, "group"), f"names no group: '{folder.group}'", remedy)
    for name, profile in policy.profiles.items():
        yield from _unknown(("profiles", name, "images"), profile.images, images, "image")
    if policy.slurm.accounts:
        for kind in ("groups", "users"):
            holders: Mapping[str, Group | User] = getattr(policy, kind)
            for name, holder in holders.items():
                yield from _unknown(
                    (kind, name, "accounts"),
                    holder.accounts,
                    policy.slurm.accounts,
                    "account",
                    "slurm.accounts",
                )


def _unknown(
    location: Location, names: Iterable[str], known: Collection[str], what: str, where: str = ""
) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name not in known:
            remedy = f"Write it under `{where or what + 's'}`. {nearest(name, known)}"
            yield Problem((*location, index), f"names no {what}: '{name}'", remedy)


def _numbers(policy: Policy) -> Iterator[Problem]:
    least = policy.identity.minimum_uid
    uids: dict[int, str] = {}
    for name, user in policy.users.items():
        if user.uid is None:
            if user.gid is not None:
                yield Problem(("users", name, "gid"), "is there without a `uid`", "Give both, or neither.")
            continue
        location = ("users", name, "uid")
        if user.uid < least:
            remedy = "Numbers below are those of the system; give the uid of the person."
            yield Problem(location, f"is {user.uid}, less than {least}", remedy)
        if user.uid in uids:
            yield Problem(
                location, f"is that of '{uids[user.uid]}' too", "Give each user a uid of their own."
            )
        uids.setdefault(user.uid, name)
        local = policy.identity.local
        if policy.identity.source == "local" and local.first_uid <= user.uid <= local.last_uid:
            remedy = "Choose one outside of `identity.local`, from where the hub hands out uids itself."
            yield Problem(location, f"is {user.uid}, which the hub may hand out", remedy)
        if user.gid is not None and user.gid < least and user.gid != USERS_GID:
            yield Problem(("users", name, "gid"), f"is {user.gid}, less than {least}", "Give another group.")
    gids: dict[int, str] = {}
    for name, group in policy.groups.items():
        if group.gid is None:
            continue
        if group.gid < least:
            remedy = "Numbers below are those of the system, such as the group 'docker'; give another."
            yield Problem(("groups", name, "gid"), f"is {group.gid}, less than {least}", remedy)
        if group.gid in gids:
            yield Problem(
                ("groups", name, "gid"),
                f"is that of '{gids[group.gid]}' too",
                "Give each group a gid of its own.",
            )
        gids.setdefault(group.gid, name)


def _identity(policy: Policy) -> Iterator[Problem]:
    identity = policy.identity
    if identity.source == "oidc" and identity.oidc is None:
        remedy = "Give `identity.oidc` with issuer, client_id and client_secret_file."
        yield Problem(("identity", "source"), "is oidc, and the provider is not said", remedy)
    if identity.oidc is not None:
        issuer = identity.oidc.issuer
        if issuer.scheme != "https" and issuer.host not in ("127.0.0.1", "localhost", "[::1]"):
            remedy = "Use https: whoever is between could log in as anybody."
            yield Problem(("identity", "oidc", "issuer"), "is not https", remedy)
    if identity.local.last_uid < identity.local.first_uid:
        yield Problem(("identity", "local", "last_uid"), "is less than `first_uid`", "Swap them.")
    if identity.local.first_uid < identity.minimum_uid:
        remedy = "Begin at `minimum_uid` or above."
        yield Problem(("identity", "local", "first_uid"), "is less than `minimum_uid`", remedy)


def _networks(policy: Policy) -> Iterator[Problem]:
    seen: dict[str, list[tuple[str, tuple[int, int]]]] = {}
    for key, rule in policy.networks.items():
        here, (code, _, first) = ("networks", key), key.partition("_")
        if rule.access == "restricted" and not rule.groups:
            yield Problem(here, "is restricted to nobody", "Name `groups` that see it.")
        if rule.access == "open" and rule.groups:
            yield Problem(
                (*here, "groups"), "say nothing on open data", "Make it restricted, or leave them out."
            )
        if (rule.access == "embargoed") != (rule.until is not None):
            problem = "is embargoed without an end" if rule.until is None else "has an end and no embargo"
            yield Problem(here, problem, "Write `access: embargoed` and `until: 2027-01-01T00:00:00Z`.")
        if first and rule.years is None:
            remedy = f"Write `years: [{first}, ...]`, the first and the last year of the experiment."
            yield Problem(here, "has a year in its name and no `years`", remedy)
        if rule.years is None:
            continue
        if rule.years[1] < rule.years[0]:
            yield Problem((*here, "years"), "end before they begin", "Write the first year first.")
        if first and int(first) != rule.years[0]:
            yield Problem(
                (*here, "years"),
                f"begin in {rule.years[0]}, not in {first}",
                f"Call it {code}_{rule.years[0]}.",
            )
        for other, years in seen.setdefault(code, []):
            if rule.years[0] <= years[1] and years[0] <= rule.years[1]:
                remedy = "Give each year of a code to one experiment."
                yield Problem((*here, "years"), f"overlap those of {other}", remedy)
        seen[code].append((key, rule.years))


def _ports(policy: Policy) -> Iterator[Problem]:
    for name in ("worker_ports", "scheduler_ports"):
        first, last = map(int, getattr(policy.slurm, name).split(":"))
        if not _FIRST_PORT <= first <= last <= _LAST_PORT:
            remedy = f"Give the first and the last of some ports from {_FIRST_PORT} to {_LAST_PORT}."
            yield Problem(("slurm", name), f"is {first} to {last}", remedy)


def _keys(written: Mapping[str, Any], section: str) -> list[str]:
    found = written.get(section)
    return list(found) if isinstance(found, dict) else []
