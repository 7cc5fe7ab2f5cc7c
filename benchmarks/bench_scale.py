"""What a work of thousands of tiles costs each part of the machinery: the constants of docs/scale.md."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import obspy
from obspy import UTCDateTime
from obspy.core.event import Event, Magnitude, Origin

import workbench as wb
from benchmarks import scaling, simulated
from benchmarks.harness import Row, clock
from workbench.archive import Archive, Selection, survey
from workbench.archive.entries import entry
from workbench.calls import Policy
from workbench.demo.known import known
from workbench.jobs.planning import plan
from workbench.jobs.tilestore import TileStore
from workbench.kernels.quality import completeness
from workbench.nouns import Triggers
from workbench.wire.packed import pack

TOPIC = "Scale: the machinery with thousands of tiles and hundreds of simulated workers"

DAY_S = 86400

_rounds = itertools.count()


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    channels: int = 100
    days: int = 100
    workers: int = 200
    tiles: int = 2000
    pause_s: float = 3.0
    rate: int = 100
    stored: int = 20_000
    events: int = 50
    rest_s: float = 3.0


def measure() -> list[Row]:
    """Measure all, and write the tables of docs/scale.md."""
    found = constants(Size())
    scaling.write(found)
    return [
        Row("planning, each of 10,000 tiles", found["plan_s"]),
        Row("a tile written into a store of 20,000, and claimed before", found["store_s"]),
        Row("scheduler, 200 workers: processor time a tile", found["scheduler_s"]),
        Row("whoever asked: processor time a tile", found["client_s"]),
        Row("worker: processor time a tile, beside the kernel's", found["worker_s"]),
        Row("results put together, a tile", found["merge_s"]),
    ]


def constants(size: Size) -> dict[str, float]:
    """Measure the constants, in seconds and bytes, each of one tile, file or channel-day."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        many = simulated.year(root / "many", size.channels, size.days)
        # What is compiled on first use is no constant of a file.
        few = simulated.year(root / "few", 1, 1)
        few.index.look(few.files(Selection.parse("*.*.*.*")))
        return {
            **_index(many, size),
            **_real(root / "real", size),
            **_plan(many, root, size),
            **_store(root / "tiles", size),
            **_cluster(many, root, size),
            **_events(root / "events", size),
        }


def _index(archive: Archive, size: Size) -> dict[str, float]:
    """Many small files: what each of them costs, whatever is in it."""
    number = size.channels * size.days
    chosen = Selection.parse("*.*.*.*")
    new = _cpu(lambda: archive.index.look(archive.files(chosen), 0, 0))
    asked = "*", "*", "*", "*", simulated.BEGIN, simulated.BEGIN + size.days * DAY_S
    return {
        "index_new_s": new / number,
        "listing_s": _median(lambda: archive.files(chosen)) / number,
        "answer_s": _median(lambda: completeness(archive.get_spans(*asked))) / number,
    }


def _real(root: Path, size: Size) -> dict[str, float]:
    """Day files as they are: read, summed, and what the index holds of them."""
    made = known(root, channels=2, days=2, rate=size.rate, seed=3)
    paths = [path for path in root.rglob("*.D.*") if path.is_file()]
    total = sum(path.stat().st_size for path in paths)
    index = root / "new" / "index.sqlite"
    start = UTCDateTime(ns=made.start * DAY_S * 10**9)
    chosen = Selection("XX", "*", "*", "*", start, start + made.days * DAY_S - 0.001)

    def scanned() -> None:
        shutil.rmtree(index.parent, ignore_errors=True)
        archive = Archive(root, index=index)
        archive.index.look(archive.files(chosen))

    def surveyed() -> None:
        shutil.rmtree(index.parent, ignore_errors=True)
        survey(Archive(root, index=index), chosen)

    headers, whole = _median(scanned), _median(surveyed)
    archive = Archive(root, index=index)
    results = {
        **_held(archive, paths[0], root / "held"),
        "result_bytes": _result(archive, chosen, root / "tiles"),
        "file_bytes": total / len(paths),
        "headers_s": headers / len(paths),
        "survey_s": whole / len(paths),
    }
    shutil.rmtree(root)
    return results


def _held(archive: Archive, path: Path, folder: Path, number: int = 1024) -> dict[str, float]:
    """Have an index hold one day file as if it were many."""
    name = str(path.relative_to(archive.root))
    headers = archive.index.tree.headers(name)
    assert headers is not None
    names = [f"{name[:-8]}{number:08d}" for number in range(number)]
    index = Archive(archive.root, index=folder / "index.sqlite").index

    def written() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with index.kept_open():
            for first in range(0, number, 64):
                index.store([(path, entry(headers)) for path in names[first : first + 64]])

    seconds = _median(written)
    return {"index_bytes": index.path.stat().st_size / number, "store_index_s": seconds / number}


def _result(archive: Archive, chosen: Selection, folder: Path) -> float:
    """Return the bytes of the RMS of a channel and day, as the store has them."""
    done = wb.map("quality.rms", chosen, sources=[archive], store=folder, progress=False)
    return float(done.cost.bytes_out / done.tiles.computed)


