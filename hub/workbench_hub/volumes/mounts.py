"""Which directories of the host a user's server sees, and which of them it may change.

Of the archive, which is mounted read-only at the path that it has on the
host, there is what the one access policy lets the user see: network by
network and year by year, unless nothing is hidden from the user anyway.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workbench_hub.identity import Identity
from workbench_hub.names import safe_name
from workbench_hub.policy import Policy
from workbench_hub.volumes.folders import folder_path

__all__ = ["Mount", "exposed", "mounts"]

_LOG = logging.getLogger("workbench_hub.volumes")
_YEAR = re.compile(r"[0-9]{4}")
_STATION = re.compile(r"(?P<network>[A-Za-z0-9_-]{1,2})\.[A-Za-z0-9_-]{1,5}\.xml")
_FOR_ALL = ("events", "README.md", "labels.json")
"""What an archive has beside its networks: catalogues, and what it says about itself."""


@dataclass(frozen=True, slots=True, order=True)
class Mount:
    """A directory or file of the host, and where a container sees it."""

    target: Path
    source: Path
    read_only: bool = True


def mounts(
    identity: Identity,
    policy: Policy,
    archive: Path,
    at: datetime,
    *,
    homes: Path,
    folders: Path,
) -> list[Mount]:
    """Return what is mounted into somebody's server, what holds others first.

    Parameters
    ----------
    identity : Identity
    policy : Policy
    archive : Path
        Root of the shared SDS archive.
    at : datetime
        When the server starts: an embargo may have ended.  With its time zone.
    homes, folders : Path
        Where homes and folders of groups are; see `Volumes`, which makes them.
    """
    home = homes / safe_name(identity.name)
    found = [Mount(home, home, read_only=False)]
    found += _folders(identity, policy, folders)
    found += _archive(identity, policy, archive, at)
    return sorted(found)


def exposed(policy: Policy, root: Path, at: datetime) -> Iterator[Path]:
    """Go through what the policy hides from somebody, and the files' own permissions show to everybody.

    Containers do not see it; whatever else runs on this machine does.

    Parameters
    ----------
    policy : Policy
    root : Path
        Of the archive.
    at : datetime
        With its time zone.
    """
    access = policy.access
    if access.sees_all((), at) or not _open(root):
        return
    for year in _folders_of(root) if root.is_dir() else []:
        for network in _folders_of(root / year) if _YEAR.fullmatch(year) and _open(root / year) else []:
            seen = access.may_see(network, (), at, int(year))
            if not seen and _open(root / year / network):
                yield root / year / network
    stations = root / "stations"
    # Indexes, for example: they say of all networks what lies where.
    for folder in _folders_of(root) if root.is_dir() else []:
        listed = folder in (*_FOR_ALL, stations.name) or _YEAR.fullmatch(folder)
        if not listed and _open(root / folder):
            yield root / folder
    for file in sorted(stations.iterdir()) if _open(stations) else []:
        code = _STATION.fullmatch(file.name)
        seen = code is not None and access.may_see_stations(code["network"], (), at)
        if not seen and file.stat().st_mode & stat.S_IROTH:
            yield file


def _open(folder: Path) -> bool:
    """Whether everybody may go into a folder, as far as itself is concerned."""
    return folder.is_dir() and bool(folder.stat().st_mode & stat.S_IXOTH)


def _folders(identity: Identity, policy: Policy, root: Path) -> Iterator[Mount]:
    """List folders, at the same path as on the host."""
    for name, folder in policy.folders.items():
        writes = folder.group in identity.groups
        if writes or not set(folder.readers).isdisjoint(identity.groups):
            path = folder_path(name, policy, root)
            yield Mount(path, path, read_only=not writes)


def _archive(identity: Identity, policy: Policy, root: Path, at: datetime) -> Iterator[Mount]:
    if not root.is_dir():
        return
    access = policy.access
    if access.sees_all(identity.groups, at):
        # One mount, in which years and networks that are added later appear at once.
        yield Mount(root, root.resolve())
        return
    for name in _FOR_ALL:
        if (root / name).exists():
            yield Mount(root / name, (root / name).resolve())
    for year in _folders_of(root):
        if not _YEAR.fullmatch(year):
            continue
        for network in access.visible(_folders_of(root / year), identity.groups, at, int(year)):
            source = (root / year / network).resolve()
            if not _is_another(source, root, year, network):
                yield Mount(root / year / network, source)
    stations = root / "stations"
    for file in sorted(stations.iterdir()) if stations.is_dir() else []:
        code = _STATION.fullmatch(file.name)
        plain = file.is_file() and not file.is_symlink()
        if code and plain and access.may_see_stations(code["network"], identity.groups, at):
            yield Mount(file, file.resolve())


def _folders_of(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def _is_another(source: Path, root: Path, year: str, network: str) -> bool:
    """Whether a link leads to a part of the archive that is called otherwise."""
    inside, base = root.resolve(), (root / year).resolve()
    if source == base / network:
        return False
    another = source in inside.parents or not {inside, base}.isdisjoint((source, *source.parents))
    if another:
        _LOG.warning("%s leads to %s, and is shown to nobody", root / year / network, source)
    return another
