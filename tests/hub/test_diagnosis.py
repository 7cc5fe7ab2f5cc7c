"""The spawn doctor's words, from evidence as it is found on real containers."""

from __future__ import annotations

import re

import pytest

from workbench.errors import Unavailable
from workbench_hub.containers.catalogue import choose_image
from workbench_hub.containers.choices import choose, from_form, offered
from workbench_hub.containers.counters import Counters
from workbench_hub.containers.diagnosis import diagnose
from workbench_hub.containers.evidence import Diagnosis, Evidence
from workbench_hub.containers.pages import diagnosis_html, form_html
from workbench_hub.containers.records import Record
from workbench_hub.policy import Policy
from workbench_hub.volumes import Usage

MIB = 2**20
FULL = Usage(used=64 * MIB, limit=64 * MIB, free=0)
CASES = {
    "refused": (
        Evidence(refused="Your account has no uid.", advice="Ask for one."),
        r"has no uid\. Ask for one\.",
    ),
    "docker": (
        Evidence(error="The Docker daemon at unix:///x: does not answer (ConnectionError())"),
        "does not answer.*Nothing of yours is lost",
    ),
    "image": (
        Evidence(image="standard", error="No such image: sha256:0123"),
        "'standard' is not on this machine",
    ),
    "mount": (
        Evidence(error="invalid mount config for type: bind source path does not exist: /data/archive"),
        "/data/archive is not there",
    ),
    "memory": (
        Evidence(exit_code=1, counters=Counters(oom_kills=1), memory_limit=2**31),
        r"Out of memory.*limit of 2 GiB.*larger profile",
    ),
    "processes": (
        Evidence(exit_code=1, counters=Counters(pids_refused=3, pids_limit=1024)),
        "the limit is 1024",
    ),
    "home": (
        Evidence(exit_code=1, home=FULL, log=("OSError: [Errno 28] No space left on device",)),
        "Your home is full: 64 MiB of 64 MiB.*delete",
    ),
    "disk": (
        Evidence(error="mkdir /var/lib/docker/overlay2/x: no space left on device"),
        "The machine's disk is full.*administrator",
    ),
    "permission": (
        Evidence(
            exit_code=1,
            uid=20001,
            gid=20001,
            log=("PermissionError: [Errno 13] Permission denied: '/homes/anna/.jupyter'",),
        ),
        "may not use /homes/anna/.jupyter with the uid 20001",
    ),
    "module": (
        Evidence(image="old", exit_code=1, log=("ModuleNotFoundError: No module named 'jupyterhub'",)),
        "'old' has no Python module 'jupyterhub'",
    ),
    "hub": (
        Evidence(exit_code=1, log=("Failed to connect to my Hub at http://10.0.0.1:8081/hub/api",)),
        "cannot reach the hub.*workbench-hub doctor",
    ),
    "command": (
        Evidence(image="x", error='create failed: exec: "lab": executable file not found in $PATH'),
        "cannot run 'lab'",
    ),
    "signal": (Evidence(exit_code=137), "killed, and not for want of memory"),
    "silent": (Evidence(waited=60), "did not answer within 60 seconds"),
    "ended": (Evidence(exit_code=3), "exit code 3"),
    "gone": (Evidence(), "removed from outside"),
}


@pytest.mark.parametrize("cause", CASES)
def test_each_cause_is_told_from_the_others_and_says_what_to_do(cause):
    evidence, words = CASES[cause]
    diagnosis = diagnose(evidence)
    assert diagnosis.cause == cause
    assert re.search(words, str(diagnosis))
    assert diagnosis.remedy or not evidence.advice


def test_what_docker_says_and_nobody_knows_is_passed_on():
    diagnosis = diagnose(Evidence(error="first\nsomething unheard of"))
    assert diagnosis.cause == "docker"
    assert "something unheard of" in diagnosis.headline


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(exit_code=137, oom_killed=True),
        Evidence(exit_code=137, counters=Counters(memory_peak=1000 * MIB), memory_limit=1001 * MIB),
        Evidence(exit_code=7, counters=Counters(oom_kills=2, memory_limit=2**30)),
        Evidence(exit_code=None, waited=60, counters=Counters(oom_kills=1)),
    ],
    ids=["docker says so", "it was close to the limit", "the kernel counted", "a part of it only"],
)
def test_out_of_memory_is_seen_however_it_shows(evidence):
    assert diagnose(evidence).cause == "memory"


def test_a_kill_far_from_the_limit_is_not_taken_for_want_of_memory():
    evidence = Evidence(exit_code=137, counters=Counters(memory_peak=100 * MIB), memory_limit=1000 * MIB)
    assert diagnose(evidence).cause == "signal"


def test_a_full_home_is_no_cause_where_it_explains_nothing():
    assert diagnose(Evidence(waited=60, home=FULL)).cause == "silent"


