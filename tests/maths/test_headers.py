"""Headers that are read by what is known of the one before, beside the same read one by one."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from obspy import Stream, Trace, UTCDateTime

from workbench.archive.records import RECORD
from workbench.maths import headers

LENGTH = 256


def made(byteorder: str, *, timed: bool) -> npt.NDArray[np.uint8]:
    """Return records, with blockette 1001 behind the 1000 or without."""
    start = UTCDateTime(2020, 2, 28, 23, 58, 40, 123456 if timed else 0)
    header = {"network": "XX", "station": "A", "channel": "HHZ", "sampling_rate": 20.0, "starttime": start}
    data = np.random.default_rng(1).integers(-1000, 1000, 4000).astype(np.int32)
    out = io.BytesIO()
    Stream([Trace(data, header)]).write(out, format="MSEED", reclen=LENGTH, byteorder=byteorder)
    found = np.frombuffer(out.getvalue(), np.uint8).copy()
    assert (found[51::LENGTH].any() or found[50::LENGTH].any()) == timed
    return found


def walked(buffer: npt.NDArray[np.uint8], room: int) -> tuple[bytes, bytes, bytes]:
    """Read headers, so many at a time, until there is no record."""
    rows, wrong = np.zeros(1 << 10, RECORD), np.zeros(1 << 10, np.uint8)
    count = at = 0
    while True:
        part = slice(count, count + room)
        more, at = headers.walk(buffer, at, 7, rows[part], wrong[part], False)
        count += more
        if more < room:
            break
    codes = np.zeros((1 << 10, 12), np.uint8)
    known = headers.channels(buffer, 7, rows[:count], codes, 0)
    return rows[:count].tobytes(), wrong[:count].tobytes(), codes[:known].tobytes()


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_what_is_known_of_the_header_before_changes_nothing(byteorder: str, timed: bool) -> None:
    good = made(byteorder, timed=timed)
    number = len(good) // LENGTH
    assert number > 20
    assert walked(good, 1 << 9) == walked(good, 1)
    random = np.random.default_rng(2)
    told = 0
    for _ in range(3000):
        buffer = good.copy()
        # One byte of some headers, some of them twice the same: the next header then is like a changed one.
        for place in random.integers(0, 64, random.integers(1, 3)):
            value = random.choice([random.integers(0, 256), buffer[place] ^ (1 << random.integers(0, 8))])
            for record in random.integers(0, number, random.integers(1, 4)):
                buffer[record * LENGTH + place] = value
        alone = walked(buffer, 1)
        assert walked(buffer, 1 << 9) == alone
        told += len(alone[0]) == number * RECORD.itemsize
    # Most of them could be read to the end, and not just to the change.
    assert told > 1000


def test_a_sequence_number_has_digits_blanks_and_zeros() -> None:
    good = made(">", timed=False)
    for value in range(256):
        for place in range(6):
            buffer = good.copy()
            buffer[3 * LENGTH + place] = value
            fits = chr(value) in "0123456789 \0"
            assert len(walked(buffer, 1 << 9)[0]) == (len(good) // LENGTH if fits else 3) * RECORD.itemsize
