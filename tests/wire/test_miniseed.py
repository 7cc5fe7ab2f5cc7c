"""Damaged miniSEED: the good records are kept, the bad ones are named."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime

from workbench import wire
from workbench.errors import UnreadableFile
from workbench.notices import listen

RECORD = 512


def recorded(samples: int = 20_000, byteorder: str = ">", reclen: int = RECORD) -> bytes:
    rng = np.random.default_rng(1)
    header = {"network": "XX", "station": "ABC", "channel": "HHZ", "sampling_rate": 100.0}
    data = rng.integers(-5000, 5000, samples).astype(np.int32)
    trace = Trace(data, {**header, "starttime": UTCDateTime(2020, 1, 1)})
    out = io.BytesIO()
    Stream([trace]).write(out, format="MSEED", encoding="STEIM2", reclen=reclen, byteorder=byteorder)
    return out.getvalue()


def read(data: bytes):
    with listen() as heard:
        stream = wire.read(data, "Waveforms", name="a.mseed")
    return stream, [str(said) for said in heard.notices]


def test_sound_file_is_read_without_a_word():
    stream, said = read(recorded())
    assert [trace.stats.npts for trace in stream] == [20_000]
    assert said == []


@pytest.mark.parametrize("cut", [1, 100, RECORD - 30])
def test_truncated_end_keeps_the_rest_and_says_where(cut):
    data = recorded()
    stream, said = read(data[:-cut])
    whole, _ = read(data[: len(data) // RECORD * RECORD - RECORD])
    assert wire.fingerprint(stream) == wire.fingerprint(whole)
    assert len(said) == 1
    assert "a.mseed" in said[0]
    assert f"bytes {len(data) - RECORD} to {len(data) - cut - 1}" in said[0]


@pytest.mark.parametrize("filling", [bytes(RECORD), b"x" * RECORD, b"\xff" * RECORD])
@pytest.mark.parametrize("at", [0, 3, 10])
def test_overwritten_record_is_left_out_and_named(filling, at):
    data = recorded()
    stream, said = read(data[: at * RECORD] + filling + data[(at + 1) * RECORD :])
    lost = 20_000 - sum(trace.stats.npts for trace in stream)
    assert 100 < lost < 1000
    # A stretch of zeros is how files are filled up beforehand, and no damage.
    assert [f"bytes {at * RECORD} to" in one for one in said] == [True] * any(filling)


def test_samples_that_do_not_decode_cost_one_record():
    data = bytearray(recorded())
    data[7 * RECORD + 64 : 8 * RECORD] = b"\xff" * (RECORD - 64)
    stream, said = read(bytes(data))
    assert len(stream) == 2
    assert [f"bytes {7 * RECORD} to {8 * RECORD - 1}" in one for one in said] == [True]


def test_junk_in_front_and_shifted_records_are_skipped():
    data = recorded()
    stream, said = read(b"0123456789" + data[:5120] + b"junk" + data[5120:])
    assert sum(trace.stats.npts for trace in stream) == 20_000
    assert len(said) == 2


@pytest.mark.parametrize(
    "data",
    [b"000001D ABC    HHZXX" + bytes(500), b"000001D ABC    HHZXX", recorded()[:300]],
    ids=["empty header", "half a header", "first record cut off"],
)
def test_file_without_a_good_record_is_refused_by_name(data):
    with pytest.raises(UnreadableFile, match=r"a\.mseed"):
        read(data)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("reclen", [256, 512, 4096])
def test_record_lengths_and_byte_orders_are_all_the_same(byteorder, reclen):
    stream, said = read(recorded(byteorder=byteorder, reclen=reclen))
    assert wire.fingerprint(stream) == wire.fingerprint(read(recorded())[0])
    assert said == []


def test_a_thousand_faults_are_not_a_thousand_notices():
    data = bytearray(recorded())
    for at in range(RECORD, len(data), 2 * RECORD):
        data[at : at + 8] = b"damaged!"
    _, said = read(bytes(data))
    assert len(said) == 21
    assert "more stretches" in said[-1]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_gives_an_error_of_ours_or_a_stream(data):
    content = bytearray(recorded(3000))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(UnreadableFile):
        stream, _ = read(bytes(content[:end]))
        assert sum(trace.stats.npts for trace in stream) <= 3000 * 2
