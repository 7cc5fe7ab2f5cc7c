"""What users are told: announcements to many, notices to one.

Announcements come from the policy, and from `workbench-hub announce`.  Notices
come from the culler.  Both are in small files in ``life/``, which every process
of the hub may read at any time: the hub's pages show what stands at that
moment, and the service `life` passes it on to users' Labs.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from pydantic import TypeAdapter

from workbench.errors import BadInput
from workbench_hub.deployment import write
from workbench_hub.life.servers import Server
from workbench_hub.policy.work import Announcement

__all__ = ["Announcements", "Board", "Notice", "Shown", "span"]

_KEPT = timedelta(days=7)
_MOST_OF_A_USER = 20
_SAVED = TypeAdapter(dict[str, Announcement])


@dataclass(frozen=True, slots=True)
class Notice:
    """Something for one user to read.

    Parameters
    ----------
    id : str
        The same notice is shown once.
    level : str
        ``info`` or ``warning``.
    text : str
    at : str
        When it was said, ISO 8601.
    server : str or None
        The name of the server that it is about; None if it is about none.
    standing : bool
        Whether it still holds; otherwise it tells of something that is over.
    """

    id: str
    level: str
    text: str
    at: str
    server: str | None = None
    standing: bool = True


class Announcements:
    """The announcements that were made by command, beside those of the policy.

    Parameters
    ----------
    folder : Path
        ``life/`` in the state directory.
    fixed : sequence of Announcement, optional
        Those of the policy.
    """

    def __init__(self, folder: Path, fixed: Sequence[Announcement] = ()) -> None:
        self.path = folder / "announcements.json"
        self.fixed = tuple(fixed)

    def changed(self) -> float:
        """Return when one was last made or taken back; 0 if none ever was."""
        return _changed(self.path)

    def made(self) -> dict[str, Announcement]:
        """Return those that were made by command, by their id."""
        return _SAVED.validate_json(self.path.read_bytes()) if self.path.is_file() else {}

    def add(self, announcement: Announcement) -> str:
        """Make one, and return its id."""
        with _alone(self.path):
            made, name = self.made(), secrets.token_hex(3)
            self._save(made | {name: announcement})
        return name

    def remove(self, name: str) -> Announcement:
        """Take one back.

        Raises
        ------
        BadInput
            If there is none of that id.
        """
        with _alone(self.path):
            made = self.made()
            if name not in made:
                raise BadInput(name, "is no announcement", "`workbench-hub announce` lists those there are.")
            gone = made.pop(name)
            self._save(made)
        return gone

    def standing(self, at: datetime, groups: Sequence[str] = ()) -> list[tuple[str, Announcement]]:
        """Return what somebody of these groups reads at a time, each with its id."""
        fixed = {f"policy-{number}": one for number, one in enumerate(self.fixed)}
        return [item for item in (fixed | self.made()).items() if item[1].shown(at, tuple(groups))]

    def _save(self, made: dict[str, Announcement]) -> None:
        write(self.path, _SAVED.dump_json(made, indent=1).decode())


class Shown:
    """The announcements to everybody, as a piece of the hub's page: read anew each time it is shown.

    The hub's templates take it for a text that is there or not.
    """

    def __init__(self, announcements: Announcements, always: str = "") -> None:
        self.announcements = announcements
        self.always = always

    def __bool__(self) -> bool:
        return bool(self.always or self.announcements.standing(datetime.now(UTC)))

    def __html__(self) -> str:
        texts = [one.text for _, one in self.announcements.standing(datetime.now(UTC))]
        said = [self.always, *texts] if self.always else texts
        return Markup("").join(Markup("<div>{}</div>").format(text) for text in said)

    def __str__(self) -> str:
        return str(self.__html__())


class Board:
    """The notices to each user, in a file.

    Parameters
    ----------
    folder : Path
        ``life/`` in the state directory.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notices.json"

    def changed(self) -> float:
        """Return when a notice was last posted or taken back; 0 if none ever was."""
        return _changed(self.path)

    def of(self, user: str) -> list[Notice]:
        """Return a user's notices, the newest first; old ones are gone."""
        since = (datetime.now(UTC) - _KEPT).isoformat()
        return [notice for notice in self._read().get(user, ()) if notice.at >= since]

    def warn(self, server: Server, left: timedelta) -> None:
        """Say that a server will be stopped."""
        # JupyterLab shows 140 characters.
        text = (
            f"{_name(server)} is idle and stops in {span(left)}. "
            "To keep it, run a cell. Files stay; variables in kernels are lost."
        )
        self._post(server, "warning", text, standing=True)

    def keep(self, server: Server) -> None:
        """Take the warning back."""
        self._change(server.user, lambda notices: _without(notices, server.name))

    def stopped(self, server: Server, idle: timedelta) -> None:
        """Say that a server was stopped."""
        text = f"{_name(server)} was stopped, as nothing had happened in it for {span(idle)}. Files are kept."
        self._post(server, "info", text, standing=False)

    def ended(self, servers: Sequence[Server]) -> None:
        """Take back warnings of servers that run no more."""
        running = {(server.user, server.name) for server in servers}
        for user, notices in self._read().items():
            for notice in notices:
                if notice.standing and notice.server is not None and (user, notice.server) not in running:
                    self._change(user, lambda old, name=notice.server: _without(old, name))  # type: ignore[misc]

    def _post(self, server: Server, level: str, text: str, *, standing: bool) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        notice = Notice(secrets.token_hex(4), level, text, now, server.name, standing)
        self._change(server.user, lambda notices: [notice, *_without(notices, server.name)])

    def _change(self, user: str, change: Callable[[list[Notice]], list[Notice]]) -> None:
        with _alone(self.path):
            known = {name: self.of(name) for name in self._read()}
            known[user] = change(known.get(user, []))[:_MOST_OF_A_USER]
            kept = {
                name: [asdict(notice) for notice in notices] for name, notices in known.items() if notices
            }
            write(self.path, json.dumps(kept, indent=1), 0o600)

    def _read(self) -> dict[str, list[Notice]]:
        if not self.path.is_file():
            return {}
        known: dict[str, Any] = json.loads(self.path.read_text())
        return {user: [Notice(**notice) for notice in notices] for user, notices in known.items()}


def notice_of(name: str, announcement: Announcement) -> Notice:
    """Write an announcement as a notice."""
    begins = announcement.begins.isoformat() if announcement.begins else ""
    return Notice(name, announcement.level, announcement.text, begins)


def html(notices: Sequence[Notice]) -> Markup:
    """Write notices as a piece of a page."""
    line = Markup('<div class="alert alert-{}" role="status">{}</div>')
    return Markup("").join(line.format(notice.level, escape(notice.text)) for notice in notices)


def span(time: timedelta) -> str:
    """Say how long a time is, as a person would.

    Examples
    --------
    >>> span(timedelta(hours=26)), span(timedelta(minutes=59.9)), span(timedelta(seconds=20))
    ('26 hours', '1 hour', '20 seconds')
    """
    seconds = round(time.total_seconds())
    for size, word in ((3600, "hour"), (60, "minute"), (1, "second")):
        number = round(seconds / size)
        if number >= (1 if size < 3600 or seconds >= 3570 else 2):
            return f"{number} {word}{'s' * (number != 1)}"
    return "a moment"


def _name(server: Server) -> str:
    return f"Your server '{server.name}'" if server.name else "Your server"


def _without(notices: list[Notice], server: str) -> list[Notice]:
    return [notice for notice in notices if not (notice.standing and notice.server == server)]


def _changed(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
