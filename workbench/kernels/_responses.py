"""Instrument responses: found by channel and time, checked, evaluated."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime
from obspy.core.util.obspy_types import ObsPyException

from workbench.errors import MissingResponse
from workbench.kernels._filterstages import mended, suspect
from workbench.kernels._segments import Segment
from workbench.maths.spectra import between
from workbench.notices import notice
from workbench.nouns import Stations

__all__ = ["Motion", "Response", "Responses"]

Motion = Literal["DISP", "VEL", "ACC"]
"""Ground displacement in m, velocity in m/s, acceleration in m/s**2."""

_DERIVATIVES: dict[Motion, int] = {"DISP": 0, "VEL": 1, "ACC": 2}

_LENGTHS = {"M": 1.0, "CM": 1e2, "MM": 1e3, "NM": 1e9}
"""Units of length that sensors are described in, and how many of them a metre has."""

_PER: dict[str, Motion] = {
    "": "DISP",
    "/S": "VEL",
    "/SEC": "VEL",
    "/S**2": "ACC",
    "/(S**2)": "ACC",
    "/SEC**2": "ACC",
    "/(SEC**2)": "ACC",
    "/S/S": "ACC",
    "/S^2": "ACC",
}
"""What a length is divided by, as StationXML, RESP and FDSN text write it, and what that is."""

_FINEST = 0.01
"""Largest spacing in Hz at which a response is evaluated; digital filters vary over more."""

# evalresp keeps its state in global variables of C.
_turn = threading.Lock()


@dataclass(frozen=True, eq=False, slots=True)
class Response:
    """The response of a channel in one epoch.

    Attributes
    ----------
    id : str
        SEED id.
    motion : {'DISP', 'VEL', 'ACC'}
        What the sensor responds to evenly.
    rate : float
        Sampling rate that the response was written for, 1/s; 0 if it does not say.
    dip : float or None
        Degrees below the horizontal.
    """

    id: str
    motion: Motion
    rate: float
    dip: float | None
    _response: Any
    _metre: float
    _grids: dict[tuple[float, int], npt.NDArray[np.complex128]] = field(default_factory=dict)

    def spectrum(self, frequency: npt.NDArray[np.float64], spacing: float) -> npt.NDArray[np.complex128]:
        """Return the counts for each unit of `motion` (m, m/s, m/s**2).

        Parameters
        ----------
        frequency : ndarray
            Growing, from 0 Hz.
        spacing : float
            Spacing in Hz over which the response is smooth.  It is evaluated
            that often, once, and interpolated.

        Raises
        ------
        MissingResponse
            If it cannot be evaluated.
        """
        if not self._response.response_stages:
            return np.full(len(frequency), complex(self._stated))
        spacing = min(spacing, _FINEST)
        count = int(frequency[-1] / spacing) + 4
        if (spacing, count) not in self._grids:
            grid = np.arange(count, dtype=np.float64) * spacing
            self._grids[spacing, count] = _evaluate(self.id, self._response, grid)
        return between(frequency, spacing, self._grids[spacing, count])

    @property
    def _stated(self) -> float:
        """Sensitivity as stated, in counts for each unit of `motion`."""
        stated = self._response.instrument_sensitivity
        return float(stated.value) * self._metre if stated is not None and stated.value else 0.0

    def to(self, motion: Motion, frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
        """Return the factor that turns a spectrum of this sensor's `motion` into another one.

        At 0 Hz it is 0, as nothing can be said there.
        """
        power = _DERIVATIVES[motion] - _DERIVATIVES[self.motion]
        factor = np.zeros(len(frequency), dtype=np.complex128)
        factor[1:] = (2j * np.pi * frequency[1:]) ** power
        return factor


class Responses:
    """Looks up responses by SEED id and time.

    Parameters
    ----------
    stations : Stations
    digital_filters : {'given', 'mended'}
        Whether digital filters that cannot be right are used as they are, or mended.
    """

    def __init__(self, stations: Stations, digital_filters: Literal["given", "mended"] = "given") -> None:
        self._mend = digital_filters == "mended"
        self._known: dict[int, Response | None] = {}
        self._channels: dict[str, list[Any]] = {}
        self._codes: set[str] = set()
        for network in stations:
            for station in network:
                self._codes |= {network.code, f"{network.code}.{station.code}"}
                for channel in station.channels:
                    name = f"{network.code}.{station.code}.{_location(channel)}.{channel.code}"
                    self._channels.setdefault(name, []).append(channel)

    def parts(self, segment: Segment) -> Iterator[tuple[Segment, Response]]:
        """Cut a segment where the instrument changed, each part with its response.

        What has no usable response is left out, with a notice.
        """
        channels = self._find(segment.id)
        edges = {segment.start, segment.time_of(len(segment.data))}
        for channel in channels:
            edges |= {edge for edge in _epoch(channel) if segment.start < edge <= segment.end}
        bounds = sorted(edges)
        spans: list[tuple[int, int, Any]] = []
        for start, end in pairwise(bounds):
            covering = [channel for channel in channels if _epoch(channel)[0] <= start < _epoch(channel)[1]]
            last = max(covering, key=lambda channel: _epoch(channel)[0], default=None)
            if spans and spans[-1][2] is last:
                spans[-1] = (spans[-1][0], end, last)
            else:
                spans.append((start, end, last))
        for start, end, channel in spans:
            first, stop = (int(np.ceil(segment.sample_at(edge) - 1e-6)) for edge in (start, end))
            part = replace(segment, start=segment.time_of(first), data=segment.data[first:stop])
            if len(part.data) < 2:
                continue
            if channel is None:
                self._say_missing(part)
                continue
            if id(channel) not in self._known:
                self._known[id(channel)] = self._checked(part, channel)
            response = self._known[id(channel)]
            if response is not None:
                yield part, response

    def missing(self, ids: list[str]) -> MissingResponse:
        """Return the error for data of which not one channel has a response."""
        networks = sorted(code for code in self._codes if "." not in code)
        return MissingResponse(
            ids[0] if len(ids) == 1 else f"all {len(ids)} channels",
            "no instrument response fits",
            f"The stations given are of {', '.join(networks) or 'no network'}; "
            f"give StationXML with responses of {', '.join(sorted({name.split('.')[0] for name in ids}))}.",
        )

    def _find(self, seed_id: str) -> list[Any]:
        """Return the epochs of a channel; a blank location stands for the only one there is."""
        if seed_id in self._channels:
            return self._channels[seed_id]
        network, station, location, code = seed_id.split(".")
        others = [
            name
            for name in self._channels
            if name.split(".")[::3] == [network, code] and name.split(".")[1] == station
        ]
        if len(others) == 1 and "" in (location, others[0].split(".")[2]):
            notice(
                seed_id,
                f"has no response of its own; that of {others[0]} is used",
                "Make the location codes of data and StationXML agree.",
                loss=False,
            )
            return self._channels[others[0]]
        return []

    def _say_missing(self, part: Segment) -> None:
        network, station, _, _ = part.id.split(".")
        if network not in self._codes:
            problem, wanted = f"no station of network {network or '(blank)'} is given", f"network {network}"
        elif f"{network}.{station}" not in self._codes:
            problem, wanted = "its station is not among those given", f"station {part.station}"
        elif not self._find(part.id):
            problem, wanted = "its station is given without this channel", "the channel"
        else:
            problem, wanted = f"has no response at {UTCDateTime(ns=part.start)}", "that time"
        notice(part.id, problem, f"It is left out; give StationXML with the response of {wanted}.")

    def _checked(self, part: Segment, channel: Any) -> Response | None:
        """Make sure that a response can be used, and say what is odd about it."""
        given = channel.response
        stages = given.response_stages if given is not None else []
        stated = given.instrument_sensitivity if given is not None else None
        if not stages and (stated is None or not stated.value):
            notice(part.id, "is given without a response", "It is left out; give StationXML with responses.")
            return None
        unit = (stages[0].input_units if stages else None) or (stated.input_units if stated else None) or ""
        motion, metre = _measures(unit)
        if motion is None:
            notice(
                part.id,
                f"has a response to {unit or 'an unknown unit'}, not to ground motion",
                "It is left out; the input unit has to be M, M/S or M/S**2.",
            )
            return None
        if not stages:
            notice(
                part.id,
                "has a sensitivity but no response stages",
                "It is taken as even at all frequencies; give StationXML with stages.",
                loss=False,
            )
        rate = float(channel.sample_rate or 0)
        odd = suspect(given, rate or part.rate)
        if odd and self._mend:
            given, said = mended(given, rate or part.rate)
            notice(part.id, f"{odd}; {said}", "Correct the StationXML.", loss=False)
        elif odd:
            notice(
                part.id,
                odd,
                "It is used as it is, and amplitudes may be far off; correct the StationXML, "
                "or set digital_filters to 'mended'.",
                loss=False,
            )
        response = Response(part.id, motion, rate, channel.dip, given, metre)
        return response if self._sensible(response, odd) else None

    def _sensible(self, response: Response, odd: str) -> bool:
        """Check that a response can be evaluated, and compare it with its own sensitivity."""
        stated = response._response.instrument_sensitivity
        at = float(stated.frequency or 0) if stated else 0.0
        at = at if at > 0 else 1.0
        if not response._response.response_stages:
            return True
        try:
            found = float(abs(_evaluate(response.id, response._response, np.array([at]))[0]))
        except MissingResponse as error:
            notice(error.subject, error.problem, f"It is left out. {error.remedy}")
            return False
        if not (np.isfinite(found) and found > 0):
            notice(
                response.id,
                f"has a response of {found:g} at {at:g} Hz",
                "It is left out; correct the StationXML.",
            )
            return False
        if response._stated and not odd and not 0.8 < found / abs(response._stated) < 1.25:
            notice(
                response.id,
                f"has response stages that make {found:.4g} at {at:g} Hz, but states {response._stated:.4g}",
                "The stages are used; correct the StationXML.",
                loss=False,
            )
        return True


def _measures(unit: str) -> tuple[Motion | None, float]:
    """Return what a unit measures, and how many of its lengths a metre has."""
    text = unit.strip().upper().replace(" ", "")
    for length, metre in _LENGTHS.items():
        per = _PER.get(text.removeprefix(length)) if text.startswith(length) else None
        if per is not None:
            return per, metre
    return None, 1.0


def _evaluate(name: str, response: Any, frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
    """Run evalresp, and turn what it says into our error."""
    with _turn, warnings.catch_warnings():
        # What ObsPy warns of (extrapolated lists, guessed units) the checks above name by channel.
        warnings.simplefilter("ignore")
        try:
            found = response.get_evalresp_response_for_frequencies(
                frequency, output="DEF", hide_sensitivity_mismatch_warning=True
            )
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            NotImplementedError,
            ObsPyException,
            OSError,
            TypeError,
            ValueError,
        ) as error:
            raise MissingResponse(
                name, f"its response cannot be evaluated ({error})", "Correct the StationXML."
            ) from error
    return np.asarray(found, dtype=np.complex128)


def _location(channel: Any) -> str:
    return (channel.location_code or "").replace("-", "").strip()


def _epoch(channel: Any) -> tuple[int, int]:
    start, end = channel.start_date, channel.end_date
    return (start.ns if start is not None else -(2**63), end.ns if end is not None else 2**63)
