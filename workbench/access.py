"""Who sees which seismic network: the one place where that is decided.

Open data are everybody's, restricted data those of some groups, embargoed data
those of some groups until a time and everybody's from then on.  What is
mounted into a user's server and what the web services give follow the same
rules; what no rule covers nobody sees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

__all__ = ["Access", "Rule"]

_CODE = re.compile(r"[A-Za-z0-9_-]{1,2}")
_OTHERS = "*"


class Rule(BaseModel):
    """Who sees the data of a network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    access: Literal["open", "restricted", "embargoed"]
    """Who sees the data."""
    groups: tuple[str, ...] = ()
    """Groups that see it while it is restricted or embargoed."""
    until: AwareDatetime | None = None
    """End of the embargo; from then on it is open."""
    years: tuple[int, int] | None = None
    """First and last year, for a code that others use in other years; the key is then like `XK_2018`."""
    stations: Literal["open", "as data"] = "as data"
    """Whether everybody sees the description of its stations, or only who sees the data."""

    def admits(self, groups: Iterable[str], at: datetime) -> bool:
        """Whether somebody of these groups sees the data at a time."""
        if self.access == "open":
            return True
        if self.access == "embargoed" and self.until is not None and at >= self.until:
            return True
        return not set(self.groups).isdisjoint(groups)


class Access:
    """The rules of a site.

    Parameters
    ----------
    networks : mapping of str to Rule
        By network code; by code and first year (``XK_2018``) where a code is
        used again; ``*`` for the networks that are not named.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> access = Access({"CH": Rule(access="open"), "XK": Rule(access="restricted", groups=("survey",))})
    >>> access.visible(["CH", "XK", "GE"], ["survey"], datetime(2026, 1, 1, tzinfo=UTC))
    ['CH', 'XK']
    """

    def __init__(self, networks: Mapping[str, Rule]) -> None:
        self.networks = dict(networks)

    def may_see(self, network: str, groups: Iterable[str], at: datetime, year: int | None = None) -> bool:
        """Whether somebody may see the data of a network.

        Parameters
        ----------
        network : str
            Its code.  A wildcard, or anything else that is no code, is seen by nobody.
        groups : iterable of str
            Groups of who asks.
        at : datetime
            When it is asked, with its time zone.
        year : int, optional
            Year of the data; without it all years must be visible.
        """
        belongs = frozenset(groups)
        rules = self._rules(network, year)
        return bool(rules) and all(rule.admits(belongs, at) for rule in rules)

    def may_see_stations(self, network: str, groups: Iterable[str], at: datetime) -> bool:
        """Whether somebody may see the description of a network's stations.

        One file describes a station in all years, so that every rule of the
        code has to allow it.
        """
        belongs = frozenset(groups)
        rules = [*self._named(network), *self._rest(network)]
        return bool(rules) and all(rule.stations == "open" or rule.admits(belongs, at) for rule in rules)

    def visible(
        self, networks: Iterable[str], groups: Iterable[str], at: datetime, year: int | None = None
    ) -> list[str]:
        """Return those of some networks that somebody may see, in their order."""
        belongs = frozenset(groups)
        return [network for network in networks if self.may_see(network, belongs, at, year)]

    def sees_all(self, groups: Iterable[str], at: datetime) -> bool:
        """Whether nothing is hidden from somebody, also not what is not there yet."""
        belongs = frozenset(groups)
        return _OTHERS in self.networks and all(rule.admits(belongs, at) for rule in self.networks.values())

    def _rules(self, network: str, year: int | None) -> list[Rule]:
        """Return the rules that hold for a code in a year, or in all; none if nothing is said on some."""
        within = [rule for rule in self._named(network) if rule.years is not None]
        rest = self._rest(network)
        if year is None:
            return [*within, *rest] if rest else []
        now = [rule for rule in within if rule.years and rule.years[0] <= year <= rule.years[1]]
        return now or rest

    def _rest(self, network: str) -> list[Rule]:
        """Return the rule for years that no experiment has: the code's own, or that of codes not named."""
        rule = self.networks.get(network) if _CODE.fullmatch(network) else None
        if rule is None or rule.years is not None:
            rule = self.networks.get(_OTHERS) if _CODE.fullmatch(network) else None
        return [rule] if rule is not None else []

    def _named(self, network: str) -> list[Rule]:
        if not _CODE.fullmatch(network):
            return []
        keys = (key for key in self.networks if key == network or key.rpartition("_")[0] == network)
        return [self.networks[key] for key in keys]
