"""Spans made ready for arithmetic: sensible, by channel, in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.kernels._segments import pieces
from workbench.notices import notice
from workbench.nouns import Spans, Waveforms

__all__ = ["Held", "by_channel", "of_waveforms"]

_ONE_RATE = 1e-4
"""Relative difference up to which sampling rates are one."""

_CODES = ["network", "station", "location", "channel"]


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """The spans of one channel, by start.

    Attributes
    ----------
    id : str
        SEED id.
    start, end : ndarray of int, shape (n_spans,)
        First and last sample, ns since 1970.
    rate : ndarray, shape (n_spans,)
        Samples a second.
    samples, records : ndarray of int, shape (n_spans,)
    """

    id: str
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float64]
    samples: npt.NDArray[np.int64]
    records: npt.NDArray[np.int64]

    def part(self, wanted: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Held:
        """Return some of the spans."""
        return Held(
            self.id,
            self.start[wanted],
            self.end[wanted],
            self.rate[wanted],
            self.samples[wanted],
            self.records[wanted],
        )


def by_channel(spans: Spans) -> list[Held]:
    """Group spans by SEED id; rows that cannot be true are left out and named."""
    if not len(spans):
        return []
    codes, number = spans.channels()
    names = [".".join(code) for code in codes]
    whole = Held(
        "",
        spans.column("time").view(np.int64),
        spans.column("end").view(np.int64),
        spans.column("sampling_rate"),
        spans.column("samples"),
        spans.column("records"),
    )
    # Rows come by time, and stay so within their channel.
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(len(names) + 1))
    whole = whole.part(order)
    # Mostly all is well, and that is seen at once for all of them.
    well = bool(_good(whole).all()) and np.ptp(whole.rate) <= _ONE_RATE * whole.rate.min()
    found = []
    for name, first, stop in zip(names, bounds[:-1], bounds[1:], strict=True):
        some = slice(first, stop)
        held = Held(
            name,
            whole.start[some],
            whole.end[some],
            whole.rate[some],
            whole.samples[some],
            whole.records[some],
        )
        held = held if well else _sensible(held)
        if len(held.start):
            found.append(held)
    return found


def of_waveforms(waveforms: Waveforms) -> Spans:
    """Return the spans that traces hold: one for each stretch without a gap.

    Masked, infinite and missing (NaN) samples are gaps.
    """
    rows = []
    for channel, parts in pieces(waveforms).items():
        codes = dict(zip(_CODES, channel.split("."), strict=True))
        rows += [
            {
                **codes,
                "time": np.datetime64(part.start, "ns"),
                "end": np.datetime64(part.end, "ns"),
                "sampling_rate": part.rate,
                "samples": len(part.data),
                "records": 0,
            }
            for part in parts
        ]
    return Spans(pd.DataFrame(rows)) if rows else Spans()


def _good(held: Held) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (
        np.isfinite(held.rate) & (held.rate > 0) & (held.samples > 0) & (held.end >= held.start)
    )
    return found


def _sensible(held: Held) -> Held:
    good = _good(held)
    if not good.all():
        notice(
            held.id,
            f"has {int((~good).sum())} spans that end before they begin, or without samples or sampling rate",
            "They are left out; make the table anew.",
        )
        held = held.part(good)
    if len(held.rate) and np.ptp(held.rate) > _ONE_RATE * held.rate.max():
        listed = ", ".join(f"{rate:g}" for rate in np.unique(held.rate))
        notice(
            held.id,
            f"has several sampling rates ({listed} Hz)",
            "Each span is taken with its own; check the digitiser's settings.",
            loss=False,
        )
    return held
