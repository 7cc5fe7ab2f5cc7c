"""The record of usage, in SQLite and in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postgres import Cluster, cluster, programs
from workbench.errors import InvalidSetting, Unavailable
from workbench_hub.life.usage import Sample, Usage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
GIB = 2**30


@pytest.fixture(scope="module")
def postgresql(missing) -> Iterator[Cluster]:
    if programs() is None:
        missing("postgresql", "there is no initdb; as root: apt-get install postgresql")
    with cluster() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'usage.sqlite'}"
    running: Cluster = request.getfixturevalue("postgresql")
    running.sql("DROP DATABASE IF EXISTS usage WITH (FORCE)")
    return running.create("usage")


@pytest.fixture
def usage(url) -> Iterator[Usage]:
    usage = Usage(url)
    yield usage
    usage.close()


def anna(**more: object) -> Sample:
    return Sample("anna", "", NOON, **{"memory": GIB, "memory_peak": 2 * GIB, **more})


def test_counts_hours_memory_and_processor_time(usage):
    for minute in range(0, 121, 5):
        usage.record([anna(cpu_seconds=minute * 30.0)], NOON + minute * MINUTE)
    (total,) = usage.totals(NOON - DAY, NOON + DAY)
    assert total.user == "anna"
    assert total.hours == pytest.approx(2)
    assert total.gib_hours == pytest.approx(2)
    assert total.cpu_hours == pytest.approx(1)
    assert total.memory_peak == 2 * GIB


def test_a_user_with_two_servers_uses_twice_as_much(usage):
    for minute in (0, 60):
        usage.record([anna(), Sample("anna", "big", NOON), Sample("bert", "", NOON)], NOON + minute * MINUTE)
    assert {total.user: total.hours for total in usage.totals(NOON, NOON + DAY)} == {"anna": 2, "bert": 1}


def test_time_while_nobody_counted_is_credited_to_a_server_that_still_runs(url):
    for minute in (0, 300):
        usage = Usage(url)
        usage.record([anna()], NOON + minute * MINUTE)
        totals = usage.totals(NOON, NOON + DAY)
        usage.close()
    assert [total.hours for total in totals] == [5]


def test_a_server_that_was_started_anew_is_not_credited_with_the_time_between(usage):
    usage.record([anna(cpu_seconds=10)], NOON + MINUTE)
    later = Sample("anna", "", NOON + 60 * MINUTE, cpu_seconds=5)
    usage.record([later], NOON + 61 * MINUTE)
    (total,) = usage.totals(NOON, NOON + DAY)
    assert total.hours * 60 == pytest.approx(2)
    assert total.cpu_hours * 3600 == pytest.approx(15)


def test_a_clock_that_is_set_back_or_years_ahead_credits_nobody(usage):
    usage.record([anna()], NOON + 10 * MINUTE)
    usage.record([anna()], NOON - DAY, most=MINUTE)
    usage.record([anna()], NOON + 365 * DAY, most=MINUTE)
    totals = usage.totals(NOON - 2 * DAY, NOON + 400 * DAY)
    assert sum(total.hours for total in totals) * 60 == pytest.approx(11)


def test_a_month_is_from_its_first_hour_to_the_next_ones(usage):
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    sample = Sample("anna", "", midnight - 30 * MINUTE)
    usage.record([sample], midnight - 30 * MINUTE)
    usage.record([sample], midnight + 90 * MINUTE)
    (march,) = usage.totals(datetime(2026, 3, 1, tzinfo=UTC), midnight)
    (april,) = usage.totals(midnight, datetime(2026, 5, 1, tzinfo=UTC))
    assert (march.hours, april.hours) == (0.5, 1.5)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=12))
def test_however_often_one_looks_the_sum_is_the_time_that_passed(seconds):
    usage = Usage("sqlite://")
    for second in sorted(seconds):
        usage.record([anna(cpu_seconds=second / 2)], NOON + timedelta(seconds=second))
    totals = usage.totals(NOON - DAY, NOON + DAY)
    usage.close()
    assert sum(total.hours for total in totals) * 3600 == pytest.approx(max(seconds))
    assert sum(total.cpu_hours for total in totals) * 7200 == pytest.approx(max(seconds))


def test_old_records_are_forgotten(usage):
    usage.record([anna()], NOON + 60 * MINUTE)
    assert usage.forget(NOON) == 0
    assert usage.forget(NOON + DAY) == 1
    assert usage.totals(NOON - DAY, NOON + DAY) == []


def test_a_database_of_another_version_is_refused(usage, url):
    usage.record([], NOON)
    with usage.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE usage_version SET version = 99")
    other = Usage(url)
    with pytest.raises(InvalidSetting, match="version 99"):
        other.record([anna()], NOON)
    other.close()


def test_a_database_that_was_killed_loses_no_time(postgresql):
    usage = Usage(postgresql.create("killed"))
    usage.record([anna()], NOON + MINUTE)
    postgresql.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        usage.record([anna()], NOON + 2 * MINUTE)
    postgresql.start()
    usage.record([anna()], NOON + 3 * MINUTE)
    (total,) = usage.totals(NOON, NOON + DAY)
    assert total.hours * 60 == pytest.approx(3)
    usage.close()
