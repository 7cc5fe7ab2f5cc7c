"""The one access policy: open, restricted, embargoed; and years of codes that are used again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.access import Access, Rule

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OPEN = Rule(access="open")
SURVEY = Rule(access="restricted", groups=("survey",))


def embargoed(until: datetime, **more: object) -> Rule:
    return Rule(access="embargoed", until=until, groups=("survey",), **more)


def test_open_restricted_and_what_is_not_named():
    access = Access({"CH": OPEN, "XK": SURVEY})
    assert access.may_see("CH", (), NOW)
    assert not access.may_see("XK", (), NOW)
    assert not access.may_see("XK", ("staff", "surveyors"), NOW)
    assert access.may_see("XK", ("staff", "survey"), NOW)
    assert not access.may_see("GE", ("survey",), NOW)
    assert Access({"*": OPEN, "XK": SURVEY}).may_see("GE", (), NOW)
    assert not Access({}).may_see("GE", (), NOW)


def test_an_embargo_ends_at_its_moment_wherever_one_is():
    access = Access({"XK": embargoed(datetime(2026, 6, 1, 2, tzinfo=timezone(timedelta(hours=2))))})
    assert not access.may_see("XK", (), NOW - timedelta(microseconds=1))
    assert access.may_see("XK", ("survey",), NOW - timedelta(days=9))
    assert access.may_see("XK", (), NOW)


@pytest.mark.parametrize(
    "code", ["*", "?", "X?", "X*", "", "XKA", "XK_2018", "../XK", "X/", "XK\n", ".", "..", "CH,XK", "é"]
)
def test_what_is_no_code_nobody_sees(code):
    access = Access({"*": OPEN, "XK_2018": Rule(access="open", years=(2018, 2019))})
    assert not access.may_see(code, ("survey",), NOW)
    assert not access.may_see_stations(code, ("survey",), NOW)


def test_years_of_a_code_that_is_used_again():
    access = Access(
        {
            "*": OPEN,
            "XK_2012": Rule(access="open", years=(2012, 2014)),
            "XK_2018": Rule(access="restricted", groups=("survey",), years=(2018, 2020)),
        }
    )
    assert access.may_see("XK", (), NOW, 2013)
    assert not access.may_see("XK", (), NOW, 2018)
    assert not access.may_see("XK", (), NOW, 2020)
    assert access.may_see("XK", ("survey",), NOW, 2019)
    assert access.may_see("XK", (), NOW, 2021)
    assert not access.may_see("XK", (), NOW)
    assert access.may_see("XK", ("survey",), NOW)
    assert not Access({"XK_2018": Rule(access="open", years=(2018, 2020))}).may_see("XK", (), NOW)
    assert not Access({"XK_2018": Rule(access="open", years=(2018, 2020))}).may_see("XK", (), NOW, 2021)


def test_a_rule_for_the_code_holds_in_years_that_no_experiment_has():
    access = Access({"*": OPEN, "XK": SURVEY, "XK_2018": Rule(access="open", years=(2018, 2018))})
    assert access.may_see("XK", (), NOW, 2018)
    assert not access.may_see("XK", (), NOW, 2019)


def test_stations_are_seen_with_the_data_or_by_everybody():
    closed = Rule(access="restricted", groups=("survey",), years=(2018, 2020))
    described = closed.model_copy(update={"stations": "open"})
    assert not Access({"*": OPEN, "XK_2018": closed}).may_see_stations("XK", (), NOW)
    assert Access({"*": OPEN, "XK_2018": closed}).may_see_stations("XK", ("survey",), NOW)
    assert Access({"*": OPEN, "XK_2018": described}).may_see_stations("XK", (), NOW)
    assert Access({"XK_2018": described}).may_see_stations("XK", (), NOW)
    assert not Access({"XK_2018": described}).may_see_stations("GE", (), NOW)


def test_who_sees_all():
    later = Access({"*": OPEN, "XK": embargoed(NOW)})
    assert not later.sees_all((), NOW - timedelta(seconds=1))
    assert later.sees_all(("survey",), NOW - timedelta(seconds=1))
    assert later.sees_all((), NOW)
    assert not Access({"CH": OPEN}).sees_all((), NOW)


GROUPS = st.frozensets(st.sampled_from(["a", "b"]))
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
RULES = st.one_of(
    st.just(OPEN),
    st.builds(Rule, access=st.just("restricted"), groups=GROUPS.map(tuple)),
    st.builds(Rule, access=st.just("embargoed"), groups=GROUPS.map(tuple), until=TIMES),
)
YEARS = st.integers(2015, 2022)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Rule]:
    found = draw(st.dictionaries(st.sampled_from(["*", "CH", "XK"]), RULES))
    if draw(st.booleans()):
        rule = draw(RULES)
        found["XK_2018"] = rule.model_copy(update={"years": (2018, draw(st.integers(2018, 2020)))})
    return found


@given(rules(), GROUPS, TIMES, st.sampled_from(["CH", "XK", "GE"]), YEARS)
def test_more_groups_and_more_time_never_hide_anything(networks, groups, at, code, year):
    access = Access(networks)
    if access.may_see(code, groups, at, year):
        assert access.may_see(code, groups | {"a", "b"}, at, year)
        assert access.may_see(code, groups, at + timedelta(days=1), year)


@given(rules(), GROUPS, TIMES, st.sampled_from(["CH", "XK", "GE"]), YEARS)
def test_who_sees_a_network_sees_each_of_its_years(networks, groups, at, code, year):
    access = Access(networks)
    if access.may_see(code, groups, at):
        assert access.may_see(code, groups, at, year)
    if access.sees_all(groups, at):
        assert access.may_see(code, groups, at)
        assert access.may_see_stations(code, groups, at)


@given(rules(), GROUPS, TIMES)
def test_visible_is_may_see_of_each(networks, groups, at):
    access, codes = Access(networks), ["CH", "XK", "GE", "X?"]
    assert access.visible(codes, groups, at) == [code for code in codes if access.may_see(code, groups, at)]
