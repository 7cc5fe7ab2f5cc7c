"""A policy is right, or every reason why not is told."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from workbench_hub.policy import InvalidPolicy, Policy, load, parse
from workbench_hub.policy.commands import commands
from workbench_hub.policy.reading import Problem, read
from workbench_hub.policy.reference import FILES, reference, schema

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "hub" / "policy.yaml"

LEAST = """\
version: 1
images: {standard: {title: Standard, build: user}}
profiles: {small: {title: Small}}
"""


def wrong(text: str) -> list[str]:
    """Return what is said about a policy, a line each, without the head."""
    with pytest.raises(InvalidPolicy) as caught:
        parse(text)
    head, *lines = str(caught.value).splitlines()
    assert f"{len(lines)} thing" in head
    return lines


def test_the_shipped_policy_is_right_and_lets_everybody_see_open_data():
    policy = load(SHIPPED)
    assert policy.identity.source == "local"
    assert policy.access.sees_all((), datetime.now(UTC))
    assert list(policy.profiles_of(())) == ["standard"]
    assert list(policy.profiles_of(("staff",))) == ["standard", "large"]


def test_a_short_policy_has_safe_defaults():
    policy = parse(LEAST)
    small = policy.profiles["small"]
    assert (small.memory, small.pids, small.cpus) == (2 * 2**30, 1024, 1.0)
    assert policy.networks == {}
    assert not policy.access.may_see("CH", (), datetime.now(UTC))
    assert policy.egress.allow == ()
    assert policy.culling.idle == timedelta(hours=24)
    assert policy.admins == ()


def test_nothing_can_be_changed_once_it_is_read():
    with pytest.raises(ValueError, match="frozen"):
        parse(LEAST).home.quota = 1


def test_every_error_is_told_at_once_with_its_line():
    text = """\
version: 2
groops: {}
images: {a: {title: A, group: [x]}, a: {title: B}}
profiles:
  small: {title: S, memory: 3 quux, images: [b, aa]}
networks:
  NO: {access: restricted}
  CHH: {access: open}
