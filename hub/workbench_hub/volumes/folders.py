"""Folders that a group shares: each member may change each file, whatever umask made it."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from workbench.errors import InvalidSetting
from workbench_hub.identity import group_gid
from workbench_hub.policy import Policy

__all__ = ["folder_path", "prepare_folder"]

_SETGID = 0o2770
_VERSION, _NO_ID = 2, 0xFFFFFFFF
_OWNER, _GROUP_OF_FILE, _GROUP, _MASK, _OTHER = (
    0x01,
    0x04,
    0x08,
    0x10,
    0x20,
)  # acl(5), include/linux/posix_acl.h
_ALL, _READ, _NONE = 7, 5, 0


def folder_path(name: str, policy: Policy, root: Path) -> Path:
    """Return where a folder of the policy is."""
    return policy.folders[name].path or root / name


def prepare_folder(name: str, policy: Policy, root: Path) -> Path:
    """Make a folder of the policy, or put its rights in order.

    New files in it belong to its group, which may change them; groups that
    only read may read them.

    Raises
    ------
    InvalidSetting
        If a group has no number, or one of the system's.
    """
    folder, path = policy.folders[name], folder_path(name, policy, root)
    gid = _gid(folder.group, name, policy)
    readers = sorted(_gid(group, name, policy) for group in folder.readers)
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(descriptor, -1, gid)
        os.fchmod(descriptor, _SETGID)
        _set_acl(descriptor, "system.posix_acl_access", readers)
        _set_acl(descriptor, "system.posix_acl_default", readers)
        os.fchmod(descriptor, _SETGID)  # writing an access list may have taken the setgid bit
    finally:
        os.close(descriptor)
    return path


def _gid(group: str, folder: str, policy: Policy) -> int:
    gid = group_gid(group, policy)
    if gid is None:
        remedy = f"Write `gid` at `groups.{group}`, or make a group of that name on this host."
        raise InvalidSetting(f"Folder '{folder}'", f"belongs to '{group}', which has no gid", remedy)
    if gid < policy.identity.minimum_uid:
        remedy = "Share with a group of people."
        raise InvalidSetting(f"Folder '{folder}'", f"belongs to '{group}', a group of the system", remedy)
    return gid


def _set_acl(descriptor: int, kind: str, readers: list[int]) -> None:
    """Write an access list: owner and group may do all, some groups read, others nothing."""
    entries = [(_OWNER, _ALL, _NO_ID), (_GROUP_OF_FILE, _ALL, _NO_ID)]
    entries += [(_GROUP, _READ, gid) for gid in readers]
    entries += [(_MASK, _ALL, _NO_ID), (_OTHER, _NONE, _NO_ID)]
    value = struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(descriptor, kind, value)
    except OSError as error:
        # Without access lists the setgid bit and the servers' umask have to do, and nobody only reads.
        if error.errno != errno.EOPNOTSUPP or readers:
            raise
