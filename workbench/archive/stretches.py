"""Stretches: records of one channel that follow each other, the unit of the index."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.archive.records import Scan

__all__ = ["Stretch", "digest", "stretches"]

_BYTES = 256 * 1024
"""Longest stretch: what is read at least for one sample."""


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
    """Group the records of a file: as long as they follow each other, and at most 256 KiB."""
    rows = scan.records[(scan.records["n"] > 0) & (scan.records["rate"] > 0)]
    if not len(rows):
        return []
    before, after = rows[:-1], rows[1:]
    step = 1e9 / before["rate"]
    same = (
        (before["offset"] + before["length"] == after["offset"])
        & (np.abs(after["start"] - before["end"] - step) <= 0.5 * step)
        & ~before["leap"]
        & ~after["leap"]
    )
    for name in ("channel", "rate", "encoding", "length"):
        same &= before[name] == after[name]
    edges = np.concatenate(([0], np.flatnonzero(~same) + 1, [len(rows)]))
    found = []
    for first, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        together = max(1, _BYTES // int(rows["length"][first]))
        for begin in range(first, stop, together):
            part = rows[begin : min(begin + together, stop)]
            head, tail = part[0], part[-1]
            found.append(
                Stretch(
                    path=path,
                    offset=int(head["offset"]),
                    length=int(tail["offset"] + tail["length"] - head["offset"]),
                    id=scan.ids[int(head["channel"])],
                    start=int(min(head["start"], tail["end"])),
                    end=int(tail["end"]),
                    rate=float(head["rate"]),
                    n=int(part["n"].sum()),
                    record_length=int(head["length"]),
                    encoding=int(head["encoding"]),
                    leap=int(tail["leap"]),
                )
            )
    return found


def digest(seed_id: str, start: int, rate: float, samples: npt.NDArray[np.generic]) -> str:
    """Return the fingerprint of samples: SHA-256 over id, start, rate and little-endian samples."""
    sha = hashlib.sha256(f"{seed_id}\0{start}\0{rate!r}\0{samples.dtype.kind}{samples.itemsize}\0".encode())
    sha.update(np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).data)
    return sha.hexdigest()
