"""A new process to its first result."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.harness import Row, fresh
from workbench.demo import examples

TOPIC = "A new process, start included"


def measure() -> list[Row]:
    """Measure imports and first results, with the compiled caches warm."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        examples.write(here)
        run = f"from workbench.cli import main; import os; os.chdir({folder!r}); "
        model = "--velocity-model iasp91"
        commands = {
            "workbench list": "list",
            "triggers.sta_lta": "run triggers.sta_lta waveforms.mseed -o out.csv",
            "pickers.picker": "run pickers.picker waveforms.mseed -o out.csv",
            "locators.geiger": f"run locators.geiger picks.csv stations.xml {model} -o out.xml",
        }
        return [
            fresh("import workbench", "import workbench"),
            *(
                fresh(what, f"{run}main({words.split()!r})", target="2 s" if "." in what else "")
                for what, words in commands.items()
            ),
        ]
