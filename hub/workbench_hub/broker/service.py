"""What is asked of the broker, what becomes of it, and what is written down about it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from workbench.errors import ResourceExceeded, WorkbenchError
from workbench_hub.broker import options, queries
from workbench_hub.broker.callers import Caller
from workbench_hub.broker.journal import Entry, Journal, number
from workbench_hub.broker.limits import Minute
from workbench_hub.broker.rules import Refused, Rules
from workbench_hub.broker.running import Done, Runner, Who
from workbench_hub.broker.submission import Asked, Submission, Surroundings, rebuild
from workbench_hub.life.trail import Trail

__all__ = ["COMMANDS", "Broker", "Request"]

COMMANDS = ("sbatch", *queries.QUERIES)
"""The commands that there are."""

_LOG = logging.getLogger("workbench_hub.broker")
_REFUSED_A_MINUTE, _STRANGERS_A_MINUTE = 300, 30
_LINE = 300


@dataclass(frozen=True, slots=True)
class Request:
    """What a server sent.

    Parameters
    ----------
    command : str
        One of SLURM's.
    words : sequence of str
        What followed it on the command line.
    script : bytes
        Of sbatch.
    id : str
        Of a submission, chosen by the sender: a second one of the same id is the same.
    """

    command: str
    words: Sequence[str] = ()
    script: bytes = b""
    id: str = ""


class Broker:
    """Does what is allowed, as the user; each submission, each end and each refusal is in the audit log.

    Parameters
    ----------
    rules : Rules
    journal : Journal
    trail : Trail
    shown : callable
        Returns the files and folders that a user's jobs see besides the home, and whether they may
        change them: what a server of the user's sees.
    """

    def __init__(
        self, rules: Rules, journal: Journal, trail: Trail, shown: Callable[[Who], list[tuple[Path, bool]]]
    ) -> None:
        self.rules, self.journal, self.trail, self.shown = rules, journal, trail, shown
        self.runner = Runner(rules)
        self._questions = Minute(rules.questions)
        self._refusals = Minute(_REFUSED_A_MINUTE)
        self._strangers = Minute(_STRANGERS_A_MINUTE)
        self._sending: dict[int, Lock] = {}

    def answer(self, caller: Caller, request: Request) -> Done:
        """Do what a server asks, in a thread of its own.

        Raises
        ------
        WorkbenchError
            If it is refused; that is written down already.
        """
        try:
            if not self._questions.admits(caller.who.name):
                raise ResourceExceeded(
                    "You", f"ask more than {self.rules.questions} times a minute", "Wait a minute."
                )
            if request.command == "sbatch":
                return self._sbatch(caller, request)
            if request.command not in queries.QUERIES:
                raise Refused(request.command[:40], "is no command of the broker's")
            done = queries.QUERIES[request.command](caller.who, request.words, self.runner)
        except WorkbenchError as error:
            self.refused(caller.who.name, error, _details(caller, request))
            raise
        if request.command == "scancel":
            self.trail.write(
                "job cancelled" if not done.code else "job not cancelled",
                caller.who.name,
                "",
                _details(caller, request) | {"code": done.code},
            )
        _LOG.info("%s by %r (%r): %d", request.command, caller.who.name, caller.server, done.code)
        return done

    def refused(self, name: str, error: WorkbenchError, details: dict[str, Any]) -> None:
        """Write a refusal down: some of them, where somebody is refused without end."""
        _LOG.warning("%s by %r refused: %s", details.get("command", "?"), name, error)
        bound = self._refusals if name else self._strangers
        if bound.admits(name or str(details.get("address", ""))):
            why = {"why": str(error)[:_LINE]} | bound.take()
            self.trail.write("job refused", name, "", details | why)

    def _sbatch(self, caller: Caller, request: Request) -> Done:
        asked = Asked(request.words, request.script, request.id)
        who = caller.who
        if options.parse(request.words).has("version"):
            return self.runner.run(who, ["sbatch", "--version"])
        there = Surroundings(partial(self.shown, who), self._numbers(caller))
        submission = rebuild(asked, caller, self.rules, self.runner, there)
        if submission.tests:
            return self.runner.run(who, submission.words, given=submission.script)
        with self.journal.entry(who.uid, request.id) as entry:
            hashed = _hash(request)
            if entry.hash not in ("", hashed):
                raise Refused("The id of the submission", "is that of another one of yours")
            done = entry.said or self._send(caller, request, submission, entry, hashed)
            if not entry.told:
                details = _details(caller, request) | submission.about | {"image": caller.digest}
                if done.code:
                    details |= {"why": done.err.strip()[:_LINE]}
                    self.trail.write("job not submitted", who.name, "", details)
                else:
                    self.trail.write("job submitted", who.name, "", {**details, "job": number(done.out)})
                    entry.tell()
        _LOG.info("sbatch by %r (%r): %s", who.name, caller.server, number(done.out) or done.code)
        return done

    def _send(
        self, caller: Caller, request: Request, submission: Submission, entry: Entry, hashed: str
    ) -> Done:
        """Send a submission, unless there is a job of it: that of a broker that was killed."""
        who = caller.who
        # One of a user's at a time, so that each counts those before.
        with self._sending.setdefault(who.uid, Lock()):
            mine = queries.owned(who, self.runner)
            if entry.hash and (job := mine.ids.get(request.id)):
                parsable = "--parsable" in submission.words
                return entry.found(f"{job}\n" if parsable else f"Submitted batch job {job}\n")
            self._admit(caller, mine.alive)
            run = partial(self.runner.run, who, submission.words, given=submission.script)
            return entry.send(hashed, run)

    def _numbers(self, caller: Caller) -> Callable[[], frozenset[str]]:
        return lambda: queries.owned(caller.who, self.runner).numbers

    def _admit(self, caller: Caller, alive: int) -> None:
        if alive >= self.rules.jobs:
            raise ResourceExceeded(
                "You",
                f"have {alive} jobs that wait or run; {self.rules.jobs} are the most",
                "Wait until some have ended, or cancel them.",
            )
        if self.journal.newest(caller.who.uid, 60) >= self.rules.a_minute:
            raise ResourceExceeded(
                "You", f"submit more than {self.rules.a_minute} times a minute", "Use an array, or wait."
            )


def _hash(request: Request) -> str:
    said = sha256(json.dumps([*request.words]).encode())
    said.update(request.script)
    return said.hexdigest()


def _details(caller: Caller, request: Request) -> dict[str, Any]:
    """Return what is written down of a request: its options, and of the script only its hash."""
    details: dict[str, Any] = {"server": caller.server, "command": request.command}
    sends = request.command == "sbatch"
    words = options.before(request.words) if sends else request.words
    details["words"] = [word[:_LINE] for word in words[:20]]
    if sends:
        details |= {"script": sha256(request.script).hexdigest(), "id": request.id[:40]}
    return details
