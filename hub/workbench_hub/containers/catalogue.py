"""The closed catalogue: which images there are, each known by its digest.

The policy says who may choose what; the file that the build wrote says which
image a name means now.  It is read at every spawn, so that a new build is used
by the next session, while one that runs keeps what it runs in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import InvalidSetting, Unavailable
from workbench_hub.policy import Policy

__all__ = ["Chosen", "choose_image"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """An image of the catalogue."""

    label: str
    title: str
    digest: str


def choose_image(label: str, policy: Policy, catalogue: Path) -> Chosen:
    """Return the image that a name of the policy means now.

    Raises
    ------
    InvalidSetting
        If the policy has no image of that name.
    Unavailable
        If no build has made it.
    """
    image = policy.images.get(label)
    if image is None:
        known = ", ".join(policy.images)
        raise InvalidSetting(f"Image '{label}'", "is not in the catalogue", f"There are: {known}.")
    digest = image.digest or _built(catalogue).get(image.build or label, {}).get("digest", "")
    if not digest:
        remedy = f"The administrator can build it: python images/build.py {image.build or label}"
        raise Unavailable(f"Image '{label}'", f"is not in {catalogue.name}, which the build writes", remedy)
    return Chosen(label, image.title, digest)


def _built(catalogue: Path) -> dict[str, dict[str, Any]]:
    try:
        return dict(json.loads(catalogue.read_text()))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        remedy = "Build the images again: python images/build.py"
        raise Unavailable(str(catalogue), f"is not JSON ({error})", remedy) from error
