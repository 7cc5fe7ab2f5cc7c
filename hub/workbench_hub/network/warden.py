"""The warden: looks names up anew, and puts the walls up again where they fell.

Another firewall's restart, or a ``iptables --flush`` by hand, takes our hooks away while
users' containers run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic

from workbench.errors import WorkbenchError
from workbench_hub.network.firewall import apply, missing
from workbench_hub.network.plan import Plan
from workbench_hub.network.resolver import write_resolver

__all__ = ["Warden"]


@dataclass
class Warden:
    """Keeps the rules of a deployment.

    Parameters
    ----------
    plan : callable
        Returns the plan of now; is told whether names are to be looked up anew.
    say : callable
        Takes a line for the log.
    names : Path, optional
        Directory of the files that tell containers names of hosts.
    every : float
        Seconds between two looks at the rules.
    renew : float
        Seconds between two look-ups of the names.
    version : callable
        Another answer than before means that somebody has changed the policy
        or looked names up, and put other rules in place: these are then ours.
    """

    plan: Callable[[bool], Plan]
    say: Callable[[str], None]
    names: Path | None = None
    every: float = 10.0
    renew: float = 600.0
    version: Callable[[], object] = lambda: None
    stop: Event = field(default_factory=Event)

    def run(self) -> None:
        """Look after the rules until `stop` is set."""
        # Asked before each look, so that no change comes between; what the look itself wrote costs one more.
        seen = self.version()
        plan, renewed = self._look(None, renew=True), monotonic()
        while not self.stop.wait(self.every):
            before, seen = seen, self.version()
            if plan is None or monotonic() - renewed > self.renew:
                plan, renewed = self._look(plan, renew=True), monotonic()
            elif seen != before:
                plan = self._look(plan, renew=False)
            else:
                self._mend(plan)

    def _look(self, before: Plan | None, *, renew: bool) -> Plan | None:
        """Return the plan of now; the one before where there is none."""
        try:
            plan = self.plan(renew)
        except WorkbenchError as error:
            self.say(f"the old rules stay: {error}")
            return before
        self._mend(plan)
        if self.names is not None:
            write_resolver(plan, self.names)
        return plan

    def _mend(self, plan: Plan) -> None:
        try:
            fallen = missing(plan)
            if fallen:
                apply(plan)
                self.say(f"put up: {'; '.join(fallen)}")
        except WorkbenchError as error:
            self.say(f"the walls are not up: {error}")
