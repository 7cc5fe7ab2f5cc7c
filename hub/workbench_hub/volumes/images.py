"""Quotas where the kernel has none: each home is an ext4 file system in a file of its own."""

from __future__ import annotations

import logging
import os
import struct
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from workbench.errors import ResourceExceeded, Unavailable
from workbench_hub.volumes.projects import mounted_at
from workbench_hub.volumes.usage import Usage, of_file_system, size

__all__ = ["ImageQuota", "release_all"]

_LOG = logging.getLogger("workbench_hub.volumes")
_SMALLEST = 16 * 2**20
_SPARE = 256 * 2**20
"""What the disk below must have free: an image that cannot grow gives its user errors instead of 'full'."""
_MEBIBYTE = 2**20
_ADOPT = "Stop its user's servers, move it away, let the next start make an image, and copy the files back."


class ImageQuota:
    """An image for each home, in ``.images`` beside the homes, mounted while somebody works in it.

    Images are sparse: they take from the disk what is written, not what is allowed.

    Parameters
    ----------
    homes : Path
        Where the homes are mounted.
    """

    method = "loop"

    def __init__(self, homes: Path) -> None:
        self.homes = homes
        self.images = homes / ".images"

    def image(self, home: Path) -> Path:
        """Return the file that holds a home."""
        return self.images / f"{home.name}.ext4"

    def ensure(self, home: Path, uid: int, gid: int, limit: int, inodes: int) -> None:
        """Make and mount a home, and grow it where the limit has grown.

        Raises
        ------
        ResourceExceeded
            If the disk below is full.
        Unavailable
            If it cannot be mounted, with what the system says.
        """
        self.images.mkdir(mode=0o700, exist_ok=True)
        self.images.chmod(0o700)
        image, wanted = self.image(home), max(limit // _MEBIBYTE * _MEBIBYTE, _SMALLEST)
        home.mkdir(mode=0o700, exist_ok=True)
        if not image.exists() and any(home.iterdir()):
            # From before there were quotas, or from a backup: no reason to keep anybody out.
            _LOG.warning("%s has no quota: it is a plain directory with files in it. %s", home, _ADOPT)
            return
        if not image.exists():
            self._room(home)
            self._make(image, uid, gid, wanted, inodes)
        if not self.is_mounted(home):
            if not _devices(image):
                self._resize_at_rest(image, wanted)
            self.attach(home)
            with suppress(OSError):
                (
                    home / "lost+found"
                ).rmdir()  # users wonder; the file system makes another where it needs one
        elif _length(image) < wanted:
            self._grow(image, wanted)

    def attach(self, home: Path) -> None:
        """Mount the image of a home at its place, where it is not.

        Raises
        ------
        Unavailable
            If it cannot be mounted, with what the system says.
        """
        if self.is_mounted(home):
            return
        # Elsewhere it may still be in use: two that write the same blocks would destroy it.
        image = self.image(home)
        devices = _devices(image)
        # What is in it is its user's: nothing of it may act as another, or as a device.
        how = "nosuid,nodev,noatime" if devices else "loop,nosuid,nodev,noatime"
        _run("mount", "-o", how, devices[0] if devices else os.fspath(image), os.fspath(home))

    def detach(self, home: Path) -> None:
        """Take an image that `attach` mounted away again, unless somebody began to work in it."""
        self.release(home)
        if _devices(self.image(home)):
            self.attach(home)

    def usage(self, home: Path) -> Usage:
        """Say how full a home is; where it is not mounted, by what its image takes."""
        image = self.image(home)
        if not image.exists():
            return of_file_system(home, counted=False)
        if not self.is_mounted(home):
            stat = image.stat()
            taken = min(stat.st_blocks * 512, stat.st_size)
            return Usage(taken, stat.st_size, free=stat.st_size - taken)
        usage = of_file_system(home, counted=True)
        below = of_file_system(self.images, counted=False)
        return replace(usage, free=min(usage.free, below.free))

    def release(self, home: Path) -> None:
        """Unmount a home; where somebody still works in it, leave it."""
        if self.is_mounted(home):
            subprocess.run(["umount", os.fspath(home)], capture_output=True, check=False)

    def is_mounted(self, home: Path) -> bool:
        """Whether a home's image is mounted at its place."""
        point, _ = mounted_at(home, Path("/proc/self/mountinfo").read_text())
        return point == home.resolve()

    def _room(self, home: Path) -> None:
        stat = os.statvfs(self.images)
        if (free := stat.f_bavail * stat.f_frsize) < _SPARE:
            raise ResourceExceeded(
                f"The disk of {self.homes}",
                f"is full: {size(free)} are left",
                f"The administrator has to make room before the home '{home.name}' can be used.",
            )

    def _make(self, image: Path, uid: int, gid: int, wanted: int, inodes: int) -> None:
        """Make an image whole or not at all: a half-made one would lock its user out."""
        part = image.with_suffix(".part")
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.ftruncate(descriptor, wanted)
        os.close(descriptor)
        number = str(max(1024, min(inodes, wanted // 4096)))
        options = f"root_owner={uid}:{gid},lazy_itable_init=1,nodiscard"
        _run("mkfs.ext4", "-q", "-m", "0", "-N", number, "-E", options, os.fspath(part))
        part.rename(image)

    def _resize_at_rest(self, image: Path, wanted: int) -> None:
        """Check the file system, and make it as large or small as it should be, if what is in it fits."""
        # 1 and 2 mean that errors were found and mended.
        _run("e2fsck", "-p", os.fspath(image), most=3)
        now = _length(image)
        if now == wanted:
            return
        if now < wanted:
            os.truncate(image, wanted)
        _run("e2fsck", "-f", "-p", os.fspath(image), most=3)
        # It does not shrink below what is in it; then the home stays as large as it is.
        _run("resize2fs", os.fspath(image), f"{wanted // _MEBIBYTE}M", most=255 if now > wanted else 0)
        os.truncate(image, max(_length(image), wanted))

    def _grow(self, image: Path, wanted: int) -> None:
        """Make it larger while it is in use; where the system forbids that, the next start does it."""
        os.truncate(image, wanted)
        for device in _devices(image):
            try:
                _run("losetup", "--set-capacity", device)
                _run("resize2fs", device)
            except Unavailable as error:
                _LOG.warning("%s grows when it is next mounted: %s", image, error)


def release_all(homes: Path) -> None:
    """Unmount all homes below a directory, when everything stops; whatever the policy is by now."""
    quota = ImageQuota(homes)
    for image in sorted(quota.images.glob("*.ext4")):
        quota.release(homes / image.stem)


def _devices(image: Path) -> list[str]:
    """Return the loop devices that hold an image."""
    listed = ["losetup", "--noheadings", "--output", "NAME", "--associated", os.fspath(image)]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def _length(image: Path) -> int:
    """Return how long the file system in an image is, as its superblock says."""
    with image.open("rb") as file:
        file.seek(1024)
        block = file.read(32)
    (blocks,), (power,) = struct.unpack_from("<I", block, 4), struct.unpack_from("<I", block, 24)
    return int(blocks) << (10 + int(power))


def _run(*command: str, most: int = 0) -> int:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode > most:
        words = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise Unavailable(
            " ".join(command), words, "The administrator finds the reason in the kernel's log (dmesg)."
        )
    return done.returncode
