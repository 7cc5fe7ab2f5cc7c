"""Triggers as bytes: CSV or JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from workbench.nouns import Triggers
from workbench.wire import tables
from workbench.wire.sample import Sample

__all__ = ["MEDIA", "canonical", "encode", "fingerprint", "guess", "merge", "read", "sniff"]

MEDIA = {"text/csv": ".csv", "application/json": ".json", "image/png": ".png"}
"""Media types that triggers can be written as; the first is the canonical one."""


def sniff(sample: Sample) -> str | None:
    """Return ``CSV`` or ``JSON`` if the bytes are a table of triggers."""
    if {"time", "duration_s"} <= set(sample.columns):
        return "CSV"
    if '"noun":"Triggers"' in (sample.text or "")[:200]:
        return "JSON"
    return None


def guess(sample: Sample) -> str | None:
    """Return None: no foreign form is read as triggers."""
    return None


def read(data: bytes, name: str, form: str) -> Triggers:
    """Read triggers.

    Raises
    ------
    UnreadableFile, BadInput
        If it is no table, or a row has no time.
    """
    return tables.read_json(Triggers, data, name) if form == "JSON" else tables.read_csv(Triggers, data, name)


def merge(parts: Sequence[tuple[str, Triggers]]) -> Triggers:
    """Put the rows of several tables together, each once."""
    if len(parts) == 1:
        return parts[0][1]
    return Triggers.concat(triggers for _, triggers in parts)


def encode(triggers: Triggers, media: str) -> bytes:
    """Write triggers as a media type of `MEDIA`."""
    if media == "application/json":
        return tables.write_json(triggers)
    if media == "image/png":
        from workbench.plots import pictures

        return pictures.triggers(triggers)
    return tables.write_csv(triggers)


def canonical(triggers: Triggers) -> bytes:
    """Return CSV with the fixed columns first and the further ones by name."""
    return tables.write_csv(triggers, canonical=True)


def fingerprint(triggers: Triggers) -> str:
    """Return the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(triggers)).hexdigest()