def _plan(archive: Archive, root: Path, size: Size) -> dict[str, float]:
    store = TileStore(root / "planned")

    def each(selection: str, number: int) -> float:
        def planned() -> None:
            asked = plan("triggers.sta_lta", selection, {}, policy=Policy(sources=[archive]), store=store)
            assert len(asked) == number

        return _median(planned) / number

    few, many = size.channels // 10, size.channels
    some = ",".join(f"{number:05d}" for number in range(few))
    found = each("*.*.*.*", many * size.days)
    return {"plan_s": found, "plan_growth": found / each(f"XX.{some}.*.*", few * size.days)}


def _store(folder: Path, size: Size) -> dict[str, float]:
    """Write tiles into a store that has many already."""
    store = TileStore(folder)
    store.open()
    outputs = {"triggers": pack(Triggers())}
    more = {"tile": "XX.S000..VHZ 2024-01-01/2024-01-02", "empty": False, "notices": []}
    keys = [f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" * 4 for number in range(size.stored)]
    some = keys[: size.stored // 20]

    def again() -> None:
        for key in some:
            other = key[:-3] + "new"
            claimed = store.claim(other)
            assert claimed is not None
            with claimed:
                store.write(other, outputs, more)
            (folder / other[:2] / f"{other}.tile").unlink()

    def fill(wanted: list[str]) -> float:
        for key in wanted:
            store.write(key, outputs, more)
        return _median(again) / len(some)

    def looked() -> None:
        for key in some:
            assert store.head(key) is not None

    few = fill(some)
    many = fill(keys)
    collected = _cpu(store.collect)
    found = {"store_s": many, "store_growth": many / few, "reuse_s": _median(looked) / len(some)}
    shutil.rmtree(folder)
    return {**found, "collect_s": collected / size.stored}


def _cluster(archive: Archive, root: Path, size: Size) -> dict[str, float]:
    """Have hundreds of workers work on tiles that take no processor time."""
    days = -(-size.tiles // size.channels)
    end = simulated.BEGIN + days * DAY_S - 1
    some = f"*.*.*.*@2024-01-01/{str(end).rstrip('Z')}"
    # It is declared where it is imported: not for whoever only looks at this module.
    from benchmarks import standin

    with simulated.cluster(size.workers) as made:

        def run(selection: str, pause_s: float) -> Any:
            store = TileStore(root / f"store{next(_rounds)}")
            given: dict[str, Any] = {"sources": [archive], "store": store, "seconds": pause_s}
            return wb.map(standin.pause, selection, client=made.client, progress=False, **given)

        run("XX.0000?.*.*@2024-01-01/2024-01-02", 0.0)
        parts = made.scheduler, made.workers
        rest = [_resting(part, size.rest_s) for part in parts]
        before = [part.cpu_s for part in parts]
        held, mine, begun = made.scheduler.bytes, time.process_time(), time.perf_counter()
        done = run(some, size.pause_s)
        wall, client = time.perf_counter() - begun, time.process_time() - mine
        scheduler, workers = (
            part.cpu_s - then - wall * resting
            for part, then, resting in zip(parts, before, rest, strict=True)
        )
        number = done.tiles.computed
        assert number == done.tiles.total == size.channels * days
        assert not done.failed.size
        merged = _cpu(lambda: done.value)
        return {
            "scheduler_s": scheduler / number,
            "resting": rest[0] / size.workers,
            "worker_s": workers / number,
            "client_s": client / number,
            "merge_s": merged / number,
            "scheduler_bytes": max(0.0, made.scheduler.bytes - held) / number,
            "efficiency": number * size.pause_s / size.workers / wall,
            "tiles": float(number),
            "workers": float(size.workers),
        }


def _resting(part: simulated.Part, seconds: float) -> float:
    """Return what share of a core a part takes when there is nothing to do."""
    before = part.cpu_s
    time.sleep(seconds)
    return (part.cpu_s - before) / seconds


def _events(folder: Path, size: Size) -> dict[str, float]:
    """Add located events to the catalogue of an archive, one by one as a pipeline does."""
    archive = Archive(folder)
    moments = (UTCDateTime(2024, 1, 1) + number * 600 for number in range(size.events))

    def event(moment: UTCDateTime) -> obspy.Catalog:
        origin = Origin(time=moment, latitude=47.0, longitude=8.0, depth=5000.0)
        return obspy.Catalog([Event(origins=[origin], magnitudes=[Magnitude(mag=1.0)])])

    catalogs = [event(moment) for moment in moments]
    seconds = clock(lambda: [archive.events.add(catalog) for catalog in catalogs])
    return {"event_s": seconds / size.events}


def _median(work: Callable[[], Any]) -> float:
    work()
    return statistics.median(_cpu(work) for _ in range(3))


def _cpu(work: Callable[[], Any]) -> float:
    """Processor time of this process, of all its threads: what others do meanwhile does not count."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
