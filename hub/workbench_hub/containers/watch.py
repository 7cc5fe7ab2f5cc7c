"""What is seen of one user's container while it runs, and what is left to see when it has ended."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import asdict, dataclass, replace
from time import time
from typing import Any, Self

from workbench_hub.containers.counters import Counters, read
from workbench_hub.containers.daemon import Daemon, NoDaemon
from workbench_hub.containers.diagnosis import diagnose
from workbench_hub.containers.evidence import Diagnosis, Evidence
from workbench_hub.containers.records import Record
from workbench_hub.containers.words import size
from workbench_hub.volumes import Usage

__all__ = ["LABEL", "Given", "Watch"]

LABEL = "workbench.given"
"""Label of a container that says what it was made of."""

_LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Given:
    """What a session was made of; it stays so, whatever the policy says tomorrow."""

    profile: str
    image: str
    digest: str
    memory: int
    uid: int
    gid: int
    since: float

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self | None:
        """Take it from the hub's state of a server; None where there is none."""
        return cls(**state) if state else None

    @classmethod
    def from_labels(cls, labels: dict[str, str]) -> Self | None:
        """Take it from the container itself: a hub that died during the start has nothing else."""
        return cls.from_state(json.loads(labels.get(LABEL, "{}")))

    def state(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def labels(self) -> dict[str, str]:
        """Return it as the container keeps it."""
        return {LABEL: json.dumps(self.state())}


class Watch:
    """The eye on one container.

    Parameters
    ----------
    daemon : Daemon
    name : str
        Of the container.
    record : Record
        Where it is remembered what happened.
    log : logging.Logger
    """

    def __init__(self, daemon: Daemon, name: str, record: Record, log: logging.Logger) -> None:
        self.daemon = daemon
        self.name = name
        self.record = record
        self.log = log
        self.counters: Counters | None = None
        self.given: Given | None = None
        self.pid = 0
        self._oom_kills = record.oom_kills

    async def exit_code(self) -> int | None:
        """Return None while the container runs, else its exit code, or -1 if it is gone.

        A daemon that does not answer tells nothing about a container, which goes
        on without it: that counts as running.
        """
        try:
            container = await self.daemon.find(self.name)
        except NoDaemon as error:
            self.log.warning("%s: %s", self.name, error)
            return None
        if container is None:
            return -1
        state = container["State"]
        if not state["Running"]:
            return int(state["ExitCode"])
        self.pid = int(state["Pid"])
        self.given = Given.from_labels(container["Config"]["Labels"] or {})
        self.counters = await asyncio.to_thread(read, self.pid) or self.counters
        return None

    async def note_memory(self, given: Given) -> None:
        """Remember that processes ran out of memory, if there are more of them than before."""
        kills = self.counters.oom_kills if self.counters else 0
        if kills <= self._oom_kills:
            return
        words = f"A process was ended because the memory was used up: the limit is {size(given.memory)}."
        await asyncio.to_thread(self.record.note, words, kills)
        self._oom_kills = kills
        self.log.warning("%s: out of memory, %d processes so far", self.name, kills)

    async def ended(self, evidence: Evidence) -> Diagnosis:
        """Say why it ended, and remember that."""
        diagnosis = diagnose(evidence)
        await asyncio.to_thread(self.record.end, diagnosis)
        self.log.warning("%s: %s: %s", self.name, diagnosis.cause, diagnosis)
        return diagnosis

    async def evidence(
        self, given: Given | None, *, error: str = "", waited: float = 0.0, home: Usage | None = None
    ) -> Evidence:
        """Gather what there is to see."""
        found = Evidence(error=error, waited=waited, counters=self.counters, home=home)
        if given is not None:
            found = replace(
                found,
                image=given.image,
                digest=given.digest,
                uid=given.uid,
                gid=given.gid,
                memory_limit=given.memory,
                ran=time() - given.since,
            )
        try:
            container = await self.daemon.find(self.name)
            log = await self.daemon.log(self.name, _LOG_LINES) if container else ()
        except NoDaemon as silent:
            return replace(found, error=error or str(silent))
        if container is None:
            return found
        state = container["State"]
        return replace(
            found,
            error=error or state["Error"],
            exit_code=int(state["ExitCode"]) if state["Status"] == "exited" else None,
            oom_killed=bool(state["OOMKilled"]),
            log=log,
        )