culling: {idle: 1 hour}
"""
    assert wrong(text) == [
        "policy.yaml:1: version may not be 2. Write 1.",
        "policy.yaml:2: groops is not known here. Perhaps 'groups' was meant.",
        "policy.yaml:3: images.a is there twice, first in line 3. Keep one of them.",
        "policy.yaml:3: images.a.group is not known here. Perhaps 'groups' was meant.",
        "policy.yaml:3: images.a says no image. "
        "Give `build` (its name in the catalogue) or `digest` (sha256:...).",
        "policy.yaml:5: profiles.small.memory '3 quux' is not a size; "
        "write for example '512 MiB' or '10 GiB'.",
        "policy.yaml:5: profiles.small.images.0 names no image: 'b'. Write it under `images`. There are: a.",
        "policy.yaml:5: profiles.small.images.1 names no image: 'aa'. "
        "Write it under `images`. Perhaps 'a' was meant.",
        "policy.yaml:7: networks.NO is restricted to nobody. Name `groups` that see it.",
        "policy.yaml:8: networks.CHH has characters that it may not have: 'CHH'. "
        "Write a network code of one or two letters or digits, such as CH, or XK_2018, or '*'.",
        "policy.yaml:9: culling.idle '1 hour' is not a time; write for example '30 min', '12 h' or '7 d'.",
    ]


@pytest.mark.parametrize(
    ("added", "line", "said"),
    [
        ("admin: [a]", 4, "admin is not known here. Perhaps 'admins' was meant"),
        ("groups: {Big: {}}", 4, "groups.Big has characters.*small letters"),
        ("groups: {a: {gid: 999}}", 4, "groups.a.gid is 999, less than 1000.*docker"),
        ("groups: {a: {gid: 1000.5}}", 4, "groups.a.gid is wrong: 1000.5"),
        ("groups: {a: {gid: '1000'}}", 4, "groups.a.gid is wrong: '1000'"),
        ("groups: {a: {gid: 0x400}}", 4, "groups.a.gid is wrong: '0x400'"),
        ("groups: {a: {gid: 4000}, b: {gid: 4000}}", 4, "groups.b.gid is that of 'a' too"),
        ("users:\n  bob: {uid: 0}", 5, "users.bob.uid is 0, less than 1000"),
        ("users:\n  bob: {uid: -1}", 5, "users.bob.uid is wrong: -1.*greater than or equal to 0"),
        ("users:\n  bob: {uid: 5000}\n  eve: {uid: 5000}", 6, "users.eve.uid is that of 'bob' too"),
        ("users: {bob: {uid: 20005}}", 4, "which the hub may hand out"),
        ("users: {bob: {gid: 5000}}", 4, "users.bob.gid is there without a `uid`"),
        ("users: {bob: {uid: 5000, gid: 27}}", 4, "users.bob.gid is 27, less than 1000"),
        ("users: {'a/b': {uid: 5000}}", 4, "users.a/b has characters"),
        ("users: {bob: {groups: [geo]}}", 4, "names no group: 'geo'.*There are none"),
        ("images: {b: {title: B, build: user}}", 4, "images is there twice, first in line 2"),
        ("networks: {XK: {access: closed}}", 4, "may not be 'closed'. Write 'open', 'restricted' or 'emb"),
        ("networks: {XK: {access: embargoed}}", 4, "is embargoed without an end.*until: 2027"),
        (
            "networks: {XK: {access: embargoed, until: 2027-01-01T00:00:00}}",
            4,
            "networks.XK.until is wrong.*timezone",
        ),
        ("networks: {XK: {access: open, until: 2027-01-01T00:00:00Z}}", 4, "has an end and no embargo"),
        ("groups: {g: {}}\nnetworks: {XK: {access: open, groups: [g]}}", 5, "say nothing on open data"),
        ("networks: {XK_2018: {access: open}}", 4, "has a year in its name and no `years`"),
        ("networks: {XK_2018: {access: open, years: [2017, 2020]}}", 4, "begin in 2017, not in 2018"),
        ("networks: {XK_2018: {access: open, years: [2018, 2017]}}", 4, "end before they begin"),
        (
            "networks:\n  XK_2018: {access: open, years: [2018, 2020]}\n"
            "  XK_2020: {access: open, years: [2020, 2021]}",
            6,
            "overlap those of XK_2018",
        ),
        ("folders: {f: {group: g}}", 4, "folders.f.group names no group: 'g'"),
        ("groups: {g: {}}\nfolders: {f: {group: g, path: a/b}}", 5, "is relative"),
        ("folders: {../x: {group: g}}", 4, r"folders.\.\./x has characters"),
        ("egress: {allow: [{hosts: ['a b']}]}", 4, r"egress.allow.0.hosts.0 has characters.*'a b'"),
        ("egress: {allow: [{hosts: []}]}", 4, "egress.allow.0.hosts is wrong.*at least 1 item"),
        ("egress: {allow: [{hosts: [a.org], ports: [0]}]}", 4, "egress.allow.0.ports.0 is wrong: 0"),
        ("culling: {idle: 1 h, warn: 2 h}", 4, "culling.warn is as long as `culling.idle` or longer"),
        ("announcements:\n- text: x\n  groups: [nobody]", 6, "announcements.0.groups.0 names no group"),
        (
            "announcements:\n- text: x\n  begins: 2026-02-01T00:00:00Z\n  ends: 2026-01-01T00:00:00Z",
            7,
            "is before `begins`",
        ),
        (
            "slurm: {accounts: [geo]}\nusers: {bob: {accounts: [gea]}}",
            5,
            "names no account: 'gea'.*'geo' was",
        ),
        ("slurm: {cluster: slurm.conf}", 4, "slurm.cluster has characters"),
        ("slurm: {worker_ports: '42999:42000'}", 4, "slurm.worker_ports is 42999 to 42000"),
        ("slurm: {scheduler_ports: '80:99'}", 4, "slurm.scheduler_ports is 80 to 99"),
        ("identity: {source: oidc}", 4, "is oidc, and the provider is not said"),
        ("identity: {source: ldap}", 4, "identity.source may not be 'ldap'"),
        ("identity: {minimum_uid: 500}", 4, "identity.minimum_uid is wrong: 500"),
        ("identity: {local: {first_uid: 3000, last_uid: 2000}}", 4, "is less than `first_uid`"),
        (
            "identity:\n  source: oidc\n  oidc:\n    issuer: http://id.example.org\n"
            "    client_id: a\n    client_secret_file: /x",
            7,
            "is not https.*log in as anybody",
        ),
        ("home: {quota: 0}", 4, "home.quota is wrong: 0"),
        ("home: {quota: -1 GiB}", 4, "is not a size"),
        ("home: {quota: true}", 4, "is not a size"),
        ("home: {method: nfs}", 4, "home.method may not be 'nfs'"),
        ("home: [1]", 4, "home is wrong"),
        ("home:", 4, "home is wrong"),
        ("metadata: {contact: [a]}", 4, "metadata.contact is wrong"),
    ],
)
def test_each_error_says_where_and_what_to_do(added, line, said):
    lines = wrong(LEAST + added)
    assert [item for item in lines if re.search(said, item) and item.startswith(f"policy.yaml:{line}: ")], (
        lines
    )
    assert all(re.search(r": .+\. [A-Z`].+\.$|write for example", item) for item in lines), lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "policy.yaml:1: version is missing"),
        ("- a\n- b", "policy.yaml:1: is not a list of names with values"),
        ("version: 1\nimages: {a: [", "policy.yaml:2: is not YAML.*Indent with spaces"),
        ("a: b: c", "policy.yaml:1: is not YAML"),
        ("a: 1\n\tb: 2", "policy.yaml:2: is not YAML"),
        ("version: 1\n? [a]\n: b", "policy.yaml:2: .*a key that is no text"),
        ("a: &a [*a]", "values inside values without end"),
        ("a: !!python/object/apply:os.system ['true']", "is not known here"),
        ("a: !!python/name:os.system x", "is not YAML: could not determine a constructor"),
        ("\0", "is not YAML"),
        ("version: 1\nversion: 1", "policy.yaml:2: version is there twice, first in line 1"),
    ],
)
def test_what_is_no_policy_at_all(text, said):
    assert re.search(said, "\n".join(wrong(text)))


def test_aliases_do_not_grow_without_bound():
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"a{i + 1}: &a{i + 1} [{','.join([f'*a{i}'] * 10)}]\n" for i in range(9))
    assert "without end" in wrong(bomb)[0]


def test_codes_that_yaml_takes_for_something_else_stay_codes():
    policy = parse(
        LEAST + "networks: {NO: {access: open}, ON: {access: open}, 08: {access: open}, 1E: {access: open}}"
    )
    assert list(policy.networks) == ["NO", "ON", "08", "1E"]
    assert parse(LEAST + "admins: [no, yes, 'true', 1e5x, 12:30]").admins == (
        "no",
        "yes",
        "true",
        "1e5x",
        "12:30",
    )


@given(st.text())
@example("{")
@example("version: 1\nimages: 3\nprofiles: [")
@example("2001-01-01")
@example("? ")
@example("'")
@example("a: *b")
@example("%YAML 9.9\n---\na")
@example("--- a\n--- b")
def test_any_text_is_a_policy_or_refused(text):
    with pytest.raises(InvalidPolicy):
        parse(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("standard"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Policy.model_fields)), _VALUES))
def test_any_values_are_a_policy_or_refused(values):
    text = LEAST + yaml.safe_dump({key: value for key, value in values.items() if key not in LEAST})
    problems: list[Problem] = []
    try:
        parse(text)
    except InvalidPolicy as error:
        problems = error.problems or [Problem((), "nothing is said")]
    assert all(problem.line >= 1 for problem in problems)


def test_the_reader_agrees_with_pyyaml_where_yaml_1_1_does_with_1_2():
    text = SHIPPED.read_text()
    assert read(text).data == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe\n", "is not UTF-8"),
        (b"#" * (5 * 2**20), "larger than"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content, said):
    path = tmp_path / "policy.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidPolicy, match=said) as caught:
        load(path)
    assert f"{path}:1: " in str(caught.value)


def test_the_command_tells_what_is_wrong_and_what_holds(tmp_path):
    (group,) = commands
    path = tmp_path / "policy.yaml"
    path.write_text(
        LEAST
        + "groups: {survey: {}}\n"
        + "networks:\n  CH: {access: open}\n"
        + "  XK: {access: embargoed, until: 2999-01-01T00:00:00Z, groups: [survey]}"
    )
    done = CliRunner().invoke(group, ["check", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "network CH       open" in done.output
    assert "network XK       seen by survey until 2999-01-01 00:00 UTC" in done.output
    assert "All other networks are seen by nobody." in done.output
    path.write_text(LEAST + "admin: x")
    with pytest.raises(InvalidPolicy):
        CliRunner().invoke(group, ["check", str(path)], catch_exceptions=False)
    assert CliRunner().invoke(group, ["schema"]).output == schema()


def test_what_is_generated_is_current():
    assert set(FILES) == {"policy.md", "policy.schema.json"}
    assert (ROOT / "docs" / "policy.md").read_text() == reference(), "run `make docs`"
    assert (ROOT / "docs" / "policy.schema.json").read_text() == schema(), "run `make docs`"


def test_every_value_is_described():
    empty = [line for line in reference().splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert not empty


def test_the_schema_takes_what_the_model_takes():
    validator = Draft202012Validator(json.loads(schema()))
    written = json.loads(json.dumps(yaml.safe_load(SHIPPED.read_text())))
    validator.validate(written)
    for key, value in (("version", 2), ("unknown", 1), ("images", {}), ("culling", {"idle": "1 hour"})):
        assert not validator.is_valid({**written, key: value}), key


def test_announcements_have_their_time_and_their_readers():
    policy = parse(
        LEAST
        + "groups: {staff: {}}\nannouncements:\n- {text: down, begins: 2026-01-01T00:00:00Z,"
        + " ends: 2026-01-02T00:00:00Z, groups: [staff]}"
    )
    (item,) = policy.announcements
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert item.shown(at, ("staff",))
    assert not item.shown(at, ())
    assert not item.shown(at + timedelta(days=1), ("staff",))
    assert not item.shown(at - timedelta(days=1), ("staff",))


def test_images_of_a_profile_are_those_that_the_group_may_have():
    policy = parse(
        """\
version: 1
groups: {ml: {}}
images: {a: {title: A, build: a}, b: {title: B, build: b, groups: [ml]}, c: {title: C, build: c}}
profiles: {all: {title: All}, some: {title: Some, images: [b, c]}}
"""
    )
    assert list(policy.images_of(())) == ["a", "c"]
    assert list(policy.images_of(("ml",))) == ["a", "b", "c"]
    assert list(policy.images_of((), "some")) == ["c"]
    assert list(policy.images_of(("ml",), "some")) == ["b", "c"]
