"""Proposed events made sure of: their phases read again, and located, a few times over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from workbench.kernels._hypotheses import Hypothesis, Rules, Seed, is_seen, located
from workbench.kernels._network import Network
from workbench.kernels._predicted import Expected, Reader
from workbench.kernels._reading import Onset

__all__ = ["refine"]

ROUNDS = ((0.8, 0.06), (0.5, 0.05), (0.3, 0.05))
"""Half windows in which phases are read, round by round: seconds, and a part of the travel time.

The first holds the error of an associated origin, the last that of a crustal model.
"""

APART = 0.4
"""Part of the time from P to S that a window may take, so that the two never meet."""

ANCHOR_S = 0.3
"""Half window around a pick that an event was proposed from."""

FARTHER, FARTHER_KM = 1.5, 20.0
"""How much farther than the farthest phase so far others are looked for."""

GOOD = 0.7
"""Merit over number of phases of a fit that is good enough not to look for a better one.

It would be 0.5 if residuals were as large as expected and no S were missing.
"""


def refine(network: Network, seed: Seed, reader: Reader, rules: Rules) -> Hypothesis | None:
    """Read the phases of a proposed event and locate it; None if too few are where they should be.

    A wrong beginning may lead to wrong phases that fit each other somehow, so
    if the fit is not good other beginnings are tried, until two lead to the same end.
    """
    best: Hypothesis | None = None
    # S alone may fit best, but is not enough in the end.
    free = replace(rules, p_stations=0)
    for opening in _openings(network, seed, reader, free):
        found = _settled(network, opening, reader, free)
        if found is None:
            continue
        if best is not None and found.onsets == best.onsets:
            break
        if best is None or found.merit > best.merit:
            best = found
        if best.merit > GOOD * len(best.onsets):
            break
    return (
        best if best is not None and best.p_stations >= rules.p_stations and is_seen(network, best) else None
    )


def _openings(network: Network, seed: Seed, reader: Reader, rules: Rules) -> Iterator[Seed]:
    """Go through what to begin with.

    The event as it was proposed; P without an S taken for S, as of a small event
    S may be all that stands out of the noise; the event's place without its
    picks; and its P alone, as S is taken for something else more often than P is.
    """
    yield seed
    few = replace(rules, min_phases=min(rules.min_phases, 5))
    complete = {name for name, phase in seed.picks if phase == "S"}
    turned = {(name, phase if name in complete else "S"): time for (name, phase), time in seed.picks.items()}
    if turned != seed.picks:
        onsets = _reread(network, replace(seed, picks=turned), reader, *ROUNDS[0], only_anchored=True)
        by_s = located(network, onsets, few)
        if by_s is not None:
            yield by_s.seed
    yield replace(seed, picks={})
    onsets = _reread(network, seed, reader, *ROUNDS[0])
    by_p = located(network, [onset for onset in onsets if onset.phase == "P"], few)
    if by_p is not None:
        yield by_p.seed


def _settled(network: Network, seed: Seed, reader: Reader, rules: Rules) -> Hypothesis | None:
    found: Hypothesis | None = None
    for seconds, part in ROUNDS:
        found = located(network, _reread(network, seed, reader, seconds, part), rules)
        if found is None:
            return None
        seed = found.seed
    return found


def _reread(
    network: Network,
    seed: Seed,
    reader: Reader,
    seconds: float,
    part: float,
    *,
    only_anchored: bool = False,
) -> list[Onset]:
    """Read P and S at all stations that may show an event, around its picks or else where they should be."""
    paths = network.paths(seed.latitude, seed.longitude, seed.depth_km)
    onsets: list[Onset] = []
    for number, (name, own) in enumerate(zip(network.names, network.instruments, strict=True)):
        if paths.distance_km[number] > FARTHER * seed.reach_km + FARTHER_KM:
            continue
        p, s = float(paths.p[number]), float(paths.s[number])
        within = APART * (s - p)
        at_p, at_s = seed.picks.get((name, "P")), seed.picks.get((name, "S"))
        expected = Expected(
            p=seed.time + round(p * 1e9) if at_p is None else at_p,
            s=seed.time + round(s * 1e9) if at_s is None else at_s,
            p_within=min(seconds + part * p, within) if at_p is None else min(ANCHOR_S, within),
            s_within=min(seconds + part * s, within) if at_s is None else min(ANCHOR_S, within),
        )
        found = reader.read(own, expected)
        if only_anchored:
            found = [onset for onset in found if (name, onset.phase) in seed.picks]
        onsets.extend(found)
    return onsets
