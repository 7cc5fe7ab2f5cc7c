"""Stretches: records of one channel that follow each other, the unit of the index."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.archive.records import Scan
from workbench.maths import follow

__all__ = ["Stretch", "columns", "digest", "stretches"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of one channel that follow each other in time and in the file.

    Attributes
    ----------
    path : str
        Of the file, below the root.
    offset, length : int
        Place in the file, in bytes.
    id : str
        SEED id.
    start, end : int
        Times of the first and the last sample, ns since 1970.
    rate : float
        Samples a second.
    n : int
        Samples.
    record_length, encoding : int
        Of each record; the number of the encoding as in blockette 1000.
    leap : int
        1 if it runs into, or through, a leap second; else 0.
    fingerprint : str or None
        SHA-256 over id, start, rate and samples, once it has been asked for.
    """

    path: str
    offset: int
    length: int
    id: str
    start: int
    end: int
    rate: float
    n: int
    record_length: int
    encoding: int
    leap: int
    fingerprint: str | None = None


def stretches(path: str, scan: Scan) -> list[Stretch]:
    """Group the records of a file: as long as they follow each other, in each 256 KiB of it."""
    return [Stretch(path, *row) for row in zip(*columns(scan), strict=True)]


def columns(scan: Scan) -> list[list[Any]]:
    """Return the plain values of each attribute of `stretches`, from the offset to the leap second."""
    found, rates = follow.stretches(scan.records)
    # Thousands of rows for a moment are work for the garbage collector, and columns are not.
    offset, length, channel, *times, n, record_length, encoding, leap = found.T.tolist()
    ids = [scan.ids[number] for number in channel]
    return [offset, length, ids, *times, rates.tolist(), n, record_length, encoding, leap]


def digest(seed_id: str, start: int, rate: float, samples: npt.NDArray[np.generic]) -> str:
    """Return the fingerprint of samples: SHA-256 over id, start, rate and little-endian samples."""
    sha = hashlib.sha256(f"{seed_id}\0{start}\0{rate!r}\0{samples.dtype.kind}{samples.itemsize}\0".encode())
    sha.update(np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).data)
    return sha.hexdigest()
