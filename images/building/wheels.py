"""The Python packages of an image, as wheels that the host's own pip fetches.

Only wheels are taken: nothing of a package runs on the machine that builds.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from building.errors import BuildFailed
from building.recipes import ROOT

__all__ = [
    "asked",
    "asked_name",
    "canonical",
    "entries",
    "fetch",
    "library",
    "name_of",
    "requirement",
    "resolve",
    "target",
]

_GLIBC = 36  # that of Debian 12
_PYTHON = "3.11"


def target() -> list[str]:
    """Return what tells pip that it fetches for the image, whatever the host is."""
    machine = platform.machine()
    old = ["manylinux1", "manylinux2010", "manylinux2014"] if machine == "x86_64" else ["manylinux2014"]
    tags = [f"manylinux_2_{minor}" for minor in range(_GLIBC, 4, -1)] + old + ["linux"]
    platforms = [f"--platform={tag}_{machine}" for tag in tags]
    abis = [f"--abi={abi}" for abi in (f"cp{_PYTHON.replace('.', '')}", "abi3", "none")]
    return [*platforms, f"--python-version={_PYTHON}", "--implementation=cp", *abis, "--only-binary=:all:"]


def name_of(wheel: Path) -> str:
    """Return the name of the package in a wheel, as the lock files spell it.

    Examples
    --------
    >>> name_of(Path("jupyter_server-2.0-py3-none-any.whl"))
    'jupyter-server'
    """
    return canonical(wheel.name.partition("-")[0])


def canonical(name: str) -> str:
    """Return the one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked(requirements: Path) -> set[str]:
    """Return the names of the packages that a file of requirements asks for."""
    if not requirements.is_file():
        return set()
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    return {asked_name(line) for line in lines if line}


def asked_name(line: str) -> str:
    """Return the name of the package that a requirement asks for.

    Examples
    --------
    >>> asked_name("Seismic_Workbench[api]>=0.1 ; python_version > '3'")
    'seismic-workbench'
    """
    return canonical(re.split(r"[=<>!~\[;( ]", line, maxsplit=1)[0])


def entries(lock: str) -> dict[str, str]:
    r"""Return the lines of each package in a lock file, by name.

    Examples
    --------
    >>> entries("a==1 \\\n    --hash=sha256:00\nb-c==2 --hash=sha256:11")["a"]
    'a==1 \\\n    --hash=sha256:00\n'
    """
    blocks = re.findall(r"(?m)^[A-Za-z0-9][^\n]*(?:(?<=\\)\n[^\n]*)*", lock)
    return {canonical(re.split(r"[=\[; ]", block, maxsplit=1)[0]): f"{block}\n" for block in blocks}


def fetch(lock: str, store: Path) -> list[Path]:
    """Fetch what a lock file names, each package checked against its hash."""
    wanted = entries(lock)
    if not wanted:
        return []
    folder = store / sha256(lock.encode()).hexdigest()[:16]
    if not (folder / "complete").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        requirements = folder / "requirements.lock"
        requirements.write_text(lock)
        _pip("download", "--no-deps", "--require-hashes", f"--dest={folder}", f"-r{requirements}", *target())
        (folder / "complete").touch()
    return sorted(folder.glob("*.whl"))


def resolve(requirements: Path, constraints: Path, folder: Path) -> list[Path]:
    """Fetch what requirements ask for and all that this needs, none against the constraints."""
    folder.mkdir(parents=True, exist_ok=True)
    _pip("download", f"--dest={folder}", f"-r{requirements}", f"-c{constraints}", *target())
    return sorted(folder.glob("*.whl"))


def library(folder: Path) -> Path:
    """Build our own library as a wheel; the same sources give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as part:
        _pip("wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={part}", str(ROOT))
        wheel = next(Path(part).glob("*.whl"))
        # Another build may be at work with the wheel of other sources.
        home = folder / sha256(wheel.read_bytes()).hexdigest()[:16]
        home.mkdir(exist_ok=True)
        return wheel.replace(home / wheel.name)


def requirement(wheel: Path) -> str:
    """Return the line of a lock file that names one wheel."""
    name, version = wheel.name.split("-")[:2]
    return f"{canonical(name)}=={version} --hash=sha256:{sha256(wheel.read_bytes()).hexdigest()}\n"


def _pip(*arguments: str) -> None:
    command: Sequence[str] = [sys.executable, "-m", "pip", "--quiet", *arguments]
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        remedy = "Build with .venv/bin/python, which `make setup` makes." if "No module" in words else ""
        raise BuildFailed(f"pip {arguments[0]}", f"it stopped:\n{words}", remedy)
