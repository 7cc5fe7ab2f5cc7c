"""What an archive holds: spans, samples, gaps and overlaps, from the index alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from workbench.archive.stretches import Stretch

__all__ = ["Break", "Holding", "breaks", "holdings"]


@dataclass(frozen=True, slots=True)
class Break:
    """A gap or an overlap of a channel.

    Attributes
    ----------
    id : str
        SEED id.
    kind : str
        ``gap`` or ``overlap``.
    start, end : int
        Of a gap, the last sample before and the first after; of an overlap,
        the first and the last sample that is there twice.  Nanoseconds since 1970.
    samples : int
        Missing, or there twice.
    """

    id: str
    kind: str
    start: int
    end: int
    samples: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What there is of a channel.

    Attributes
    ----------
    id : str
        SEED id.
    start, end : int
        First and last sample, ns since 1970.
    rates : tuple of float
        Sampling rates, Hz.
    samples : int
        Samples, those that are there twice counted once.
    gaps, overlaps : int
        How many there are.
    """

    id: str
    start: int
    end: int
    rates: tuple[float, ...]
    samples: int
    gaps: int
    overlaps: int


def holdings(found: Iterable[Stretch], start: int | None = None, end: int | None = None) -> list[Holding]:
    """Sum up stretches, channel by channel, within a time span (ns, both ends included)."""
    done = []
    for seed_id, group in groupby(sorted(found, key=_order), key=lambda one: one.id):
        parts = [part for part in (_clip(one, start, end) for one in group) if part is not None]
        if not parts:
            continue
        between = breaks(parts)
        twice = sum(one.samples for one in between if one.kind == "overlap")
        done.append(
            Holding(
                seed_id,
                min(one.start for one in parts),
                max(one.end for one in parts),
                tuple(sorted({one.rate for one in parts})),
                sum(one.n for one in parts) - twice,
                sum(one.kind == "gap" for one in between),
                sum(one.kind == "overlap" for one in between),
            )
        )
    return done


def breaks(found: Sequence[Stretch]) -> list[Break]:
    """Return the gaps and overlaps between stretches, by channel and time.

    What is off by half a sample or less follows on, as in libmseed.  Overlaps
    that touch are one.
    """
    done: list[Break] = []
    for seed_id, group in groupby(sorted(found, key=_order), key=lambda one: one.id):
        last: Stretch | None = None
        for one in group:
            if last is None:
                last = one
                continue
            step = 1e9 / last.rate
            away = one.start - last.end
            if away > 1.5 * step:
                done.append(Break(seed_id, "gap", last.end, one.start, round(away / step) - 1))
            elif away < 0.5 * step and not last.leap:
                until = min(last.end, one.end)
                done.append(
                    Break(seed_id, "overlap", one.start, until, round((until - one.start) / step) + 1)
                )
            if one.end >= last.end:
                last = one
    return _merged(done)


def _merged(found: list[Break]) -> list[Break]:
    done: list[Break] = []
    for one in found:
        last = done[-1] if done else None
        if (
            last is not None
            and (last.id, last.kind, one.kind) == (one.id, "overlap", "overlap")
            and one.start <= last.end + 1_000_000_000
            and one.start > last.start
        ):
            done[-1] = Break(
                one.id, "overlap", last.start, max(last.end, one.end), last.samples + one.samples
            )
        else:
            done.append(one)
    return done


def _order(one: Stretch) -> tuple[str, int, int]:
    return one.id, one.start, one.end


def _clip(one: Stretch, start: int | None, end: int | None) -> Stretch | None:
    """Return the part of a stretch that lies in a span; its samples are evenly spaced."""
    if (start is None or start <= one.start) and (end is None or end >= one.end):
        return one
    step = 1e9 / one.rate
    first = 0 if start is None else max(0, -int(-(start - one.start) // step))
    stop = one.n if end is None else min(one.n, int((end - one.start) // step) + 1)
    if first >= stop:
        return None
    return replace(
        one,
        start=one.start + round(first * step),
        end=one.start + round((stop - 1) * step) if stop < one.n else one.end,
        n=stop - first,
    )
