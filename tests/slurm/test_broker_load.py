"""The broker with much to do: one who sends without end, and one who hardly does."""

from __future__ import annotations

import base64
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from brokered import Brokered, new_id
from slurmed import UIDS

pytest_plugins = ["brokers", "opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(240)]

TRUE = base64.b64encode(b"#!/bin/sh\ntrue\n").decode()
AT_ONCE = 24
"""As many wait at the broker's door at any time; it works at four of a user's."""


def asked_of(broker: Brokered, user: str, command: str, **more: object) -> tuple[float, httpx.Response]:
    begun = time.monotonic()
    said = broker.post(command, {"words": [], **more}, broker.token(user))
    return time.monotonic() - begun, said


def jobs(broker: Brokered) -> int:
    return len(broker.slurm.root_command("squeue", "-h", "--states=all").splitlines())


def forget(broker: Brokered) -> None:
    """Have the broker forget what anna sent in the last minute, so that each test has one of its own."""
    for entry in (broker.hub.state / "broker" / str(UIDS["anna"])).glob("*.json"):
        entry.unlink()


def test_who_sends_without_end_keeps_nobody_waiting(broker: Brokered):
    for user in ("anna", "ben"):
        assert asked_of(broker, user, "squeue")[1].status_code == 200
    forget(broker)
    before = jobs(broker)
    quiet = [asked_of(broker, "ben", "squeue")[0] for _ in range(10)]
    ids = [new_id() for _ in range(70)]
    script = {"words": ["--parsable", "--output=/dev/null", "--hold"], "script": TRUE}
    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Each of them twice, as a shim does that had no answer.
        sent = [pool.submit(asked_of, broker, "anna", "sbatch", **script, id=id) for id in ids for _ in "12"]
        meanwhile = []
        while not all(one.done() for one in sent):
            meanwhile.append(asked_of(broker, "ben", "squeue"))
            time.sleep(0.1)
    said = [one.result()[1] for one in sent]
    # Sixty a minute, all of them once; the others are told so, and nothing else happens to any.
    answers = Counter(one.status_code for one in said)
    numbers = {one.json()["stdout"] for one in said if one.status_code == 200}
    assert set(answers) <= {200, 429}, answers
    assert len(numbers) == 60 or (time.monotonic() - begun > 60 and len(numbers) > 60)
    assert all("60 times a minute" in one.json()["stderr"] for one in said if one.status_code == 429)
    assert jobs(broker) - before == len(numbers)
    assert {one.status_code for _, one in meanwhile} == {200}
    slowest = sorted(took for took, _ in meanwhile)
    print(f"{len(numbers)} jobs sent; of ben's {len(meanwhile)} questions the middle took")
    print(f"{slowest[len(slowest) // 2]:.3f} s, the slowest {slowest[-1]:.3f} s; at rest {max(quiet):.3f} s")
    assert slowest[len(slowest) // 2] < 3
    assert slowest[-1] < 15
    assert asked_of(broker, "ben", "sbatch", **script, id=new_id())[1].status_code == 200
    forget(broker)
