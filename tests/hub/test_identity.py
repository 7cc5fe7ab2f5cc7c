"""Who somebody is, without a hub: maps, numbers handed out, and odd names."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench_hub.identity import Identity, NoIdentity, gids, identify
from workbench_hub.names import safe_host, safe_name
from workbench_hub.policy import parse

POLICY = """\
version: 1
images: {standard: {title: S, build: user}}
profiles: {standard: {title: S}}
groups:
  survey: {gid: 31000, accounts: [survey], members: [anna]}
  staff: {gid: 31001, accounts: [ops, survey]}
  docker: {}
  nowhere: {}
users:
  anna: {uid: 12001, groups: [staff], accounts: [thesis]}
  ben: {uid: 12002, gid: 100}
identity: {source: local, local: {first_uid: 25000, last_uid: 25002}}
"""


@pytest.fixture
def policy():
    return parse(POLICY)


def test_the_policys_list_says_it_all(policy):
    anna = identify("anna", policy)
    assert anna == Identity("anna", 12001, 12001, ("survey", "staff"), ("thesis", "survey", "ops"))
    assert gids(anna, policy) == (31000, 31001)
    # Debian's group `users` is the main group of people at many sites.
    assert identify("ben", policy).gid == 100


def test_numbers_handed_out_stay_and_are_nobody_elses(policy, tmp_path):
    register = tmp_path / "state" / "uids.json"
    first = identify("Zoë X", policy, register=register)
    second = identify("carl", policy, register=register)
    assert (first.uid, second.uid) == (25000, 25001)
    assert first.gid == first.uid
    assert identify("Zoë X", policy, register=register) == first
    assert register.stat().st_mode & 0o777 == 0o600
    identify("dan", policy, register=register)
    with pytest.raises(NoIdentity, match=r"'eve'.*are taken.*last_uid"):
        identify("eve", policy, register=register)
    with pytest.raises(NoIdentity, match="has no uid"):
        identify("eve", policy)


def test_numbers_are_handed_out_once_to_many_at_a_time(tmp_path):
    policy = parse(POLICY.replace("25002", "25999"))
    names = [f"user{i}" for i in range(40)] * 2
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda name: identify(name, policy, register=tmp_path / "uids.json").uid, names)
        )
    assert found[:40] == found[40:]
    assert len(set(found)) == 40
    assert len(json.loads((tmp_path / "uids.json").read_text())) == 40


def test_a_changed_range_does_not_let_the_systems_numbers_in(policy, tmp_path):
    (tmp_path / "uids.json").write_text('{"mallory": 0, "trudy": 65534}')
    with pytest.raises(NoIdentity, match="has the uid 0"):
        identify("mallory", policy, register=tmp_path / "uids.json")
    with pytest.raises(NoIdentity, match="stands for nobody"):
        identify("trudy", policy, register=tmp_path / "uids.json")


def test_the_hosts_users_keep_their_numbers():
    host = parse(POLICY.replace("source: local", "source: nss"))
    with pytest.raises(NoIdentity, match=r"'root' has the uid 0|'root': has the uid 0"):
        identify("root", host)
    with pytest.raises(NoIdentity, match=r"has no uid.*getent passwd"):
        identify("no such user", host)
    people = [entry for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000 and entry.pw_gid >= 1000]
    for person in people:
        assert identify(person.pw_name, host).uid == person.pw_uid


def test_a_group_of_the_system_is_not_given(policy):
    system = next(entry for entry in grp.getgrall() if 0 < entry.gr_gid < 1000 and entry.gr_gid != 100)
    text = POLICY.replace("docker: {}", f"{system.gr_name}: {{members: [anna]}}")
    with pytest.raises(NoIdentity, match=f"is in '{system.gr_name}', a group of the system"):
        gids(identify("anna", parse(text)), parse(text))


def test_a_group_without_a_number_gives_profiles_and_no_files():
    policy = parse(POLICY.replace("nowhere: {}", "nowhere: {members: [anna]}"))
    anna = identify("anna", policy)
    assert "nowhere" in anna.groups
    assert gids(anna, policy) == (31000, 31001)


ODD = [
    "",
    "alice\0",
    "a" * 300,
    "../../etc/passwd",
    "root\n",
    "Ⓡoot",
    "r\u0131oot",
    "'; drop table",
    "-rf",
    "💥",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_get_a_number_of_their_own_or_are_refused(policy, tmp_path, name):
    assert identify(name, policy, register=tmp_path / "uids.json").uid == 25000
    with pytest.raises(NoIdentity) as caught:
        identify(name, parse(POLICY.replace("source: local", "source: nss")))
    assert len(str(caught.value)) < 500


NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=80)
PLAIN = st.from_regex(r"[a-z][a-z0-9_.-]{0,40}", fullmatch=True)


@given(NAMES | PLAIN)
def test_safe_names_are_names_of_files_containers_and_hosts(name):
    safe = safe_name(name)
    assert re.fullmatch(r"[a-z][a-z0-9_.-]{0,62}", safe)
    assert "--" not in safe
    assert ".." not in safe
    assert os.path.basename(os.path.normpath(f"/homes/{safe}")) == safe
    host = safe_host(name)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", host)
    assert safe_name(safe_name(name)) == safe or len(safe) > 32


@given(NAMES | PLAIN, NAMES | PLAIN)
def test_two_names_are_never_one(one, other):
    if one != other:
        assert safe_name(one) != safe_name(other)
        assert safe_host(one) != safe_host(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("j.doe", "j-doe"),
        ("Alice", "alice"),
        ("alice ", "alice"),
        ("é", "e"),
        ("é", "e\u0301"),
        ("a_b", "a-b"),
    ],
)
def test_names_that_look_alike_stay_apart(one, other):
    assert safe_name(one) != safe_name(other)
    assert safe_host(one) != safe_host(other)


def test_nobody_takes_the_safe_name_of_another():
    """A name that is what another's became does not become the same."""
    for name in ("Älice", "j doe", "x" * 50):
        assert safe_name(safe_name(name)) != safe_name(name)
        assert safe_host(safe_host(name)) != safe_host(name)


def test_plain_names_stay():
    for name in ("alice", "a1", "j.doe", "j-doe", "a_b", "a" * 32):
        assert safe_name(name) == name
