"""Fan-out: a kernel over an archive, cut as it declares, restartable, here or on a cluster.

>>> import tempfile, obspy, workbench as wb
>>> from workbench.jobs.tilestore import TileStore
>>> archive = wb.Archive(tempfile.mkdtemp())
>>> _ = archive.write(obspy.read())
>>> store = TileStore(tempfile.mkdtemp())
>>> found = wb.map("triggers.sta_lta", "BW.RJOB..EH?", sources=[archive], store=store, sta=0.5, lta=5.0)
>>> found.tiles.computed, len(found.value)
(3, 3)
>>> again = wb.map("triggers.sta_lta", "BW.RJOB..EH?", sources=[archive], store=store, sta=0.5, lta=5.0)
>>> again.tiles.reused, again.value == found.value
(3, True)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.archive import Source
from workbench.calls import Call, Policy, Result
from workbench.calls.results import check_free, write_output, write_results
from workbench.errors import InvalidSetting
from workbench.jobs.here import here
from workbench.jobs.planning import Plan, plan
from workbench.jobs.progress import Meter, shown
from workbench.jobs.results import Book, Cost, Counts
from workbench.jobs.tiles import BYTES
from workbench.jobs.tilestore import TileStore
from workbench.jobs.tilework import Outcome
from workbench.jobs.units import Tile
from workbench.kernel import Kernel
from workbench.notices import Notice, listen, notice

if TYPE_CHECKING:
    from distributed import Client

    from workbench.jobs.preview import Estimate

__all__ = ["Mapped", "check_target", "execute", "map"]

_TOLD = 20
"""Notices that are said aloud; all of them stand in the result."""


class Mapped:
    """What a kernel gave over an archive.

    Attributes
    ----------
    call : Call
        The whole, as one Call.
    tiles : Counts
        How many were computed, reused and failed.
    cost : Cost
        What was spent on it.
    estimate : Estimate or None
        What it was thought to cost, if it was estimated before.
    notices : list of Notice
        What was left out or changed on the way.
    """

    def __init__(self, book: Book, notices: Sequence[Notice] = (), estimate: Estimate | None = None) -> None:
        self._book = book
        self.call: Call = book.plan.call
        self.tiles: Counts = book.tiles
        self.cost: Cost = book.cost
        self.estimate = estimate
        self.notices: list[Notice] = list(dict.fromkeys([*notices, *book.notices]))

    @property
    def value(self) -> Any:
        """The one output, or all of them by name: put together when it is first asked for.

        Raises
        ------
        NoData
            If no tile gave anything.
        """
        outputs = self._book.outputs
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    @property
    def failed(self) -> pd.DataFrame:
        """The tiles that failed, a row each, with the error in words."""
        return self._book.failed

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The same as plain data."""
        return self._book.rows

    @property
    def complete(self) -> bool:
        """Whether no data were left out."""
        return not self.tiles.failed and not any(said.loss for said in self.notices)

    @property
    def result(self) -> Result:
        """The outcome as that of any other Call, with its provenance."""
        job = self._book.plan.job
        return Result(
            call=self.call,
            outputs=self._book.outputs,
            notices=self.notices,
            run_key=self._book.digest,
            fingerprints={"tiles": self._book.digest},
            code=job.code,
            environment=job.environment,
            duration_s=round(self.cost.wall_s, 3),
        )

    def write(self, to: str | Path, log: list[dict[str, Any]] | None = None) -> list[Path]:
        """Write the result: a file, by its suffix, or a folder with the provenance.

        A dataset goes into a Zarr store piece by piece, so that it need not fit
        into memory.
        """
        path = Path(to)
        if not path.suffix:
            return write_results(self.result, path, log or [])
        if path.suffix.lower() == ".zarr":
            from workbench.jobs.stored import write_store

            (output,) = self._book.plan.kernel.outputs
            write_store(self._book.parts(output.name), path, self._book.plan.cut.grid)
        else:
            write_output(self.value, path)
        return [path]

    def __repr__(self) -> str:
        counts = self.tiles
        text = (
            f"{self.call.process}: {counts.total} tiles, {counts.computed} computed, "
            f"{counts.reused} finished before, {counts.failed} failed; {self.cost}"
        )
        return text if self.estimate is None else f"{text}\nestimated: {self.estimate}"


