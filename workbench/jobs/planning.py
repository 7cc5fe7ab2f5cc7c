"""From what a user asks for to a job and its tiles."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench import wire
from workbench.archive import Selection, Source, parse_selections
from workbench.archive.extents import Holds
from workbench.archive.stations import station_files
from workbench.archive.trees import Tree
from workbench.calls import Call, Policy, keys
from workbench.calls.inputs import combine, resolve
from workbench.calls.results import user_name
from workbench.calls.selections import looks_like
from workbench.errors import InvalidKernel, InvalidSetting, NoData
from workbench.jobs.job import Job
from workbench.jobs.tiles import BYTES, Tiles
from workbench.jobs.tilestore import TileStore
from workbench.jobs.units import Tile
from workbench.jobs.windows import Cut, length_of
from workbench.kernel import DataInput, Kernel, get
from workbench.notices import notice
from workbench.nouns import noun_of

__all__ = ["Plan", "kernel_of", "plan"]

_FORMAT = 1
"""Counts the ways in which tiles have been stored."""

_HELD = 20_000
"""Tiles that are held once they are planned; more are planned anew when they are needed."""


@dataclass(frozen=True)
class Plan:
    """A job, its tiles, and how much they are.

    Attributes
    ----------
    kernel : Kernel
    call : Call
        The whole, as one Call.
    job : Job
    tiles : Tiles
    cut : Cut
    """

    kernel: Kernel
    call: Call
    job: Job
    tiles: Tiles
    cut: Cut

    def __iter__(self) -> Iterator[Tile]:
        return iter(self._sized[3] or self.tiles)

    def __len__(self) -> int:
        return self._sized[0]

    @property
    def samples(self) -> int:
        """Samples that all tiles read together."""
        return self._sized[1]

    @property
    def bytes(self) -> int:
        """Bytes that all tiles read together."""
        return self._sized[2]

    @cached_property
    def _sized(self) -> tuple[int, int, int, list[Tile]]:
        number = samples = size = 0
        held: list[Tile] = []
        for tile in self.tiles:
            number, samples, size = number + 1, samples + tile.samples, size + tile.bytes
            if number <= _HELD:
                held.append(tile)
        if not number:
            raise NoData("the selection", "has no data in its time span", "See 'workbench archive ls'.")
        return number, samples, size, held if number <= _HELD else []


def plan(
    what: str | Kernel | Callable[..., Any],
    selection: Any,
    given: Mapping[str, Any],
    *,
    policy: Policy | None = None,
    tile: str | float | None = "1D",
    store: TileStore | None = None,
    max_bytes: int = BYTES,
) -> Plan:
    """Plan a work.

    Parameters
    ----------
    what : str or Kernel or function
    selection : str or Selection or list
        The waveforms, as `workbench.archive.parse_selections` reads them.
    given : mapping
        Further inputs and settings, by name.  An input is an object, a path, a
        selection, or one of the forms of a Call.
    policy : Policy, optional
        Says which archives.
    tile : str or float or None
        Length of a tile; None does not cut in time.
    store : TileStore, optional
    max_bytes : int
        Most bytes of samples of a tile.

    Raises
    ------
    InvalidSetting
        If something is wrong with what is asked.
    NoData
        If no archive has any of it.
    """
    kernel = kernel_of(what)
    names = {item.name: item for item in kernel.inputs}
    settings = {name: value for name, value in given.items() if name not in names}
    checked = kernel.validate(settings)
    data = {name: value for name, value in given.items() if name in names and value is not None}
    waveforms = _taker(kernel, data)
    chosen = parse_selections(str(selection) if isinstance(selection, Selection) else selection)
    rules = policy or Policy()
    sources = tuple(rules.archives())
    target = store or TileStore()
    target.open()
    trees = [source.index.tree for _, source in _indexed(sources)]
    stations, shared, prints = _data(kernel, waveforms, data, chosen, trees, rules, target)
    cut = _cut(kernel, checked, tile)
    plain = json.loads(checked.model_dump_json())
    code, environment = keys.code_version(kernel), keys.environment()["digest"]
    base = Call(process=kernel.id, inputs=settings).canonical(
        {name: {"sha256": value} for name, value in sorted(prints.items())}
    )
    holds = [(number, Holds(source.index, _files(source, chosen))) for number, source in _indexed(sources)]
    base += json.dumps([_FORMAT, code, environment, [tree.full("") for tree in trees]]).encode()
    tiles = Tiles(holds, chosen, kernel.per, cut, base, waveforms, stations, trees=trees, max_bytes=max_bytes)
    job = Job(
        name=hashlib.sha256(base + "+".join(map(str, chosen)).encode()).hexdigest()[:12],
        token=secrets.token_hex(8),
        process=kernel.id,
        waveforms=waveforms,
        inputs={**plain, **shared},
        sources=sources,
        store=target,
        code=code,
        environment=environment,
        module=kernel.function.__module__,
        user=user_name(),
    )
    selected = {"selection": "+".join(map(str, chosen))}
    listed = {name: {"selection": "+".join(map(str, spans))} for name, spans in stations.items()}
    call = Call(process=kernel.id, inputs={waveforms: selected, **listed, **shared, **plain})
    return Plan(kernel, call, job, tiles, cut)


def kernel_of(what: str | Kernel | Callable[..., Any]) -> Kernel:
    """Return the kernel of an id, or of the function itself."""
    if isinstance(what, Kernel):
        return what
    if isinstance(what, str):
        return get(what)
    name = f"{what.__module__.rsplit('.', 1)[-1]}.{what.__name__}"
    found = get(name)
    if found.function is not what:
        raise InvalidKernel(name, "is not the function that is declared under this name", "Declare it again.")
    return found


def _taker(kernel: Kernel, data: Mapping[str, Any]) -> str:
    """Return the input that takes the selected data."""
    for item in kernel.inputs:
        if item.name not in data and {"Waveforms", "Spans"} & set(item.nouns):
            return item.name
    raise InvalidSetting(
        kernel.id, "takes no waveforms that could be selected", "Run it as it is: `workbench run`."
    )


def _cut(kernel: Kernel, settings: Any, tile: str | float | None) -> Cut:
    length = length_of(tile) if kernel.cut else 0
    lead, trail, grid = kernel.lead(settings), kernel.trail(settings), kernel.grid(settings)
    if not all(math.isfinite(value) and value >= 0 for value in (lead, trail, grid)):
        raise InvalidKernel(kernel.id, f"declares lead {lead:g}, trail {trail:g}, grid {grid:g}", "Mend it.")
    step = round(grid * 1e9)
    if length and step:
        length = -(-length // step) * step
    if not kernel.cut and kernel.per not in ("trace", "channel", "station"):
        notice(
            kernel.id,
            "looks at everything at once, and cannot be cut",
            "It is one tile, so nothing runs side by side.",
            loss=False,
        )
    if 0 < length < (lead + trail) * 1e9:
        notice(
            kernel.id,
            f"needs {lead + trail:g} s around each tile of {length / 1e9:g} s",
            "Most of what is read is read several times: take longer tiles.",
            loss=False,
        )
    reach = any(output.noun == "Events" for output in kernel.outputs)
    return Cut(length, round(lead * 1e9), round(trail * 1e9), step, reach)


def _data(
    kernel: Kernel,
    waveforms: str,
    data: Mapping[str, Any],
    chosen: Sequence[Selection],
    trees: Sequence[Tree],
    policy: Policy,
    store: TileStore,
) -> tuple[dict[str, Sequence[Selection]], dict[str, Any], dict[str, str]]:
    """Return selections of stations, the inputs that all tiles share, and the fingerprints of these."""
    stations: dict[str, Sequence[Selection]] = {}
    shared: dict[str, Any] = {}
    prints: dict[str, str] = {}
    for item in kernel.inputs:
        if item.name == waveforms:
            continue
        value = data.get(item.name)
        if value is None and not item.required and not _any_stations(trees, chosen):
            continue
        if "Stations" in item.nouns and (value is None or (asked := _selections(value))):
            # Stations come from the archive that the waveforms come from, unless they are given.
            stations[item.name] = chosen if value is None else parse_selections(asked)
        elif value is not None:
            found = _object(item, value, policy)
            prints[item.name] = wire.fingerprint(found)
            suffix = next(iter(wire.codec(wire.noun(found)).MEDIA.values()))
            path = store.keep(f"{prints[item.name]}{suffix}", wire.encode(found))
            shared[item.name] = {"path": str(path)}
        elif item.required:
            raise InvalidSetting(
                kernel.id, f"input '{item.name}' is missing", f"It takes {' or '.join(item.nouns)}."
            )
    return stations, shared, prints


def _any_stations(trees: Sequence[Tree], chosen: Sequence[Selection]) -> bool:
    return any(station_files(tree, selection) for tree in trees for selection in chosen)


def _selections(value: Any) -> list[Any]:
    """Return the selections that a value is, in whichever form; none, if any of it is something else."""
    listed = value if isinstance(value, list) else [value]
    found = []
    for one in listed:
        if isinstance(one, dict) and "selection" in one:
            found.append(one["selection"])
        elif isinstance(one, Selection) or _looks_like(one):
            found.append(str(one))
        else:
            return []
    return found


def _looks_like(value: Any) -> bool:
    if not isinstance(value, str) or Path(value).exists():
        return False
    return looks_like(value) or (value.count(".") == 3 and "/" not in value)


def _object(item: DataInput, value: Any, policy: Policy) -> Any:
    """Return the object that an input is given as."""
    if noun_of(type(value)) is not None:
        return value
    called: list[dict[str, Any]] = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            called.append(one)
        else:
            called.append({"selection": one} if _looks_like(one) else {"path": str(one)})
    return combine(item, resolve(item, called, policy))


def _indexed(sources: Iterable[Source]) -> list[tuple[int, Any]]:
    found = [
        (number, one) for number, one in enumerate(sources) if hasattr(one, "index") and hasattr(one, "files")
    ]
    if not found:
        raise InvalidSetting(
            "fan-out", "needs an archive with an index", "Fetch the data into one: `workbench archive fetch`."
        )
    return found


def _files(source: Any, chosen: Sequence[Selection]) -> list[Any]:
    """Return the files of several selections, each once."""
    return list({file.path: file for one in chosen for file in source.files(one)}.values())
