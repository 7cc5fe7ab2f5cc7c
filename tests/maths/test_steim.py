"""Steim compression, undone as libmseed undoes it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace

from workbench.archive.records import scan
from workbench.maths.fields import length_at
from workbench.maths.steim import DAMAGED, GOOD, SHORT, steim

SIZES = st.sampled_from([2, 8, 100, 20000, 10**6, 2**28])
SAMPLES = st.lists(st.tuples(SIZES, st.integers(-(2**28), 2**28)), min_size=1, max_size=300).map(
    lambda pairs: np.array([value % (2 * size) - size for size, value in pairs], dtype=np.int32)
)


def packed(data: np.ndarray, version: int, order: str = ">") -> bytes:
    out = io.BytesIO()
    Stream([Trace(data)]).write(out, format="MSEED", encoding=f"STEIM{version}", reclen=512, byteorder=order)
    return out.getvalue()


def unpacked(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    rows = scan(content).records
    return steim(
        np.frombuffer(content, np.uint8),
        rows["offset"] + rows["data"],
        rows["offset"] + rows["length"],
        rows["n"].astype(np.int64),
        np.where(rows["encoding"] == 10, 1, 2).astype(np.uint8),
        rows["big"].astype(np.bool_),
    )


@settings(max_examples=60, deadline=None)
@given(SAMPLES, st.sampled_from([1, 2]), st.sampled_from(["<", ">"]))
def test_what_libmseed_packs_comes_back(data, version, order) -> None:
    back, status = unpacked(packed(data, version, order))
    assert (status == GOOD).all()
    np.testing.assert_array_equal(back, data)


@pytest.mark.parametrize("version", [1, 2])
def test_damage_is_seen_and_nothing_outside_is_read(version) -> None:
    data = np.random.default_rng(1).integers(-3000, 3000, 2000).astype(np.int32)
    good = packed(data, version)
    seen = set()
    for at in range(64, 512):
        for value in (0, 0x55, 0xFF):
            broken = bytearray(good)
            if broken[at] == value:
                continue
            broken[at] = value
            back, status = unpacked(bytes(broken))
            seen.add(int(status[0]))
            assert (status[1:] == GOOD).all()
            first = scan(good).records["n"][0]
            np.testing.assert_array_equal(back[first:], data[first:])
    assert {DAMAGED, SHORT} <= seen
    with pytest.raises(ValueError, match="outside"):
        steim(
            np.zeros(100, np.uint8),
            np.array([64]),
            np.array([128]),
            np.array([5]),
            np.array([1], np.uint8),
            np.array([True]),
        )


def test_lengths_without_blockette_1000_come_from_the_next_header() -> None:
    content = bytearray(packed(np.arange(3000, dtype=np.int32), 1))
    records = [content[k : k + 512] for k in range(0, len(content), 512)]
    for one in records:
        one[39] = 0
        one[46:48] = b"\0\0"
    view = np.frombuffer(b"".join(records), np.uint8)
    assert len(records) > 2
    assert [length_at(view, 512 * k) for k in range(len(records))] == [512] * len(records)
    assert length_at(view, 1) == 0
