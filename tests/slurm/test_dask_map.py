"""The same Call in the notebook, on workers here, on SLURM's workers and by sbatch: equal bytes."""

from __future__ import annotations

import pytest

from slurmed import Slurm
from trialbook import Trials

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

ARCHIVE = """
import numpy as np
archive = wb.Archive("archive")
random, made = np.random.default_rng(1), obspy.Stream()
for channel, days in {"LHE": 3.0, "LHN": 2.25, "LHZ": 3.0}.items():
    trace = obspy.Trace(random.integers(-1000, 1000, int(86400 * days)).astype(np.int32))
    trace.stats.update({"network": "XX", "station": "A", "channel": channel, "sampling_rate": 1.0})
    trace.stats.starttime = obspy.UTCDateTime("2024-01-01T06:00:00")
    made.append(trace)
archive.write(made)
settings = Settings(archive=Path("archive").absolute(), home_archive=Path("none").absolute())
kept = {}
everything = "XX.A..LH?@2024-01-01/2024-01-05"
def mapped(client=None):
    from workbench.jobs.tilestore import TileStore
    import tempfile
    store = TileStore(tempfile.mkdtemp(dir="."))
    found = wb.map(process, everything, sources=[archive], store=store, client=client, progress=False, **more)
    assert found.tiles.failed == 0 and found.tiles.computed == found.tiles.total > 3, found.tiles
    return found.result.canonical()
"""

WHOLE = """
from workbench import kernel as declarations
from workbench.calls import Policy
name = declarations.get(process).inputs[0].name
call = wb.Call(process=process, inputs={name: {"selection": everything}, **more})
whole = call.run(Policy(settings=settings)).canonical()
kept[process] = mapped()
job = wb.submit(call, settings=settings)
"""

KERNELS = {
    "quality.completeness": {},
    "quality.rms": {},
    "triggers.sta_lta": {
        "kind": "classic",
        "sta": 5.0,
        "lta": 60.0,
        "freqmin": None,
        "freqmax": None,
        "on": 2.0,
    },
}


def test_equal_bytes_wherever_it_runs(slurm_cluster: Slurm, book: Trials):
    book.run(ARCHIVE)
    for process, more in KERNELS.items():
        book.run(f"process, more = {process!r}, {more!r}")
        book.run(WHOLE, 60)
        assert book.run("answer = kept[process] == whole"), process
        assert book.run("answer = job.result(90).canonical() == whole", 100), process
    for workers, kind in ((2, "local"), (1, "slurm"), (3, "slurm")):
        book.run(f"client = wb.cluster({workers}, kind={kind!r}, wait=60)", 90)
        for process, more in KERNELS.items():
            book.run(f"process, more = {process!r}, {more!r}")
            assert book.run("answer = mapped(client) == kept[process]", 120), (process, workers, kind)
        book.run("client.close()")
