"""A program of a site: compiled by the tests, and declared by a distribution that they install."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from workbench.programs import File

SOURCES = Path(__file__).parents[1] / "programs"
"""Where the sources of programs are."""

_DECLARATION = '''
"""Programs of a site."""

from workbench.nouns import Triggers, Waveforms
from workbench.programs import File, program
from workbench.units import Ratio


@program(
    image=None,
    argv=("{{program}}", "--least", "{{least}}", "{{waveforms}}", "{{result}}"),
    files={{"program": File("{path}", "{sha256}")}},
    reads={{"waveforms": "text/csv"}},
    writes={{"result": "text/csv"}},
    per="channel",
    cut=False,
)
def peaks(waveforms: Waveforms, *, least: Ratio = 1.0) -> Triggers:
    """Find where each channel has its largest amplitude.

    Parameters
    ----------
    waveforms : Waveforms
        Any.
    least : Ratio
        Amplitude that is needed.
    """
'''


def pinned(path: Path) -> File:
    """Return a file as a declaration names it."""
    return File(path, hashlib.sha256(path.read_bytes()).hexdigest())


def compiled(source: str, folder: Path, compiler: str, *more: str) -> File:
    """Compile a source into a folder, unless it is there; return what came of it."""
    name = Path(source).stem
    out = folder / (f"{name}.class" if compiler == "javac" else name)
    if not out.exists():
        to = ["-d", str(folder)] if compiler == "javac" else ["-O1", "-o", str(out)]
        command = [compiler, *to, str(SOURCES / source), *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    return pinned(out)


def install_peaks(folder: Path, program: File) -> Path:
    """Install a distribution in a folder, whose kernel ``site_peaks.peaks`` is the program of peaks.c."""
    info = folder / "site_peaks-1.0.dist-info"
    info.mkdir(parents=True)
    text = _DECLARATION.format(path=program.path, sha256=program.sha256)
    (folder / "site_peaks.py").write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: site-peaks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[workbench.kernels]\nsite_peaks = site_peaks\n")
    return folder
