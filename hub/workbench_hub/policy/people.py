"""Who is who: groups, users, and where uids come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from workbench_hub.policy.quantities import Gid, Label, Name, Size, Uid

__all__ = ["Group", "Identities", "LocalUids", "Oidc", "Part", "User"]


class Part(BaseModel):
    """Anything of the policy: what it does not know it refuses, and nothing changes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Group(Part):
    """A group of users."""

    title: str = ""
    """What people read."""
    gid: Gid | None = None
    """Number that its files carry; by default that of the host's group of the same name."""
    members: tuple[Name, ...] = ()
    """Users that belong to it, besides those that the host or the identity provider names."""
    accounts: tuple[Label, ...] = ()
    """SLURM accounts that its members may charge."""
    home: Size | None = None
    """Quota of a member's home, where it is more than `home.quota`."""


class User(Part):
    """What is known about a user beyond what the host or the identity provider says."""

    uid: Uid | None = None
    """The user's number on the cluster's nodes."""
    gid: Gid | None = None
    """Number of the main group; by default the same as `uid`."""
    groups: tuple[Label, ...] = ()
    """Groups that the user belongs to."""
    accounts: tuple[Label, ...] = ()
    """SLURM accounts, besides those of the groups."""
    home: Size | None = None
    """Quota of the home, instead of that of `home` and the groups."""


class LocalUids(Part):
    """Uids that the hub hands out itself, one to each new name: development only."""

    first_uid: Annotated[int, Field(ge=1000, lt=2**31)] = 20000
    """The first of them."""
    last_uid: Annotated[int, Field(ge=1000, lt=2**31)] = 29999
    """The last of them."""


class Oidc(Part):
    """An OpenID Connect provider."""

    issuer: HttpUrl
    """Address that `/.well-known/openid-configuration` is below."""
    client_id: str
    """What the provider calls this hub."""
    client_secret_file: Path
    """File with the client's secret; nobody but the hub may read it."""
    ca_file: Path | None = None
    """Certificates that vouch for the provider, where it has none of a public authority."""
    name_claim: str = "preferred_username"
    """Claim that names the user: one that the provider gives to no two people."""
    groups_claim: str = "groups"
    """Claim that lists the user's groups; those that the policy knows count."""
    uid_claim: str = ""
    """Claim that holds the uid; empty: from `users`, or from the host's user of that name."""
    gid_claim: str = ""
    """Claim that holds the number of the main group; empty: the same as the uid."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What the provider is asked for."""
    login_service: str = "your institute's account"
    """What the log-in button says."""
    allow_groups: tuple[str, ...] = ()
    """Groups of the provider whose members may log in; empty: everybody with a uid."""


class Identities(Part):
    """Where names, uids and groups come from."""

    source: Literal["local", "nss", "pam", "oidc"] = "local"
    """`pam` (host's passwords), `oidc`, `nss` (host's users, another log-in), `local` (made here)."""
    minimum_uid: Annotated[int, Field(ge=1000)] = 1000
    """Who has a smaller uid is not let in."""
    local: LocalUids = LocalUids()
    """The uids of `local`."""
    oidc: Oidc | None = None
    """The provider of `oidc`."""
    pam_service: str = "login"
    """File below `/etc/pam.d` that says how passwords are checked."""
