"""Who used how much: hours that servers ran, memory and processor time, by user.

In a database of our own, never in the hub's: SQLite on one machine, PostgreSQL
on a site.  What is known of a server is kept in its row, so that nothing is
lost while nobody counts: time that passed meanwhile is credited to a server
that still runs when it is seen again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from workbench.errors import InvalidSetting, Unavailable

__all__ = ["Sample", "Total", "Usage"]

_VERSION = 1
_HOUR = timedelta(hours=1)

_TABLES = sql.MetaData()
_ABOUT = sql.Table("usage_version", _TABLES, sql.Column("version", sql.Integer, primary_key=True))
_SESSIONS = sql.Table(
    "usage_sessions",
    _TABLES,
    sql.Column("user", sql.Text, primary_key=True),
    sql.Column("server", sql.Text, primary_key=True),
    sql.Column("started", sql.DateTime, primary_key=True),
    sql.Column("seen", sql.DateTime, nullable=False),
    sql.Column("profile", sql.Text, nullable=False),
    sql.Column("image", sql.Text, nullable=False),
    sql.Column("cpu_counter", sql.Float, nullable=False),
    sql.Column("memory_peak", sql.BigInteger, nullable=False),
    sql.Column("oom_kills", sql.Integer, nullable=False),
)
_HOURS = sql.Table(
    "usage_hours",
    _TABLES,
    sql.Column("hour", sql.DateTime, primary_key=True),
    sql.Column("user", sql.Text, primary_key=True),
    sql.Column("profile", sql.Text, primary_key=True),
    sql.Column("seconds", sql.Float, nullable=False),
    sql.Column("byte_seconds", sql.Float, nullable=False),
    sql.Column("cpu_seconds", sql.Float, nullable=False),
)
_SUMS = ("seconds", "byte_seconds", "cpu_seconds")


@dataclass(frozen=True, slots=True)
class Sample:
    """A server that runs, and what it uses.

    Parameters
    ----------
    user, server : str
        The default server's name is empty.
    started : datetime
        Tells one life of a server from the next.
    memory, memory_peak : int
        Bytes now, and at most.
    cpu_seconds : float
        Since it started.
    oom_kills : int
        Since it started.
    profile, image : str
        What was chosen.
    """

    user: str
    server: str
    started: datetime
    memory: int = 0
    memory_peak: int = 0
    cpu_seconds: float = 0.0
    oom_kills: int = 0
    profile: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """What one user used in a span of time."""

    user: str
    hours: float
    gib_hours: float
    cpu_hours: float
    memory_peak: int
    oom_kills: int


class Usage:
    """The record of usage in a database.

    Parameters
    ----------
    url : str
        Of the database, as SQLAlchemy writes it.
    prepare : callable, optional
        Called once before the first use: makes the database where it is missing.
    """

    def __init__(self, url: str, prepare: Callable[[], None] = lambda: None) -> None:
        self._prepare = prepare
        # A connection for each time: pg8000 says of one that broke meanwhile not what SQLAlchemy expects.
        memory = url in ("sqlite://", "sqlite:///:memory:")
        pool = sql.pool.StaticPool if memory else sql.pool.NullPool
        self.engine: Engine = sql.create_engine(url, poolclass=pool)
        self._ready = False

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def record(self, samples: Iterable[Sample], now: datetime, most: timedelta | None = None) -> None:
        """Credit each server with the time since it was last seen.

        Parameters
        ----------
        samples : iterable of Sample
            All servers that run now.
        now : datetime
        most : timedelta, optional
            Most time to credit.  Whoever counts without a break gives what passed on a clock
            that nobody sets; then a wrong wall clock credits nobody with a year.

        Raises
        ------
        Unavailable
            If the database does not answer.
        """
        with self._begin() as connection:
            for sample in samples:
                self._credit(connection, sample, _naive(now), most)

    def totals(self, since: datetime, until: datetime) -> list[Total]:
        """Return what each user used from one full hour to another, the greatest first."""
        since, until = _naive(since), _naive(until)
        sums = [sql.func.sum(_HOURS.c[name]).label(name) for name in _SUMS]
        within = sql.and_(_HOURS.c.hour >= since, _HOURS.c.hour < until)
        hours = sql.select(_HOURS.c.user, *sums).where(within).group_by(_HOURS.c.user)
        lived = sql.and_(_SESSIONS.c.seen >= since, _SESSIONS.c.started < until)
        peaks = (
            sql.select(
                _SESSIONS.c.user,
                sql.func.max(_SESSIONS.c.memory_peak).label("peak"),
                sql.func.sum(_SESSIONS.c.oom_kills).label("kills"),
            )
            .where(lived)
            .group_by(_SESSIONS.c.user)
        )
        with self._begin() as connection:
            known = {row.user: (int(row.peak), int(row.kills)) for row in connection.execute(peaks)}
            found = [
                Total(
                    row.user,
                    row.seconds / 3600,
                    row.byte_seconds / 2**30 / 3600,
                    row.cpu_seconds / 3600,
                    *known.get(row.user, (0, 0)),
                )
                for row in connection.execute(hours)
            ]
        return sorted(found, key=lambda total: (-total.hours, total.user))

    def forget(self, before: datetime) -> int:
        """Delete what is older than a time; return how many hours of users that were."""
        with self._begin() as connection:
            connection.execute(sql.delete(_SESSIONS).where(_SESSIONS.c.seen < _naive(before)))
            gone = connection.execute(sql.delete(_HOURS).where(_HOURS.c.hour < _naive(before)))
            return int(gone.rowcount)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """Begin a transaction, in a database that has our tables."""
        try:
            if not self._ready:
                self._create()
            with self.engine.begin() as connection:
                yield connection
        except (sql.exc.OperationalError, sql.exc.InterfaceError) as error:
            raise Unavailable("The database of usage", f"does not answer ({error.orig})") from error
        except OSError as error:
            raise Unavailable("The database of usage", f"does not answer ({error})") from error

    def _create(self) -> None:
        self._prepare()
        with self.engine.begin() as connection:
            _TABLES.create_all(connection)
            versions = list(connection.scalars(sql.select(_ABOUT.c.version)))
            if not versions:
                connection.execute(_ABOUT.insert().values(version=_VERSION))
            elif versions != [_VERSION]:
                raise InvalidSetting(
                    "The database of usage",
                    f"is of version {versions[0]}, not {_VERSION}",
                    "It was written by another version of the hub; use that one, or another database.",
                )
        self._ready = True

    def _credit(self, connection: Connection, sample: Sample, now: datetime, most: timedelta | None) -> None:
        started = _naive(sample.started)
        one = sql.and_(
            _SESSIONS.c.user == sample.user,
            _SESSIONS.c.server == sample.server,
            _SESSIONS.c.started == started,
        )
        known = connection.execute(sql.select(_SESSIONS.c.seen, _SESSIONS.c.cpu_counter).where(one)).first()
        seen, counter = (known.seen, known.cpu_counter) if known else (started, 0.0)
        passed = max(now - seen, timedelta(0))
        if known and most is not None:
            passed = min(passed, most)
        cpu = max(sample.cpu_seconds - counter, 0.0)
        values = {
            "seen": now,
            "profile": sample.profile,
            "image": sample.image,
            "cpu_counter": sample.cpu_seconds,
            "memory_peak": sample.memory_peak,
            "oom_kills": sample.oom_kills,
        }
        if known:
            peak = sql.case(
                (_SESSIONS.c.memory_peak > sample.memory_peak, _SESSIONS.c.memory_peak),
                else_=sample.memory_peak,
            )
            connection.execute(sql.update(_SESSIONS).where(one).values(values | {"memory_peak": peak}))
        else:
            key = {"user": sample.user, "server": sample.server, "started": started}
            connection.execute(_SESSIONS.insert().values(key | values))
        for hour, seconds in _parts(now - passed, now):
            share = seconds / passed.total_seconds()
            row = {
                "hour": hour,
                "user": sample.user,
                "profile": sample.profile,
                "seconds": seconds,
                "byte_seconds": seconds * sample.memory,
                "cpu_seconds": cpu * share,
            }
            connection.execute(self._add(row))

    def _add(self, row: dict[str, Any]) -> Any:
        """Insert an hour, or add to it."""
        dialect: Any = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(_HOURS).values(row)
        sums = {name: _HOURS.c[name] + insert.excluded[name] for name in _SUMS}
        return insert.on_conflict_do_update(index_elements=["hour", "user", "profile"], set_=sums)


def _parts(begin: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
    """Cut a span at the full hours."""
    while begin < end:
        hour = begin.replace(minute=0, second=0, microsecond=0)
        until = min(hour + _HOUR, end)
        yield hour, (until - begin).total_seconds()
        begin = until


def _naive(time: datetime) -> datetime:
    """UTC without saying so, which both databases keep alike."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
