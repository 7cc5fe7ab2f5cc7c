"""Picks as bytes: CSV, JSON, or QuakeML flattened."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from workbench.nouns import Picks
from workbench.wire import tables
from workbench.wire.sample import Sample

__all__ = ["MEDIA", "canonical", "encode", "fingerprint", "guess", "merge", "read", "sniff"]

MEDIA = {
    "text/csv": ".csv",
    "application/json": ".json",
    "application/xml": ".xml",
    "image/png": ".png",
}
"""Media types that picks can be written as; the first is the canonical one."""


def sniff(sample: Sample) -> str | None:
    """Return ``CSV`` or ``JSON`` if the bytes are a table of picks."""
    if {"station", "phase", "time"} <= set(sample.columns):
        return "CSV"
    if '"noun":"Picks"' in (sample.text or "")[:200]:
        return "JSON"
    return None


def guess(sample: Sample) -> str | None:
    """Return None: no foreign form is read as picks."""
    return None


def read(data: bytes, name: str, form: str) -> Picks:
    """Read picks.

    Raises
    ------
    UnreadableFile, BadInput
        If it is no table, or a row has no time.
    """
    return tables.read_json(Picks, data, name) if form == "JSON" else tables.read_csv(Picks, data, name)


def merge(parts: Sequence[tuple[str, Picks]]) -> Picks:
    """Put the rows of several tables together, each once."""
    if len(parts) == 1:
        return parts[0][1]
    return Picks.concat(picks for _, picks in parts)


def encode(picks: Picks, media: str) -> bytes:
    """Write picks as a media type of `MEDIA`."""
    if media == "application/json":
        return tables.write_json(picks)
    if media == "application/xml":
        from workbench.wire import events

        return events.canonical(events.of_picks(picks))
    if media == "image/png":
        from workbench.plots import pictures

        return pictures.picks(picks)
    return tables.write_csv(picks)


def canonical(picks: Picks) -> bytes:
    """Return CSV with the fixed columns first and the further ones by name."""
    return tables.write_csv(picks, canonical=True)


def fingerprint(picks: Picks) -> str:
    """Return the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(picks)).hexdigest()
