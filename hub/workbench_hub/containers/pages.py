"""Pieces of the hub's pages that are made here: the form of choices, and what the spawn doctor says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workbench_hub.containers.choices import Offer
from workbench_hub.containers.evidence import Diagnosis
from workbench_hub.containers.words import size
from workbench_hub.deployment import package_file

__all__ = ["TEMPLATES", "diagnosis_html", "form_html"]

TEMPLATES = package_file("../templates")
"""Where the hub finds our pages: its own ones stand behind them."""


def diagnosis_html(diagnosis: Diagnosis, contact: str = "") -> str:
    """Return the doctor's words as a piece of a page; everything in it is escaped."""
    return _templates(TEMPLATES).get_template("diagnosis.html").render(diagnosis=diagnosis, contact=contact)


def form_html(offers: Sequence[Offer], chosen: dict[str, str], warnings: Sequence[str] = ()) -> str:
    """Return the choices as a form's content; nothing where there is no choice."""
    if len(offers) <= 1 and all(len(offer.images) <= 1 for offer in offers):
        return ""
    page = _templates(TEMPLATES).get_template("profiles.html")
    return page.render(offers=offers, chosen=chosen, warnings=warnings)


@lru_cache
def _templates(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["size"] = size
    return environment
