"""Names for users of whom the machine knows nothing but their number.

SLURM looks each uid up where a job is submitted and where it runs.  At a centre
LDAP answers; on a machine for development a user of the hub is a uid and no
account.  The cluster's own daemons therefore read names from files of the
cluster, by nss_wrapper, and /etc/passwd stays as it is.
"""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from workbench.errors import InvalidSetting
from workbench_hub.deployment import write

__all__ = ["EVERYBODY", "FIRST", "User", "Users"]

FIRST = 1000
"""Lowest uid of a person."""

EVERYBODY = "everybody"
"""The account of those who have no other."""

_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_LARGEST = 2**31 - 2
_SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who submits jobs.

    Parameters
    ----------
    name : str
        As in the hub.
    uid, gid : int
        From 1000 up.
    home : str
        Absolute path.
    groups : dict of str to int
        Further groups: gid by name.
    accounts : sequence of str
        SLURM's accounts that the user's jobs may be counted on, the usual one first.
    """

    name: str
    uid: int
    gid: int
    home: str
    groups: Mapping[str, int] = field(default_factory=dict)
    accounts: Sequence[str] = (EVERYBODY,)

    def check(self) -> None:
        """Raise `InvalidSetting` if a passwd file cannot hold it, or if it is nobody who may submit."""
        for name in (self.name, *self.groups, *self.accounts):
            if not _NAME.fullmatch(name):
                raise InvalidSetting(repr(name), "is no name of a user, group or account")
        for number in (self.uid, self.gid, *self.groups.values()):
            if not FIRST <= number <= _LARGEST:
                raise InvalidSetting(f"{self.name}: {number}", f"is not between {FIRST} and {_LARGEST}")
        if not self.home.startswith("/") or any(sign in self.home for sign in ":\n"):
            raise InvalidSetting(f"{self.name}: {self.home!r}", "is no absolute path without colons")


class Users:
    """The users of a cluster, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.passwd = folder / "passwd"
        self.group = folder / "group"
        self._own = folder / "users.json"

    def all(self) -> list[User]:
        """Return the users that were added."""
        if not self._own.is_file():
            return []
        return [User(**entry) for entry in json.loads(self._own.read_text())]

    def add(self, user: User) -> None:
        """Add a user, or take new words for one who is there.

        Raises
        ------
        InvalidSetting
            If the name or the number is somebody else's.
        """
        user.check()
        with self._alone():
            others = [other for other in self.all() if other.name != user.name]
            for name, uid in [*((o.name, o.uid) for o in others), *_known()]:
                if (name == user.name) != (uid == user.uid):
                    raise InvalidSetting(f"{user.name} ({user.uid})", f"{name} has uid {uid} already")
            self._write([*others, user])

    def remove(self, name: str) -> None:
        """Remove a user; whoever is not there stays away."""
        with self._alone():
            self._write([user for user in self.all() if user.name != name])

    def refresh(self, hosts: Mapping[str, str] | None = None) -> None:
        """Write the files anew: the machine's own accounts, and those that were added.

        Parameters
        ----------
        hosts : mapping, optional
            What names of machines stand for, whatever the machine itself has them stand for.
        """
        with self._alone():
            self._write(self.all())
            lines = [f"{address} {name}\n" for name, address in (hosts or {}).items()]
            write(self.folder / "hosts", "".join(lines))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else adds or removes."""
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, users: list[User]) -> None:
        users = sorted(users, key=lambda user: user.uid)
        write(self._own, json.dumps([asdict(user) for user in users], indent=1) + "\n")
        own = {user.name for user in users}
        people = [line for line in _entries("passwd") if line.partition(":")[0] not in own]
        people += [f"{u.name}:*:{u.uid}:{u.gid}::{u.home}:{_SHELL}" for u in users]
        members: dict[tuple[str, int], list[str]] = {}
        for user in users:
            members.setdefault((user.name, user.gid), [])
            for name, gid in user.groups.items():
                members.setdefault((name, gid), []).append(user.name)
        groups = [*_entries("group"), *(f"{n}:x:{gid}:{','.join(who)}" for (n, gid), who in members.items())]
        write(self.passwd, "\n".join(people) + "\n")
        write(self.group, "\n".join(groups) + "\n")


def _entries(database: str) -> list[str]:
    done = subprocess.run(["getent", database], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _known() -> list[tuple[str, int]]:
    return [(fields[0], int(fields[2])) for fields in (line.split(":") for line in _entries("passwd"))]
