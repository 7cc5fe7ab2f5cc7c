"""Where and when: hypocentres from picks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from obspy import UTCDateTime
from obspy.core.event import Catalog, Event, Origin, ResourceIdentifier

from workbench.errors import BadInput, InvalidSetting, NoData
from workbench.identifiers import public_id
from workbench.kernel import kernel
from workbench.kernels import _quakeml
from workbench.kernels._phases import phase_of, seed_id, sigma_of, station_of, text
from workbench.kernels._sites import Site, SiteMap
from workbench.maths.geiger import Arrivals, locate
from workbench.maths.layered import Layers
from workbench.notices import notice, progress
from workbench.nouns import Events, Picks, Stations, VelocityModel
from workbench.preferred import preferred_origin
from workbench.units import DepthKm, Fraction, Kilometres, Ratio, Seconds

__all__ = ["geiger"]


@kernel(per="event", cut=False)
def geiger(
    picks: Picks | Events,
    stations: Stations,
    *,
    velocity_model: VelocityModel,
    vp_vs: Ratio | None = None,
    start: Literal["picks", "input"] = "picks",
    p_error: Seconds = 0.1,
    s_error: Seconds = 0.2,
    model_error: Fraction = 0.02,
    fix_depth: DepthKm | None = None,
    default_depth: DepthKm = 10.0,
    max_depth: DepthKm | None = None,
    max_depth_error: Kilometres = 15.0,
    confidence: Fraction = 0.68,
) -> Events:
    """Locate events in a layered model by Geiger's method, robust against wrong picks.

    The hypocentre is found from the picks alone: a hypocentre in the input is
    not used as a start unless asked for.  Origins of the input are kept; the new
    one is the preferred one.  Every pick stays with its event; one that cannot
    be used for the location has no arrival, and one that does not fit has the
    weight 0.

    Parameters
    ----------
    picks : Picks or Events
        Picks without a column ``event`` are of one event; with it, each value is
        an event and picks without a value are left out.  Of several picks of a
        phase at a station the surest is used, and of Pg and Pn the earlier.
    stations : Stations
        Coordinates; a pick at a station without is left out, with a notice.
    velocity_model : VelocityModel
        Depths are below sea level and stations stand at their elevations.
    vp_vs : Ratio, optional
        Fills S velocities that the model lacks; needed only if there are S picks.
    start : {'picks', 'input'}
        Search the whole region, or start from the event's preferred origin.
    p_error, s_error : Seconds
        Standard error of a pick that states none, and that of a sure one if it
        states a probability; 0.1 s is what analysts agree within on P of local
        events, and S is read in the coda of P.
    model_error : Fraction
        Standard error of a computed travel time as a fraction of it: crustal
        velocities vary by a few per cent within a network.  For stations farther
        than the ten nearest, and than 50 km, it grows in proportion to distance,
        as their errors are alike and would outvote the near ones.  In the error of
        the depth it also counts as a factor that all times of P share, and one that
        all of S do: without a station near by the depth is no better known.
    fix_depth : DepthKm, optional
        Hold the depth here.
    default_depth : DepthKm
        Where the depth is held if the picks do not tell it; most earthquakes of
        the continental crust are at 5 to 15 km.
    max_depth : DepthKm, optional
        Deepest that may come out; by default twice the depth of the model's last
        row, at least 60 km, and 700 km for a TauP or ``.nd`` model.
    max_depth_error : Kilometres
        Standard error of the depth beyond which it counts as not told.  It is
        then held at `default_depth`, with this error stated.
    confidence : Fraction
        Probability that the error ellipse, and the ellipsoid, hold the truth.

    Returns
    -------
    Events
        One event each, in the order of the input; one that cannot be located is
        named in a notice and has no new origin.  Origins have standard errors,
        error ellipse and ellipsoid, gap, distances (degrees), and arrivals with
        residuals (s), weights (1 is the best arrival's), azimuths and take-off
        angles (degrees from straight down).

    Raises
    ------
    NoData
        If there is not one pick.
    BadVelocityModel
        If there are S picks and the model has no S velocities.
    InvalidSetting
        If a depth is deeper than the model is known.

    References
    ----------
    Geiger, L. (1912). Probability method for the determination of earthquake
    epicenters from the arrival time only. Bull. St. Louis Univ. 8, 60-71.
    Jordan, T. H., Sverdrup, K. A. (1981). BSSA 71, 1105-1130 (errors).
    Beaton, A. E., Tukey, J. W. (1974). Technometrics 16, 147-185 (weights).

    Examples
    --------
    >>> from obspy.core.inventory import Inventory, Network, Station
    >>> places = {"A": (46.2, 7.0), "B": (45.9, 7.3), "C": (46.0, 6.7), "D": (46.1, 7.2)}
    >>> sites = [Station(code, lat, lon, 0.0) for code, (lat, lon) in places.items()]
    >>> stations = Inventory([Network("XX", stations=sites)])
    >>> times = {"A": "03.150", "B": "04.470", "C": "04.795", "D": "02.524"}
    >>> rows = [
    ...     {"network": "XX", "station": code, "phase": "P", "time": f"2020-01-01T00:00:{time}"}
    ...     for code, time in times.items()
    ... ]
    >>> model = VelocityModel((0.0,), (6.0,), (3.5,))
    >>> found = geiger(Picks(rows), stations, velocity_model=model, fix_depth=8.0)
    >>> origin = found[0].preferred_origin()
    >>> round(origin.latitude, 2), round(origin.longitude, 2), origin.depth
    (46.05, 7.05, 8000.0)
    """
    settings = _Settings(
        model=velocity_model.with_vp_vs(vp_vs) if vp_vs is not None else velocity_model,
        start=start,
        errors={"P": p_error, "S": s_error},
        model_error=model_error,
        fix_depth=fix_depth,
        default_depth=default_depth,
        max_depth=max_depth,
        max_depth_error=max_depth_error,
        confidence=confidence,
    )
    cases = list(_cases(picks))
    if not any(case.rows for case in cases):
        raise NoData("the picks", "are none", "Pick first: pickers.picker or pickers.aic.")
    sites = SiteMap(stations)
    usable = [_usable(case.rows, sites, settings.errors) for case in cases]
    layers = settings.layers(any(item.phase == "S" for items in usable for item in items))
    for name, value in (("fix_depth", fix_depth), ("default_depth", default_depth), ("max_depth", max_depth)):
        if value is not None and value > layers[0].bottom_km:
            raise InvalidSetting(
                "locators.geiger",
                f"{name} is {value:g} km and this model is known to {layers[0].bottom_km:g} km",
                "No earthquake is that deep; depths are in kilometres.",
            )
    events = []
    for number, (case, items) in enumerate(zip(cases, usable, strict=True)):
        progress(number / len(cases), "locating")
        events.append(_located(case, items, layers, settings))
    progress(1.0, "locating")
    return Catalog(events, resource_id=public_id("catalog", *(event.resource_id.id for event in events)))


@dataclass(frozen=True, slots=True)
class _Settings:
    model: VelocityModel
    start: Literal["picks", "input"]
    errors: dict[str, float]
    model_error: float
    fix_depth: float | None
    default_depth: float
    max_depth: float | None
    max_depth_error: float
    confidence: float

    def layers(self, needs_s: bool) -> tuple[Layers, Layers]:
        p = Layers.of(self.model, "P")
        return p, Layers.of(self.model, "S") if needs_s else p


@dataclass(frozen=True, slots=True)
class _Case:
    """An event to locate: its QuakeML form, a copy, and its picks as rows."""

    event: Event
    rows: list[Any]
    name: str


@dataclass(frozen=True, slots=True)
class _Item:
    """A pick that can be used, with the site, the phase and the error it is used with."""

    row: Any
    site: Site
    phase: Literal["P", "S"]
    sigma: float


def _cases(picks: Picks | Events) -> Iterable[_Case]:
    if isinstance(picks, Catalog):
        for event in picks:
            rows = list(_quakeml.flatten(Catalog([event])))
            if not rows:
                notice(event.resource_id.id, "has no picks", "It is kept as it is.")
            yield _Case(event.copy(), rows, event.resource_id.id)
        return
    groups: dict[str, list[Any]] = {}
    for row in picks:
        groups.setdefault(text(row, "event"), []).append(row)
    loose = groups.pop("", []) if len(groups) > 1 else []
    if loose:
        notice(
            "the picks",
            f"{len(loose)} belong to no event (their column 'event' is empty)",
            "They are left out of the events.",
            loss=False,
        )
    for label, rows in groups.items():
        made = {item.resource_id.id: item for item in map(_quakeml.pick, rows)}
        own = label.startswith(("smi:", "quakeml:"))
        name = ResourceIdentifier(label) if own else public_id("event", label, *sorted(made))
        event = Event(resource_id=name, picks=list(made.values()))
        yield _Case(event, rows, label or f"the event of {made[min(made)].time}")


def _usable(rows: Sequence[Any], sites: SiteMap, errors: dict[str, float]) -> list[_Item]:
    """Return the picks to locate with: one of each phase at a station, the surest."""
    best: dict[tuple[str, str, str], _Item] = {}
    for row in rows:
        phase = phase_of(row.phase)
        if phase is None:
            notice(
                f"phase '{row.phase}'",
                "is no first arrival of P or S",
                "Picks of it are not used in locations.",
            )
            continue
        time = UTCDateTime(ns=int(row.time.value))
        site = sites.find(seed_id(row), time)
        if site is None:
            notice(
                station_of(row),
                "has picks and no coordinates",
                "They are not used in locations; add the station to the stations.",
            )
            continue
        item = _Item(row, site, phase, sigma_of(row, errors[phase]))
        key = (station_of(row), phase, row.phase)
        if key not in best or _rank(item) < _rank(best[key]):
            best[key] = item
    first: dict[tuple[str, str], _Item] = {}
    for (station, name, _), item in best.items():
        known = first.get((station, name))
        if known is None or item.row.time < known.row.time:
            first[station, name] = item
    return sorted(first.values(), key=lambda item: (item.row.time, seed_id(item.row), item.row.phase))


def _rank(item: _Item) -> tuple[object, ...]:
    return item.sigma, item.row.time, seed_id(item.row)


def _located(
    case: _Case, items: Sequence[_Item], layers: tuple[Layers, Layers], settings: _Settings
) -> Event:
    """Add an origin to an event, or say why there is none."""
    event = case.event
    if not case.rows:
        return event
    if not items:
        notice(case.name, "has no pick to locate with", "See the notices above.")
        return event
    reference = min(int(item.row.time.value) for item in items)
    arrivals = Arrivals(
        latitude=np.array([item.site.latitude for item in items]),
        longitude=np.array([item.site.longitude for item in items]),
        elevation_km=np.array([item.site.elevation_km for item in items]),
        is_s=np.array([item.phase == "S" for item in items]),
        time=np.array([(int(item.row.time.value) - reference) / 1e9 for item in items]),
        sigma=np.array([item.sigma for item in items]),
    )
    try:
        location = locate(
            arrivals,
            layers,
            model_error=settings.model_error,
            start=_start(case) if settings.start == "input" else None,
            fix_depth=settings.fix_depth,
            default_depth=settings.default_depth,
            max_depth=settings.max_depth,
            max_depth_error=settings.max_depth_error,
        )
    except BadInput as error:
        notice(case.name, f"cannot be located: {error.subject} {error.problem}", error.remedy)
        return event
    known = {item.resource_id.id: item for item in event.picks}
    ids = [_quakeml.pick_id(item.row).id for item in items]
    origin = _quakeml.origin(
        location,
        UTCDateTime(ns=reference),
        [known[name] for name in ids],
        [item.row.phase for item in items],
        model=settings.model,
        method_name="locators.geiger",
        content=(event.resource_id.id, settings),
        associated=(len(event.picks), len({station_of(row) for row in case.rows})),
        confidence=settings.confidence,
    )
    event.origins = [old for old in event.origins if old.resource_id != origin.resource_id] + [origin]
    event.preferred_origin_id = ResourceIdentifier(origin.resource_id.id)
    return event


def _start(case: _Case) -> tuple[float, float, float] | None:
    """Return the hypocentre of the input."""
    origin: Origin | None = preferred_origin(case.event)
    if origin is None or origin.latitude is None or origin.longitude is None:
        notice(case.name, "has no hypocentre to start from", "The whole region is searched.", loss=False)
        return None
    return origin.latitude, origin.longitude, (origin.depth or 0.0) / 1000
