"""A cluster of one's own on this machine, and what it is made of."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from time import time

import pytest
from distributed import Client
from distributed.security import Security

from workbench.errors import InvalidSetting, ResourceExceeded, Unavailable
from workbench.jobs import libraries, sessions, slurm
from workbench.jobs.clusters import OwnClient, cluster
from workbench.jobs.launch import Limits, environment, minutes, python, script
from workbench.jobs.reasons import reason_of, refusal
from workbench.jobs.sessions import Session, purge
from workbench.settings import Settings

# Dask leaves it to the collector to close the socket of a connection that was refused.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def here() -> OwnClient:
    with cluster(2, kind="local", settings=Settings()) as client:
        yield client


@pytest.mark.parametrize("how", ["1", "maximum=2"])
def test_a_script_that_starts_a_cluster_where_it_is_imported_is_told_what_to_do(tmp_path, how):
    path = tmp_path / "script.py"
    path.write_text(f"import workbench as wb\nwith wb.cluster({how}, kind='local'):\n    print('here')\n")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "put what it does below: if __name__ == '__main__':" in done.stderr.splitlines()[-1]
    path.write_text(path.read_text().replace("with wb", "if __name__ == '__main__':\n  with wb"))
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "here\n"


def test_a_local_cluster_works_and_is_closed_to_others(here: OwnClient):
    assert here.submit(sum, [1, 2]).result(timeout=30) == 3
    assert here.scheduler.address.startswith("tls://127.0.0.1:")
    assert len(here.scheduler_info()["workers"]) == 2
    with pytest.raises(OSError, match=r"(?i)timed out|connect|certificate"):
        Client(here.scheduler.address.replace("tls", "tcp"), timeout=2)
    with pytest.raises(OSError, match=r"(?i)timed out|connect|certificate"):
        Client(here.scheduler.address, security=Security.temporary(), timeout=2)


def test_lazy_arrays_are_computed_on_it(here: OwnClient):
    import dask.array as da

    before = here.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
    assert da.arange(1000, chunks=100).sum().compute() == 499_500
    assert here.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter) > before


def test_its_scheduler_keeps_few_of_the_messages_that_it_sent(here: OwnClient):
    def kept(dask_scheduler):
        return {one.recent_message_log.maxlen for one in dask_scheduler.stream_comms.values()}

    assert here.run_on_scheduler(kept) == {50}


def test_its_pages_are_below_a_secret_path(here: OwnClient, monkeypatch):
    link = here.dashboard_link
    base, secret, _ = link.rsplit("/", 2)
    assert len(secret) >= 20
    with urllib.request.urlopen(link, timeout=10) as page:
        assert page.status == 200
    for path in ("/", "/status", "/sitemap.json", "/health", f"/{secret[:-1]}/status", f"/{secret}x/status"):
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(f"{base}{path}", timeout=10)
        assert secret not in str(caught.value.headers)
    # A hub whose servers pass nothing on gives no address that leads nowhere.
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/anna/")
    assert here.dashboard_link == link


def test_a_client_that_closes_ends_its_cluster():
    client = cluster(1, kind="local", settings=Settings())
    client.close()
    assert client.cluster.status.name == "closed"


def settings(folder: Path, **more) -> Settings:
    return Settings(jobs=folder / "jobs", **more)


def test_keys_are_their_owners_alone_and_go_with_the_session(tmp_path):
    session = Session(settings(tmp_path))
    modes = {path.name: path.stat().st_mode & 0o777 for path in session.folder.glob("*.pem")}
    assert modes == {"ca.pem": 0o600, "cert.pem": 0o600, "key.pem": 0o600}
    assert session.folder.stat().st_mode & 0o777 == 0o700
    assert session.folder.parent.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700
    session.close()
    assert not session.folder.exists()


def test_no_two_sessions_have_the_same_keys(tmp_path):
    first, second = Session(settings(tmp_path)), Session(settings(tmp_path))
    assert first.folder.exists(), "it lives, and was left alone"
    assert {(first.folder / "ca.pem").read_text()} != {(second.folder / "ca.pem").read_text()}
    first.close()
    second.close()


def test_what_dead_sessions_left_is_cleared_away(tmp_path):
    living, dead = Session(settings(tmp_path)), Session(settings(tmp_path))
    dead._lock.close()
    half = living.folder.parent / ".20200101-000000-aaaaaa"
    half.mkdir()
    old = time() - 3600
    assert purge(living.folder.parent) == [dead.name], "what was made a moment ago may still be in the making"
    os.utime(half, (old, old))
    assert purge(living.folder.parent) == [half.name]
    assert living.folder.exists()
    living.close()


def test_a_session_of_another_machine_is_left_while_it_gives_signs_of_life(tmp_path):
    """A file system may keep the locks of each machine to itself."""
    there = Session(settings(tmp_path))
    about = json.loads((there.folder / "session.json").read_text())
    (there.folder / "session.json").write_text(json.dumps({**about, "boot": "another"}))
    fcntl.flock(there._lock, fcntl.LOCK_UN)
    assert purge(there.folder.parent) == []
    old = time() - 3600
    os.utime(there.folder / "lock", (old, old))
    there.touch()
    assert purge(there.folder.parent) == []
    os.utime(there.folder / "lock", (old, old))
    assert purge(there.folder.parent) == [there.name]
    there.close()


def test_a_home_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "jobs").write_text("a file")
    with pytest.raises(InvalidSetting, match="WORKBENCH_JOBS"):
        Session(settings(tmp_path))


def test_versions_are_those_of_what_the_workbench_stands_on():
    found = libraries.found()
    assert {"Python", "workbench", "numpy", "obspy", "distributed", "cloudpickle", "numba"} <= {*found}
    assert "none" not in found.values()
    assert libraries.differences(found, found) == []
    other = {**found, "numpy": "1.0", "extra": "3"}
    assert libraries.differences(found, other) == [
        "extra none here and 3 there",
        f"numpy {found['numpy']} here and 1.0 there",
    ]


def test_a_job_has_the_settings_of_who_sends_it_and_no_secret(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = settings(tmp_path, archive=Path("here"), token="secret", database="postgresql://secret")
    passed = environment(given, 2)
    assert passed["WORKBENCH_ARCHIVE"] == str(tmp_path / "here")
    assert passed["OMP_NUM_THREADS"] == "2"
    assert "secret" not in str(passed)


def test_a_job_runs_in_the_image_of_its_notebook(tmp_path, monkeypatch):
    digest = "sha256:" + "a" * 64
    assert python(settings(tmp_path))[0].endswith(("python", "python3", "python3.11"))
    monkeypatch.setenv("JUPYTER_IMAGE_SPEC", digest)
    monkeypatch.setenv("HOME", str(tmp_path))
    words = python(settings(tmp_path), read=[Path("/data/a"), tmp_path / "b"], write=[Path("/data")])
    shown = ["--read", "/data/a", "--write", "/data"]
    assert words[:8] == ["wb-exec", *shown, digest, "--", "env"]
    assert words[-1] == "python"
    assert f"WORKBENCH_JOBS={tmp_path / 'jobs'}" in words
    monkeypatch.setenv("JUPYTER_IMAGE_SPEC", "jupyter/base:latest")
    assert python(settings(tmp_path))[0] != "wb-exec"


def test_a_script_says_what_it_is_given_and_no_more():
    said = script(["--time=1"], {"A": "x y; rm -rf /", "B": "'"}, ["echo", "$HOME", "a'b"])
    assert said.splitlines()[2:] == [
        "export A='x y; rm -rf /'",
        """export B=''"'"''""",
        """exec echo '$HOME' 'a'"'"'b'""",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", 120),
        ("1d 12h", 2160),
        ("90 min", 90),
        ("1-12:00:00", 2160),
        ("0:30", 1),
        ("1:00:00", 60),
        (61, 2),
    ],
)
def test_times_are_minutes(text, expected):
    assert minutes(text) == expected


def test_limits_are_checked():
    limits = Limits.of(Settings(partition="long"), cores=2, memory="1.5 GiB", walltime="2h", account="a.b")
    assert limits == Limits(2, 1536, 120, "long", "a.b")
    for wrong in (
        {"cores": 0},
        {"memory": "-1"},
        {"walltime": "0"},
        {"partition": "a b"},
        {"account": "x\n#"},
    ):
        with pytest.raises(InvalidSetting):
            limits.changed(**wrong)


def test_what_slurm_says_is_told_in_words():
    much = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    failed = "sbatch: error: Batch job submission failed:"
    assert isinstance(refusal("sbatch", f"{failed} {much}"), ResourceExceeded)
    said = refusal("sbatch", "sbatch: error: something new")
    assert isinstance(said, Unavailable)
    assert "something new" in str(said)
    for passes, codes in {
        True: ("Resources", "Priority", "None", "Dependency", "QOSMaxCpuPerUserLimit", "AssocGrpCpuLimit"),
        False: ("PartitionDown", "PartitionTimeLimit", "InvalidAccount", "BadConstraints", "JobHeldAdmin"),
    }.items():
        assert {reason_of(code).passes for code in codes} == {passes}


def test_slurm_is_named_where_it_is_not(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not slurm.here()
    with pytest.raises(Unavailable, match="there is no sbatch here"):
        slurm.ask("squeue")
    assert sessions.job_name("a") == "dask-a"


def test_words_are_for_people():
    assert reason_of("None").said == "waits for its turn"
    assert reason_of("Priority").said == "waits for its turn (Priority)"
    root = refusal("sbatch", "sbatch: error: Jobs are for people: uid 0 is below 1000.")
    assert isinstance(root, InvalidSetting)
    assert "Ask as a user" in str(root)
