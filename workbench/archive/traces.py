"""Traces made ready to be archived: gapless, of a type that miniSEED holds, well named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from obspy import Stream, Trace, UTCDateTime

from workbench.archive.layout import check_id
from workbench.archive.runs import Form, Run
from workbench.archive.samples import ENCODINGS
from workbench.errors import BadInput, WorkbenchError
from workbench.notices import notice

__all__ = ["from_stream", "gapless"]

_NUMBERS = {name: number for number, name in ENCODINGS.items()}
_INT32 = np.iinfo(np.int32)
_EARLIEST, _LATEST = UTCDateTime(1900, 1, 2).ns, UTCDateTime(2100, 12, 30).ns


def from_stream(
    stream: Stream, *, encoding: str | None = None, record_length: int | None = None
) -> tuple[list[Run], list[WorkbenchError]]:
    """Return the runs that a stream holds, and what is wrong with the rest.

    Parameters
    ----------
    stream : Stream
        It is not changed.  Masked traces are cut at their gaps.
    encoding : str, optional
        Wished for all; by default what ``stats.mseed.encoding`` says.
    record_length : int, optional
        Bytes; by default what ``stats.mseed.record_length`` says, or 4096.
    """
    runs: list[Run] = []
    problems: list[WorkbenchError] = []
    for trace in stream:
        try:
            runs += list(_from_trace(trace, encoding, record_length))
        except WorkbenchError as error:
            problems.append(error)
    return runs, problems


def _from_trace(trace: Trace, encoding: str | None, record_length: int | None) -> Iterator[Run]:
    stats = trace.stats
    location = "" if stats.location == "--" else stats.location
    seed_id = f"{stats.network}.{stats.station}.{location}.{stats.channel}"
    check_id(seed_id)
    rate = float(stats.sampling_rate)
    if not (np.isfinite(rate) and rate > 0):
        raise BadInput(seed_id, f"has a sampling rate of {rate:g} Hz", "Give the trace its sampling rate.")
    if not len(trace.data):
        notice(seed_id, "is a trace without samples", "It is left out.", loss=False)
        return
    if stats.starttime.ns < _EARLIEST or stats.endtime.ns > _LATEST:
        raise BadInput(
            seed_id,
            f"reaches from {stats.starttime} to {stats.endtime}",
            "miniSEED holds the years 1900 to 2100; correct the start time.",
        )
    form = _form(trace, encoding, record_length)
    for run in gapless(trace):
        yield replace(run, id=seed_id, data=_storable(seed_id, run.data), form=form)


def gapless(trace: Trace) -> Iterator[Run]:
    """Go through the stretches of a trace that are not masked."""
    start, rate = trace.stats.starttime.ns, float(trace.stats.sampling_rate)
    values = np.ma.getdata(trace.data)
    bad = np.ma.getmaskarray(trace.data) if np.ma.isMaskedArray(trace.data) else np.zeros(len(values), bool)
    edges = np.flatnonzero(np.diff(np.concatenate(([True], bad, [True])).astype(np.int8)))
    for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        begin = start + round(first * 1e9 / rate)
        last = start + round((stop - 1) * 1e9 / rate)
        yield Run(trace.id, begin, rate, values[first:stop], last)


def _form(trace: Trace, encoding: str | None, record_length: int | None) -> Form:
    known = trace.stats.get("mseed", {})
    name = encoding or ("INT16" if trace.data.dtype == np.int16 else str(known.get("encoding", "")))
    length = record_length or known.get("record_length", 4096)
    quality = str(known.get("dataquality", "D"))
    return Form(
        encoding=_NUMBERS.get(name),
        record_length=length if length in {2**power for power in range(8, 21)} else 4096,
        quality=quality if quality in ("D", "R", "Q", "M") else "D",
        big=known.get("byteorder") not in ("<", 0),
        timing=int(known.get("blkt1001", {}).get("timing_quality", -1)),
    )


def _storable(seed_id: str, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return samples in a type of miniSEED, each of them exactly as it was."""
    kind = values.dtype
    if values.ndim != 1:
        raise BadInput(seed_id, f"has samples in {values.ndim} dimensions", "Give each trace one dimension.")
    if kind.kind == "f" and kind.itemsize in (2, 4):
        return values.astype(np.float32)
    if kind.kind == "f" and kind.itemsize == 8:
        return values.astype(np.float64)
    if kind.kind not in "iub":
        raise BadInput(
            seed_id, f"has samples of type {kind}", "miniSEED holds integers and floats of up to 64 bits."
        )
    if kind.kind != "b" and (int(values.min()) < _INT32.min or int(values.max()) > _INT32.max):
        raise BadInput(
            seed_id,
            f"has integers up to {max(abs(int(values.min())), abs(int(values.max())))}, "
            "and miniSEED holds 32 bits",
            "Convert them to float64, which is exact to 2**53.",
        )
    return values.astype(np.int32)
