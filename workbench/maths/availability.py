"""Gaps, overlaps and samples of channels, window by window.

Times are integer nanoseconds, so that nothing depends on the order or on the
cut of the data.  A sample covers the time until the next one is due.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["GRID_NS", "availability", "chains", "first_sample"]

Integers = npt.NDArray[np.int64]

GRID_NS = 110_000
"""Headers count 0.1 ms, and some programs round where others cut: a sample this early is on time."""


@njit(cache=True, nogil=True)
def first_sample(start, spacing, n, edge):  # type: ignore[no-untyped-def]
    """Return the number of the first of `n` samples that is not before an edge (ns), or `n`."""
    at = (edge - min(GRID_NS, 0.25 * spacing) - start) / spacing
    return min(max(np.int64(np.ceil(at)), 0), n)


@njit(cache=True, nogil=True)
def _chains(start, end, step, begins, stops, steps):  # type: ignore[no-untyped-def]
    count = 0
    live = np.empty(start.size, np.int64)
    n_live = 0
    for k in range(start.size):
        best, away = -1, np.inf
        kept = 0
        for j in range(n_live):
            chain = live[j]
            late = start[k] - stops[chain]
            if late > 0.5 * steps[chain]:
                continue  # nothing that comes later can follow it
            live[kept] = chain
            kept += 1
            same = abs(step[k] - steps[chain]) <= 1e-4 * step[k]
            if same and abs(late) <= 0.5 * steps[chain] and abs(late) < away:
                best, away = chain, abs(late)
        n_live = kept
        if best < 0:
            best = count
            count += 1
            begins[best] = start[k]
            live[n_live] = best
            n_live += 1
        stops[best] = end[k] + np.int64(np.rint(step[k]))
        steps[best] = step[k]
    return count


def chains(
    start: Integers, end: Integers, step: npt.NDArray[np.float64]
) -> tuple[Integers, Integers, npt.NDArray[np.float64]]:
    """Put spans together that follow each other within half a sample.

    Parameters
    ----------
    start, end : ndarray, shape (n_spans,)
        First and last sample, ns, by start.
    step : ndarray, shape (n_spans,)
        Spacing of the samples, ns.

    Returns
    -------
    begins, stops : ndarray, shape (n_chains,)
        First sample, and when the one after the last is due, ns, by `begins`.
    steps : ndarray, shape (n_chains,)
        Spacing of the samples at the end, ns.
    """
    begins, stops = np.empty_like(start), np.empty_like(start)
    steps = np.empty_like(step)
    count = _chains(start, end, step, begins, stops, steps)
    return begins[:count], stops[:count], steps[:count]


@njit(cache=True, nogil=True)
def _share(begin, stop, least, edges, number, longest, total):  # type: ignore[no-untyped-def]
    """Count a gap or an overlap in each window that has more of it than `least`."""
    last = edges.size - 1
    if begin >= edges[last] or stop <= edges[0]:
        return
    window = max(np.searchsorted(edges, begin, side="right") - 1, 0)
    while window < last and edges[window] < stop:
        part = min(stop, edges[window + 1]) - max(begin, edges[window])
        if part > least:
            number[window] += 1
            longest[window] = max(longest[window], part)
            total[window] += part
        window += 1


@njit(cache=True, nogil=True)
def _sweep(begins, stops, steps, edges, gaps, overlaps):  # type: ignore[no-untyped-def]
    first, last = edges[0], edges[-1]
    if begins.size == 0:
        _share(first, last, 0.0, edges, gaps[0], gaps[1], gaps[2])
        return
    _share(first, begins[0], 0.5 * steps[0], edges, gaps[0], gaps[1], gaps[2])
    covered, step = stops[0], steps[0]
    for k in range(1, begins.size):
        late = begins[k] - covered
        if late > 0.5 * step:
            _share(covered, begins[k], 0.5 * step, edges, gaps[0], gaps[1], gaps[2])
        elif -late > 0.5 * step:
            both = min(covered, stops[k])
            _share(begins[k], both, 0.5 * step, edges, overlaps[0], overlaps[1], overlaps[2])
        if stops[k] > covered:
            covered, step = stops[k], steps[k]
    _share(covered, last, 0.5 * step, edges, gaps[0], gaps[1], gaps[2])


@njit(cache=True, nogil=True)
def _count(start, end, n, step, edges, samples):  # type: ignore[no-untyped-def]
    for k in range(start.size):
        spacing = (end[k] - start[k]) / (n[k] - 1) if n[k] > 1 else step[k]
        if spacing <= 0:
            spacing = step[k]
        window = max(np.searchsorted(edges, start[k], side="right") - 1, 0)
        done = first_sample(start[k], spacing, n[k], edges[window])
        while window < edges.size - 1 and done < n[k]:
            following = first_sample(start[k], spacing, n[k], edges[window + 1])
            samples[window] += following - done
            done = following
            window += 1


@njit(cache=True, nogil=True)
def _measure(bounds, start, end, n, rate, edges, gaps, overlaps, samples):  # type: ignore[no-untyped-def]
    most = np.diff(bounds).max()
    begins, stops, steps = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)
    for row in range(bounds.size - 1):
        some = slice(bounds[row], bounds[row + 1])
        step = 1e9 / rate[some]
        count = _chains(start[some], end[some], step, begins, stops, steps)
        _sweep(begins[:count], stops[:count], steps[:count], edges, gaps[:, row], overlaps[:, row])
        _count(start[some], end[some], n[some], step, edges, samples[row])


def availability(
    bounds: npt.NDArray[np.intp],
    start: Integers,
    end: Integers,
    n: Integers,
    rate: npt.NDArray[np.float64],
    edges: Integers,
) -> tuple[Integers, Integers, Integers]:
    """Measure the windows of each channel.

    What is off by half a sample or less is neither a gap nor an overlap, also
    at the edges of a window.  Each stretch that begins while another lasts is
    an overlap of its own; a time that is covered twice is covered once.

    Parameters
    ----------
    bounds : ndarray, shape (n_channels + 1,)
        Of the spans of the channels: from which on, and before which.
    start, end : ndarray, shape (n_spans,)
        First and last sample, ns, by start within a channel.
    n : ndarray, shape (n_spans,)
        Samples.
    rate : ndarray, shape (n_spans,)
        Samples a second.
    edges : ndarray, shape (n_windows + 1,)
        The windows follow each other, ns.

    Returns
    -------
    gaps, overlaps : ndarray, shape (3, n_channels, n_windows)
        How many, the longest and all of them, ns.
    samples : ndarray, shape (n_channels, n_windows)
        Samples, those that are there twice counted twice.

    Examples
    --------
    A sample a second, two of them missing, in two windows of 5 s:

    >>> times = np.array([0, 6, 10]) * 1_000_000_000
    >>> spans = times[:2], np.array([3, 9]) * 1_000_000_000, np.array([4, 4]), np.ones(2)
    >>> windows = np.array([0, 5, 10]) * 1_000_000_000
    >>> gaps, overlaps, samples = availability(np.array([0, 2]), *spans, windows)
    >>> gaps[:, 0].tolist(), samples.tolist()
    ([[1, 1], [1000000000, 1000000000], [1000000000, 1000000000]], [[4, 4]])
    """
    shape = len(bounds) - 1, len(edges) - 1
    gaps, overlaps = np.zeros((3, *shape), np.int64), np.zeros((3, *shape), np.int64)
    samples = np.zeros(shape, np.int64)
    _measure(bounds, start, end, n, rate, edges, gaps, overlaps, samples)
    return gaps, overlaps, samples
