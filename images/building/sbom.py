"""The bill of materials of an image, as CycloneDX 1.5."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

__all__ = ["bill", "write"]


def bill(image: str, digest: str, built: str, inventory: dict[str, Any]) -> dict[str, Any]:
    """Return the bill of materials.

    Parameters
    ----------
    image, digest : str
        The image's name, and what names it for good.
    built : str
        When it was built, ISO 8601.
    inventory : dict
        What `inventory.py` found in it.
    """
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, digest).urn,
        "version": 1,
        "metadata": {
            "timestamp": built,
            "component": {"type": "container", "bom-ref": digest, "name": image, "version": digest},
        },
        "components": [*_debian(inventory["debian"]), *_python(inventory["python"])],
    }


def write(path: Path, described: dict[str, Any]) -> None:
    """Write a bill of materials."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(described, indent=1) + "\n")


def _debian(packages: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    for package in packages:
        name, version = quote(package["name"]), quote(package["version"], safe="")
        purl = f"pkg:deb/debian/{name}@{version}?arch={package['architecture']}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": package["version"], "purl": purl}


def _python(packages: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    for package in packages:
        version = quote(package["version"], safe="")
        purl = f"pkg:pypi/{package['name'].lower().replace('_', '-')}@{version}"
        component = {"type": "library", "bom-ref": purl, "name": package["name"], "purl": purl}
        component["version"] = package["version"]
        licenses = [{"license": {"name": package["license"]}}] if package["license"] else []
        yield component | ({"licenses": licenses} if licenses else {})
