"""Spans as bytes: CSV or JSON, every row as often as it is there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from workbench.nouns import Spans
from workbench.wire import tables
from workbench.wire.sample import Sample

__all__ = ["MEDIA", "canonical", "encode", "fingerprint", "guess", "merge", "read", "sniff"]

MEDIA = {"text/csv": ".csv", "application/json": ".json", "image/png": ".png"}
"""Media types that spans can be written as; the first is the canonical one."""


def sniff(sample: Sample) -> str | None:
    """Return ``CSV`` or ``JSON`` if the bytes are a table of spans."""
    if {"time", "end", "sampling_rate"} <= set(sample.columns):
        return "CSV"
    if '"noun":"Spans"' in (sample.text or "")[:200]:
        return "JSON"
    return None


def guess(sample: Sample) -> str | None:
    """Return None: no foreign form is read as spans."""
    return None


def read(data: bytes, name: str, form: str) -> Spans:
    """Read spans.

    Raises
    ------
    UnreadableFile, BadInput
        If it is no table, or a row has no time.
    """
    return tables.read_json(Spans, data, name) if form == "JSON" else tables.read_csv(Spans, data, name)


def merge(parts: Sequence[tuple[str, Spans]]) -> Spans:
    """Put the rows of several tables together; equal rows are overlaps, and stay."""
    if len(parts) == 1:
        return parts[0][1]
    return Spans.concat(spans for _, spans in parts)


def encode(spans: Spans, media: str) -> bytes:
    """Write spans as a media type of `MEDIA`."""
    if media == "application/json":
        return tables.write_json(spans)
    if media == "image/png":
        from workbench.plots import pictures

        return pictures.spans(spans)
    return tables.write_csv(spans)


def canonical(spans: Spans) -> bytes:
    """Return CSV with the fixed columns first and the further ones by name."""
    return tables.write_csv(spans, canonical=True)


def fingerprint(spans: Spans) -> str:
    """Return the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(spans)).hexdigest()