def test_everything_that_was_looked_at_is_listed():
    evidence = Evidence(
        image="standard",
        digest="sha256:abcdef0123456789",
        uid=20001,
        gid=20002,
        exit_code=1,
        counters=Counters(memory_peak=90 * MIB, oom_kills=0, pids=12, pids_limit=1024, pids_refused=0),
        memory_limit=128 * MIB,
        home=FULL,
        ran=75,
        error="x",
    )
    found = {finding.name: (finding.words, finding.bad) for finding in diagnose(evidence).findings}
    assert found["image"] == ("standard (abcdef012345)", False)
    assert found["user"] == ("uid 20001, gid 20002", False)
    assert found["home"][1]
    assert found["exit code"] == ("1", True)
    assert found["memory"] == ("90 MiB at most, limit 128 MiB", False)
    assert found["ended for want of memory"] == ("0 processes", False)
    assert found["processes and threads"] == ("12, limit 1024, 0 refused", False)
    assert found["ran"] == ("75 s", False)


def test_what_a_program_says_cannot_become_part_of_the_page():
    evidence = Evidence(image="<i>", exit_code=1, error="<script>", log=("<script>alert(1)</script>",))
    page = diagnosis_html(diagnose(evidence), "<b>help</b>")
    assert "<script>" not in page
    assert "<i>" not in page
    assert "<b>help" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_record_outlives_the_hub_and_is_private(tmp_path):
    record = Record(tmp_path / "servers" / "anna.json")
    assert record.ended is None
    diagnosis = diagnose(CASES["memory"][0])
    record.note("A kernel ran out of memory.", 2)
    record.end(diagnosis)
    again = Record(record.path)
    assert again.ended == diagnosis
    assert isinstance(again.ended, Diagnosis)
    assert again.oom_kills == 2
    assert [notice.words for notice in again.notices] == ["A kernel ran out of memory."]
    assert record.path.stat().st_mode & 0o077 == 0
    record.forget()
    assert again.ended is None
    record.forget()


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_damaged_record_keeps_nobody_from_starting(tmp_path, text):
    path = tmp_path / "anna.json"
    path.write_text(text)
    record = Record(path)
    assert record.ended is None
    assert record.notices == ()
    record.note("x", 1)
    assert record.oom_kills == 1


# -- what may be chosen

POLICY = Policy.model_validate(
    {
        "version": 1,
        "groups": {"volcano": {"gid": 30001}},
        "images": {
            "standard": {"title": "<b>Standard</b>", "build": "user"},
            "volcano": {"title": "Volcano", "digest": "sha256:" + "2" * 64, "groups": ["volcano"]},
        },
        "profiles": {
            "small": {"title": "Small"},
            "deep": {"title": "Deep", "images": ["volcano"]},
            "large": {"title": "Large", "groups": ["volcano"], "images": ["volcano", "standard"]},
        },
    }
)


def test_a_profile_without_an_image_for_one_is_not_offered():
    assert [offer.name for offer in offered(POLICY, [])] == ["small"]
    assert [offer.name for offer in offered(POLICY, ["volcano"])] == ["small", "deep", "large"]


def test_defaults_are_the_first_of_each():
    assert choose({}, POLICY, []).profile == "small"
    assert choose({"profile": "large"}, POLICY, ["volcano"]).image == "volcano"


def test_the_image_of_the_profile_that_was_picked_counts():
    data = {"profile": ["large"], "image.small": ["volcano"], "image.large": ["standard"]}
    assert from_form(data) == {"profile": "large", "image": "standard"}
    assert from_form({"profile": ["large"], "image": ["standard"]}) == {
        "profile": "large",
        "image": "standard",
    }
    assert from_form({}) == {}


def test_there_is_no_form_where_there_is_no_choice():
    assert form_html(offered(POLICY, []), {}) == ""
    form = form_html(offered(POLICY, ["volcano"]), {"profile": "large", "image": "standard"})
    assert form.count('type="radio"') == 3
    assert re.search(r'value="large" checked', form)
    assert re.search(r'value="standard" selected', form)
    assert "<b>Standard" not in form


def test_a_digest_of_the_policy_counts_more_than_the_build(tmp_path):
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text('{"user": {"digest": "sha256:1"}, "volcano": {"digest": "sha256:3"}}')
    assert choose_image("volcano", POLICY, catalogue).digest == "sha256:" + "2" * 64
    assert choose_image("standard", POLICY, catalogue).digest == "sha256:1"


@pytest.mark.parametrize("text", ["{}", "{", None], ids=["empty", "damaged", "not there"])
def test_an_image_that_nobody_built_says_how_to_build_it(tmp_path, text):
    catalogue = tmp_path / "catalogue.json"
    if text is not None:
        catalogue.write_text(text)
    with pytest.raises(Unavailable, match=r"images/build\.py"):
        choose_image("standard", POLICY, catalogue)
