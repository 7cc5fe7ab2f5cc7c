"""Waveforms, stations and events: where they lie, and how they are read and added."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.archive.directory import Directory
    from workbench.archive.events import EventFilter
    from workbench.archive.fdsn import Fdsn
    from workbench.archive.remote import Remote
    from workbench.archive.sds import Archive
    from workbench.archive.selection import Selection, parse_selections
    from workbench.archive.sources import Memory, Source, Sources, default_sources
    from workbench.archive.surveys import survey

__all__ = [
    "Archive",
    "Directory",
    "EventFilter",
    "Fdsn",
    "Memory",
    "Remote",
    "Selection",
    "Source",
    "Sources",
    "default_sources",
    "parse_selections",
    "survey",
]

_HOMES = {
    "Archive": "sds",
    "Directory": "directory",
    "EventFilter": "events",
    "Fdsn": "fdsn",
    "Memory": "sources",
    "Remote": "remote",
    "Selection": "selection",
    "Source": "sources",
    "Sources": "sources",
    "default_sources": "sources",
    "parse_selections": "selection",
    "survey": "surveys",
}


def __getattr__(name: str) -> Any:
    # Whoever only reads records need not wait for databases and web clients.
    if name in _HOMES:
        return getattr(importlib.import_module(f"workbench.archive.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'workbench.archive' has no attribute '{name}'")