def map(
    kernel: str | Kernel | Callable[..., Any],
    selection: Any,
    *,
    client: Client | None = None,
    tile: str | float | None = "1D",
    to: str | Path | None = None,
    retries: int = 1,
    progress: bool = True,
    preview: float | None = None,
    sources: Sequence[Source] | None = None,
    store: TileStore | str | Path | None = None,
    max_bytes: int = BYTES,
    **given: Any,
) -> Any:
    """Run a kernel over much data: cut into tiles, and put together again.

    The same again goes on where it was: finished tiles are kept, and only those
    are computed whose data, code or settings have changed.

    Parameters
    ----------
    kernel : str or function
        Id of a kernel, or the kernel itself.
    selection : str or Selection
        Which waveforms: ``NET.STA.LOC.CHA@start/end``; without times, all there are.
    client : distributed.Client, optional
        A cluster to run on; by default this process.
    tile : str or float or None
        Length of a tile: ``1D``, ``12h``, seconds; None does not cut in time.
        A kernel's own grid makes it longer, too much data shorter.
    to : path, optional
        Where the result goes as well: a file, a Zarr store, or a folder.
    retries : int
        How often a tile that failed is tried again.
    progress : bool
        Whether to show a bar, where there is somebody who could see it.
    preview : float, optional
        Run only this fraction of the tiles, and estimate what the whole costs.
    sources : sequence of Source, optional
        Archives to use instead of those of the settings.
    store : TileStore or path, optional
        Where finished tiles are kept.
    max_bytes : int
        Most bytes of samples of a tile.
    **given
        Further inputs of the kernel (``stations=...``: an object, a path, a
        selection), and its settings.

    Returns
    -------
    Mapped
        With ``value``, ``failed``, ``tiles`` and ``cost``; with `preview` a
        `Preview`.

    Raises
    ------
    InvalidSetting
        If something is wrong with what is asked.
    NoData
        If no archive has any of it.
    WorkbenchError
        The error of the first tile, if all fail.
    """
    with listen() as heard:
        asked = plan(
            kernel,
            selection,
            given,
            policy=Policy(sources=sources),
            tile=tile,
            store=store if isinstance(store, TileStore) or store is None else TileStore(store),
            max_bytes=max_bytes,
        )
    check_target(asked, to)
    if preview is not None:
        from workbench.jobs.preview import Preview

        return Preview(asked, preview, client=client, retries=retries, progress=progress, to=to)
    done = execute(asked, client=client, retries=retries, progress=progress, said=heard.notices)
    if to is not None:
        done.write(to)
    tell(done.notices)
    return done


def tell(notices: Sequence[Notice]) -> None:
    """Say in a notebook what was left out, as far as anybody would read it."""
    for said in notices[:_TOLD]:
        notice(said.subject, said.problem, said.remedy, loss=said.loss)
    if len(notices) > _TOLD:
        more = notices[_TOLD:]
        lost = any(said.loss for said in more)
        notice(
            "fan-out", f"has {len(more)} more to say", "See `notices` and `failed` of the result.", loss=lost
        )


def execute(
    asked: Plan,
    tiles: Iterable[Tile] | None = None,
    *,
    client: Client | None = None,
    retries: int = 1,
    progress: bool = True,
    said: Sequence[Notice] = (),
    estimate: Estimate | None = None,
    on_step: Callable[[Meter], None] | None = None,
) -> Mapped:
    """Run the tiles of a plan, or some of them.

    Raises
    ------
    WorkbenchError
        The error of the first tile, if all fail.
    KeyboardInterrupt
        Says how many tiles are finished, which stay.
    """
    begun = time.perf_counter()
    chosen: Iterable[Tile] = asked if tiles is None else tiles
    book = Book(asked)
    weight = asked.samples
    if tiles is not None:
        listed = list(tiles)
        chosen, weight = listed, sum(tile.samples for tile in listed)
        book.tiles.total = len(listed)
    with shown(progress) as display, closing(_run(asked, chosen, client, retries)) as outcomes:
        meter = Meter(book.tiles.total, weight, display)
        try:
            for tile, outcome in outcomes:
                book.enter(tile, outcome)
                meter.step(outcome.state, tile.samples)
                if on_step is not None:
                    on_step(meter)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{meter.done - meter.failed} of {meter.tiles} tiles are finished and stay; "
                "the same again goes on from there"
            ) from None
    book.cost.wall_s = time.perf_counter() - begun
    book.close()
    if book.tiles.computed:
        from workbench.jobs.preview import remember

        remember(book)
        asked.job.store.tidy()
    return Mapped(book, said, estimate)


def check_target(asked: Plan, to: str | Path | None) -> None:
    """Find out before the work, not after it, that the result cannot be written."""
    from workbench import wire

    if to is None:
        return
    path = Path(to)
    outputs = asked.kernel.outputs
    if not path.absolute().parent.is_dir():
        raise InvalidSetting(str(path), "its folder does not exist", f"Make {path.absolute().parent} first.")
    if not path.suffix:
        check_free(path)
        return
    if len(outputs) > 1:
        names = ", ".join(item.name for item in outputs)
        raise InvalidSetting(str(path), f"{asked.kernel.id} has several results ({names})", "Give a folder.")
    wire.media_of(outputs[0].noun, path.suffix.lower())


def _run(
    asked: Plan, tiles: Iterable[Tile], client: Client | None, retries: int
) -> Generator[tuple[Tile, Outcome]]:
    if client is None:
        return here(asked.job, tiles, retries)
    from workbench.jobs.spread import spread

    return spread(client, asked.job, tiles, retries)
