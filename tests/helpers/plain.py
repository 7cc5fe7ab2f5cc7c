"""A small image of this machine's own Python, made in a second and without any network."""

from __future__ import annotations

import io
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import docker

PYTHON = "/opt/workbench/bin/python"
_LEFT_OUT = (
    "test",
    "idlelib",
    "lib2to3",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "dist-packages",
    "site-packages",
)


def plain_image(client: docker.DockerClient) -> str:
    """Return the ID of an image that holds Python and nothing else."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in ("tmp", "home", "proc", "sys", "dev", "etc", "run"):
            _folder(tar, name)
        binary, library = Path(sys.executable).resolve(), Path(sysconfig.get_path("stdlib"))
        programs = [binary, *(library / "lib-dynload").glob("*.so")]
        for path in sorted({binary, *(path for program in programs for path in libraries(program))}):
            tar.add(path.resolve(), str(path).lstrip("/"))
        tar.add(library, str(library).lstrip("/"), filter=_wanted)
        link = tarfile.TarInfo(PYTHON.lstrip("/"))
        link.type, link.linkname = tarfile.SYMTYPE, str(binary)
        tar.addfile(link)
    answer = client.api.import_image_from_data(packed.getvalue(), repository="plain-python", tag="test")
    return str(client.images.get("plain-python:test").id) if answer else ""


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(member.name).name
    return None if name in _LEFT_OUT or name.startswith("config-") else member


def _folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
    tar.addfile(entry)


def libraries(binary: Path) -> list[Path]:
    """Return the shared libraries that a program loads."""
    done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
    words = [line.split() for line in done.stdout.splitlines()]
    found = [part[2] if len(part) > 2 and part[1] == "=>" else part[0] for part in words]
    return [Path(path) for path in found if path.startswith("/")]
