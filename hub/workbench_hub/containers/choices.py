"""What a user may choose for a server: a profile, and an image; as a form, and checked again at every start.

A choice comes from the form, from the address (``?opt-profile=large``), from
the hub's API, or from the last time.  It is never trusted: the policy may say
otherwise by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import InvalidSetting
from workbench_hub.policy import Policy
from workbench_hub.policy.work import Profile

__all__ = ["Choice", "Offer", "choose", "from_form", "offered"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, by the names of the policy."""

    profile: str
    image: str
    limits: Profile


@dataclass(frozen=True, slots=True)
class Offer:
    """A profile that a user may choose, with the images for it."""

    name: str
    profile: Profile
    images: dict[str, str]


def offered(policy: Policy, groups: Iterable[str]) -> list[Offer]:
    """Return what somebody of these groups may choose, the default first."""
    groups = tuple(groups)
    offers = []
    for name, profile in policy.profiles_of(groups).items():
        images = {label: image.title for label, image in policy.images_of(groups, name).items()}
        if images:
            offers.append(Offer(name, profile, images))
    return offers


def choose(options: Mapping[str, Any], policy: Policy, groups: Iterable[str]) -> Choice:
    """Return what was chosen, if it may be; the defaults, where nothing was.

    Raises
    ------
    InvalidSetting
        If it may not be chosen; the words name what may.
    """
    offers = {offer.name: offer for offer in offered(policy, groups)}
    if not offers:
        raise InvalidSetting(
            "Your account", "has no profile to choose", "The administrator's policy gives one."
        )
    name = str(options.get("profile") or next(iter(offers)))
    if name not in offers:
        raise _refused("Profile", name, offers)
    offer = offers[name]
    image = str(options.get("image") or next(iter(offer.images)))
    if image not in offer.images:
        raise _refused("Image", image, offer.images)
    return Choice(name, image, offer.profile)


def from_form(data: Mapping[str, list[Any]]) -> dict[str, str]:
    """Return the options that a form or an address names: each image's field is its profile's own."""
    profile = _first(data, "profile")
    image = _first(data, f"image.{profile}") or _first(data, "image")
    return {name: value for name, value in (("profile", profile), ("image", image)) if value}


def _first(data: Mapping[str, list[Any]], name: str) -> str:
    values = data.get(name) or [""]
    return str(values[0])


def _refused(what: str, name: str, known: Iterable[str]) -> InvalidSetting:
    return InvalidSetting(
        f"{what} {name!r:.60}", "is not one that you may choose", f"You may: {', '.join(known)}."
    )
