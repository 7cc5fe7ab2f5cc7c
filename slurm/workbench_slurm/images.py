"""Released images as directories that nodes run: by digest, root's, and never changed.

::

    /var/lib/workbench/images/
        sha256:.../rootfs/        the image's files
        sha256:.../image.json   its environment, how a command starts in it, the hash of its files
        kept/sha256:.../NAME    why it must stay
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from workbench.errors import InvalidSetting, NoData, ResourceExceeded, Unavailable
from workbench_hub.deployment import write
from workbench_slurm.trees import examine, harden, tree_hash

__all__ = ["Image", "Images", "Referenced"]

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}")
_INIT = ["/usr/bin/tini", "-g", "--"]
_PART = ".adding-"
_SECONDS = 900


class Referenced(ResourceExceeded):
    """An image that something still needs."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is there.

    Parameters
    ----------
    digest : str
        Its name.
    source : str
        What it was made from.
    environment : dict
        What a command finds in its environment.
    start : list of str
        The words before a command.
    tree : str
        Hash over all files: see `trees.tree_hash`.
    size : int
        Of the files, bytes.
    added : str
        When, ISO 8601.
    """

    digest: str
    source: str
    environment: dict[str, str]
    start: list[str]
    tree: str
    size: int
    added: str


class Images:
    """The images in a folder that root owns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, source: str, docker: str) -> Image:
        """Add an image of a Docker daemon, or a directory.

        Parameters
        ----------
        source : str
            An image's digest or name; or the path of a directory, with a slash in it, which is copied.
        docker : str
            Address of the daemon.

        Raises
        ------
        NoData
            If there is no such image or directory.
        UnfitTree
            If what is in it would give rights to those who run it.
        """
        with self._alone(), self._part() as part:
            if "/" in source and Path(source).is_dir():
                digest, environment = "", {"PATH": "/usr/local/bin:/usr/bin:/bin"}
                start: list[str] = []
                shutil.copytree(source, part / "rootfs", symlinks=True)
            else:
                digest, environment, start = _described(source, docker)
                if self._there(digest):
                    return self.get(digest)
                _export(digest, docker, part / "rootfs")
            harden(part / "rootfs")
            examine(part / "rootfs")
            tree = tree_hash(part / "rootfs")
            # A directory has no digest of its own: what is in it and how it starts is one.
            digest = digest or f"sha256:{sha256(json.dumps([tree, environment, start]).encode()).hexdigest()}"
            if self._there(digest):
                return self.get(digest)
            size = sum(path.lstat().st_size for path in (part / "rootfs").rglob("*") if path.is_file())
            added = datetime.now(UTC).isoformat(timespec="seconds")
            image = Image(digest, source, environment, start, tree, size, added)
            write(part / "image.json", json.dumps(asdict(image), indent=1) + "\n")
            part.chmod(0o755)
            _flush(part)
            part.rename(self.folder / digest)
        return image

    def get(self, digest: str) -> Image:
        """Return what is known of an image.

        Raises
        ------
        NoData
            If it is not here.
        """
        if not self._there(digest):
            raise NoData(digest, f"is not in {self.folder}", "workbench-slurm image list shows what is.")
        return Image(**json.loads((self.folder / digest / "image.json").read_text()))

    def all(self) -> list[Image]:
        """Return every image, the newest first."""
        found = [path.name for path in self.folder.glob("sha256:*") if self._there(path.name)]
        return sorted((self.get(digest) for digest in found), key=lambda image: image.added, reverse=True)

    def verify(self, digest: str) -> None:
        """See that an image is what was added.

        Raises
        ------
        UnfitTree, NoData
            If it is not.
        """
        image = self.get(digest)
        examine(self.folder / digest / "rootfs")
        if tree_hash(self.folder / digest / "rootfs") != image.tree:
            raise NoData(digest, "is not what was added: its files differ", "Remove it and add it again.")

    def keep(self, digest: str, name: str) -> None:
        """Write down under a name that an image must stay."""
        self.get(digest)
        if not _NAME.fullmatch(name):
            raise InvalidSetting(repr(name), "is no name", "Letters, digits, '.', '_' and '-'.")
        folder = self.folder / "kept" / digest
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    def release(self, digest: str, name: str) -> None:
        """Take such a name away; one that is not there stays away."""
        (self.folder / "kept" / digest / Path(name).name).unlink(missing_ok=True)

    def reasons(self, digest: str) -> list[str]:
        """Return why an image must stay, as far as this machine knows: names, and processes in it."""
        names = sorted(path.name for path in (self.folder / "kept" / digest).glob("*"))
        inside = _users_of(digest)
        return [
            *(f"kept for {name}" for name in names),
            *(f"process {number} runs in it" for number in inside),
        ]

    def remove(self, digest: str, more: Sequence[str] = ()) -> None:
        """Remove an image.

        Parameters
        ----------
        digest : str
            Which.
        more : sequence of str
            Further reasons why it must stay: jobs that wait, for example.

        Raises
        ------
        Referenced
            If something needs it.
        """
        self.get(digest)
        with self._alone():
            if why := [*self.reasons(digest), *more]:
                raise Referenced(digest, "; ".join(why), "It stays.")
            # Out of the way first: nobody starts in half of it.
            with self._part() as gone:
                (self.folder / digest).rename(gone / "image")
            shutil.rmtree(self.folder / "kept" / digest, ignore_errors=True)

    def _there(self, digest: str) -> bool:
        return bool(_DIGEST.fullmatch(digest)) and (self.folder / digest / "image.json").is_file()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else adds or removes; sweep what they left half done."""
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for part in self.folder.glob(f"{_PART}*"):
                shutil.rmtree(part)
            yield

    @contextmanager
    def _part(self) -> Iterator[Path]:
        """Make a folder that nobody takes for an image; remove it unless it has become one."""
        part = Path(tempfile.mkdtemp(prefix=_PART, dir=self.folder))
        try:
            yield part
        finally:
            if part.exists():
                shutil.rmtree(part)


def _described(source: str, docker: str) -> tuple[str, dict[str, str], list[str]]:
    """Return an image's digest, and how commands start in it."""
    said = _docker(docker, "image", "inspect", source)
    described = json.loads(said)[0]
    config = described["Config"]
    environment = dict(word.split("=", 1) for word in config.get("Env") or [])
    start = list(config.get("Entrypoint") or [])
    # bubblewrap's own first process is in the place of the container's.
    start = start[len(_INIT) :] if start[: len(_INIT)] == _INIT else start
    return str(described["Id"]), environment, start


