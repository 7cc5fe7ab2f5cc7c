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
    """The spans of channels: of one after the other, each by start.

    Attributes
    ----------
    ids : list of str
        SEED ids.
    bounds : ndarray of int, shape (n_channels + 1,)
        From which span on those of a channel are, and before which.
    start, end : ndarray of int, shape (n_spans,)
        First and last sample, ns since 1970.
    rate : ndarray, shape (n_spans,)
        Samples a second.
    samples, records : ndarray of int, shape (n_spans,)
    """

    ids: list[str]
    bounds: npt.NDArray[np.intp]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    rate: npt.NDArray[np.float64]
    samples: npt.NDArray[np.int64]
    records: npt.NDArray[np.int64]

    @property
    def number(self) -> npt.NDArray[np.intp]:
        """Which channel each span is of."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.bounds))

    def part(self, wanted: npt.NDArray[np.bool_]) -> Held:
        """Return some of the spans, and the channels that still have some."""
        channels, first = np.unique(self.number[wanted], return_index=True)
        return Held(
            [self.ids[channel] for channel in channels],
            np.append(first, np.count_nonzero(wanted)),
            self.start[wanted],
            self.end[wanted],
            self.rate[wanted],
            self.samples[wanted],
            self.records[wanted],
        )


def by_channel(spans: Spans) -> Held:
    """Group spans by SEED id; rows that cannot be true are left out and named."""
    codes, number = spans.channels()
    # Rows come by time, and stay so within their channel.
    order = np.argsort(number, kind="stable")
    sizes = np.bincount(number, minlength=len(codes))
    held = Held(
        [".".join(codes[channel]) for channel in np.flatnonzero(sizes)],
        np.append(0, np.cumsum(sizes[sizes > 0])),
        spans.column("time").view(np.int64)[order],
        spans.column("end").view(np.int64)[order],
        spans.column("sampling_rate")[order],
        spans.column("samples")[order],
        spans.column("records")[order],
    )
    good = np.isfinite(held.rate) & (held.rate > 0) & (held.samples > 0) & (held.end >= held.start)
    if not good.all():
        for channel, number_bad in zip(*np.unique(held.number[~good], return_counts=True), strict=True):
            notice(
                held.ids[channel],
                f"has {number_bad} spans that end before they begin, or without samples or sampling rate",
                "They are left out; make the table anew.",
            )
        held = held.part(good)
    # Mostly there is one for all of them, and that is seen at once.
    if len(held.rate) and np.ptp(held.rate) > _ONE_RATE * held.rate.min():
        _name_rates(held)
    return held


def _name_rates(held: Held) -> None:
    """Name the channels that have several sampling rates."""
    firsts = held.bounds[:-1]
    least, most = np.minimum.reduceat(held.rate, firsts), np.maximum.reduceat(held.rate, firsts)
    for channel in np.flatnonzero(most - least > _ONE_RATE * most):
        rates = np.unique(held.rate[held.bounds[channel] : held.bounds[channel + 1]])
        notice(
            held.ids[channel],
            f"has several sampling rates ({', '.join(f'{rate:g}' for rate in rates)} Hz)",
            "Each span is taken with its own; check the digitiser's settings.",
            loss=False,
        )


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
