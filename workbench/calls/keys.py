"""The run key: what was computed, from which data, by which code, where."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

import workbench
from workbench.calls.call import Call
from workbench.kernel import Kernel

__all__ = ["code_version", "environment", "run_key", "sources"]


def run_key(call: Call, kernel: Kernel, fingerprints: dict[str, str]) -> str:
    """Name a computation: the same key means the same result.

    SHA-256 over the canonical Call, with the data of each input replaced by
    their fingerprint, the code and the environment.  Data given as a path, as
    bytes or as a selection have one fingerprint, so the key is one too.

    Parameters
    ----------
    call : Call
    kernel : Kernel
    fingerprints : dict of str to str
        The fingerprint of each data input that is given.
    """
    data = {name: {"sha256": fingerprint} for name, fingerprint in fingerprints.items()}
    sha = hashlib.sha256(call.canonical(data))
    sha.update(code_version(kernel).encode())
    sha.update(environment()["digest"].encode())
    return sha.hexdigest()


def code_version(kernel: Kernel) -> str:
    """Return the version of the workbench and hashes: its sources, the kernel's own module, its program."""
    home = sys.modules[kernel.function.__module__]
    if home.__name__.startswith("workbench."):
        outside = ""
    elif getattr(home, "__file__", None):
        outside = _hash([Path(home.__file__ or "")])[:16]
    else:
        # A kernel that was declared in a notebook has no file: its own text is all there is.
        outside = hashlib.sha256(_source(kernel).encode()).hexdigest()[:16]
    program = kernel.code() if kernel.code is not None else ""
    return f"{workbench.__version__}+{sources()}{outside and '+' + outside}{program and '+' + program}"


def _source(kernel: Kernel) -> str:
    try:
        return inspect.getsource(kernel.function)
    except (OSError, TypeError):
        return kernel.function.__code__.co_code.hex() + repr(kernel.function.__code__.co_consts)


@cache
def environment() -> dict[str, Any]:
    """Return Python's version, the platform, the packages, and one digest over all of it."""
    # The names of the folders are enough, and a hundred times faster than to read what is in them.
    names = {
        entry.name.removesuffix(".dist-info")
        for folder in map(Path, sys.path)
        if folder.is_dir()
        for entry in os.scandir(folder)
        if entry.name.endswith(".dist-info")
    }
    packages = {
        name.lower().replace("_", "-"): version
        for name, _, version in (entry.rpartition("-") for entry in names)
        if name
    }
    facts = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": dict(sorted(packages.items())),
    }
    return {**facts, "digest": hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}


@cache
def sources() -> str:
    """Return a hash of the sources of the workbench."""
    root = Path(workbench.__file__).parent
    return _hash(sorted(root.rglob("*.py")), root)[:16]


def _hash(paths: list[Path], root: Path | None = None) -> str:
    sha = hashlib.sha256()
    for path in paths:
        sha.update(path.relative_to(root).as_posix().encode() if root else path.name.encode())
        sha.update(path.read_bytes())
    return sha.hexdigest()
