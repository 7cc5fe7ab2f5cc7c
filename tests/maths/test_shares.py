"""Work that several threads share gives what one gives."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from tests.maths.test_steim import packed, unpacked
from workbench.maths import shares
from workbench.maths.moments import sums


@pytest.fixture(params=[2, 3, 5])
def many(request, monkeypatch) -> int:
    monkeypatch.setattr(shares, "CORES", request.param)
    monkeypatch.setattr(shares, "_ENOUGH", 1)
    return int(request.param)


@pytest.mark.parametrize("version", [1, 2])
def test_records_are_decompressed_side_by_side(many, version) -> None:
    random = np.random.default_rng(many)
    for number in (1, 2, 5, 3000, 40_000):
        data = random.integers(-(2 ** random.integers(2, 20)), 2**20, number).astype(np.int32)
        back, status = unpacked(packed(data, version))
        np.testing.assert_array_equal(back, data)
        assert not status.any()


def test_parts_are_summed_side_by_side(many, monkeypatch) -> None:
    data = np.random.default_rng(1).integers(-(2**31), 2**31, 50_000).astype(np.int32)
    limits = np.array([0, 0, 17, 17, 9000, 30_000, 30_001, 50_000])
    shared = sums(data, limits)
    monkeypatch.setattr(shares, "CORES", 1)
    assert shared.tolist() == sums(data, limits).tolist()


def test_each_part_is_done_once_and_errors_are_not_lost(many) -> None:
    done: list[int] = []
    shares.shared(lambda first, stop: done.extend(range(first, stop)), 11, 100)
    assert sorted(done) == list(range(11))
    with pytest.raises(ZeroDivisionError):
        shares.shared(lambda first, stop: first / 0, 11, 100)  # type: ignore[arg-type, return-value]


def test_what_is_not_begun_is_left_alone_when_somebody_stops() -> None:
    begun: list[int] = []
    first = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        first.wait(10)

    def stop() -> None:
        with shares.threads(1) as pool:
            for number in range(50):
                pool.submit(work, number)
            threading.Timer(0.2, first.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert begun == [0]


@pytest.mark.parametrize(("said", "most"), [("1", 1), ("2", 2), ("64", 4), ("", 4), ("0", 4), ("x", 4)])
def test_a_share_of_the_processors_is_kept_to(monkeypatch, said, most) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert shares.cores({"OMP_NUM_THREADS": said}) == most
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert shares.cores({"OMP_NUM_THREADS": said}) == 1