def _export(digest: str, docker: str, root: Path) -> None:
    """Write an image's files as a directory, all of it root's."""
    root.mkdir(mode=0o755)
    container = _docker(docker, "create", "--network=none", digest, "true").strip()
    try:
        with subprocess.Popen(
            ["docker", "--host", docker, "export", container], stdout=subprocess.PIPE
        ) as export:
            tar = ["tar", "--extract", "--no-same-owner", "--directory", str(root)]
            done = subprocess.run(
                tar, stdin=export.stdout, capture_output=True, timeout=_SECONDS, check=False
            )
        if done.returncode or export.returncode:
            raise Unavailable(digest, f"was not exported: {done.stderr.decode(errors='replace').strip()}")
    finally:
        _docker(docker, "rm", "--force", container)
    # Left by Docker at the place of what it mounts.
    (root / ".dockerenv").unlink(missing_ok=True)


def _docker(url: str, *words: str) -> str:
    if not shutil.which("docker"):
        raise Unavailable("docker", "the command is not here", "On Debian: apt-get install docker.io")
    command = ["docker", "--host", url, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise NoData(" ".join(words), f"{url} says: {done.stderr.strip()}")
    return done.stdout


def _users_of(digest: str) -> list[int]:
    """Return the processes that have an image mounted."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            mounts = (folder / "mountinfo").read_text().splitlines()
        except OSError:
            continue  # gone meanwhile
        if any(f"/{digest}/rootfs/" in f"{mount.split()[3]}/" for mount in mounts):
            found.append(int(folder.name))
    return found


def _flush(folder: Path) -> None:
    """Have all of it on the disk before its name says that it is whole."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        subprocess.run(["sync", "--file-system", str(folder)], check=True, timeout=_SECONDS)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
